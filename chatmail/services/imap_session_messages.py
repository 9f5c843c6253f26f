r"""STORE, COPY, MOVE, EXPUNGE and their UID forms. RFC 9051 §6.4.3-9; UIDPLUS, MOVE, CONDSTORE.

A STORE is one transaction, conditional or not; its answer is read after the commit, so it shows what is true then. The
EXPUNGE responses to MOVE and EXPUNGE come out of the session's view like everybody else's.
"""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final

from chatmail.imap import commands
from chatmail.imap.fetch_response import FetchedMessage, fetch_flags, fetch_modseq
from chatmail.imap.response_codes import (
    EXPUNGEISSUED,
    LIMIT,
    OVERQUOTA,
    ResponseCode,
    copy_uid,
    highest_modseq,
    modified,
)
from chatmail.imap.responses import StatusResponse, ok
from chatmail.imap.sequence_set import SequenceSet, UidSet
from chatmail.mail.changes import SYSTEM_FLAGS, Flag, Uid
from chatmail.services.imap_session_state import CommandRefused, Selected, SessionState
from chatmail.storage.store import FlagsMode

MAX_KEYWORDS: Final = 32
"""In one command."""
MAX_KEYWORD_CHARACTERS: Final = 64
_BATCH_MESSAGES: Final = 500


def check_flags(flags: Iterable[Flag]) -> None:
    """Raises `CommandRefused` for more or longer keywords than a message may have."""
    keywords = [flag for flag in flags if flag not in SYSTEM_FLAGS]
    if len(keywords) > MAX_KEYWORDS or any(len(keyword) > MAX_KEYWORD_CHARACTERS for keyword in keywords):
        raise CommandRefused("There are too many or too long keywords", LIMIT)


async def store(state: SessionState, tag: str, command: commands.Store) -> StatusResponse:
    """STORE and UID STORE."""
    selected = state.require_selected(writable=True)
    check_flags(command.flags)
    uids = state.resolve(command.messages)
    state.condstore = state.condstore or command.unchanged_since is not None
    left_alone = await state.context.store.mailboxes.store_flags(
        selected.mailbox.mailbox_id,
        uids,
        FlagsMode(command.mode.value),
        command.flags,
        unchanged_since=command.unchanged_since,
        origin=state,
    )
    if not command.silent or state.condstore:
        changed = [uid for uid in uids if uid not in left_alone]
        await _tell_flags(state, selected, changed, command)
    if left_alone:
        return ok(tag, "Some messages were changed since", modified(_numbers(state, left_alone, command)))
    return ok(tag, "Store completed")


def _numbers(state: SessionState, uids: Iterable[Uid], command: commands.Store) -> UidSet | SequenceSet:
    return state.numbers(sorted(uids), by_uid=command.by_uid)


async def _tell_flags(state: SessionState, selected: Selected, uids: Sequence[Uid], command: commands.Store) -> None:
    """The FETCH responses of a STORE; a silent one only tells MODSEQ (RFC 7162 §3.1.3)."""
    remaining = iter(uids)
    while batch := list(islice(remaining, _BATCH_MESSAGES)):
        for record in await state.context.store.mailboxes.records(selected.mailbox.mailbox_id, batch):
            seq_num = selected.view.seq_num(record.uid)
            if seq_num is None:
                continue
            items = [b"UID %d" % record.uid] if command.by_uid or state.qresync else []
            if not command.silent:
                items.append(fetch_flags(record.flags))
                selected.view.told_flags(record.uid, record.modseq)
            if state.condstore:
                items.append(fetch_modseq(record.modseq))
            state.send(FetchedMessage(seq_num, items))
        if state.output.is_full:
            await state.output.drain()


async def expunge(state: SessionState, tag: str, command: commands.Expunge) -> StatusResponse:
    """EXPUNGE and UID EXPUNGE."""
    selected = state.require_selected(writable=True)
    uids = None if command.messages is None else state.resolve(command.messages)
    mailboxes = state.context.store.mailboxes
    gone = await mailboxes.expunge(selected.mailbox.mailbox_id, uids, origin=state)
    return ok(tag, "Expunge completed", await modseq_after(state, selected) if gone else None)


async def modseq_after(state: SessionState, selected: Selected) -> ResponseCode | None:
    """What an answer says after messages went, to those who keep count (RFC 7162 §3.2.7, §3.2.8; RFC 6851 §4.4)."""
    if not state.condstore:
        return None
    counts = await state.context.store.mailboxes.status(selected.mailbox.mailbox_id)
    return highest_modseq(counts.highest_modseq)


async def copy(state: SessionState, tag: str, command: commands.Copy) -> StatusResponse:
    """COPY, MOVE and their UID forms."""
    selected = state.require_selected(writable=command.move)
    uids = state.resolve(command.messages)
    target = await state.find_target(command.mailbox)
    copied = await state.context.store.mailboxes.copy(
        selected.mailbox.mailbox_id, uids, target.mailbox_id, move=command.move, origin=state
    )
    if copied is None:
        raise CommandRefused("The account has no room left", OVERQUOTA)
    name = "Move" if command.move else "Copy"
    if not copied:
        return ok(tag, f"{name} completed", EXPUNGEISSUED if uids else None)
    code = copy_uid(target.uid_validity, UidSet.of(copied.keys()), UidSet.of(copied.values()))
    if not command.move:
        return ok(tag, f"{name} completed", code)
    # The client has to learn the new UIDs before the old ones go (RFC 6851 §4.3).
    state.send(ok(None, "Moved", code))
    return ok(tag, f"{name} completed", await modseq_after(state, selected))
