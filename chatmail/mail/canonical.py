"""Canonical forms of header fields and bodies for DKIM, and the hash of a body that is still coming in. RFC 6376 §3.4.

Doors: `canonical_field` for one field, `BodyHash` for a body in chunks of any size. Input has CR LF line ends and no
other CR or LF; whoever reads messages from a peer has made sure of that. Memory does not grow with the message, and
every pass over the bytes runs in C.
"""

import hashlib
import re
from enum import Enum
from typing import Final

_WSP_RUN: Final = re.compile(rb"[ \t]++")
_CRLF_BLOCK: Final = b"\r\n" * 2048


class Canonicalization(Enum):
    """How much a message may change on its way without harm to the signature."""

    SIMPLE = "simple"
    RELAXED = "relaxed"


def canonical_field(raw: bytes, canonicalization: Canonicalization) -> bytes:
    """One raw field, with its CR LF. RFC 6376 §3.4.1, §3.4.2."""
    if canonicalization is Canonicalization.SIMPLE:
        return raw
    name, _, value = raw.partition(b":")
    return name.rstrip(b" \t").lower() + b":" + _WSP_RUN.sub(b" ", value.replace(b"\r\n", b"")).strip(b" \t") + b"\r\n"


class BodyHash:
    """SHA-256 of a body's canonical form. RFC 6376 §3.4.3, §3.4.4, §3.7."""

    __slots__ = ("_held", "_is_empty", "_relaxed", "_sha256", "_waiting_lines")

    def __init__(self, canonicalization: Canonicalization) -> None:
        """Nothing has come yet."""
        self._relaxed = canonicalization is Canonicalization.RELAXED
        self._sha256 = hashlib.sha256()
        self._held = b""  # a CR, or white space, that the next chunk decides about
        self._waiting_lines = 0  # line ends that count only if anything but empty lines follows
        self._is_empty = True

    def feed(self, chunk: bytes) -> None:
        """The next bytes of the body."""
        work = self._held + chunk if self._held else chunk
        held = 1 if work.endswith(b"\r") else 0
        if self._relaxed:
            work = _collapsed(work)
            held += work.endswith((b" ", b" \r"))
        self._held = work[len(work) - held :] if held else b""
        if held:
            work = work[: len(work) - held]
        self._add(work.replace(b" \r\n", b"\r\n") if self._relaxed else work)

    def _add(self, work: bytes) -> None:
        content = work.rstrip(b"\r\n")
        lines_after = (len(work) - len(content)) // 2
        if not content:
            self._waiting_lines += lines_after
            return
        while self._waiting_lines:
            lines = min(self._waiting_lines, len(_CRLF_BLOCK) // 2)
            self._sha256.update(_CRLF_BLOCK[: 2 * lines])
            self._waiting_lines -= lines
        self._sha256.update(content)
        self._waiting_lines = lines_after
        self._is_empty = False

    def digest(self) -> bytes:
        """The body has ended: its hash. May be asked once."""
        if self._held:
            self._add(self._held.removesuffix(b" ") if self._relaxed else self._held)
        if not (self._is_empty and self._relaxed):
            self._sha256.update(b"\r\n")
        return self._sha256.digest()


def _collapsed(work: bytes) -> bytes:
    """Every run of blanks and tabs as one blank: each pass halves the runs, and most chunks have none."""
    if b"\t" in work:
        work = work.replace(b"\t", b" ")
    while b"  " in work:
        work = work.replace(b"  ", b" ")
    return work
