r"""FETCH and UID FETCH. RFC 9051 §6.4.5; CHANGEDSINCE and VANISHED of RFC 7162.

Messages are taken in batches, so that neither a large mailbox nor a slow peer makes memory grow; what only needs
records and header blocks never touches a body. A large body is streamed: no piece is read before the peer has taken
the last ones. If a body fails in the middle of its literal, nothing true can be said any more and the connection ends.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from hashlib import blake2b
from itertools import islice
from typing import Final, TypeVar

from chatmail.errors import StorageError
from chatmail.imap import commands
from chatmail.imap.fetch import BodyRange, Encoded, FetchedRecord, FetchPlan, UnknownEncodingError
from chatmail.imap.fetch_items import FetchAttribute, FetchItem
from chatmail.imap.fetch_response import END_FETCH, fetch_literal
from chatmail.imap.part_tree import Part, PartScanner
from chatmail.imap.response_codes import EXPUNGEISSUED, LIMIT, UNKNOWN_CTE
from chatmail.imap.responses import Condition, StatusResponse, Vanished, ok
from chatmail.imap.sequence_set import UidSet
from chatmail.mail.changes import SEEN, AccountId, MessageRecord, SeqNum, Uid
from chatmail.services.imap_session_select import vanished_uids
from chatmail.services.imap_session_state import CommandRefused, Selected, SessionEnd, SessionState, log
from chatmail.storage.store import FlagsMode, StoredBody

BATCH_MESSAGES: Final = 250
CHUNK_BYTES: Final = 64 * 1024
"""Read from a body at a time; some three times as much waits in memory for a peer that takes nothing."""
MAX_CONVERTED_BYTES: Final = 1 << 20
"""Of a part that is decoded here, which needs all of it in memory; BODY[] gives larger ones as they are."""
MAX_ITEMS: Final = 100
"""In one command; clients ask for some ten."""
_LARGE_HEADER_BYTES: Final = 16 * 1024
"""Of a message and its parts: what is longer takes milliseconds to describe."""
_SCANNED_AT_ONCE: Final = 16 * 1024
"""Of a body whose parts are looked for: a few milliseconds where every line is nearly a delimiter."""

T = TypeVar("T")


async def fetch(state: SessionState, tag: str, command: commands.Fetch) -> StatusResponse:
    """FETCH and UID FETCH."""
    selected = state.require_selected()
    items = _items(command)
    if len(items) > MAX_ITEMS:
        raise CommandRefused("There are too many items", LIMIT)
    state.condstore = state.condstore or FetchAttribute.MODSEQ in items
    plan = FetchPlan(items)
    uids = state.resolve(command.messages)
    if command.vanished:
        await _tell_vanished(state, selected, command)
    answered = 0
    batches = iter(uids)
    while batch := list(islice(batches, BATCH_MESSAGES)):
        records = await state.context.store.mailboxes.records(selected.mailbox.mailbox_id, batch)
        answered += len(records)
        if command.changed_since is not None:
            records = [record for record in records if record.modseq > command.changed_since]
        await _answer_batch(state, selected, items, plan, records)
    missing = None if command.by_uid or answered == len(uids) else EXPUNGEISSUED
    return ok(tag, "Fetch completed", missing)


def _items(command: commands.Fetch) -> tuple[FetchItem, ...]:
    """What to answer: the client's items, and those the command implies (RFC 9051 §6.4.9, RFC 7162 §3.1.4.1)."""
    items = command.items
    if command.by_uid and FetchAttribute.UID not in items:
        items = (FetchAttribute.UID, *items)
    if command.changed_since is not None and FetchAttribute.MODSEQ not in items:
        items = (*items, FetchAttribute.MODSEQ)
    return items


async def _tell_vanished(state: SessionState, selected: Selected, command: commands.Fetch) -> None:
    """`VANISHED (EARLIER)` for what was expunged since (RFC 7162 §3.2.6)."""
    if not (state.qresync and command.by_uid and command.changed_since is not None):
        raise CommandRefused("VANISHED needs QRESYNC, UID FETCH and CHANGEDSINCE", condition=Condition.BAD)
    wanted = command.messages if isinstance(command.messages, UidSet) else None
    counts = await state.context.store.mailboxes.status(selected.mailbox.mailbox_id)
    gone = await vanished_uids(state, selected, wanted, command.changed_since, counts.uid_next)
    if gone.ranges:
        state.send(Vanished(gone, earlier=True))


