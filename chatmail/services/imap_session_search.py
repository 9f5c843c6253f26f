"""SEARCH and UID SEARCH, with RETURN and `$`. RFC 9051 §6.4.4, RFC 4731, RFC 5182, RFC 7162 §3.1.5.

What a key can decide without reading messages is decided first. Headers are read in batches, bodies one at a time.
"""

from array import array
from collections.abc import AsyncIterator, Sequence
from itertools import islice
from typing import Final

from chatmail.imap import commands
from chatmail.imap.response_codes import BAD_CHARSET
from chatmail.imap.responses import EsearchResult, SearchNumbers, StatusResponse, ok
from chatmail.imap.search import Candidate, SearchScope, SearchTest, cheap_part, text_parts
from chatmail.imap.search_keys import SearchReturn
from chatmail.imap.sequence_set import ranges_of
from chatmail.mail.changes import MessageRecord, ModSeq, Uid
from chatmail.services.imap_session_fetch import email_id, scan
from chatmail.services.imap_session_state import CommandRefused, Selected, SessionState

CHARSETS: Final = ("US-ASCII", "UTF-8")
_BATCH_MESSAGES: Final = 250

Found = list[tuple[int, MessageRecord]]
"""Sequence number and record, ascending."""


async def search(state: SessionState, tag: str, command: commands.Search) -> StatusResponse:
    """SEARCH and UID SEARCH."""
    selected = state.require_selected()
    scope = _scope(state, selected)
    if command.returns is not None and SearchReturn.SAVE in command.returns:
        state.saved = None  # what a SEARCH that fails leaves behind (RFC 5182 §2.1)
    if command.charset is not None and command.charset not in CHARSETS:
        raise CommandRefused("This character set is not known", BAD_CHARSET)
    test = SearchTest(command.key, scope)
    state.condstore = state.condstore or test.asks_modseq
    first = SearchTest(cheap_part(command.key), scope)
    found: Found = []
    async for candidate in _candidates(state, selected, first, test):
        if test.matches(candidate):
            found.append((candidate.seq_num, candidate.record))
    _answer(state, tag, command, found, with_modseq=test.asks_modseq)
    return ok(tag, "Search completed")


def _scope(state: SessionState, selected: Selected) -> SearchScope:
    saved = [Uid(uid) for uid in state.saved or ()]
    return SearchScope(len(selected.view), selected.view.highest_uid, saved, state.context.clock())


async def _candidates(
    state: SessionState, selected: Selected, first: SearchTest, test: SearchTest
) -> AsyncIterator[Candidate]:
    """What the cheap test lets through, with all that the whole test needs."""
    remaining = iter(list(selected.view.uids()))
    mailboxes = state.context.store.mailboxes
    while batch := list(islice(remaining, _BATCH_MESSAGES)):
        records = await mailboxes.records(selected.mailbox.mailbox_id, batch)
        passed = [each for record in records if (each := _candidate(state, selected, record)) and first.matches(each)]
        wanted = {each.record.body_id for each in passed}
        headers = await mailboxes.headers(wanted) if test.needs_header else {}
        for each in passed:
            header = headers.get(each.record.body_id, b"")
            texts = await _texts(state, each.record) if test.needs_body else []
            yield Candidate(each.seq_num, each.record, header, texts, each.email_id)
            if state.turn.is_over:
                await state.turn.next()  # what comes from memory never waits


def _candidate(state: SessionState, selected: Selected, record: MessageRecord) -> Candidate | None:
    seq_num = selected.view.seq_num(record.uid)
    return None if seq_num is None else Candidate(seq_num, record, email_id=email_id(state.require_account(), record))


async def _texts(state: SessionState, record: MessageRecord) -> list[str]:
    """What is text in a message. Of one that is not, which is nearly all here, no more than a piece is in memory."""
    body = await state.context.store.mailboxes.body(record.body_id)
    if body is None:
        return []
    parts = text_parts(await scan(state, body))
    return [part.decode(await body.read(part.start, part.end - part.start)) for part in parts]


def _answer(state: SessionState, tag: str, command: commands.Search, found: Found, *, with_modseq: bool) -> None:
    numbers = [record.uid if command.by_uid else seq_num for seq_num, record in found]
    returns = command.returns
    if returns is None and not state.rev2:
        state.send(SearchNumbers(numbers, _highest_modseq(found) if with_modseq else None))
        return
    returns = returns or frozenset((SearchReturn.ALL,))
    if SearchReturn.SAVE in returns:
        _save(state, returns, found)
    if returns != {SearchReturn.SAVE}:
        modseq = _highest_modseq(_reported(returns, found)) if with_modseq else None
        state.send(_esearch(tag, command.by_uid, returns, numbers, modseq))


def _highest_modseq(found: Found) -> ModSeq | None:
    return max((record.modseq for _seq_num, record in found), default=None)


def _reported(returns: frozenset[SearchReturn], found: Found) -> Found:
    """What the answer tells of: all that was found, or only its ends (RFC 4731 §3.2, RFC 5182 §2.4)."""
    if not returns.isdisjoint((SearchReturn.ALL, SearchReturn.COUNT)):
        return found
    first = found[:1] if SearchReturn.MIN in returns else []
    last = found[-1:] if SearchReturn.MAX in returns else []
    return (first + last if first != last else first) or found


def _esearch(
    tag: str, by_uid: bool, returns: frozenset[SearchReturn], numbers: Sequence[int], modseq: ModSeq | None
) -> EsearchResult:
    return EsearchResult(
        tag,
        by_uid,
        minimum=numbers[0] if numbers and SearchReturn.MIN in returns else None,
        maximum=numbers[-1] if numbers and SearchReturn.MAX in returns else None,
        all_ranges=ranges_of(numbers) if SearchReturn.ALL in returns else None,
        count=len(numbers) if SearchReturn.COUNT in returns else None,
        modseq=modseq,
    )


def _save(state: SessionState, returns: frozenset[SearchReturn], found: Found) -> None:
    """What `$` stands for from now on (RFC 5182 §2.4)."""
    state.saved = array("L", [record.uid for _seq_num, record in _reported(returns, found)])
