"""What may pass: end-to-end encrypted messages, and the few that cannot be. Pure; memory stays constant.

The door is `EncryptionGate`: made from the header block as it was received (before any clean-up), fed with the body
chunk by chunk, asked once at the end. It passes

- `multipart/encrypted` of exactly two parts (RFC 3156 §4): `Version: 1`, then one armored OpenPGP message;
- the first step of a handshake between people who have no keys yet: `Secure-Join: vc-request` or `vg-request`;
- from our accounts: an Autocrypt Setup Message to oneself;
- from other servers: a bounce by a mailer-daemon. That this is only heard from whom it claims to come is up to the
  caller, who verifies DKIM before.

Everything else gets `ENCRYPTION_NEEDED`: also text before, between or after the parts, since most readers skip it.
"""

from enum import Enum
from typing import Final, Protocol

from chatmail.errors import ProtocolError
from chatmail.mail.armor import ArmoredMessage
from chatmail.mail.envelope import ENCRYPTION_NEEDED, Envelope
from chatmail.mail.message import ContentType, HeaderBlock, MessageError, parse_content_type, parse_from
from chatmail.mail.multipart import after_delimiter, boundary_of, check_identity_encoding, parse_part, split_parts
from chatmail.policy.verdict import ACCEPT, Reject, Verdict

MAX_PROLOGUE_BYTES: Final = 4096
"""Everything before the armor: part 1 and the header of part 2, about 300 bytes as clients write it."""
MAX_EPILOGUE_BYTES: Final = 1024
"""Everything after the armor: blank lines and the closing delimiter."""
MAX_HANDSHAKE_BYTES: Final = 4096
"""The body of a handshake message, about 150 bytes as clients write it."""
MAX_SETUP_MESSAGE_BYTES: Final = 128 * 1024
"""The body of an Autocrypt Setup Message: an armored key of at most some 10 KB, and a page of instructions."""

_CONTROL_TYPE: Final = "application/pgp-encrypted"
_HANDSHAKE_STEPS: Final = (b"vc-request", b"vg-request")
_BLANK: Final = b" \t\r\n"


class Direction(Enum):
    """Where a message comes from."""

    SUBMISSION = "submission"
    """From an account of ours (also by IMAP APPEND, with the account as sender and recipient)."""
    INBOUND = "inbound"
    """From another server."""


class _Body(Protocol):
    """One kind of body that may pass. Both methods raise `ProtocolError` if it is not of that kind."""

    def feed(self, chunk: bytes) -> None: ...
    def finish(self) -> None: ...


class EncryptionGate:
    """Judges one message while it comes in."""

    __slots__ = ("_body",)

    def __init__(self, headers: HeaderBlock, direction: Direction, envelope: Envelope) -> None:
        """`headers` as they were received."""
        self._body: _Body | None = None
        try:
            self._body = _expect_body(headers, direction, envelope)
        except MessageError:
            self._body = None

    @property
    def is_rejected(self) -> bool:
        """Whether it is already known that the message may not pass, so that nobody need keep the rest of it."""
        return self._body is None

    def feed(self, chunk: bytes) -> None:
        """The next bytes of the body: what follows the empty line after the header, CRLF line ends, no dot-stuffing."""
        if self._body is not None:
            try:
                self._body.feed(chunk)
            except ProtocolError:
                self._body = None

    def finish(self) -> Verdict:
        """The body has ended: may the message pass?"""
        if self._body is None:
            return Reject(ENCRYPTION_NEEDED)
        try:
            self._body.finish()
        except ProtocolError:
            self._body = None
            return Reject(ENCRYPTION_NEEDED)
        return ACCEPT


def _expect_body(headers: HeaderBlock, direction: Direction, envelope: Envelope) -> _Body | None:
    """The kind of body with which a message of these headers may pass. Raises `MessageError` if they are malformed."""
    check_identity_encoding(headers)
    content_type = parse_content_type(headers.only(b"content-type"))
    match content_type.media_type, direction:
        case "multipart/encrypted", _:
            return _EncryptedBody(content_type, armor_headers_allowed=direction is Direction.INBOUND)
        case "multipart/mixed", _ if (step := headers.only(b"secure-join")) in _HANDSHAKE_STEPS:
            return _HandshakeBody(boundary_of(content_type), step)
        case "multipart/mixed", Direction.SUBMISSION if _is_setup_message(headers, envelope):
            return _OpaqueBody(MAX_SETUP_MESSAGE_BYTES)
        case "multipart/report", Direction.INBOUND if _is_bounce(headers):
            return _OpaqueBody(None)
    return None


