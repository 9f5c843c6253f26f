"""What must hold for any bytes: the entry functions of the fuzz targets, run by the fast tests too.

Each takes arbitrary bytes and raises only if the project has a bug. They parse or raise the documented error, and give
the same answer for the whole input and for the input byte by byte.
"""

from collections.abc import Iterable

from chatmail.mail.armor import BEGIN_LINE, ArmoredMessage
from chatmail.mail.envelope import ENCRYPTION_NEEDED
from chatmail.mail.message import (
    HeaderBlock,
    InvalidFromError,
    MessageError,
    header_length,
    parse_content_type,
    parse_from,
)
from chatmail.mail.openpgp import OpenPgpError, PacketWalk
from chatmail.policy.encryption import Direction, EncryptionGate
from chatmail.policy.submission import delivered_headers, submission_headers
from chatmail.policy.verdict import ACCEPT, Reject, Verdict
from tests.support.corpus import TO_ONESELF
from tests.support.openpgp_samples import ENCRYPTED_TYPE, MIXED_TYPE, header


def pieces(data: bytes, piece_bytes: int) -> Iterable[bytes]:
    return (data[start : start + piece_bytes] for start in range(0, len(data), piece_bytes))


def check_packets(data: bytes) -> None:
    """The packet walk: whole = bytewise = with everything skipped that may be."""
    assert is_walkable(data) == is_walkable(data, 1) == _walks_skipping(data)


def is_walkable(data: bytes, piece_bytes: int = 1 << 20) -> bool:
    walk = PacketWalk()
    try:
        for piece in pieces(data, piece_bytes):
            walk.feed(piece)
        walk.finish()
    except OpenPgpError:
        return False
    return True


def _walks_skipping(data: bytes) -> bool:
    walk = PacketWalk()
    position = 0
    try:
        while position < len(data):
            skipped = min(walk.skippable, len(data) - position)
            walk.skip(skipped)
            walk.feed(data[position + skipped : position + skipped + 1])
            position += skipped + 1
        walk.finish()
    except OpenPgpError:
        return False
    return True


def check_armor(data: bytes) -> None:
    """Armor, from where it begins, so that whole messages are good seeds: whole = bytewise, the rest included."""
    data = data[max(0, data.find(BEGIN_LINE)) :]
    small = 1 if len(data) < 1000 else 19
    for headers_allowed in (False, True):
        assert _reads(data, len(data) or 1, headers_allowed) == _reads(data, small, headers_allowed)


def is_armored(data: bytes) -> bool:
    return _reads(data, 1 << 20, headers_allowed=False) is not None


def _reads(data: bytes, piece_bytes: int, headers_allowed: bool) -> bytes | None:
    message = ArmoredMessage(headers_allowed=headers_allowed)
    try:
        rest = b"".join([message.feed(piece) for piece in pieces(data, piece_bytes)])
        message.finish()
    except OpenPgpError:
        return None
    return rest


def check_message(data: bytes) -> None:
    """Header blocks: parsed ones come out as they went in, and every reader of them raises what it documents."""
    try:
        length = header_length(data)
        headers = HeaderBlock.parse(data[:length])
    except MessageError:
        return
    block = data[:length]
    assert bytes(headers) == (block if length is not None else block + b"\r\n")
    assert HeaderBlock.parse(submission_headers(headers)).all(b"subject") in ([], [b"[...]"])
    assert b"received" not in HeaderBlock.parse(delivered_headers(headers))
    try:
        parse_from(headers)
    except InvalidFromError as error:
        assert error.reply.code == 500 and str(error.reply).isascii()
    for value in headers.all(b"content-type"):
        try:
            parse_content_type(value)
        except MessageError:
            continue


CONTAINERS = (header(ENCRYPTED_TYPE), header(MIXED_TYPE, more="Secure-Join: vc-request\r\n"))
"""Headers to put before fuzzed bodies, so that these get past the first look."""


def check_gate(data: bytes) -> None:
    """The gate: a verdict on any message, the same for the whole and bytewise."""
    for message_bytes in (data, *(container + data for container in CONTAINERS)):
        try:
            length = header_length(message_bytes)
            headers = HeaderBlock.parse(message_bytes[:length])
        except MessageError:
            continue
        body = b"" if length is None else message_bytes[length:]
        for direction in Direction:
            whole = _judge(headers, direction, body, len(body) or 1)
            assert whole in (ACCEPT, Reject(ENCRYPTION_NEEDED))
            assert whole == _judge(headers, direction, body, 1 if len(body) < 1000 else 19)


def _judge(headers: HeaderBlock, direction: Direction, body: bytes, piece_bytes: int) -> Verdict:
    gate = EncryptionGate(headers, direction, TO_ONESELF)
    for piece in pieces(body, piece_bytes):
        gate.feed(piece)
    return gate.finish()
