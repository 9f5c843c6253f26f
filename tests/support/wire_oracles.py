"""What must hold for any bytes of SMTP and of a ClientHello: entry functions of the fuzz targets."""

from contextlib import suppress

from chatmail.mail.data_decoder import DataDecoder
from chatmail.mail.smtp_path import PathError, parse_mail, parse_rcpt
from chatmail.tls_hello import BadClientHello, NeedMore, NotTls, read_client_hello
from tests.support.smtp_wire import converse

_HALF_A_LINE_END = {0x0, 0xA, 0xD}


def check_client_hello(data: bytes) -> None:
    """Raises nothing but what is documented, and always asks for more than there is."""
    for candidate in (data, b"\x16\3\1" + len(data[:16000]).to_bytes(2) + data[:16000]):
        try:
            answer = read_client_hello(candidate)
        except (NotTls, BadClientHello):
            continue
        assert not isinstance(answer, NeedMore) or answer.at_least_bytes > len(candidate)


def check_smtp_conversation(data: bytes) -> None:
    """Any bytes are answered by replies, never by a bug; no message holds a line end that stands alone."""
    replies, messages = converse([data])
    assert all(reply[:3].isdigit() and not reply.startswith("421 4.3.0") for reply in replies)
    assert all(not _HALF_A_LINE_END & set(message.replace(b"\r\n", b"")) for message in messages)


def check_smtp_data(data: bytes) -> None:
    """Whole and byte by byte give the same message and the same rest, and no line end of it stands alone."""
    whole = _decode(data, max(1, len(data)))
    assert whole == _decode(data, 1)
    assert not _HALF_A_LINE_END & set((whole[0] or b"").replace(b"\r\n", b""))


def _decode(wire: bytes, step: int) -> tuple[bytes | None, bytes, bool]:
    decoder, decoded = DataDecoder(1 << 20), b""
    for start in range(0, len(wire), step):
        decoded += decoder.feed(wire[start : start + step])
        if decoder.finished:
            return None if decoder.fault else decoded, decoder.rest + wire[start + step :], True
    return None, b"", False


def check_smtp_path(data: bytes) -> None:
    """Parses or raises `PathError`; what was parsed is parsed again from its own writing."""
    text = data.decode(errors="replace")
    for mail_argument in (text, f"FROM:<{text}", f"FROM:<a@b> {text}"):
        with suppress(PathError):
            address = parse_mail(mail_argument).address
            assert address is None or parse_mail(f"FROM:<{address}> SMTPUTF8").address == address
    with suppress(PathError):
        address = parse_rcpt(f"TO:<{text}", smtp_utf8=True)
        assert parse_rcpt(f"TO:<{address}>", smtp_utf8=True) == address
