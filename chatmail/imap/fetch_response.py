"""The FETCH response: items encoded one by one, then put together. RFC 9051 §7.5.2.

Octets of messages are always literals. A message too large for memory is written as `begin_fetch_literal`, then its
octets as they come from the store, then `END_FETCH`; nothing is copied.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from chatmail.imap.encoding import flag_list
from chatmail.mail.changes import Flag, ModSeq, SeqNum


@dataclass(frozen=True, slots=True)
class FetchedMessage:
    """`* n FETCH (…)`; each item is encoded already, name and value (`fetch_flags`, `fetch_literal`…)."""

    seq_num: SeqNum
    items: Sequence[bytes]

    def encode(self, *, utf8_names: bool = False) -> bytes:
        """`nz-number SP "FETCH" SP msg-att`."""
        return b"* %d FETCH (%b)\r\n" % (self.seq_num, b" ".join(self.items))


END_FETCH: Final = b")\r\n"
"""What follows the octets announced by `begin_fetch_literal`."""


def begin_fetch_literal(seq_num: SeqNum, items: Sequence[bytes], name: bytes, size_bytes: int) -> bytes:
    """A FETCH up to where the octets of its last item, called `name`, are to be written as they come from the store."""
    head = b" ".join([*items, name])
    return b"* %d FETCH (%b {%d}\r\n" % (seq_num, head, size_bytes)


def fetch_flags(flags: Iterable[Flag]) -> bytes:
    """The item FLAGS."""
    return b"FLAGS " + flag_list(flags)


def fetch_modseq(modseq: ModSeq) -> bytes:
    """The item MODSEQ. RFC 7162 §3.1.4.2."""
    return b"MODSEQ (%d)" % modseq


def fetch_literal(name: bytes, value: bytes) -> bytes:
    """An item that is a literal, which octets of messages always are; `literal8` where BINARY holds NUL."""
    prefix = b"~" if name.startswith(b"BINARY[") and b"\0" in value else b""
    return b"%b %b{%d}\r\n%b" % (name, prefix, len(value), value)


def fetch_nil(name: bytes) -> bytes:
    """An item that has no value."""
    return name + b" NIL"
