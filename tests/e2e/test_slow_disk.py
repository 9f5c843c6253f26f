"""A disk whose every fsync takes 200 ms more: what is answered 250 is on it, memory stays bounded, readers go on."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import pytest

from tests.support.mail_client import ImapClient, SmtpClient, accept_any_certificate
from tests.support.messages import encrypted_message
from tests.support.relay import Credentials, ServedRelay
from tests.support.slow_disk import most_resident_bytes, slow_disk
from tests.support.tools import require_tool

DELAY_MS = 200
NO_RATE_LIMIT = "[mail]\nmax_user_send_per_minute = 1000000\nmax_user_send_burst_size = 1000000\n"
CONNECTIONS = 30
OFFERED_EACH = 800
"""Messages that each connection writes without waiting for an answer: 4 MB."""
ACCEPTED = 150
MAX_GROWTH_BYTES = 64 << 20
"""Of 120 MB that are offered: what is read ahead of each connection, decrypted and not."""
PATIENCE_SECONDS = 60.0


@dataclass
class Flood:
    """One connection that writes whole transactions one after the other and only counts what is answered."""

    name: str
    account: Credentials
    accepted: list[str] = field(default_factory=list)
    earliest_seconds: float = 1e9

    async def run(self, relay: ServedRelay) -> None:
        client = await SmtpClient.connect(relay.host, relay.port(465), accept_any_certificate())
        await client.login(self.account.address, self.account.password)
        began = perf_counter()
        writing = asyncio.create_task(self._write(client))
        try:
            while True:
                for code in ("250", "250", "354", "250"):
                    await client.expect(code)
                self.earliest_seconds = min(self.earliest_seconds, perf_counter() - began)
                self.accepted.append(self._name(len(self.accepted)))
        except (OSError, asyncio.IncompleteReadError):
            return  # the kill ends every connection
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
            client.close()

    def _name(self, number: int) -> str:
        return f"{self.name}n{number}"

    async def _write(self, client: SmtpClient) -> None:
        address = self.account.address
        envelope = f"MAIL FROM:<{address}>\r\nRCPT TO:<{address}>\r\nDATA\r\n".encode()
        message = encrypted_message(address, message_id="its-name")
        for number in range(OFFERED_EACH):
            own = message.replace(b"its-name", self._name(number).encode())
            client.writer.write(envelope + own + b".\r\n")
            await client.writer.drain()
            if client.writer.is_closing():
                return


@pytest.fixture
async def relay(pyz: Path, free_loopback_address: str, tmp_path: Path) -> AsyncIterator[ServedRelay]:
    require_tool("strace")
    relay = ServedRelay(pyz, free_loopback_address, tmp_path / "data", settings=NO_RATE_LIMIT)
    relay.wrapper = slow_disk(DELAY_MS)
    await asyncio.to_thread(relay.start)
    yield relay
    await asyncio.to_thread(relay.stop)


async def imap(relay: ServedRelay, account: Credentials) -> ImapClient:
    client = await ImapClient.connect(relay.host, relay.port(993), accept_any_certificate())
    await client.login(account.address, account.password)
    await client.command('SELECT "INBOX" (CONDSTORE)')
    return client


async def stored(relay: ServedRelay, account: Credentials) -> list[str]:
    client = await imap(relay, account)
    headers = await client.literals("UID FETCH 1:* (BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")
    client.close()
    return [found[1].decode() for header in headers if (found := re.search(rb"<(.*?)@", header))]


async def test_a_flood_on_a_slow_disk_is_held_back_and_nothing_answered_250_is_lost_by_kill_9(
    relay: ServedRelay,
) -> None:
    accounts = [await asyncio.to_thread(relay.new_account) for _ in range(3)]
    others = [await imap(relay, account) for account in accounts]
    before = most_resident_bytes(relay.pid)
    floods = [Flood(f"c{number}", accounts[number % len(accounts)]) for number in range(CONNECTIONS)]
    running = [asyncio.create_task(flood.run(relay)) for flood in floods]
    async with asyncio.timeout(PATIENCE_SECONDS):
        while sum(len(flood.accepted) for flood in floods) < ACCEPTED:
            await others[0].command("NOOP")
            assert not any(task.done() for task in running)
    growth = most_resident_bytes(relay.pid) - before
    relay.kill()
    await asyncio.gather(*running)
    for other in others:
        other.close()
    # Whatever was answered had to wait for an fsync that began after its final dot.
    assert min(flood.earliest_seconds for flood in floods) >= DELAY_MS / 1000
    assert growth < MAX_GROWTH_BYTES
    relay.wrapper = ()
    await asyncio.to_thread(relay.start)
    found = [name for account in accounts for name in await stored(relay, account)]
    assert len(found) == len(set(found))
    assert {name for flood in floods for name in flood.accepted} <= set(found)
