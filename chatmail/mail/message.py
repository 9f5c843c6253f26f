"""The header block of a message, over bytes and without changing a byte that was not asked for. RFC 5322 §2.2, §3.

The doors: `header_length` finds where a header block ends while a message is still coming in, `HeaderBlock.parse` reads
it in one scan, `parse_content_type` (RFC 2045 §5.1) and `parse_from` (RFC 5322 §3.4) read the two values policies need.

Deliberately not here: decoding of encoded words or of parameters after RFC 2231, address lists, dates, body structure.
Whatever other programs may read differently (white space before the colon, bare CR or LF, NUL, two From fields, an
unquoted `@` in a display name) is refused instead of guessed at.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final, Self

from chatmail.errors import ProtocolError
from chatmail.mail.address import Address
from chatmail.mail.envelope import UNPARSABLE_MESSAGE, SmtpReply

MAX_HEADER_BLOCK_BYTES: Final = 128 * 1024
"""A client's block has 0.5 to 5 KB (the larger ones carry an Autocrypt key); Postfix truncates at 100 KB."""
MAX_HEADER_FIELDS: Final = 1000
MAX_HEADER_LINE_BYTES: Final = 16 * 1024
"""RFC 5322 §2.1.1 allows 998, but long unfolded lines are common and harmless."""
MAX_FROM_BYTES: Final = 2048
"""Longest From value looked at: an address of 320 octets, and a display name with room to spare."""

# field = field-name ":" unstructured CRLF (RFC 5322 §2.2, §3.6.8); ftext = %d33-57 / %d59-126.
# Possessive where one character class repeats, so linear; not around groups, where CPython before 3.11.5 had faults.
_FIELD: Final = re.compile(rb"(([!-9;-~]++):([^\r\n\x00]*+\r\n(?:[ \t][^\r\n\x00]*+\r\n)*))")
_END: Final = b"\r\n\r\n"

_TOKEN: Final = rb"[!#$%&'*+.^_`{|}~0-9A-Za-z-]++"
# parameter = attribute "=" value (RFC 2045 §5.1); value = token / quoted-string. No comments: nobody writes them here.
_PARAMETER: Final = re.compile(
    rb'[ \t]*+;[ \t]*+(?:(%b)[ \t]*+=[ \t]*+(?:(%b)|"((?:[^"\\]|\\.)*)"))?' % (_TOKEN, _TOKEN), re.DOTALL
)
_MEDIA_TYPE: Final = re.compile(rb"(%b/%b)[ \t]*+" % (_TOKEN, _TOKEN))
_ESCAPED: Final = re.compile(rb"\\(.)", re.DOTALL)

# RFC 5322 §3.2.2 comments, nested three deep; §3.4 mailbox with the dots of obs-phrase, and no "@" outside quotes.
_COMMENT_1: Final = rb"\((?:[^()\\]|\\.)*\)"
_COMMENT_2: Final = rb"\((?:[^()\\]|\\.|%b)*\)" % _COMMENT_1
_COMMENT: Final = rb"\((?:[^()\\]|\\.|%b)*\)" % _COMMENT_2
_CFWS: Final = rb"(?:[ \t]|%b)*" % _COMMENT
_QUOTED: Final = rb'"(?:[^"\\]|\\.)*"'
_PHRASE: Final = rb'(?:[^\x00-\x1f\x7f()<>\[\]:;@\\,"]|%b|%b|\t)*' % (_QUOTED, _COMMENT)
_ADDR_SPEC: Final = rb'[^ \t()<>,;:"\\]++(?::[0-9A-Fa-f:.]++\])?'  # Address.parse decides; ":" only in [IPv6:…]
_MAILBOX: Final = re.compile(
    rb"%b<[ \t]*+(%b)[ \t]*+>%b|%b(%b)%b" % (_PHRASE, _ADDR_SPEC, _CFWS, _CFWS, _ADDR_SPEC, _CFWS), re.DOTALL
)


class MessageError(ProtocolError):
    """The bytes are no message we can read. `reply` is what SMTP answers after DATA."""

    reply: SmtpReply = UNPARSABLE_MESSAGE


class InvalidFromError(MessageError):
    """There is not exactly one From field with exactly one address. `str(error)` is the reason, fit for a reply."""

    def __init__(self, reason: str) -> None:
        """`reason` is plain ASCII without anything the peer sent."""
        super().__init__(reason)
        self.reply = SmtpReply(500, f"Invalid FROM header: {reason}")


def header_length(buffer: bytes | bytearray, searched: int = 0) -> int | None:
    """Length of the header block at the front of `buffer`, its empty line included; None if that has not come yet.

    `searched` is the length of the buffer at the last call, so that a growing one is not searched again and again.
    Raises `MessageError` if the block is longer than `MAX_HEADER_BLOCK_BYTES`.
    """
    if buffer.startswith(b"\r\n"):
        return 2
    end = buffer.find(_END, max(0, searched - 3), MAX_HEADER_BLOCK_BYTES)
    if end >= 0:
        return end + len(_END)
    if len(buffer) >= MAX_HEADER_BLOCK_BYTES:
        raise MessageError("the header block is too long")
    return None


