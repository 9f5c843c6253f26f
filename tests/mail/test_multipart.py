"""Small multipart bodies."""

import pytest

from chatmail.mail.message import MessageError, parse_content_type
from chatmail.mail.multipart import boundary_of, split_parts

BODY = b"\r\n--b\r\nContent-Type: text/html\r\n\r\none\r\n--b \r\n\r\ntwo\r\n\r\n--b--\r\n"


def test_parts_come_with_their_type_and_their_bytes() -> None:
    first, second = split_parts(BODY, b"b")
    assert (first.content_type.media_type, first.content) == ("text/html", b"one")
    assert (second.content_type.media_type, second.content) == ("text/plain", b"two\r\n")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"\r\n--b\r\n", b"text\r\n--b\r\n"),
        (b"--b--\r\n", b"--b--\r\ntext"),
        (b"--b--\r\n", b""),
        (b"--b--\r\n", b"--b\r\n"),
        (b"--b--\r\n", b"--bb--\r\n"),
        (b"--b \r\n", b"--b x\r\n"),
        (b"--b \r\n\r\n", b"--b \r\n"),
        (b"text/html", b"text"),
        (b"text/html", b"text/html\r\nContent-Transfer-Encoding: base64"),
        (b"text/html", b"text/html\r\nContent-Type: text/plain"),
    ],
)
def test_a_body_in_which_a_byte_has_no_place_is_refused(old: bytes, new: bytes) -> None:
    assert old in BODY
    with pytest.raises(MessageError):
        split_parts(BODY.replace(old, new), b"b")


def test_a_body_without_parts_is_refused() -> None:
    for body in (b"", b"--b--\r\n", b"text"):
        with pytest.raises(MessageError):
            split_parts(body, b"b")


def test_a_boundary_must_be_legal() -> None:
    assert boundary_of(parse_content_type(b'multipart/mixed; boundary="a b=?"')) == b"a b=?"
    for value in (b"multipart/mixed", b'multipart/mixed; boundary="a "', b'multipart/mixed; boundary="\xe4"'):
        with pytest.raises(MessageError):
            boundary_of(parse_content_type(value))
