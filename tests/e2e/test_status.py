"""What the built file says of itself: under load, and with each trouble a server can have. The sentences are exact."""

import asyncio
import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiohttp import web

from chatmail import api
from chatmail.status_snapshot import StatusSnapshot
from tests.support.mail_client import ImapClient, SmtpClient, UnexpectedReplyError, accept_any_certificate
from tests.support.messages import encrypted_message
from tests.support.public_relay import PublicRelay
from tests.support.small_disk import filled, small_disk
from tests.support.tools import require_root

PATIENCE_SECONDS = 60.0
PASSWORD = "correct horse battery"
MESSAGES = 200
SENDERS = 4
SETTINGS = """
[tls]
mode = "files"
cert_file = "{folder}/cert.pem"
key_file = "{folder}/key.pem"
[mail]
max_user_send_per_minute = 1000000
max_user_send_burst_size = 1000000
[limits]
max_load_1m = 0
min_available_memory = 0
min_free_disk_space = 0
[push]
notifier_url = "http://{host}:8009/notify"
[federation]
smtp_port = 2525
https_port = 2443
queue_lifetime = "1m"
[metrics]
listen = "{host}:9253"
"""


def relay_with(pyz: Path, host: str, folder: Path, data_dir: Path, *, days_left: float) -> PublicRelay:
    now = datetime.now(UTC)
    certificate = trustme.CA().issue_cert(
        host, not_before=now - timedelta(days=80), not_after=now + timedelta(days=days_left)
    )
    (folder / "cert.pem").write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    certificate.private_key_pem.write_to_path(str(folder / "key.pem"))
    settings = SETTINGS.format(folder=folder, host=host)
    return PublicRelay(pyz, host, data_dir, port_base=0, settings=settings, domain=host)


@pytest.fixture
def relay(pyz: Path, free_loopback_address: str, tmp_path: Path) -> Iterator[PublicRelay]:
    """One whose certificate is good for two months."""
    require_root()
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    with relay_with(pyz, free_loopback_address, tmp_path, data_dir, days_left=60) as running:
        yield running


class Watcher:
    """Looks at a relay, as the dashboard does."""

    def __init__(self, relay: PublicRelay) -> None:
        self.relay = relay
        self.server = api.find_server(str(relay.config_path))

    def until(self, what: Callable[[StatusSnapshot], bool]) -> StatusSnapshot:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not what(seen := api.read_status(self.server)):
            assert time.monotonic() < deadline, seen
            time.sleep(0.1)
        return seen

    async def wait(self, what: Callable[[StatusSnapshot], bool]) -> StatusSnapshot:
        return await asyncio.to_thread(self.until, what)

    async def wait_for_reason(self, code: str) -> api.HealthReason:
        seen = await self.wait(lambda one: code in [reason.code for reason in one.health.reasons])
        return next(reason for reason in seen.health.reasons if reason.code == code)

    async def said(self, *words: str) -> tuple[int, str]:
        """What the command line of the built file prints."""
        done = await asyncio.to_thread(self.relay.command, "status", *words)
        assert not done.stderr, done.stderr
        return done.returncode, done.stdout

    async def printed(self) -> dict[str, Any]:
        code, out = await self.said("--json")
        assert code == 0 and out.count("\n") == 1
        found: dict[str, Any] = json.loads(out)
        return found


def address(relay: PublicRelay, name: str) -> str:
    return f"{name}@[{relay.host}]"


async def smtp(relay: PublicRelay, name: str) -> SmtpClient:
    client = await SmtpClient.connect(relay.host, 465, accept_any_certificate())
    await client.login(address(relay, name), PASSWORD)
    return client


async def imap(relay: PublicRelay, name: str) -> ImapClient:
    client = await ImapClient.connect(relay.host, 993, accept_any_certificate())
    await client.login(address(relay, name), PASSWORD)
    await client.command("SELECT INBOX")
    return client