class HeaderBlock:
    """The header fields of a message in their order. Immutable; names are compared in lower case.

    `bytes(block)` is the block with its empty line, each untouched field as it was received.
    """

    __slots__ = ("_fields", "_names")

    def __init__(self, fields: list[tuple[bytes, bytes, bytes]]) -> None:
        """Of `(raw field, name, raw value)`; use `parse`."""
        self._fields = fields
        self._names = [name.lower() for _, name, _ in fields]

    @classmethod
    def parse(cls, block: bytes) -> Self:
        """Read a header block, its empty line included (a message without body may lack that line).

        Raises `MessageError` if it is anything but well-formed fields ended by CRLF, or beyond the limits above.
        """
        if len(block) > MAX_HEADER_BLOCK_BYTES:
            raise MessageError("the header block is too long")
        fields: list[tuple[bytes, bytes, bytes]] = _FIELD.findall(block)
        parsed = b"".join([raw for raw, _, _ in fields])  # shorter than the block if anything between is no field
        if not block.startswith(parsed) or block[len(parsed) :] not in (b"\r\n", b""):
            raise MessageError("not a header block")
        if len(fields) > MAX_HEADER_FIELDS:
            raise MessageError("too many header fields")
        if len(block) > MAX_HEADER_LINE_BYTES and max(map(len, block.split(b"\r\n"))) > MAX_HEADER_LINE_BYTES:
            raise MessageError("a header line is too long")
        return cls(fields)

    def __bytes__(self) -> bytes:
        """The block with its empty line."""
        return b"".join([raw for raw, _, _ in self._fields]) + b"\r\n"

    def __contains__(self, name: bytes) -> bool:
        """Whether a field is called `name` (in lower case)."""
        return name in self._names

    def all(self, name: bytes) -> list[bytes]:
        """The values of every field called `name` (given in lower case), unfolded and stripped."""
        return [_unfold(field[2]) for field, known in zip(self._fields, self._names, strict=True) if known == name]

    def first(self, name: bytes) -> bytes | None:
        """The value of the first field called `name` (in lower case), or None."""
        try:
            return _unfold(self._fields[self._names.index(name)][2])
        except ValueError:
            return None

    def only(self, name: bytes) -> bytes | None:
        """The value of the field called `name` (in lower case), or None. Raises `MessageError` if there are several."""
        if self._names.count(name) > 1:
            raise MessageError("a field that may occur once occurs again")
        return self.first(name)

    def fields(self) -> list[tuple[bytes, bytes]]:
        """Every field in order: its name in lower case, and the raw field, folded as received, its CR LF included."""
        return [(name, field[0]) for field, name in zip(self._fields, self._names, strict=True)]

    def without(self, names: Collection[bytes]) -> "HeaderBlock":
        """All fields but those called one of `names` (in lower case)."""
        kept = [field for field, name in zip(self._fields, self._names, strict=True) if name not in names]
        return self if len(kept) == len(self._fields) else HeaderBlock(kept)

    def with_field(self, name: bytes, value: bytes) -> "HeaderBlock":
        """One field `name: value` in place of the first of that name, or at the end; others of that name go.

        `value` is written as it is: the caller answers for its length and for folding.
        """
        field = (name + b": " + value + b"\r\n", name, b" " + value + b"\r\n")
        lowered = name.lower()
        if lowered not in self._names:
            return HeaderBlock([*self._fields, field])
        place = self._names.index(lowered)
        rest = HeaderBlock(self._fields[place + 1 :]).without((lowered,))
        return HeaderBlock([*self._fields[:place], field, *rest._fields])


def _unfold(value: bytes) -> bytes:
    """RFC 5322 §2.2.3."""
    return value.replace(b"\r\n", b"").strip(b" \t")


@dataclass(frozen=True, slots=True)
class ContentType:
    """A media type in lower case (`multipart/encrypted`) and its parameters, names in lower case, values unquoted."""

    media_type: str
    parameters: Mapping[str, str]


DEFAULT_CONTENT_TYPE: Final = ContentType("text/plain", {})
"""What a part without the field is (RFC 2045 §5.2)."""


def parse_content_type(value: bytes | None) -> ContentType:
    """Parse an unfolded Content-Type value; None gives the default. Bytes beyond ASCII are kept as Latin-1.

    Raises `MessageError` if it is malformed, holds a comment, or names a parameter twice.
    """
    if value is None:
        return DEFAULT_CONTENT_TYPE
    media_type = _MEDIA_TYPE.match(value)
    if media_type is None:
        raise MessageError("malformed Content-Type")
    parameters: dict[str, str] = {}
    position = media_type.end()
    while position < len(value):
        match = _PARAMETER.match(value, position)
        if match is None:
            raise MessageError("malformed Content-Type")
        position = match.end()
        if match[1] is None:  # an empty parameter, as after a trailing semicolon
            continue
        name = match[1].decode("ascii").lower()
        if name in parameters:
            raise MessageError("a parameter occurs twice in Content-Type")
        content = match[2] or match[3]
        if b"\\" in content:
            content = _ESCAPED.sub(rb"\1", content)
        parameters[name] = content.decode("latin-1")
    return ContentType(media_type[1].decode("ascii").lower(), parameters)


def parse_from(headers: HeaderBlock) -> Address:
    """The one address of the one From field; display name and comments are skipped.

    Raises `InvalidFromError` with the reason if there is no such thing.
    """
    values = headers.all(b"from")
    if not values:
        raise InvalidFromError("there is none")
    if len(values) > 1:
        raise InvalidFromError("there is more than one")
    if len(values[0]) > MAX_FROM_BYTES:
        raise InvalidFromError("it is too long")
    match = _MAILBOX.fullmatch(values[0])
    if match is None:
        raise InvalidFromError("it is not exactly one address")
    try:
        address = Address.parse((match[1] or match[2]).decode())
    except UnicodeDecodeError:
        address = None
    if address is None:
        raise InvalidFromError("its address is malformed")
    return address
