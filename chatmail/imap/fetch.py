"""What a FETCH needs of each message, and how its items are encoded. RFC 9051 §6.4.5, §7.5.2.

`FetchPlan` is made once per command and says what has to be read (header blocks, the tree of parts, nothing at all);
`FetchPlan.items` then gives the encoded items of one message. Octets that must come from the stored body are not read
here: they are `BodyRange`s, in their place among the items, which the session streams or, for a header of a nested
message and for decoded parts, reads whole.
"""

import base64
import binascii
import quopri
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple, cast

from chatmail.imap.bodystructure import body_structure
from chatmail.imap.encoding import date_time
from chatmail.imap.envelope_structure import envelope_structure
from chatmail.imap.fetch_items import BinarySection, BinarySize, BodySection, FetchAttribute, FetchItem, Partial
from chatmail.imap.fetch_response import fetch_flags, fetch_literal, fetch_modseq, fetch_nil
from chatmail.imap.part_tree import Part
from chatmail.imap.sections import fields_selector, find_part, other_fields_selector, section_range
from chatmail.mail.changes import MessageRecord, SeqNum

MAX_NESTED_HEADER_BYTES: Final = 1 << 20
"""Of the header of a nested message no more is searched for fields."""

_HEADER_TEXTS: Final = ("HEADER", "HEADER.FIELDS", "HEADER.FIELDS.NOT")
_SETS_SEEN: Final = (FetchAttribute.RFC822, FetchAttribute.RFC822_TEXT)
_NEEDS_HEADER: Final = (FetchAttribute.ENVELOPE, FetchAttribute.RFC822_HEADER, FetchAttribute.RFC822_TEXT)
_NEEDS_PARTS: Final = (FetchAttribute.BODY, FetchAttribute.BODYSTRUCTURE)


class UnknownEncodingError(Exception):
    """A part cannot be decoded for BINARY: `NO [UNKNOWN-CTE]` (RFC 3516 §4.3)."""


class FetchedRecord(NamedTuple):
    """One message, with as much of it as the plan asked for; `email_id` names its content (RFC 8474)."""

    record: MessageRecord
    header: bytes = b""
    parts: Part | None = None
    email_id: str = ""


@dataclass(frozen=True, slots=True)
class BodyRange:
    """`start:end` of the body is the value of the item `name`; `convert`, if any, makes the value from those octets."""

    name: bytes
    start: int
    end: int
    convert: Callable[[bytes], bytes] | None = None
    is_size_only: bool = False
    """The value is only the length (`BINARY.SIZE`)."""


Encoded = bytes | BodyRange
_Encoder = Callable[[FetchedRecord], Encoded]


def _cut(value: bytes, partial: Partial | None) -> bytes:
    return value if partial is None else value[partial.offset : partial.offset + partial.length]


def _cut_range(name: bytes, start: int, end: int, partial: Partial | None) -> BodyRange:
    if partial is not None:
        start = min(start + partial.offset, end)
        end = min(start + partial.length, end)
    return BodyRange(name, start, end)


# --- items without arguments ------------------------------------------------------------------------------------


def _attribute(attribute: FetchAttribute) -> _Encoder:
    match attribute:
        case FetchAttribute.RFC822:
            return _whole(BodySection(), b"RFC822")
        case FetchAttribute.RFC822_TEXT:
            return _top_text(BodySection(text="TEXT"), b"RFC822.TEXT")
    return _ATTRIBUTES[attribute]


def _structure(name: bytes, *, extended: bool) -> _Encoder:
    def encode(message: FetchedRecord) -> bytes:
        return name + b" " + (body_structure(message.parts, extended=extended) if message.parts else b"NIL")

    return encode


_ATTRIBUTES: Final[dict[FetchAttribute, _Encoder]] = {
    FetchAttribute.UID: lambda message: b"UID %d" % message.record.uid,
    FetchAttribute.FLAGS: lambda message: fetch_flags(message.record.flags),
    FetchAttribute.INTERNALDATE: lambda message: b"INTERNALDATE " + date_time(message.record.received_at),
    FetchAttribute.RFC822_SIZE: lambda message: b"RFC822.SIZE %d" % message.record.size_bytes,
    FetchAttribute.ENVELOPE: lambda message: b"ENVELOPE " + envelope_structure(message.header),
    FetchAttribute.BODY: _structure(b"BODY", extended=False),
    FetchAttribute.BODYSTRUCTURE: _structure(b"BODYSTRUCTURE", extended=True),
    FetchAttribute.RFC822_HEADER: lambda message: fetch_literal(b"RFC822.HEADER", message.header),
    FetchAttribute.MODSEQ: lambda message: fetch_modseq(message.record.modseq),
    FetchAttribute.EMAILID: lambda message: b"EMAILID (%b)" % message.email_id.encode(),
    FetchAttribute.THREADID: lambda message: b"THREADID NIL",
    FetchAttribute.SAVEDATE: lambda message: b"SAVEDATE " + date_time(message.record.saved_at),
}


# --- sections ---------------------------------------------------------------------------------------------------


def _section(item: BodySection) -> _Encoder:
    name = item.response_name
    if item.path or item.text == "MIME":
        return _part_section(item, name)
    match item.text:
        case "":
            return _whole(item, name)
        case "TEXT":
            return _top_text(item, name)
    select, partial = _header_selection(item), item.partial
    if partial is not None:
        return lambda message: fetch_literal(name, _cut(select(message.header), partial))
    return _whole_selection(name, select)