async def test_a_server_under_load_is_fine_and_counts_what_it_does(relay: PublicRelay) -> None:
    watcher, receiver = Watcher(relay), "receiver1"
    idler = await imap(relay, receiver)
    await idler.idle()
    senders = [await smtp(relay, f"sender00{number}") for number in range(SENDERS)]

    async def send_all(number: int, client: SmtpClient) -> None:
        sender = address(relay, f"sender00{number}")
        for _ in range(MESSAGES // SENDERS):
            await client.send(sender, [address(relay, receiver)], encrypted_message(sender))

    await asyncio.gather(*(send_all(number, client) for number, client in enumerate(senders)))
    with pytest.raises(UnexpectedReplyError):
        await senders[0].send(address(relay, "sender000"), [address(relay, receiver)], b"From: <a@b>\r\n\r\nhello\r\n")
    seen = await watcher.wait(lambda one: one.store.messages == MESSAGES)
    assert seen.messages.local_total == MESSAGES
    assert seen.sessions.imap == seen.sessions.imap_idle == 1 and seen.sessions.submission == SENDERS
    assert seen.latency.durable.samples == MESSAGES and seen.latency.exists.samples > 0
    assert seen.latency.durable.p50_ms is not None and 0 < seen.latency.durable.p50_ms < 1000
    assert seen.accounts.total == seen.accounts.active_today == seen.accounts.new_today == 1 + SENDERS
    assert seen.refusals["malformed"] == 1
    # A machine full of tests may be late; nothing else is to be said.
    assert {reason.code for reason in seen.health.reasons} <= {"server_slow"}
    code, line = await watcher.said("--check")
    assert (code, line[:13]) == (0, "CHATMAIL FINE") or "seconds late" in line
    with urllib.request.urlopen(f"http://{relay.host}:9253/metrics", timeout=10) as answer:
        assert f'chatmail_messages_total{{direction="local"}} {MESSAGES}.0' in answer.read().decode()
    idler.close()
    for client in senders:
        client.close()


async def test_a_server_that_was_killed_is_broken_and_its_history_survives(relay: PublicRelay) -> None:
    watcher = Watcher(relay)
    client = await smtp(relay, "sender001")
    await client.send(
        address(relay, "sender001"), [address(relay, "sender001")], encrypted_message(address(relay, "sender001"))
    )
    client.close()
    relay.stop()
    relay.start()
    assert sum(point.local for point in api.read_history(watcher.server).points) == 1
    relay.kill()
    code, line = await watcher.said("--check")
    assert code == 2
    assert line == f"CHATMAIL BROKEN - The server does not run: nobody answers at {relay.data_dir}/status.sock.\n"
    code, out = await watcher.said("--json")
    down = json.loads(out)
    assert code == 1 and down["running"] is False and down["health"]["reasons"][0]["code"] == "server_down"
    relay.start()
    assert sum(point.local for point in api.read_history_of_month(watcher.server).points) == 1


async def test_a_full_disk_is_said_and_forgotten_when_there_is_space(
    pyz: Path, free_loopback_address: str, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", "200m") as disk:
        data_dir = disk / "data"
        data_dir.mkdir()
        with relay_with(pyz, free_loopback_address, tmp_path, data_dir, days_left=60) as relay:
            # The configuration lies beside the data folder; so does the log, which must not fill the disk.
            watcher, me = Watcher(relay), address(relay, "sender001")
            client = await smtp(relay, "sender001")
            await client.send(me, [me], encrypted_message(me))
            with filled(disk):
                large = encrypted_message(me, size_bytes=1_000_000)
                with pytest.raises(UnexpectedReplyError, match=r"452 4\.3\.1"):
                    await client.send(me, [me], large)
                reason = await watcher.wait_for_reason("disk_full")
                assert reason.sentence == "The disk is full (0 MiB left): mail is refused until there is space."
                assert reason.remedy == "Make some space on the disk of the data folder; mail is taken again by itself."
                printed = await watcher.printed()
                assert printed["health"]["level"] == "broken"
                assert printed["store"]["last_error"].startswith("no space left")
                assert printed["refusals"]["storage_failed"] >= 1
                assert (await watcher.said("--check"))[0] == 2
            await client.send(me, [me], large)
            seen = await watcher.wait(lambda one: "disk_full" not in [reason.code for reason in one.health.reasons])
            assert seen.store.last_error == ""
            client.close()


async def answering_notifier(host: str) -> web.AppRunner:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response()

    application = web.Application()
    application.router.add_post("/notify", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, host, 8009).start()
    return runner


async def test_a_dead_peer_a_late_certificate_and_a_stopped_notifier_are_said(
    pyz: Path, free_loopback_address: str, tmp_path: Path
) -> None:
    require_root()
    (tmp_path / "data").mkdir()
    dead, names = "[127.255.255.254]", ("phone0001", "phone0002", "phone0003")
    with relay_with(pyz, free_loopback_address, tmp_path, tmp_path / "data", days_left=5.5) as relay:
        watcher, me = Watcher(relay), address(relay, "sender001")
        notifier = await answering_notifier(relay.host)
        for name in names:
            phone = await imap(relay, name)
            await phone.command(f'SETMETADATA "INBOX" (/private/devicetoken "token-of-{name}")')
            phone.close()
        client = await smtp(relay, "sender001")
        phones = [address(relay, name) for name in names]
        await client.send(me, [*phones, f"somebody@{dead}"], encrypted_message(me))
        await watcher.wait(lambda one: one.push.notifier == "ok" and one.push.delivered == len(names))
        await notifier.cleanup()
        await client.send(me, phones, encrypted_message(me))
        client.close()

        expiring = await watcher.wait_for_reason("certificate_expiring")
        assert expiring.sentence == "The certificate expires in 5 days."
        assert expiring.remedy == "Put a renewed certificate and its key in their place; they are taken by themselves."
        await watcher.wait(lambda one: one.push.notifier == "failing" and one.push.waiting == len(names))
        failing = await watcher.wait_for_reason("notifier_failing")
        assert failing.sentence == (
            "Phones are not woken: the notifier fails (it cannot be connected to); 3 notifications wait."
        )
        waiting = await watcher.wait_for_reason("peer_unreachable")
        assert waiting.level is api.HealthLevel.FINE
        assert waiting.sentence.startswith(f"Mail for {dead} has been waiting for 1")
        assert waiting.sentence.endswith(" seconds (1 in all): 451 4.4.1 The other server cannot be reached")

        printed = await watcher.printed()
        assert printed["health"]["level"] == "degraded"
        (destination,) = printed["queue"]["destinations"]
        assert destination["domain"] == dead and destination["attempts"] >= 1
        assert printed["push"]["failing_since"] is not None
        code, line = await watcher.said("--check")
        assert code == 1 and line.startswith(
            "CHATMAIL DEGRADED - The certificate expires in 5 days. Phones are not woken"
        )
        text = (await watcher.said())[1]
        for reason in (expiring, failing):
            assert f"  {reason.sentence}\n  → {reason.remedy}\n" in text
        (peer,) = [one for one in printed["peers"] if one["domain"] == dead] or [{"deferred_to": 1}]
        assert peer["deferred_to"] >= 1
