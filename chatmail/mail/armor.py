"""ASCII armor around an OpenPGP message, read as a stream. RFC 9580 §6.

The door is `ArmoredMessage`: the payload of a MIME part goes in by `feed` in pieces of any size, the packets are walked
by `chatmail.mail.openpgp`, and what follows the armor's last line comes back out.

Every byte is checked against the base64 alphabet, since decoders that pass over foreign bytes would let text hide
there; decoded is only what the walk wants to see, some dozen octets around each packet header. The CRC-24 line may be
missing and is not verified (RFC 9580 §6.1). Memory does not grow with the message.
"""

import re
from binascii import a2b_base64
from enum import Enum
from typing import Final

from chatmail.mail.openpgp import OpenPgpError, PacketWalk

BEGIN_LINE: Final = b"-----BEGIN PGP MESSAGE-----"
END_LINE: Final = b"-----END PGP MESSAGE-----"
MAX_HEAD_BYTES: Final = 2048
"""Blank lines, first line and armor headers; clients that write headers write two short ones."""
MAX_TAIL_BYTES: Final = 256
"""Padding, CRC, blank lines and last line."""

_ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_BLANK: Final = b" \t\r\n"
_WINDOW_CHARACTERS: Final = 64
"""Decoded at a time when the walk wants to see a header: more than two headers of small packets need."""
# RFC 9580 §6.2.2: the headers that were ever defined; free text in them is not ours to read, so it is kept short.
_HEADERS: Final = re.compile(rb"\r\n(?:(?:Version|Comment|MessageID|Hash|Charset): [^\r\n]{0,200}\r\n){0,8}")
_CHECKSUM: Final = re.compile(rb"(?:\r\n)*(?:=[A-Za-z0-9+/]{4}(?:\r\n)+)?")


class _Stage(Enum):
    HEAD = 1
    DATA = 2
    TAIL = 3
    OVER = 4


class ArmoredMessage:
    """One armored, encrypted message that is coming in."""

    __slots__ = ("_buffer", "_characters", "_headers_allowed", "_last_byte", "_skip", "_stage", "_walk")

    def __init__(self, *, headers_allowed: bool) -> None:
        """`headers_allowed`: whether lines such as `Version:` may stand before the empty line."""
        self._headers_allowed = headers_allowed
        self._walk = PacketWalk()
        self._stage = _Stage.HEAD
        self._buffer = b""
        self._characters = b""  # base64 characters not decoded yet, fewer than four
        self._skip = 0  # base64 characters to come that the walk need not see
        self._last_byte = b"\n"

    def feed(self, chunk: bytes) -> bytes:
        """Read on; returns what follows the last line of the armor, nothing before that came.

        Raises `OpenPgpError` as soon as it cannot become an encrypted message any more.
        """
        if self._stage is _Stage.HEAD:
            chunk = self._read_head(chunk)
        if self._stage is _Stage.DATA:
            chunk = self._read_data(chunk)
        if self._stage is _Stage.TAIL:
            chunk = self._read_tail(chunk)
        return chunk

    def finish(self) -> None:
        """The part ends here. Raises `OpenPgpError` if the armor or the message is cut short."""
        if self._stage is not _Stage.OVER:
            raise OpenPgpError("the armor is cut short")

    def _read_head(self, chunk: bytes) -> bytes:
        before = len(self._buffer)
        self._buffer += chunk[: MAX_HEAD_BYTES - before]
        begin = self._buffer.find(BEGIN_LINE)
        end = self._buffer.find(b"\r\n\r\n", begin) if begin >= 0 else -1
        if end < 0:
            if len(self._buffer) == MAX_HEAD_BYTES:
                raise OpenPgpError("no armor")
            return b""
        headers = self._buffer[begin + len(BEGIN_LINE) : end + 2]
        if self._buffer[:begin].strip(_BLANK) or not _HEADERS.fullmatch(headers):
            raise OpenPgpError("text before or in the head of the armor")
        if headers != b"\r\n" and not self._headers_allowed:
            raise OpenPgpError("armor headers")
        self._buffer = b""
        self._stage = _Stage.DATA
        return chunk[end + 4 - before :]

    def _read_data(self, chunk: bytes) -> bytes:
        stop = _first(chunk, b"=", b"-")
        data = chunk[:stop]
        foreign = data.translate(None, _ALPHABET)
        if foreign.strip(b"\r\n"):
            raise OpenPgpError("a byte outside of the base64 alphabet")
        count = len(data) - len(foreign)
        if count <= self._skip:
            self._skip -= count
        else:
            self._walk_on(self._characters + data.translate(None, b"\r\n")[self._skip :])
        if data:
            self._last_byte = data[-1:]
        if stop < len(chunk):
            self._stage = _Stage.TAIL
        return chunk[stop:]

    def _walk_on(self, characters: bytes) -> None:
        """Decode windows of whole quartets, and jump over what the walk does not want to see."""
        position = 0
        whole = len(characters) & ~3
        while position < whole:
            window = characters[position : min(position + _WINDOW_CHARACTERS, whole)]
            self._walk.feed(a2b_base64(window))
            quartets = self._walk.skippable // 3
            self._walk.skip(quartets * 3)
            position += len(window) + quartets * 4
        self._characters = characters[position:]
        self._skip = max(0, position - len(characters))

    def _read_tail(self, chunk: bytes) -> bytes:
        before = len(self._buffer)
        self._buffer += chunk[: MAX_TAIL_BYTES - before]
        end = self._buffer.find(END_LINE)
        if end < 0:
            if len(self._buffer) == MAX_TAIL_BYTES:
                raise OpenPgpError("no end of the armor")
            return b""
        self._end_data(self._buffer[:end])
        self._stage = _Stage.OVER
        self._buffer = b""
        return chunk[end + len(END_LINE) - before :]

    def _end_data(self, tail: bytes) -> None:
        """`tail` is what stands between the last base64 character and the last line: padding, CRC, line ends."""
        padding = b"=" * (-len(self._characters) % 4)
        line_ended = self._last_byte == b"\n" if not padding else tail.startswith(padding + b"\r\n")
        if self._skip or len(padding) == 3 or not line_ended or not _CHECKSUM.fullmatch(tail, len(padding)):
            raise OpenPgpError("the armor ends badly")
        self._walk.feed(a2b_base64(self._characters + padding))
        self._walk.finish()


def _first(chunk: bytes, one: bytes, other: bytes) -> int:
    """The first position of either byte; the length of `chunk` if there is none."""
    position = chunk.find(one)
    end = len(chunk) if position < 0 else position
    position = chunk.find(other, 0, end)
    return end if position < 0 else position