async def _answer_batch(
    state: SessionState,
    selected: Selected,
    items: tuple[FetchItem, ...],
    plan: FetchPlan,
    records: Sequence[MessageRecord],
) -> None:
    if plan.sets_seen and not selected.read_only:
        unseen = [record.uid for record in records if SEEN not in record.flags]
        if unseen:
            records = await _mark_seen(state, selected, records, unseen)
            told = (FetchAttribute.FLAGS, FetchAttribute.MODSEQ) if state.condstore else (FetchAttribute.FLAGS,)
            plan = FetchPlan((*items, *told))
    headers = await state.context.store.mailboxes.headers({r.body_id for r in records}) if plan.needs_header else {}
    account_id = state.require_account()
    tells_flags = plan.tells_flags and (plan.tells_modseq or not state.condstore)
    view, output = selected.view, state.output
    for record in records:
        header = headers.get(record.body_id, b"")
        if state.turn.is_over:
            await state.turn.next()  # what comes from memory never waits
        seq_num = view.seq_num(record.uid)
        if seq_num is None or (plan.needs_header and not header):
            continue
        message = FetchedRecord(record, header, None, email_id(account_id, record) if plan.needs_email_id else "")
        if plan.needs_body:
            await _answer(state, plan, seq_num, message)
        elif len(header) <= _LARGE_HEADER_BYTES:
            output.write(plan.response(seq_num, message))
        else:
            output.write(await _in_thread(state, partial(plan.response, seq_num, message)))
        if output.is_full:
            await output.drain()
        if tells_flags:
            view.told_flags(record.uid, record.modseq)


async def _mark_seen(
    state: SessionState, selected: Selected, records: Sequence[MessageRecord], unseen: Sequence[Uid]
) -> Sequence[MessageRecord]:
    mailboxes, mailbox_id = state.context.store.mailboxes, selected.mailbox.mailbox_id
    await mailboxes.store_flags(mailbox_id, unseen, FlagsMode.ADD, frozenset({SEEN}), origin=state)
    return await mailboxes.records(mailbox_id, [record.uid for record in records])


def email_id(account_id: AccountId, record: MessageRecord) -> str:
    """EMAILID: the same for all copies in an account, and telling nothing about other accounts (RFC 8474 §5.1)."""
    content = f"{account_id} {record.body_id} {record.received_at.timestamp()}"
    return "M" + blake2b(content.encode(), digest_size=12).hexdigest()


async def _answer(state: SessionState, plan: FetchPlan, seq_num: SeqNum, message: FetchedRecord) -> None:
    body = await state.context.store.mailboxes.body(message.record.body_id)
    if body is None:
        return
    if plan.needs_parts:
        message = message._replace(parts=await scan(state, body))
    try:
        items = await _described(state, plan, message)
    except UnknownEncodingError:
        raise CommandRefused("A part has an unknown encoding", UNKNOWN_CTE) from None
    await _write(state, seq_num, items, body)


async def _described(state: SessionState, plan: FetchPlan, message: FetchedRecord) -> Sequence[Encoded]:
    """The items."""
    if len(message.header) + _header_bytes(message.parts) <= _LARGE_HEADER_BYTES:
        return plan.items(message)
    return await _in_thread(state, partial(plan.items, message))


async def _in_thread(state: SessionState, describe: Callable[[], T]) -> T:
    """What may take a tenth of a second, since headers are large: in a thread, and one at a time."""
    async with state.context.describing:
        return await asyncio.to_thread(describe)


def _header_bytes(part: Part | None) -> int:
    if part is None:
        return 0
    return sum(map(len, part.fields.values())) + sum(map(_header_bytes, part.children))


async def scan(state: SessionState, body: StoredBody) -> Part:
    """The parts of a body of any size, found without keeping anybody waiting."""
    scanner = PartScanner()
    for offset in range(0, body.size_bytes, CHUNK_BYTES):
        chunk = await body.read(offset, CHUNK_BYTES)
        for start in range(0, len(chunk), _SCANNED_AT_ONCE):
            scanner.feed(chunk[start : start + _SCANNED_AT_ONCE])
            if state.turn.is_over:
                await state.turn.next()
    return scanner.finish()


async def _write(state: SessionState, seq_num: SeqNum, items: Sequence[Encoded], body: StoredBody) -> None:
    write = state.output.write
    # Values that are made from octets are made first: after the first byte of a response there is no way back.
    values = [await _made(body, item) if isinstance(item, BodyRange) else item for item in items]
    between = b"* %d FETCH (" % seq_num
    for value in values:
        write(between)
        between = b" "
        if isinstance(value, BodyRange):
            write(b"%b {%d}\r\n" % (value.name, value.end - value.start))
            await _stream(state, body, value.start, value.end)
        else:
            write(value)
    write(END_FETCH)


async def _made(body: StoredBody, item: BodyRange) -> Encoded:
    """The item itself where its octets are passed on as they are."""
    if item.convert is None:
        return item
    if item.end - item.start > MAX_CONVERTED_BYTES:
        raise CommandRefused("The part is too large to be decoded here", UNKNOWN_CTE)
    value = item.convert(await body.read(item.start, item.end - item.start))
    return item.name + b" %d" % len(value) if item.is_size_only else fetch_literal(item.name, value)


async def _stream(state: SessionState, body: StoredBody, start: int, end: int) -> None:
    """Pass octets on, no faster than the peer takes them."""
    while start < end:
        try:
            chunk = await body.read(start, min(CHUNK_BYTES, end - start))
        except StorageError as error:
            log.error("body_unreadable", connection=state.connection_id, error=type(error).__name__)
            raise SessionEnd(None) from None
        if not chunk:
            log.error("body_too_short", connection=state.connection_id)
            raise SessionEnd(None)
        state.output.write(chunk)
        start += len(chunk)
        if state.output.is_full:
            await state.output.drain()