def _whole_selection(name: bytes, select: Callable[[bytes], bytes]) -> _Encoder:
    def encode(message: FetchedRecord) -> bytes:
        value = select(message.header)
        return b"%b {%d}\r\n%b" % (name, len(value), value)

    return encode


def _header_selection(item: BodySection) -> Callable[[bytes], bytes]:
    match item.text:
        case "HEADER.FIELDS":
            return fields_selector(item.fields)
        case "HEADER.FIELDS.NOT":
            return other_fields_selector(item.fields)
    return bytes


def _whole(item: BodySection, name: bytes) -> _Encoder:
    return lambda message: _cut_range(name, 0, message.record.size_bytes, item.partial)


def _top_text(item: BodySection, name: bytes) -> _Encoder:
    return lambda message: _cut_range(name, len(message.header), message.record.size_bytes, item.partial)


def _part_section(item: BodySection, name: bytes) -> _Encoder:
    text = "HEADER" if item.text in _HEADER_TEXTS else item.text
    select, partial = _header_selection(item), item.partial

    def encode(message: FetchedRecord) -> Encoded:
        found = section_range(message.parts, item.path, text) if message.parts else None
        if found is None:
            return fetch_nil(name)
        start, end = found
        if not item.fields:
            return _cut_range(name, start, end, partial)
        end = min(end, start + MAX_NESTED_HEADER_BYTES)
        return BodyRange(name, start, end, lambda header: _cut(select(header), partial))

    return encode


# --- BINARY -----------------------------------------------------------------------------------------------------


def _binary(item: BinarySection | BinarySize) -> _Encoder:
    name = item.response_name
    partial = item.partial if isinstance(item, BinarySection) else None
    size_only = isinstance(item, BinarySize)

    def encode(message: FetchedRecord) -> Encoded:
        part = find_part(message.parts, item.path) if message.parts else None
        found = section_range(message.parts, item.path, "") if message.parts else None
        if part is None or found is None:
            return name + b" 0" if size_only else fetch_nil(name)
        # A message or a multipart is not decoded: only what is inside has an encoding (RFC 3516 §4.2).
        leaf = bool(item.path) and not part.children and not part.is_multipart
        encoding = part.fields.get(b"content-transfer-encoding", b"7bit") if leaf else b"8bit"
        decode = _decoder(encoding)
        return BodyRange(name, *found, lambda value: _cut(decode(value), partial), size_only)

    return encode


def _decoder(encoding: bytes) -> Callable[[bytes], bytes]:
    match encoding.strip().lower():
        case b"7bit" | b"8bit" | b"binary":
            return bytes
        case b"base64":
            return _decode_base64
        case b"quoted-printable":
            return quopri.decodestring
    raise UnknownEncodingError


def _decode_base64(value: bytes) -> bytes:
    try:
        return base64.b64decode(value)
    except binascii.Error:
        raise UnknownEncodingError from None


# --- the plan ---------------------------------------------------------------------------------------------------


class FetchPlan:
    """How to answer one FETCH."""

    __slots__ = (
        "_encoders",
        "needs_body",
        "needs_email_id",
        "needs_header",
        "needs_parts",
        "sets_seen",
        "tells_flags",
        "tells_modseq",
    )

    def __init__(self, items: Iterable[FetchItem]) -> None:
        """`items` as asked for; items that come twice are answered once."""
        unique = tuple(dict.fromkeys(items))
        self._encoders = [_encoder(item) for item in unique]
        self.sets_seen = any(_sets_seen(item) for item in unique)
        self.tells_flags = FetchAttribute.FLAGS in unique
        self.tells_modseq = FetchAttribute.MODSEQ in unique
        self.needs_email_id = FetchAttribute.EMAILID in unique
        self.needs_parts = any(_needs_parts(item) for item in unique)
        self.needs_header = any(_needs_header(item) for item in unique)
        self.needs_body = self.needs_parts or any(_needs_body(item) for item in unique)

    def items(self, message: FetchedRecord) -> list[Encoded]:
        """The items of one message. Raises `UnknownEncodingError`."""
        return [encode(message) for encode in self._encoders]

    def response(self, seq_num: SeqNum, message: FetchedRecord) -> bytes:
        """The whole response for one message, where the plan needs no body."""
        items = cast(list[bytes], [encode(message) for encode in self._encoders])
        return b"* %d FETCH (%b)\r\n" % (seq_num, b" ".join(items))


def _encoder(item: FetchItem) -> _Encoder:
    match item:
        case FetchAttribute():
            return _attribute(item)
        case BodySection():
            return _section(item)
    return _binary(item)


def _sets_seen(item: FetchItem) -> bool:
    if isinstance(item, BodySection | BinarySection):
        return not item.peek
    return item in _SETS_SEEN


def _needs_header(item: FetchItem) -> bool:
    if isinstance(item, BodySection):
        return not item.path and item.text not in ("", "MIME")
    return item in _NEEDS_HEADER


def _needs_parts(item: FetchItem) -> bool:
    if isinstance(item, BodySection):
        return bool(item.path) or item.text == "MIME"
    return isinstance(item, BinarySection | BinarySize) or item in _NEEDS_PARTS


def _needs_body(item: FetchItem) -> bool:
    if isinstance(item, BodySection):
        return item.text not in _HEADER_TEXTS
    return item in (FetchAttribute.RFC822, FetchAttribute.RFC822_TEXT)
