"""What the store alone can do on this machine: `python -m tests.bench.bench_storage [FOLDER]`.

Prints one figure a line. FOLDER (default: a temporary one) lies on the disk to be measured. With `--busy MS` the event
loop computes that long for each message, as a whole server does; `--switch MS` sets the interpreter's switch interval.

Seen on two cores shared with other work, whose disk gave a bare SQLite loop 1,000 to 1,900 single commits a second:
one caller 1,400 to 1,600/s (p50 0.6 ms, p99 1.3 to 3.4 ms), ten 4,000 to 6,200/s, fifty 6,300 to 7,300/s at 0.1 ms CPU;
in memory 4,700, 8,800 and 9,900/s. A message to 1,000 recipients 13 to 17 ms, headers of 1,000 messages 0.5 ms when
recent and 6 to 9 ms from disk, 9,000 to 17,000 accounts made a second.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime
from pathlib import Path

import uvloop

from chatmail.mail.address import Address
from chatmail.mail.changes import DELETED
from chatmail.storage.store import FlagsMode, LocalDelivery, Store

HEADER = b"Subject: [...]\r\n" + b"X-Filler: 0123456789012345678901234567890123456789\r\n" * 15 + b"\r\n"
TEXT = b"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd\r\n" * 64
TODAY = date(2026, 3, 1)
NOW = datetime(2026, 3, 1, tzinfo=UTC)
ACCOUNTS = 1000


def address(number: int) -> Address:
    return Address(f"account{number}", "example.org")


async def deliver(store: Store, *recipients: Address) -> None:
    body = store.stage(HEADER)
    body.write(TEXT)
    await store.deliver([LocalDelivery(body, recipients)], NOW)


async def timed(action: Callable[[], Awaitable[object]]) -> float:
    started = time.perf_counter()
    await action()
    return time.perf_counter() - started


def show(name: str, value: float, unit: str) -> None:
    print(f"{name:<58} {value:>10,.1f} {unit}", flush=True)


def compute(seconds: float) -> None:
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        pass


async def measure_rate(store: Store, callers: int, total: int, busy_seconds: float) -> None:
    remaining = iter(range(total))
    latencies: list[float] = []

    async def caller() -> None:
        for number in remaining:
            if busy_seconds:
                compute(busy_seconds)
            latencies.append(await timed(lambda: deliver(store, address(number % ACCOUNTS))))  # noqa: B023

    cpu = time.process_time()
    seconds = await timed(lambda: asyncio.gather(*(caller() for _ in range(callers))))
    cpu = time.process_time() - cpu
    cuts = statistics.quantiles(latencies, n=100)
    show(f"deliveries of 5 KB, {callers} callers", total / seconds, "/s")
    show("    latency p50", 1000 * cuts[49], "ms")
    show("    latency p99", 1000 * cuts[98], "ms")
    show("    CPU each, this process", 1000 * cpu / total, "ms")


async def measure(folder: Path, busy_seconds: float) -> None:
    store = await Store.open(folder / "bench-data", max_mailbox_size_bytes=1 << 40)
    try:
        seconds = await timed(
            lambda: asyncio.gather(*(store.accounts.create(address(n), "hash", TODAY) for n in range(ACCOUNTS)))
        )
        show("accounts created, all at once", ACCOUNTS / seconds, "/s")
        for callers, total in ((1, 3000), (10, 10000), (50, 20000)):
            await measure_rate(store, callers, total, busy_seconds)
        everybody = [address(number) for number in range(ACCOUNTS)]
        show("one message to 1,000 recipients", 1000 * await timed(lambda: deliver(store, *everybody)), "ms")
        for _ in range(1000):
            await deliver(store, address(0))
        await measure_mailbox(store)
    finally:
        await store.close()
    store = await Store.open(folder / "bench-data", max_mailbox_size_bytes=1 << 40)
    try:
        await measure_cold(store)
    finally:
        await store.close()


async def measure_mailbox(store: Store) -> None:
    account = await store.accounts.find(address(0))
    assert account is not None
    show(
        "account looked up", 1e6 * min([await timed(lambda: store.accounts.find(address(5))) for _ in range(99)]), "µs"
    )
    inbox = await store.mailboxes.find(account.account_id, "INBOX")
    assert inbox is not None
    mailbox_id = inbox.mailbox_id
    show("snapshot of 1,000 messages", 1000 * await timed(lambda: store.mailboxes.snapshot(mailbox_id)), "ms")
    snapshot = await store.mailboxes.snapshot(mailbox_id)
    assert snapshot is not None
    last = snapshot.messages[-1000:]
    body_ids = [message.body_id for message in last]
    show("headers of 1,000 messages, recent", 1000 * await timed(lambda: store.mailboxes.headers(body_ids)), "ms")
    deleted = frozenset({DELETED})
    uid = last[0].uid
    seconds = await timed(lambda: store.mailboxes.store_flags(mailbox_id, [uid], FlagsMode.ADD, deleted))
    show("one message flagged", 1000 * seconds, "ms")
    show("one message expunged", 1000 * await timed(lambda: store.mailboxes.expunge(mailbox_id)), "ms")


async def measure_cold(store: Store) -> None:
    account = await store.accounts.find(address(0))
    assert account is not None
    inbox = await store.mailboxes.find(account.account_id, "INBOX")
    assert inbox is not None
    mailbox_id = inbox.mailbox_id
    snapshot = await store.mailboxes.snapshot(mailbox_id)
    assert snapshot is not None
    uids = [message.uid for message in snapshot.messages[-1000:]]
    body_ids = [message.body_id for message in snapshot.messages[-1000:]]
    show("headers of 1,000 messages, from disk", 1000 * await timed(lambda: store.mailboxes.headers(body_ids)), "ms")
    show("body of one message, from disk", 1000 * await timed(lambda: store.mailboxes.body(body_ids[0])), "ms")
    deleted = frozenset({DELETED})
    seconds = await timed(lambda: store.mailboxes.store_flags(mailbox_id, uids, FlagsMode.ADD, deleted))
    show("1,000 messages flagged", 1000 * seconds, "ms")
    show("1,000 messages expunged", 1000 * await timed(lambda: store.mailboxes.expunge(mailbox_id)), "ms")


def main() -> None:
    parser = argparse.ArgumentParser(description="What the store alone can do.")
    parser.add_argument("folder", nargs="?", type=Path, help="where to measure; a temporary folder if not given")
    parser.add_argument("--busy", type=float, default=0, metavar="MS", help="compute this long for each message")
    parser.add_argument("--switch", type=float, default=5, metavar="MS", help="the interpreter's switch interval")
    arguments = parser.parse_args()
    sys.setswitchinterval(arguments.switch / 1000)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        uvloop.run(measure(Path(folder), arguments.busy / 1000))


if __name__ == "__main__":
    main()