def _is_setup_message(headers: HeaderBlock, envelope: Envelope) -> bool:
    """Whether it says to be an Autocrypt Setup Message (Autocrypt 1.1 §4.4.1), and goes to nobody but its sender."""
    return headers.first(b"subject") == b"Autocrypt Setup Message" and set(envelope.rcpt_tos) == {envelope.mail_from}


def _is_bounce(headers: HeaderBlock) -> bool:
    """RFC 3834 §5 (Auto-Submitted), and the sender that mail servers bounce as."""
    return bool(headers.first(b"auto-submitted")) and parse_from(headers).localpart == "mailer-daemon"


class _EncryptedBody:
    """RFC 3156 §4: buffers what stands before the armor, streams the armor, buffers what stands after it."""

    def __init__(self, content_type: ContentType, *, armor_headers_allowed: bool) -> None:
        if content_type.parameters.get("protocol", _CONTROL_TYPE).lower() != _CONTROL_TYPE:
            raise MessageError("not OpenPGP")
        self._delimiter = b"--" + boundary_of(content_type)
        self._armor = ArmoredMessage(headers_allowed=armor_headers_allowed)
        self._prologue: bytes | None = b""
        self._epilogue = b""

    def feed(self, chunk: bytes) -> None:
        if self._prologue is not None:
            chunk = self._read_prologue(chunk, self._prologue)
        if chunk:
            self._epilogue += self._armor.feed(chunk)[: MAX_EPILOGUE_BYTES + 1]
            if len(self._epilogue) > MAX_EPILOGUE_BYTES:
                raise MessageError("the epilogue is too long")

    def finish(self) -> None:
        self._armor.finish()
        last_line_rest, line_end, closing = self._epilogue.partition(b"\r\n")
        close_delimiter = b"\r\n" + self._delimiter + b"--"
        before, found, after = (line_end + closing).partition(close_delimiter)
        if last_line_rest.strip(b" \t") or not found or before.strip(_BLANK) or after.strip(_BLANK):
            raise MessageError("text after the armor, or no closing delimiter")

    def _read_prologue(self, chunk: bytes, prologue: bytes) -> bytes:
        """Returns what follows the header of part 2, nothing while that has not come."""
        before = len(prologue)
        prologue += chunk[: MAX_PROLOGUE_BYTES - before]
        end = self._prologue_end(prologue)
        if end < 0:
            if len(prologue) == MAX_PROLOGUE_BYTES:
                raise MessageError("the prologue is too long")
            self._prologue = prologue
            return b""
        self._check_prologue(prologue[:end])
        self._prologue = None
        return chunk[end - before :]

    def _prologue_end(self, prologue: bytes) -> int:
        """Where the header of part 2 ends; -1 if that has not come."""
        first = prologue.find(self._delimiter)
        second = prologue.find(b"\r\n" + self._delimiter, first + 1) if first >= 0 else -1
        header_end = prologue.find(b"\r\n\r\n", second + 2) if second >= 0 else -1
        return header_end + 4 if header_end >= 0 else -1

    def _check_prologue(self, prologue: bytes) -> None:
        pieces = (b"\r\n" + prologue).split(b"\r\n" + self._delimiter)
        if len(pieces) != 3:
            raise MessageError("a delimiter within a line")
        preamble, control, payload_header = pieces
        control_part = parse_part(after_delimiter(control))
        payload_part = parse_part(after_delimiter(payload_header))
        if (
            preamble.strip(_BLANK)
            or control_part.content_type.media_type != _CONTROL_TYPE
            or control_part.content.strip(_BLANK) != b"Version: 1"
            or payload_part.content_type.media_type != "application/octet-stream"
        ):
            raise MessageError("not the two parts of an encrypted message")


class _HandshakeBody:
    """One part of plain text that repeats the handshake step of the header, and nothing else."""

    def __init__(self, boundary: bytes, step: bytes) -> None:
        self._boundary = boundary
        self._text = b"secure-join: " + step
        self._body = b""

    def feed(self, chunk: bytes) -> None:
        self._body += chunk[: MAX_HANDSHAKE_BYTES + 1]
        if len(self._body) > MAX_HANDSHAKE_BYTES:
            raise MessageError("too long for a handshake")

    def finish(self) -> None:
        parts = split_parts(self._body, self._boundary)
        if (
            len(parts) != 1
            or parts[0].content_type.media_type != "text/plain"
            or parts[0].content.strip(_BLANK).lower() != self._text
        ):
            raise MessageError("not the text of a handshake")


class _OpaqueBody:
    """A body nobody looks into, of limited size."""

    def __init__(self, max_bytes: int | None) -> None:
        self._room = max_bytes

    def feed(self, chunk: bytes) -> None:
        if self._room is not None:
            self._room -= len(chunk)
            if self._room < 0:
                raise MessageError("too long for its kind")

    def finish(self) -> None:
        pass
