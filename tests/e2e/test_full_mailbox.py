"""A mailbox that fills up, on the wire of the built file: what each kind of sender is told, and what its owner sees."""

import asyncio
import re
import smtplib
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.mail_client import ImapClient, SmtpClient, accept_any_certificate
from tests.support.messages import encrypted_message
from tests.support.relay import Credentials, ServedRelay

KIB = 1024
QUOTA_KIB = 1024
SETTINGS = '[mail]\nmax_mailbox_size = "1M"\nmax_message_size = 800000\n[limits]\nmax_load_1m = 0\n'
OUTSIDER = "outsider@[127.77.7.7]"
"""IP literals cannot sign, so no DNS is needed for mail from there."""


@pytest.fixture(scope="module")
def relay(pyz: Path, loopback_address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedRelay]:
    with ServedRelay(pyz, loopback_address, tmp_path_factory.mktemp("full") / "data", settings=SETTINGS) as running:
        yield running


class Person:
    """An account with both of its connections open; INBOX is selected."""

    def __init__(self, address: str, imap: ImapClient, smtp: SmtpClient) -> None:
        self.address, self.imap, self.smtp = address, imap, smtp

    @classmethod
    async def of(cls, relay: ServedRelay, account: Credentials) -> "Person":
        imap = await ImapClient.connect(relay.host, relay.port(993), accept_any_certificate())
        await imap.login(account.address, account.password)
        await imap.command("SELECT INBOX")
        smtp = await SmtpClient.connect(relay.host, relay.port(465), accept_any_certificate())
        await smtp.login(account.address, account.password)
        return cls(account.address, imap, smtp)

    async def send(self, size_bytes: int, *to: "Person") -> None:
        await self.smtp.send(
            self.address, [each.address for each in to], encrypted_message(self.address, size_bytes=size_bytes)
        )

    async def quota_kib(self) -> tuple[int, int]:
        """Used and allowed, as GETQUOTAROOT says."""
        said = b"".join(await self.imap.command("GETQUOTAROOT INBOX"))
        found = re.search(rb"STORAGE (\d+) (\d+)", said)
        assert found is not None, said
        return int(found[1]), int(found[2])

    async def sizes(self) -> list[int]:
        """RFC822.SIZE of every message."""
        await self.imap.command("NOOP")
        lines = await self.imap.command("UID FETCH 1:* (RFC822.SIZE)")
        return [int(size) for size in re.findall(rb"RFC822\.SIZE (\d+)", b"".join(lines))]

    async def last_message(self) -> bytes:
        await self.imap.command("NOOP")
        return b"".join(await self.imap.command("FETCH * (BODY.PEEK[])"))

    def close(self) -> None:
        self.imap.close()
        self.smtp.close()


async def assert_quota_is_true(person: Person) -> None:
    used, allowed = await person.quota_kib()
    assert (used, allowed) == (-(-sum(await person.sizes()) // KIB), QUOTA_KIB)


def from_outside(relay: ServedRelay, to: list[str], message: bytes) -> dict[str, tuple[int, bytes]]:
    """Send over port 25; who was refused at RCPT, and how. smtplib announces the SIZE."""
    with smtplib.SMTP(relay.host, relay.port(25)) as client:
        client.starttls(context=ssl._create_unverified_context())
        return client.sendmail(OUTSIDER, to, message)


async def test_a_full_mailbox_is_told_at_rcpt_outside_and_bounced_inside(relay: ServedRelay) -> None:
    alice, bob, carol = [await Person.of(relay, relay.new_account()) for _ in range(3)]
    await assert_quota_is_true(bob)
    for _ in range(2):
        await alice.send(400 * KIB, bob)
    await assert_quota_is_true(bob)
    # From our own: the whole group's message is accepted, carol has it, and alice learns of bob by a bounce.
    await alice.send(400 * KIB, bob, carol)
    assert (len(await bob.sizes()), len(await carol.sizes())) == (2, 1)
    bounce = await alice.last_message()
    assert b"Status: 5.2.2" in bounce and b"The mailbox is full" in bounce and bob.address.encode() in bounce
    # From outside: at RCPT, for bob alone.
    message = encrypted_message(OUTSIDER, size_bytes=400 * KIB)
    refused = await asyncio.to_thread(from_outside, relay, [bob.address, carol.address], message)
    assert refused == {bob.address: (552, b"5.2.2 The mailbox is full")}
    assert (len(await bob.sizes()), len(await carol.sizes())) == (2, 2)
    # A small one still fits.
    await alice.send(5 * KIB, bob)
    assert len(await bob.sizes()) == 3
    for person in (alice, bob, carol):
        await assert_quota_is_true(person)
        person.close()


async def test_old_mail_makes_room_before_anything_is_refused(relay: ServedRelay) -> None:
    alice, dave = [await Person.of(relay, relay.new_account()) for _ in range(2)]
    long_ago = (datetime.now(UTC) - timedelta(days=3)).strftime("%d-%b-%Y %H:%M:%S +0000")
    for _ in range(3):
        message = encrypted_message(dave.address, size_bytes=250 * KIB)
        dave.imap.writer.write(f'AP APPEND INBOX "{long_ago}" {{{len(message)}+}}\r\n'.encode() + message + b"\r\n")
        while not (line := await dave.imap.line()).startswith(b"AP "):
            pass
        assert line.startswith(b"AP OK"), line
    await alice.send(100 * KIB, dave)
    # Above three quarters the oldest goes, down to seventy percent.
    assert len(await dave.sizes()) == 3
    used, allowed = await dave.quota_kib()
    assert used * 100 <= allowed * 70
    await assert_quota_is_true(dave)
    alice.close()
    dave.close()
