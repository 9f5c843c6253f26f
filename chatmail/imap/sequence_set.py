"""Sets of message numbers: `SequenceSet` of sequence numbers, `UidSet` of UIDs, and `$`. RFC 9051 §9 `sequence-set`.

`parse_ranges` reads the wire form, `encode` writes it; `resolve` turns a set into ascending ranges once the highest
number of the mailbox is known. The two classes are alike and never mixed: mypy keeps them apart.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

from chatmail.imap.syntax import ImapSyntaxError

STAR: Final = 1 << 32
"""Stands for `*` in a range: above every number a client can write."""

Range = tuple[int, int]
"""Lowest and highest number, both included."""

# seq-number = nz-number / "*"; seq-range = seq-number ":" seq-number; sequence-set = (…) *("," sequence-set)
_SET = re.compile(
    rb"(?:[1-9][0-9]{0,9}+|\*)(?::(?:[1-9][0-9]{0,9}+|\*))?+(?:,(?:[1-9][0-9]{0,9}+|\*)(?::(?:[1-9][0-9]{0,9}+|\*))?+)*+"
)


def _number(text: bytes) -> int:
    """`seq-number = nz-number / "*"`."""
    if text == b"*":
        return STAR
    number = int(text)
    if number >= STAR:
        raise ImapSyntaxError("a message number has more than 32 bits")
    return number


def _range(text: bytes) -> Range:
    """`seq-range = seq-number ":" seq-number`; `2:4` and `4:2` are the same (RFC 9051 §9)."""
    low, colon, high = text.partition(b":")
    first = _number(low)
    if not colon:
        return first, first
    second = _number(high)
    return (first, second) if first <= second else (second, first)


def parse_ranges(text: bytes, position: int) -> tuple[tuple[Range, ...], int]:
    """`sequence-set = (seq-number / seq-range) *("," sequence-set)`; the ranges as written, and where the set ends.

    Raises `ImapSyntaxError` if there is no set at `position` or a number does not fit in 32 bits.
    """
    match = _SET.match(text, position)
    if match is None:
        raise ImapSyntaxError("expected a set of message numbers")
    return tuple([_range(text) for text in match[0].split(b",")]), match.end()


def merge(ranges: Iterable[Range]) -> list[Range]:
    """Ascending ranges without overlap or adjacency that hold the same numbers."""
    merged: list[Range] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1] + 1:
            if high > merged[-1][1]:
                merged[-1] = merged[-1][0], high
        else:
            merged.append((low, high))
    return merged


def encode_ranges(ranges: Iterable[Range]) -> bytes:
    """The wire form of `ranges`, in their order."""
    return b",".join([_encode_range(low, high) for low, high in ranges])


def _encode_range(low: int, high: int) -> bytes:
    first = b"*" if low == STAR else b"%d" % low
    if low == high:
        return first
    return first + b":" + (b"*" if high == STAR else b"%d" % high)


def ranges_of(numbers: Iterable[int]) -> list[Range]:
    """The ascending ranges that hold exactly `numbers`, which must ascend."""
    ranges: list[Range] = []
    start = end = -1
    for number in numbers:
        if number == end + 1 and start >= 0:
            end = number
            continue
        if start >= 0:
            ranges.append((start, end))
        start = end = number
    if start >= 0:
        ranges.append((start, end))
    return ranges


@dataclass(frozen=True, slots=True)
class _NumberSet:
    """`ranges` as the client wrote them, each low to high, `STAR` for `*`."""

    ranges: tuple[Range, ...]

    @classmethod
    def of(cls, numbers: Iterable[int]) -> Self:
        """The set of ascending `numbers`."""
        return cls(tuple(ranges_of(numbers)))

    def encode(self) -> bytes:
        """The `sequence-set` of the grammar; empty for an empty set, which has no wire form."""
        return encode_ranges(self.ranges)

    def resolve(self, highest: int) -> list[Range]:
        """Ascending, merged ranges, `*` being `highest`; `9:*` holds `highest` even below 9 (RFC 9051 §9).

        Where `highest` is 0, in an empty mailbox, ranges with `*` hold nothing. Ranges are not cut at `highest`.
        """
        ranges = self.ranges
        if len(ranges) == 1 and ranges[0][1] != STAR:
            return [ranges[0]]
        return merge(self._fixed(highest))

    def _fixed(self, highest: int) -> Iterable[Range]:
        for low, high in self.ranges:
            if high != STAR:
                yield low, high
            elif highest:
                yield (min(low, highest), max(low, highest)) if low != STAR else (highest, highest)

    def has_star(self) -> bool:
        """Whether `*` is in it: then it depends on what the mailbox holds."""
        return any(high == STAR for _low, high in self.ranges)


class SequenceSet(_NumberSet):
    """A set of sequence numbers."""

    __slots__ = ()


class UidSet(_NumberSet):
    """A set of UIDs."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class SavedResult:
    """`$`: the messages a `SEARCH RETURN (SAVE)` found. RFC 9051 §6.4.4.1, RFC 5182."""

    def encode(self) -> bytes:
        """`seq-last-command`."""
        return b"$"


MessageSet = SequenceSet | UidSet | SavedResult
"""What FETCH, STORE, COPY, MOVE, UID EXPUNGE and SEARCH name messages by."""
