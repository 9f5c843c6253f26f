"""Multipart bodies in which every byte is accounted for. RFC 2046 §5.1.

The doors: `boundary_of` reads the parameter, `split_parts` takes a small whole body apart, `parse_part` one part.
For bodies that are policed only: text before the first and after the last part, which RFC 2046 tells readers to
ignore, makes a body malformed here. Streams are read by those who know what to expect in them.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from chatmail.mail.message import ContentType, HeaderBlock, MessageError, header_length, parse_content_type

# boundary := 0*69<bchars> bcharsnospace (RFC 2046 §5.1.1)
_BOUNDARY: Final = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
_IDENTITY_ENCODINGS: Final = (None, b"7bit", b"8bit", b"binary")
_BLANK: Final = b" \t\r\n"


@dataclass(frozen=True, slots=True)
class Part:
    """One part: its parsed Content-Type and its bytes as they are, in an encoding that changes none of them."""

    content_type: ContentType
    content: bytes


def boundary_of(content_type: ContentType) -> bytes:
    """The boundary parameter. Raises `MessageError` if it is missing or illegal."""
    boundary = content_type.parameters.get("boundary", "")
    if not _BOUNDARY.fullmatch(boundary):
        raise MessageError("no legal boundary")
    return boundary.encode("ascii")


def check_identity_encoding(headers: HeaderBlock) -> None:
    """Raises `MessageError` if a Content-Transfer-Encoding says that the bytes stand for others (RFC 2045 §6)."""
    encoding = headers.only(b"content-transfer-encoding")
    if (encoding.lower() if encoding else encoding) not in _IDENTITY_ENCODINGS:
        raise MessageError("an encoded part")


def parse_part(part: bytes) -> Part:
    """Parse what stands between two delimiter lines. Raises `MessageError` if it is malformed or encoded."""
    length = header_length(part)
    if length is None:
        raise MessageError("a part without an empty line after its header")
    return Part(_content_type(part[:length]), part[length:])


@lru_cache(maxsize=256)
def _content_type(block: bytes) -> ContentType:
    """Remembered, since all messages of a client have the same few part headers."""
    headers = HeaderBlock.parse(block)
    check_identity_encoding(headers)
    return parse_content_type(headers.only(b"content-type"))


def split_parts(body: bytes, boundary: bytes) -> list[Part]:
    """All parts of a whole body. Raises `MessageError` if one is malformed, or if text stands outside of them."""
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary)
    closing = pieces[-1]
    if len(pieces) < 3 or pieces[0].strip(_BLANK) or not closing.startswith(b"--") or closing[2:].strip(_BLANK):
        raise MessageError("text outside of the parts, or no parts")
    return [parse_part(after_delimiter(piece)) for piece in pieces[1:-1]]


def after_delimiter(piece: bytes) -> bytes:
    """`piece` begins right behind a boundary: what follows its line, which must hold white space only.

    Raises `MessageError` if it holds anything else.
    """
    padding, line_end, rest = piece.partition(b"\r\n")
    if padding.strip(b" \t") or not line_end:
        raise MessageError("text on a delimiter line")
    return rest
