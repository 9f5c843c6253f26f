"""What one client knows of its selected mailbox, by untagged responses alone. RFC 9051 §7.5, RFC 7162 §3.2.10."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

NUMBER = re.compile(rb"\* (\d+) (EXISTS|EXPUNGE)$")
FETCH = re.compile(rb"\* (\d+) FETCH \(.*\)$", re.DOTALL)
VANISHED = re.compile(rb"\* VANISHED (\(EARLIER\) )?([0-9,:]+)$")
SEARCH = re.compile(rb"\* SEARCH((?: \d+)*)$")
UID, MODSEQ, FLAGS = re.compile(rb"\bUID (\d+)"), re.compile(rb"\bMODSEQ \((\d+)\)"), re.compile(rb"FLAGS \(([^)]*)\)")


def uid_set(text: bytes) -> list[int]:
    """The UIDs of a set without `*`."""
    numbers: list[int] = []
    for part in text.split(b","):
        first, _, last = part.partition(b":")
        low, high = sorted((int(first), int(last or first)))
        numbers += range(low, high + 1)
    return numbers


@dataclass(slots=True)
class Known:
    """A message at a position; None and empty until the server says more."""

    uid: int | None = None
    flags: frozenset[bytes] | None = None
    modseq: int = 0


@dataclass
class View:
    """Positions and what is known of each. `on_gone` hears of UIDs that went."""

    on_gone: Callable[[int], None]
    messages: list[Known] = field(default_factory=list)
    synchronised_modseq: int = 0
    """Up to here everything has been told; see `note_end`."""
    _highest_modseq: int = 0

    def hear(self, line: bytes, *, by_number: bool) -> None:
        """One untagged response without its literals. `by_number`: a FETCH, STORE or SEARCH is under way."""
        if number := NUMBER.match(line):
            self._count(int(number[1]), number[2], by_number=by_number)
        elif vanished := VANISHED.match(line):
            assert not by_number, "no VANISHED in answer to FETCH, STORE or SEARCH by number"
            self._vanish(uid_set(vanished[2]), earlier=vanished[1] is not None)
        elif fetched := FETCH.match(line):
            self._fetch(int(fetched[1]), line)
        elif (found := SEARCH.match(line)) and by_number:
            numbers = [int(each) for each in found[1].split()]
            assert all(1 <= each <= len(self.messages) for each in numbers), "SEARCH finds what is not there"

    def note_end(self, *, by_number: bool) -> None:
        """A command has ended. One by number may have told of later changes than of an expunge that still waits."""
        if not by_number:
            self.synchronised_modseq = self._highest_modseq

    def _count(self, number: int, kind: bytes, *, by_number: bool) -> None:
        if kind == b"EXISTS":
            assert number >= len(self.messages), "EXISTS must not take messages away"
            self.messages += [Known() for _ in range(number - len(self.messages))]
            return
        assert not by_number, "no EXPUNGE in answer to FETCH, STORE or SEARCH by number"
        assert 1 <= number <= len(self.messages), "EXPUNGE of what is not there"
        uid = self.messages.pop(number - 1).uid
        if uid is not None:
            self.on_gone(uid)

    def _vanish(self, uids: list[int], *, earlier: bool) -> None:
        for uid in uids:
            if (index := self.index_of(uid)) is not None:
                del self.messages[index]
            elif not earlier:
                # Announced, and gone before this client had asked which one it was.
                index = self._unknown_place_of(uid)
                assert index is not None, f"VANISHED {uid}, which was never announced"
                del self.messages[index]
            else:
                continue
            self.on_gone(uid)

    def _unknown_place_of(self, uid: int) -> int | None:
        """A position whose UID is not known, and which could be that of `uid`, since UIDs ascend."""
        behind = max(
            (i for i, known in enumerate(self.messages) if known.uid is not None and known.uid < uid), default=-1
        )
        for index in range(behind + 1, len(self.messages)):
            if (other := self.messages[index].uid) is None:
                return index
            if other > uid:
                return None
        return None

    def _fetch(self, number: int, line: bytes) -> None:
        assert 1 <= number <= len(self.messages), f"FETCH of {number}, and {len(self.messages)} are there"
        known = self.messages[number - 1]
        if uid := UID.search(line):
            assert known.uid in (None, int(uid[1])), f"position {number} was {known.uid} and is {int(uid[1])}"
            known.uid = int(uid[1])
            before = [each.uid for each in self.messages[: number - 1] if each.uid is not None]
            after = [each.uid for each in self.messages[number:] if each.uid is not None]
            assert (not before or before[-1] < known.uid) and (not after or known.uid < after[0]), "UIDs ascend"
        if modseq := MODSEQ.search(line):
            assert int(modseq[1]) >= known.modseq, "MODSEQ never goes back"
            known.modseq = int(modseq[1])
            self._highest_modseq = max(self._highest_modseq, known.modseq)
        if flags := FLAGS.search(line):
            known.flags = frozenset(flags[1].split()) - {b"\\Recent"}

    def index_of(self, uid: int) -> int | None:
        """Where a UID is, if that is known."""
        return next((index for index, known in enumerate(self.messages) if known.uid == uid), None)

    def unknown(self) -> list[int]:
        """Positions of which the UID is not known yet, from 1."""
        return [index + 1 for index, known in enumerate(self.messages) if known.uid is None]

    def uids(self) -> list[int]:
        """All known UIDs, ascending."""
        return [known.uid for known in self.messages if known.uid is not None]
