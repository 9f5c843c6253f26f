"""ENVELOPE: the header fields of a message as IMAP describes them. RFC 9051 §7.5.2, RFC 5322 §3.4.

`envelope_structure(header)` reads a header block and gives the encoded parenthesised list. The address reader takes
what it finds: groups, routes, comments used as names, quoted strings, and addresses without a domain. Encoded words
stay encoded, as the RFC demands. The number of addresses of a field is limited.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from chatmail.imap.encoding import nstring, string
from chatmail.imap.part_tree import header_fields

MAX_ADDRESSES: Final = 2000
"""Per field; what follows is left out."""
MAX_TOKENS: Final = 10 * MAX_ADDRESSES
"""Per field: names, brackets, commas. Mail for as many recipients as one may have needs fewer."""

_TOKEN = re.compile(
    rb"""[\s]+
    | (?P<quoted>"(?:[^"\\]|\\.)*"?)
    | (?P<comment>\((?:[^()\\]|\\.|\((?:[^()\\]|\\.)*\))*\)?)
    | (?P<literal>\[[^\]]*\]?)
    | (?P<special>[<>,;:@])
    | (?P<atom>[^\s()<>\[\]:;@,"]+)
    | .""",
    re.VERBOSE | re.DOTALL,
)
_UNQUOTE = re.compile(rb"\\(.)", re.DOTALL)


@dataclass(slots=True)
class _Mailbox:
    """The tokens since the last separator."""

    phrase: list[bytes] = field(default_factory=list)
    comment: bytes | None = None
    angle: list[bytes] | None = None
    in_angle: bool = False

    def add(self, token: bytes) -> None:
        (self.angle if self.in_angle and self.angle is not None else self.phrase).append(token)

    def encoded(self) -> bytes:
        if self.angle is None:
            name, spec = self.comment, self.phrase
        else:
            words = [word for word in self.phrase if word != b"@"]
            name, spec = b" ".join(words) if words else self.comment, self.angle
        local, host = _split_spec(spec)
        if not local and not host and name is None:
            return b""
        return b"(%b NIL %b %b)" % (nstring(name), string(local), string(host))


def _split_spec(spec: list[bytes]) -> tuple[bytes, bytes]:
    """Local part and host of an addr-spec; a route before a colon is dropped (RFC 5322 §4.4)."""
    if b":" in spec:
        spec = spec[len(spec) - spec[::-1].index(b":") :]
    if b"@" not in spec:
        return b"".join(spec), b""
    at = len(spec) - 1 - spec[::-1].index(b"@")
    return b"".join(spec[:at]), b"".join(spec[at + 1 :])


class _AddressReader:
    """Reads one address list."""

    def __init__(self) -> None:
        self.encoded: list[bytes] = []
        self._mailbox = _Mailbox()
        self._in_group = False

    def read(self, value: bytes) -> bytes:
        for number, match in enumerate(_TOKEN.finditer(value)):
            if len(self.encoded) >= MAX_ADDRESSES or number >= MAX_TOKENS:
                break
            self._token(match)
        else:
            self._end_mailbox()
        if self._in_group:
            self._end_group()
        return b"(%b)" % b"".join(self.encoded) if self.encoded else b"NIL"

    def _token(self, match: re.Match[bytes]) -> None:
        token = match[0]
        match match.lastgroup:
            case "quoted":
                self._mailbox.add(_UNQUOTE.sub(rb"\1", token[1:].removesuffix(b'"')))
            case "comment":
                self._mailbox.comment = _UNQUOTE.sub(rb"\1", token[1:].removesuffix(b")"))
            case "literal" | "atom":
                self._mailbox.add(token)
            case "special":
                self._special(token)

    def _special(self, token: bytes) -> None:
        mailbox = self._mailbox
        if token == b"<" and not mailbox.in_angle:
            mailbox.angle, mailbox.in_angle = [], True
        elif token == b">":
            mailbox.in_angle = False
        elif mailbox.in_angle or token == b"@":
            mailbox.add(token)
        elif token == b",":
            self._end_mailbox()
        elif token == b":" and not self._in_group:
            self._begin_group()
        elif token == b";":
            self._end_mailbox()
            self._end_group()

    def _begin_group(self) -> None:
        self.encoded.append(b"(NIL NIL %b NIL)" % string(b" ".join(self._mailbox.phrase)))
        self._mailbox = _Mailbox()
        self._in_group = True

    def _end_group(self) -> None:
        if self._in_group:
            self.encoded.append(b"(NIL NIL NIL NIL)")
            self._in_group = False

    def _end_mailbox(self) -> None:
        encoded = self._mailbox.encoded()
        if encoded:
            self.encoded.append(encoded)
        self._mailbox = _Mailbox()


def address_list(value: bytes | None) -> bytes:
    """`"(" 1*address ")" / nil` of one address field."""
    return b"NIL" if value is None else _AddressReader().read(value)


def envelope_structure(header: bytes) -> bytes:
    """The encoded ENVELOPE of a header block."""
    return envelope_of_fields(header_fields(header))


def envelope_of_fields(fields: Mapping[bytes, bytes]) -> bytes:
    """`envelope = "(" env-date SP env-subject SP env-from SP env-sender SP env-reply-to … SP env-message-id ")"`.

    Sender and Reply-To default to From (RFC 9051 §7.5.2).
    """
    from_ = address_list(fields.get(b"from"))
    sender = address_list(fields.get(b"sender"))
    reply_to = address_list(fields.get(b"reply-to"))
    return b"(%b)" % b" ".join(
        (
            nstring(fields.get(b"date")),
            nstring(fields.get(b"subject")),
            from_,
            from_ if sender == b"NIL" else sender,
            from_ if reply_to == b"NIL" else reply_to,
            address_list(fields.get(b"to")),
            address_list(fields.get(b"cc")),
            address_list(fields.get(b"bcc")),
            nstring(fields.get(b"in-reply-to")),
            nstring(fields.get(b"message-id")),
        )
    )
