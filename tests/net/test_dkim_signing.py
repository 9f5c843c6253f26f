"""Our signatures, verified by dkimpy, which is somebody else's reading of the standard."""

import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import dkim  # type: ignore[import-untyped]
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from chatmail.net.dkim_key import public_key_der
from chatmail.net.dkim_signing import DkimSigner

KEY = rsa.generate_private_key(65537, 2048)
NOW = datetime.now(UTC)
HEADER = (
    b"From: Alice <alice@chat.example>\r\nTO:  bob@elsewhere.example,\r\n\tcarol@elsewhere.example\r\n"
    b"Subject: [...]\r\nDate: Mon, 23 Nov 2026 20:00:00 +0000\r\nMessage-ID: <1@chat.example>\r\n"
    b"MIME-Version: 1.0\r\nContent-Type: text/plain\r\nAutocrypt: addr=alice@chat.example\r\n"
    b"Chat-Version: 1.0\r\nChat-Group-ID:  a  b \r\nX-Other: not signed\r\n\r\n"
)


async def in_pieces(content: bytes, size: int) -> AsyncIterator[bytes]:
    for at in range(0, len(content), size):
        yield content[at : at + size]


async def signed(header: bytes, body: bytes, piece: int = 1000) -> bytes:
    field = await DkimSigner(KEY, "chat.example", "mail").sign(header, in_pieces(body, piece), NOW)
    return field + header + body


def verifies(message: bytes) -> bool:
    def text(name: bytes, timeout: int = 5) -> bytes:
        assert name == b"mail._domainkey.chat.example."
        return b"v=DKIM1;k=rsa;p=" + base64.b64encode(public_key_der(KEY))

    return bool(dkim.verify(message, dnsfunc=text))


@pytest.mark.parametrize(
    "body", [b"", b"text\r\n", b"no end", b"\r\n\r\n", b" a \t b  \r\n\r\n\r\n", b"x" * 100_000 + b"\r\n"]
)
async def test_another_implementation_finds_the_signature_valid(body: bytes) -> None:
    message = await signed(HEADER, body)
    assert verifies(message)
    assert max(map(len, message[: message.index(b"From: Alice")].split(b"\r\n"))) <= 100


@given(st.lists(st.sampled_from([b"a", b" ", b"\t", b"\r\n", b"."]), max_size=60).map(b"".join), st.integers(1, 7))
async def test_any_body_in_any_pieces(body: bytes, piece: int) -> None:
    assert verifies(await signed(HEADER, body + b"\r\n", piece))  # SMTP knows no other end


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Alice <", b"Mallory <"),
        (b"Subject: [...]", b"Subject: buy"),
        (b"Chat-Version: 1.0", b"Chat-Version: 2.0"),
        (b"addr=alice", b"addr=mallo"),
        (b"text\r\n", b"tent\r\n"),
    ],
)
async def test_no_change_of_what_matters_goes_unnoticed(old: bytes, new: bytes) -> None:
    message = await signed(HEADER, b"text\r\n")
    assert verifies(message) and not verifies(message.replace(old, new))


async def test_nobody_can_add_a_second_author() -> None:
    message = await signed(HEADER, b"text\r\n")
    assert not verifies(message.replace(b"Subject:", b"From: mallory@chat.example\r\nSubject:"))
    assert not verifies(b"From: mallory@chat.example\r\n" + message)


async def test_what_others_may_add_does_no_harm() -> None:
    message = await signed(HEADER, b"text\r\n")
    assert verifies(b"Received: from here\r\n" + message.replace(b"X-Other: not signed\r\n", b""))


async def test_repeated_fields_are_signed_from_the_bottom() -> None:
    header = HEADER.replace(b"X-Other", b"Chat-X: 1\r\nChat-X: 2\r\nX-Other")
    message = await signed(header, b"text\r\n")
    assert verifies(message)
    assert not verifies(message.replace(b"Chat-X: 1\r\nChat-X: 2", b"Chat-X: 2\r\nChat-X: 1"))
