"""Ascending UIDs as short text, `3:7,9`: how `expunged` remembers them."""

from collections.abc import Iterator, Sequence

from chatmail.mail.changes import Uid


def encode_uids(uids: Sequence[Uid]) -> str:
    """Text of ascending UIDs, consecutive ones as a range."""
    ranges: list[tuple[int, int]] = []
    for uid in uids:
        if ranges and ranges[-1][1] == uid - 1:
            ranges[-1] = (ranges[-1][0], uid)
        else:
            ranges.append((uid, uid))
    return ",".join(str(first) if first == last else f"{first}:{last}" for first, last in ranges)


def decode_uids(text: str) -> Iterator[Uid]:
    """The UIDs of a text made by `encode_uids`."""
    for part in text.split(","):
        first, _, last = part.partition(":")
        yield from map(Uid, range(int(first), int(last or first) + 1))
