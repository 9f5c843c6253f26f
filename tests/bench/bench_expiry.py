"""How much expiry delays deliveries: `python -m tests.bench.bench_expiry [MESSAGES] [FOLDER]`.

Fills a store with MESSAGES old messages (default 1,000,000), serves IMAP on it, and measures the time from the call
that delivers to the EXISTS in an idle session: for a while without, then during a whole expiry run with its own
pauses. Prints one figure a line.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import uvloop

from chatmail.config import Config
from chatmail.mail.address import Address
from chatmail.mail.changes import MailboxChanges
from chatmail.services.expiry import expire
from chatmail.storage.store import LocalDelivery, Store

ACCOUNTS = 1000
TEXT = b"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd\r\n" * 16
HEADER = b"Subject: [...]\r\n\r\n"
PROBE_EVERY_SECONDS = 0.02
CONFIG = Config("example.org")


def show(name: str, value: float, unit: str) -> None:
    print(f"{name:<58} {value:>12,.1f} {unit}", flush=True)


def address(number: int) -> Address:
    return Address(f"account{number}", "example.org")


async def fill(store: Store, messages: int) -> None:
    """Each body for twenty accounts, as in groups."""
    today = date.today()
    await asyncio.gather(*(store.accounts.create(address(n), "hash", today) for n in range(ACCOUNTS)))
    old = datetime.now(UTC) - timedelta(days=30)
    for first in range(0, messages // 20, 50):
        deliveries = []
        for number in range(first, min(first + 50, messages // 20)):
            body = store.stage(HEADER)
            body.write(TEXT)
            deliveries.append(
                LocalDelivery(body, tuple(address((number * 20 + offset) % ACCOUNTS) for offset in range(20)))
            )
        await store.deliver(deliveries, old)


class Probe:
    """Delivers to one account again and again, and times the announcement that an idle session would write."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._announced = asyncio.Event()

    async def begin(self) -> None:
        account = await self._store.accounts.create(Address("probe", "example.org"), "hash", date.today())
        assert account is not None
        inbox = await self._store.mailboxes.find(account.account_id, "INBOX")
        assert inbox is not None
        self._store.broadcast.subscribe(inbox.mailbox_id, self._hear)

    def _hear(self, changes: MailboxChanges) -> None:
        self._announced.set()

    async def once(self) -> float:
        body = self._store.stage(HEADER)
        body.write(TEXT)
        self._announced.clear()
        started = time.perf_counter()
        delivery = LocalDelivery(body, (Address("probe", "example.org"),))
        delivering = asyncio.ensure_future(self._store.deliver([delivery], datetime.now(UTC)))
        await self._announced.wait()
        latency = time.perf_counter() - started
        await delivering
        return latency

    async def until(self, ended: "asyncio.Future[Any]") -> list[float]:
        latencies = []
        while not ended.done():
            latencies.append(await self.once())
            await asyncio.sleep(PROBE_EVERY_SECONDS)
        return latencies


def show_latencies(name: str, latencies: list[float]) -> None:
    cuts = statistics.quantiles(latencies, n=1000)
    for title, value in (("p50", cuts[499]), ("p99", cuts[989]), ("p99.9", cuts[998]), ("max", max(latencies))):
        show(f"delivery to announcement, {name}, {title}", 1000 * value, "ms")


async def measure(folder: Path, messages: int) -> None:
    store = await Store.open(folder / "data", max_mailbox_size_bytes=1 << 50, queues_push=True)
    started = time.perf_counter()
    await fill(store, messages)
    show(f"{messages:,} messages filled in", time.perf_counter() - started, "s")
    probe = Probe(store)
    await probe.begin()
    show_latencies("at rest", await probe.until(asyncio.ensure_future(asyncio.sleep(30))))
    started, cpu = time.perf_counter(), time.process_time()
    running = asyncio.ensure_future(expire(store, CONFIG, datetime.now(UTC), print))
    latencies = await probe.until(running)
    seconds = time.perf_counter() - started
    done = running.result()
    show_latencies("during expiry", latencies)
    show("expiry took", seconds, "s")
    show("messages removed", done.messages.count, "")
    show("CPU of the process meanwhile", time.process_time() - cpu, "s")
    show("database before", done.database_bytes_before / 2**20, "MiB")
    show("database after", done.database_bytes / 2**20, "MiB")
    await store.close()
    show("file after", (folder / "data" / "chatmail.sqlite").stat().st_size / 2**20, "MiB")


def main() -> None:
    parser = argparse.ArgumentParser(description="How much expiry delays deliveries.")
    parser.add_argument("messages", nargs="?", type=int, default=1_000_000)
    parser.add_argument("folder", nargs="?", type=Path, help="where to measure; a temporary folder if not given")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        uvloop.run(measure(Path(folder), arguments.messages))


if __name__ == "__main__":
    main()
