"""SELECT, EXAMINE, CLOSE, UNSELECT, and the resynchronisation of QRESYNC. RFC 9051 §6.3.2, §6.4.1-2; RFC 7162 §3.2."""

from bisect import bisect_right
from collections.abc import Sequence

from chatmail.imap import commands
from chatmail.imap.fetch_response import FetchedMessage, fetch_flags, fetch_modseq
from chatmail.imap.response_codes import (
    CLOSED,
    READ_ONLY,
    READ_WRITE,
    highest_modseq,
    mailbox_id,
    permanent_flags,
    uid_next,
    uid_validity,
    unseen,
)
from chatmail.imap.responses import Condition, Exists, FlagsDefined, RecentCount, StatusResponse, Vanished, ok
from chatmail.imap.sequence_set import Range, UidSet, ranges_of
from chatmail.mail.changes import SEEN, SYSTEM_FLAGS, Flag, ModSeq, SeqNum, Uid
from chatmail.services.imap_session_messages import modseq_after
from chatmail.services.imap_session_names import mailbox_object_id, tell_name
from chatmail.services.imap_session_state import CommandRefused, Selected, SessionState
from chatmail.storage.store import MailboxSnapshot


async def select(state: SessionState, tag: str, command: commands.Select) -> StatusResponse:
    """SELECT and EXAMINE. A mailbox selected before is left even if this one cannot be opened."""
    if command.qresync is not None and not state.qresync:
        raise CommandRefused("Please ENABLE QRESYNC first", condition=Condition.BAD)
    await state.check_login()
    was_selected = state.selected is not None
    state.deselect()
    if was_selected:
        state.send(ok(None, "Previous mailbox closed", CLOSED))
    mailbox = await state.find_mailbox(command.mailbox)
    snapshot = await state.select(mailbox, read_only=command.read_only)
    state.condstore = state.condstore or command.condstore
    _describe(state, snapshot, read_only=command.read_only)
    if state.rev2:
        await tell_name(state, mailbox.name, command.mailbox)
    if command.qresync is not None and state.selected is not None:
        await _resynchronise(state, state.selected, snapshot, command.qresync)
    code = READ_ONLY if command.read_only else READ_WRITE
    return ok(tag, "Examine completed" if command.read_only else "Select completed", code)


def _describe(state: SessionState, snapshot: MailboxSnapshot, *, read_only: bool) -> None:
    """The untagged responses of SELECT. UIDVALIDITY and UIDNEXT are what clients cannot do without."""
    mailbox = snapshot.mailbox
    keywords = {flag for record in snapshot.messages for flag in record.flags}.difference(SYSTEM_FLAGS)
    flags: tuple[Flag, ...] = (*SYSTEM_FLAGS, *sorted(keywords))
    state.send(FlagsDefined(flags))
    state.send(ok(None, "Flags permitted", permanent_flags(() if read_only else flags, new_keywords=not read_only)))
    state.send(Exists(len(snapshot.messages)))
    if not state.rev2:
        _describe_as_of_old(state, snapshot)
    state.send(ok(None, "UIDs valid", uid_validity(mailbox.uid_validity)))
    state.send(ok(None, "Predicted next UID", uid_next(snapshot.uid_next)))
    state.send(ok(None, "Highest", highest_modseq(snapshot.highest_modseq)))
    state.send(ok(None, "Mailbox", mailbox_id(mailbox_object_id(mailbox))))


def _describe_as_of_old(state: SessionState, snapshot: MailboxSnapshot) -> None:
    """What IMAP4rev2 has no more (RFC 9051 §6.3.2)."""
    state.send(RecentCount(0))
    first_unseen = next((n for n, record in enumerate(snapshot.messages, 1) if SEEN not in record.flags), None)
    if first_unseen is not None:
        state.send(ok(None, "First unseen", unseen(first_unseen)))


async def _resynchronise(
    state: SessionState, selected: Selected, snapshot: MailboxSnapshot, known: commands.QresyncParameters
) -> None:
    """Tell what vanished and what changed since the client last looked (RFC 7162 §3.2.5)."""
    if known.uid_validity != selected.mailbox.uid_validity:
        return
    wanted = known.known_uids
    gone = await vanished_uids(state, selected, wanted, known.modseq, snapshot.uid_next)
    if gone.ranges:
        state.send(Vanished(gone, earlier=True))
    ranges = _wanted_ranges(wanted, snapshot.uid_next)
    for seq_num, record in enumerate(snapshot.messages, 1):
        if record.modseq > known.modseq and _is_inside(ranges, record.uid):
            items = [b"UID %d" % record.uid, fetch_flags(record.flags), fetch_modseq(record.modseq)]
            state.send(FetchedMessage(SeqNum(seq_num), items))


def _wanted_ranges(wanted: UidSet | None, uid_next: int) -> list[Range]:
    """Ascending ranges of the `wanted` UIDs that can have been given out; None stands for all."""
    ranges = [(1, uid_next - 1)] if wanted is None else wanted.resolve(uid_next - 1)
    return [(low, min(high, uid_next - 1)) for low, high in ranges if low < uid_next]


def _is_inside(ranges: list[Range], uid: int) -> bool:
    index = bisect_right(ranges, uid, key=lambda each: each[0]) - 1
    return index >= 0 and uid <= ranges[index][1]


async def vanished_uids(
    state: SessionState, selected: Selected, wanted: UidSet | None, modseq: ModSeq, uid_next: int
) -> UidSet:
    """Which of the `wanted` UIDs (all, if None) were expunged after `modseq`.

    Where that is further back than is remembered, all that are not there are named, which RFC 7162 §3.2.5.2 allows.
    """
    mailboxes = state.context.store.mailboxes
    remembered = await mailboxes.expunged_since(selected.mailbox.mailbox_id, modseq)
    ranges = _wanted_ranges(wanted, uid_next)
    if remembered is not None:
        return UidSet.of(uid for uid in remembered if _is_inside(ranges, uid))
    return _complement(selected, ranges)


def _complement(selected: Selected, ranges: list[Range]) -> UidSet:
    """The UIDs in `ranges` that the mailbox does not have."""
    missing: list[Range] = []
    for low, end in ranges:
        start = low
        for present_low, present_high in ranges_of(selected.view.uids_between(low, end)):
            if start < present_low:
                missing.append((start, present_low - 1))
            start = present_high + 1
        if start <= end:
            missing.append((start, end))
    return UidSet(tuple(missing))


async def close(state: SessionState, tag: str, command: commands.Close) -> StatusResponse:
    r"""CLOSE: take out what is `\Deleted`, without a word about it, unless the mailbox was opened read-only."""
    selected = state.require_selected()
    state.deselect()
    gone: Sequence[Uid] = ()
    if not selected.read_only:
        gone = await state.context.store.mailboxes.expunge(selected.mailbox.mailbox_id, origin=state)
    return ok(tag, "Close completed", await modseq_after(state, selected) if gone else None)


async def unselect(state: SessionState, tag: str, command: commands.Unselect) -> StatusResponse:
    """UNSELECT: leave, and expunge nothing."""
    state.require_selected()
    state.deselect()
    return ok(tag, "Unselect completed")
