"""What a FETCH can ask for: frozen values, made by `parse_fetch`, answered by `fetch`. RFC 9051 §6.4.5.

Extensions: MODSEQ (RFC 7162), BINARY (RFC 3516), EMAILID and THREADID (RFC 8474), SAVEDATE (RFC 8514).
"""

from dataclasses import dataclass
from enum import Enum
from typing import Literal

SectionText = Literal["", "HEADER", "HEADER.FIELDS", "HEADER.FIELDS.NOT", "TEXT", "MIME"]
"""`section-text`, or nothing for a whole part or message."""


class FetchAttribute(Enum):
    """The items without arguments; the value is the name on the wire, in the command and in the response."""

    UID = b"UID"
    FLAGS = b"FLAGS"
    INTERNALDATE = b"INTERNALDATE"
    RFC822_SIZE = b"RFC822.SIZE"
    ENVELOPE = b"ENVELOPE"
    BODY = b"BODY"
    """BODYSTRUCTURE without its extension data."""
    BODYSTRUCTURE = b"BODYSTRUCTURE"
    RFC822 = b"RFC822"
    """BODY[] under its old name; sets `\\Seen`."""
    RFC822_HEADER = b"RFC822.HEADER"
    """BODY.PEEK[HEADER] under its old name."""
    RFC822_TEXT = b"RFC822.TEXT"
    """BODY[TEXT] under its old name; sets `\\Seen`."""
    MODSEQ = b"MODSEQ"
    EMAILID = b"EMAILID"
    THREADID = b"THREADID"
    SAVEDATE = b"SAVEDATE"


@dataclass(frozen=True, slots=True)
class Partial:
    """`<offset.length>`: octets from `offset`, at most `length` of them. RFC 9051 §6.4.5."""

    offset: int
    length: int


def _path_bytes(path: tuple[int, ...]) -> bytes:
    return b".".join([b"%d" % number for number in path])


def _origin(partial: Partial | None) -> bytes:
    return b"" if partial is None else b"<%d>" % partial.offset


@dataclass(frozen=True, slots=True)
class BodySection:
    """`BODY[…]` or `BODY.PEEK[…]`.

    `path` are the part numbers, `fields` the header field names as the client wrote them, in its order.
    """

    path: tuple[int, ...] = ()
    text: SectionText = ""
    fields: tuple[bytes, ...] = ()
    partial: Partial | None = None
    peek: bool = False

    @property
    def response_name(self) -> bytes:
        """The name of the answer: `BODY[…]`, with `<offset>` for a partial fetch (RFC 9051 §7.5.2)."""
        text = self.text.encode()
        if self.fields:
            text += b" (" + b" ".join(map(_field_name, self.fields)) + b")"
        path = _path_bytes(self.path)
        section = path + b"." + text if path and text else path or text
        return b"BODY[" + section + b"]" + _origin(self.partial)


@dataclass(frozen=True, slots=True)
class BinarySection:
    """`BINARY[…]` or `BINARY.PEEK[…]`: a part with its transfer encoding removed. RFC 9051 §6.4.5.2."""

    path: tuple[int, ...] = ()
    partial: Partial | None = None
    peek: bool = False

    @property
    def response_name(self) -> bytes:
        """The name of the answer."""
        return b"BINARY[" + _path_bytes(self.path) + b"]" + _origin(self.partial)


@dataclass(frozen=True, slots=True)
class BinarySize:
    """`BINARY.SIZE[…]`: how long a part is once decoded."""

    path: tuple[int, ...] = ()

    @property
    def response_name(self) -> bytes:
        """The name of the answer."""
        return b"BINARY.SIZE[" + _path_bytes(self.path) + b"]"


FetchItem = FetchAttribute | BodySection | BinarySection | BinarySize

_ATOM_SPECIALS = frozenset(b'(){ %*"\\]')


def _field_name(name: bytes) -> bytes:
    """`header-fld-name = astring`: quoted where it is no atom."""
    if name and all(0x20 < octet < 0x7F for octet in name) and _ATOM_SPECIALS.isdisjoint(name):
        return name
    return b'"' + name.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
