"""What a disk costs whose every fsync takes 10 or 200 ms more: `--only slow-disk`.

The server is the built file, the delay is real (`tests/support/slow_disk.py`). "Earliest" proves the order: a 250 that
came sooner than one fsync after its final dot would have been said before the message was durable.
"""

import asyncio
import shutil
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Final

from chatmail.net.control_client import ask_server
from tests.bench.bench_expiry_wire import Probe
from tests.bench.figure import Figure, latency_figures
from tests.bench.mailbox import HEADER_FIELDS
from tests.bench.own_relay import target_of
from tests.bench.target import Login, Target
from tests.support.mail_client import SmtpClient
from tests.support.messages import encrypted_message
from tests.support.relay import ServedRelay
from tests.support.slow_disk import most_resident_bytes, slow_disk

DELAYS_MS: Final = (0, 10, 200)
PROBES: Final = {0: 200, 10: 200, 200: 30}
ACCOUNTS: Final = 10
CONNECTIONS_EACH: Final = 10
BULK_SECONDS: Final = 10.0
STORED: Final = 50
"""Messages of the mailbox that is read meanwhile."""


@dataclass(slots=True)
class Meanwhile:
    """One client that only reads while others write: how long each of its commands took."""

    login: Login
    noop: list[float] = field(default_factory=list)
    fetch: list[float] = field(default_factory=list)
    known_login: list[float] = field(default_factory=list)

    async def read(self, target: Target) -> None:
        """Until cancelled; with CONDSTORE, as the real client."""
        imap = await target.imap(self.login)
        await imap.command('SELECT "INBOX" (CONDSTORE)')
        fetch = f"UID FETCH 1:* (UID FLAGS BODY.PEEK[HEADER.FIELDS ({HEADER_FIELDS})])"
        while True:
            await _timed(self.noop, lambda: imap.command("NOOP"))
            await _timed(self.fetch, lambda: imap.command(fetch))
            await _timed(self.known_login, lambda: target.imap(self.login))
            await asyncio.sleep(0.01)


async def _timed(times: list[float], act: Callable[[], Awaitable[object]]) -> None:
    began = perf_counter()
    await act()
    times.append(perf_counter() - began)


async def on_slow_disk(start: Callable[[Path], ServedRelay]) -> list[Figure]:
    """All figures, for each delay."""
    figures: list[Figure] = []
    if shutil.which("strace") is None:
        print("slow-disk needs strace: apt-get install strace", file=sys.stderr)
        return figures
    for delay_ms in DELAYS_MS:
        with TemporaryDirectory(prefix="chatmail-bench-") as folder:
            relay = start(Path(folder) / "data")
            relay.wrapper = slow_disk(delay_ms)
            await asyncio.to_thread(relay.start)
            try:
                figures += await _measure(relay, delay_ms)
            finally:
                await asyncio.to_thread(relay.stop)
    return figures


async def _measure(relay: ServedRelay, delay_ms: int) -> list[Figure]:
    target, name = target_of(relay), f"fsync + {delay_ms} ms"
    probe = await Probe.of(target)
    exists = [await probe.once() for _ in range(PROBES[delay_ms])]
    meanwhile = Meanwhile(await target.account())
    senders = await target.accounts(ACCOUNTS)
    sessions = [(await target.smtp(sender), sender) for sender in senders for _ in range(CONNECTIONS_EACH)]
    first_ones = sessions[::CONNECTIONS_EACH]
    await asyncio.gather(*(_send(*one, meanwhile.login, [], STORED // ACCOUNTS) for one in first_ones))
    reading = asyncio.create_task(meanwhile.read(target))
    before = most_resident_bytes(relay.pid)
    accepted: list[float] = []
    began = perf_counter()
    bulk = [asyncio.create_task(_send(smtp, sender, sender, accepted)) for smtp, sender in sessions]
    await asyncio.wait([reading, *bulk], timeout=BULK_SECONDS, return_when=asyncio.FIRST_EXCEPTION)
    seconds = perf_counter() - began
    status = await asyncio.to_thread(ask_server, relay.data_dir / "control.sock", "status")
    await _end(reading, *bulk)
    for smtp, _sender in sessions:
        smtp.close()
    return [
        *latency_figures(f"{name}: final dot to EXISTS", exists),
        Figure(f"{name}: earliest EXISTS or 250", 1000 * min(*exists, *accepted), "ms", f">= {delay_ms}"),
        Figure(f"{name}: in bulk, {len(bulk)} connections", len(accepted) / seconds, "/s"),
        *latency_figures(f"{name}: in bulk, final dot to 250", accepted),
        *latency_figures(f"{name}: in bulk, NOOP of another", meanwhile.noop),
        *latency_figures(f"{name}: in bulk, {STORED} headers of another", meanwhile.fetch),
        *latency_figures(f"{name}: in bulk, known login and SELECT", meanwhile.known_login),
        Figure(f"{name}: longest pause of the event loop", status["machine"]["loop_lag_ms"], "ms"),
        Figure(f"{name}: memory, highest", most_resident_bytes(relay.pid) / 2**20, "MiB"),
        Figure(f"{name}: memory, of that for the bulk", (most_resident_bytes(relay.pid) - before) / 2**20, "MiB"),
    ]


async def _send(
    smtp: SmtpClient, sender: Login, receiver: Login, accepted: list[float], messages: int = 1 << 30
) -> None:
    message = encrypted_message(sender.address)
    for _ in range(messages):
        await smtp.send(sender.address, [receiver.address], message)
        accepted.append(perf_counter() - smtp.final_dot_at)


async def _end(*tasks: "asyncio.Task[None]") -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError):
            await task
