"""One session's view of its selected mailbox: which UID stands at which sequence number, and what it was not told yet.

In: the records of a snapshot, then every `Change` as it is broadcast (`apply`). Out: sequence numbers and UIDs, and
`take_updates`, which turns what happened meanwhile into the untagged responses a session may send now. Sequence numbers
move only there, so a command never sees them shift under it (RFC 9051 §5.5, §7.5.1; RFC 3501 §7.4.1). What waits is
bounded by the size of the mailbox: a second flag change of a message replaces the first, and a message that came and
went unannounced leaves no trace.

It does not know messages: flags and sizes stay in the store. A view of an empty mailbox is a few hundred bytes.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from chatmail.mail.changes import (
    Change,
    FlagsChanged,
    MailboxRemoved,
    MessageAdded,
    MessageExpunged,
    ModSeq,
    SeqNum,
    Uid,
)


@dataclass(frozen=True, slots=True)
class Updates:
    """What a session has to be told, in the order it must be sent.

    `expunged` are (sequence number, UID) pairs, highest first, so that each number is right at the moment it is sent;
    `exists` is the new count or None; `flags` come with sequence numbers that hold after the former two.
    """

    expunged: Sequence[tuple[SeqNum, Uid]]
    exists: int | None
    flags: Sequence[tuple[SeqNum, FlagsChanged]]


NO_UPDATES = Updates((), None, ())


class MailboxView:
    """The numbers of one selected mailbox as its session knows them."""

    __slots__ = ("_announced", "_expunged", "_flags", "_uids", "is_removed")

    def __init__(self, uids: Iterable[Uid]) -> None:
        """Begin with the ascending `uids` of a snapshot, all of them announced by the SELECT itself."""
        self._uids = array("L", uids)
        self._announced = len(self._uids)
        self._expunged: set[Uid] | None = None
        self._flags: dict[Uid, FlagsChanged] | None = None
        self.is_removed = False
        """The mailbox itself is gone: the session has to leave."""

    # --- changes in -------------------------------------------------------------------------------------------------

    def apply(self, change: Change, *, own: bool) -> None:
        """Take note of a committed change; flag changes by `own` commands were answered there, not told twice."""
        match change:
            case MessageAdded(uid=uid):
                if not self._uids or uid > self._uids[-1]:
                    self._uids.append(uid)
            case FlagsChanged(uid=uid):
                self._apply_flags(uid, change, own=own)
            case MessageExpunged(uid=uid):
                self._apply_expunge(uid)
            case MailboxRemoved():
                self.is_removed = True

    def _apply_flags(self, uid: Uid, change: FlagsChanged, *, own: bool) -> None:
        if own:
            if self._flags is not None:
                self._flags.pop(uid, None)
            return
        index = self._index(uid)
        if index is None or index >= self._announced:
            return
        if self._flags is None:
            self._flags = {}
        self._flags[uid] = change

    def told_flags(self, uid: Uid, modseq: ModSeq) -> None:
        """The session was just told the flags as they are at `modseq`: what waits and is older would take them back."""
        pending = None if self._flags is None else self._flags.get(uid)
        if self._flags is not None and pending is not None and pending.modseq <= modseq:
            del self._flags[uid]

    def _apply_expunge(self, uid: Uid) -> None:
        index = self._index(uid)
        if index is None:
            return
        if self._flags is not None:
            self._flags.pop(uid, None)
        if index >= self._announced:
            del self._uids[index]
            return
        if self._expunged is None:
            self._expunged = set()
        self._expunged.add(uid)

    # --- updates out ------------------------------------------------------------------------------------------------

    @property
    def has_updates(self) -> bool:
        """Whether `take_updates` would tell anything when EXPUNGE is allowed."""
        return bool(self._expunged or self._flags) or self._announced != len(self._uids)

    def take_updates(self, *, allow_expunge: bool) -> Updates:
        """What to tell now. From here on the new sequence numbers hold."""
        if not self.has_updates:
            return NO_UPDATES
        expunged = self._take_expunged() if allow_expunge else ()
        exists = self._take_exists()
        return Updates(expunged, exists, self._take_flags())

    def _take_expunged(self) -> Sequence[tuple[SeqNum, Uid]]:
        if not self._expunged:
            return ()
        gone = []
        for uid in sorted(self._expunged, reverse=True):
            index = bisect_left(self._uids, uid)
            gone.append((SeqNum(index + 1), uid))
        self._uids = array("L", (uid for uid in self._uids if uid not in self._expunged))
        self._announced -= len(gone)
        self._expunged = None
        return gone

    def _take_exists(self) -> int | None:
        if self._announced == len(self._uids):
            return None
        self._announced = len(self._uids)
        return self._announced

    def _take_flags(self) -> Sequence[tuple[SeqNum, FlagsChanged]]:
        if not self._flags:
            return ()
        pending, self._flags = self._flags, None
        found = ((self.seq_num(uid), change) for uid, change in sorted(pending.items()))
        return [(seq_num, change) for seq_num, change in found if seq_num is not None]

    # --- numbers ----------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        """How many messages the session knows of: the highest sequence number it may use."""
        return self._announced

    @property
    def highest_uid(self) -> Uid:
        """The UID that `*` means in a UID set; 0 in an empty mailbox."""
        return Uid(self._uids[self._announced - 1]) if self._announced else Uid(0)

    def _index(self, uid: Uid) -> int | None:
        index = bisect_left(self._uids, uid)
        return index if index < len(self._uids) and self._uids[index] == uid else None

    def seq_num(self, uid: Uid) -> SeqNum | None:
        """The sequence number of `uid`, or None if the session does not know such a message."""
        index = self._index(uid)
        return SeqNum(index + 1) if index is not None and index < self._announced else None

    def uid(self, seq_num: SeqNum) -> Uid:
        """The UID at `seq_num`. Raises `IndexError` beyond the end."""
        if not 1 <= seq_num <= self._announced:
            raise IndexError(seq_num)
        return Uid(self._uids[seq_num - 1])

    def uids(self) -> Iterator[Uid]:
        """All UIDs the session knows, ascending."""
        return (Uid(uid) for uid in self._uids[: self._announced])

    def uids_between(self, low: int, high: int) -> list[Uid]:
        """Known UIDs in `low..high`, ascending; costs as much as it finds, however wide the range is."""
        start = bisect_left(self._uids, low, 0, self._announced)
        end = bisect_left(self._uids, high + 1, start, self._announced)
        return [Uid(uid) for uid in self._uids[start:end]]

    def uids_at(self, low: int, high: int) -> list[Uid]:
        """The UIDs at the sequence numbers `low..high`, which must exist."""
        return [Uid(uid) for uid in self._uids[low - 1 : min(high, self._announced)]]
