"""Flags as two columns: system flags as a bit mask in the order of `SYSTEM_FLAGS`, keywords as sorted text."""

from functools import lru_cache

from chatmail.mail.changes import SYSTEM_FLAGS, Flag, Flags
from chatmail.storage.interface import FlagsMode

_BITS = {flag: 1 << position for position, flag in enumerate(SYSTEM_FLAGS)}
SEEN_BIT = _BITS[SYSTEM_FLAGS[0]]
DELETED_BIT = _BITS[SYSTEM_FLAGS[3]]


@lru_cache(1024)
def encode_flags(flags: Flags) -> tuple[int, str]:
    """The two columns; a keyword cannot hold a space (RFC 9051 §9, flag-keyword)."""
    mask = sum(_BITS.get(flag, 0) for flag in flags)
    return mask, " ".join(sorted(flag for flag in flags if flag not in _BITS))


@lru_cache(1024)
def decode_flags(mask: int, keywords: str) -> Flags:
    """The flags of two columns; equal columns give one shared object."""
    return frozenset(flag for flag in SYSTEM_FLAGS if mask & _BITS[flag]) | frozenset(map(Flag, keywords.split()))


def combine_flags(old: Flags, mode: FlagsMode, flags: Flags) -> Flags:
    """What STORE makes of `old` (RFC 9051 §6.4.6). Names compare in any case (§2.3.2), and the first spelling stays."""
    match mode:
        case FlagsMode.REPLACE:
            return _distinct(old, flags)
        case FlagsMode.ADD:
            return old | _distinct(old, flags)
        case FlagsMode.REMOVE:
            return old - _distinct(old, flags)


def _distinct(old: Flags, flags: Flags) -> Flags:
    """`flags` as they are spelled in `old`, or else in one way."""
    if flags <= _BITS.keys():
        return flags
    known = {flag.lower(): flag for flag in old}
    return frozenset(known.setdefault(flag.lower(), flag) for flag in sorted(flags))
