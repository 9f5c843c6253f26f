"""Peers that send garbage, floods or nothing cost only their own connection; the built file serves the others on."""

import asyncio
import base64
import os
import re
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.mail_client import ImapClient, SmtpClient, UnexpectedReplyError, accept_any_certificate
from tests.support.messages import encrypted_message
from tests.support.relay import Credentials, ServedRelay

MIB = 1024 * 1024
SETTINGS = "[mail]\nmax_message_size = 1000000\nmax_user_send_per_minute = 600\nmax_user_send_burst_size = 600\n"
PATIENCE_SECONDS = 30.0
MAX_GROWTH_BYTES = 64 * MIB


@pytest.fixture(scope="module")
def served(pyz: Path, loopback_address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedRelay]:
    with ServedRelay(pyz, loopback_address, tmp_path_factory.mktemp("served") / "data", settings=SETTINGS) as running:
        yield running


@pytest.fixture(scope="module")
def account(served: ServedRelay) -> Credentials:
    return served.new_account()


def resident_bytes(relay: ServedRelay) -> int:
    status = Path(f"/proc/{relay.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024


async def chat_works(relay: ServedRelay, account: Credentials) -> None:
    """An honest client sends to itself and sees the message arrive."""
    smtp = await SmtpClient.connect(relay.host, relay.port(465), accept_any_certificate())
    imap = await ImapClient.connect(relay.host, relay.port(993), accept_any_certificate())
    try:
        await smtp.login(account.address, account.password)
        await imap.login(account.address, account.password)
        await imap.command("SELECT INBOX")
        await imap.idle()
        await smtp.send(account.address, [account.address], encrypted_message(account.address))
        await imap.wait_exists()
    finally:
        smtp.close()
        imap.close()


async def to_the_end(relay: ServedRelay, port: int, *chunks: bytes) -> bytes:
    """Send chunks over TLS without reading in between, then read until the server hangs up or is silent for long."""
    context = accept_any_certificate()
    reader, writer = await asyncio.open_connection(relay.host, relay.port(port), ssl=context, limit=64 * MIB)
    received = b""
    try:
        sending = asyncio.create_task(send_all(writer, chunks))
        async with asyncio.timeout(PATIENCE_SECONDS):
            while chunk := await reader.read(65536):
                received += chunk
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
    except (ConnectionError, ssl.SSLError):
        pass
    finally:
        writer.transport.abort()
    return received


async def send_all(writer: asyncio.StreamWriter, chunks: tuple[bytes, ...]) -> None:
    for chunk in chunks:
        writer.write(chunk)
        await writer.drain()


GARBAGE = os.urandom(200_000).replace(b"\n", b"\r\n")
MEGABYTE_LINE = b"A" * MIB + b"\r\n"


@pytest.mark.parametrize(
    ("port", "chunks"),
    [
        (465, (GARBAGE,)),
        (993, (GARBAGE,)),
        (465, (MEGABYTE_LINE,)),
        (993, (MEGABYTE_LINE,)),
        (465, (b"EHLO [127.0.0.1]\r\n", b"NOOP\r\n" * 10_000, b"QUIT\r\n")),
        (993, (b"".join(b"a%d NOOP\r\n" % number for number in range(10_000)), b"z LOGOUT\r\n")),
        (993, (b"a LOGIN {100000000}\r\n", b"z LOGOUT\r\n")),
        (993, (b"a LOGIN {100000000+}\r\n", b"x" * MIB)),
        (993, (b"a APPEND INBOX {10}\r\n", b"0123456789\r\n", b"z LOGOUT\r\n")),
        (443, (GARBAGE,)),
        (443, (b"GET / HTTP/1.1\r\n" + b"X: " + b"y" * MIB + b"\r\n\r\n",)),
        (443, (b"GET / HTTP/1.1\r\n", *(b"X-%d: %b\r\n" % (number, b"y" * 4000) for number in range(200)))),
        (993, (b"a NOOP " + b"{0+}\r\n" * 2000, b"z LOGOUT\r\n")),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else None,
)
async def test_a_peer_that_misbehaves_is_let_go_and_the_others_chat_on(
    served: ServedRelay, account: Credentials, port: int, chunks: tuple[bytes, ...]
) -> None:
    await chat_works(served, account)
    before = resident_bytes(served)
    await asyncio.gather(to_the_end(served, port, *chunks), chat_works(served, account))
    assert resident_bytes(served) - before < MAX_GROWTH_BYTES
    assert "Traceback" not in served.log_path.read_text()


async def test_silent_peers_on_every_port_hinder_nobody(served: ServedRelay, account: Credentials) -> None:
    silent = [
        await asyncio.open_connection(served.host, served.port(port)) for port in (143, 443, 465, 587, 993, 80) * 20
    ]
    try:
        await chat_works(served, account)
    finally:
        for _, writer in silent:
            writer.transport.abort()


async def test_ten_simultaneous_first_logins_on_both_protocols_make_one_account(served: ServedRelay) -> None:
    address, password = f"firsttime@[{served.host}]", "the one password"

    async def smtp() -> None:
        client = await SmtpClient.connect(served.host, served.port(465), accept_any_certificate())
        try:
            await client.login(address, password)
        finally:
            client.close()

    async def imap(secret: str = password) -> None:
        client = await ImapClient.connect(served.host, served.port(993), accept_any_certificate())
        try:
            await client.login(address, secret)
        finally:
            client.close()

    await asyncio.gather(*(login() for login in [smtp, imap] * 10))
    with pytest.raises(UnexpectedReplyError, match="AUTHENTICATIONFAILED"):
        await imap("another password")
    await imap()


SMUGGLED = b"MAIL FROM:<%b>\r\nRCPT TO:<%b>\r\nDATA\r\nSubject: smuggled\r\n\r\nbody\r\n"


@pytest.mark.parametrize(
    "end", [b"\n.\n", b"\n.\r\n", b"\r.\r\n", b"\r\n.\n", b"\r\n.\r", b"\r\n\x00.\r\n", b"\r\n.\x00\r\n", b"\n\n.\r\n"]
)
async def test_what_only_looks_like_the_end_of_a_message_smuggles_nothing(
    served: ServedRelay, account: Credentials, end: bytes
) -> None:
    own = account.address.encode()
    token = base64.b64encode(f"\0{account.address}\0{account.password}".encode())
    message = encrypted_message(account.address).removesuffix(b"\r\n")
    before = await count_messages(served, account)
    replies = await to_the_end(
        served,
        465,
        b"EHLO [127.0.0.1]\r\nAUTH PLAIN " + token + b"\r\n",
        b"MAIL FROM:<%b>\r\nRCPT TO:<%b>\r\nDATA\r\n" % (own, own),
        message + end + SMUGGLED % (own, own) + b"\r\n.\r\nQUIT\r\n",
    )
    assert replies.count(b"\r\n354 ") == 1, replies
    assert await count_messages(served, account) == before


async def count_messages(relay: ServedRelay, account: Credentials) -> int:
    client = await ImapClient.connect(relay.host, relay.port(993), accept_any_certificate())
    try:
        await client.login(account.address, account.password)
        [status] = await client.command("STATUS INBOX (MESSAGES)")
    finally:
        client.close()
    found = re.search(rb"MESSAGES (\d+)", status)
    assert found is not None
    return int(found[1])


async def test_commands_sent_in_clear_behind_starttls_are_never_obeyed(served: ServedRelay) -> None:
    for port, greeting, injected in (
        (587, b"EHLO x\r\nSTARTTLS\r\n", b"NOOP injected\r\nEHLO injected\r\n"),
        (143, b"a STARTTLS\r\n", b"b NOOP\r\nc CAPABILITY\r\n"),
    ):
        reader, writer = await asyncio.open_connection(served.host, served.port(port))
        writer.write(greeting + injected)
        async with asyncio.timeout(PATIENCE_SECONDS):
            answer = await reader.read()
        writer.transport.abort()
        assert b"injected" not in answer
        assert b"b OK" not in answer and b"c OK" not in answer


def test_the_log_names_no_address_and_no_message(served: ServedRelay, account: Credentials) -> None:
    log = served.log_path.read_text()
    assert "message_accepted" in log or "accepted" in log
    for private in (account.address.partition("@")[0], "@localhost", "firsttime"):
        assert private not in log
