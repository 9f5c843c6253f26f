import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from chatmail.storage import traffic
from chatmail.storage.store import Direction, Store, TrafficCount, TrafficOutcome

OUT, IN = Direction.OUTBOUND, Direction.INBOUND
DELIVERED, REFUSED = TrafficOutcome.DELIVERED, TrafficOutcome.REFUSED


async def test_counts_are_there_at_once_and_after_a_restart_and_add_up(tmp_path: Path) -> None:
    for times in (1, 2):
        store = await Store.open(tmp_path / "data", max_mailbox_size_bytes=1000)
        store.traffic.record("b.example", OUT, DELIVERED, 10)
        store.traffic.record("b.example", OUT, DELIVERED, 5)
        store.traffic.record("b.example", IN, REFUSED, 7)
        store.traffic.record("a.example", OUT, DELIVERED, 1)
        assert store.traffic.counts() == [
            TrafficCount("a.example", OUT, DELIVERED, times, times),
            TrafficCount("b.example", IN, REFUSED, times, 7 * times),
            TrafficCount("b.example", OUT, DELIVERED, 2 * times, 15 * times),
        ]
        await store.close()


async def test_strangers_beyond_the_bound_are_counted_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traffic, "MAX_DOMAINS", 3)
    store = await Store.open(tmp_path / "data", max_mailbox_size_bytes=1000)
    for number in range(10):
        store.traffic.record(f"{number}.example", IN, REFUSED, 1)
    await store.close()
    store = await Store.open(tmp_path / "data", max_mailbox_size_bytes=1000)
    store.traffic.record("11.example", IN, REFUSED, 1)
    await store.close()
    store = await Store.open(tmp_path / "data", max_mailbox_size_bytes=1000)
    counts = {count.domain: count.messages for count in store.traffic.counts()}
    await store.close()
    assert sum(counts.values()) == 11 and len(counts) <= 4


async def test_a_disk_that_hangs_gets_one_write_at_a_time_and_loses_no_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traffic, "FLUSH_SECONDS", 0.01)
    store = await Store.open(tmp_path / "data", max_mailbox_size_bytes=1000)
    with closing(sqlite3.connect(tmp_path / "data" / "chatmail.sqlite", isolation_level=None)) as shell:
        shell.execute("BEGIN IMMEDIATE")
        writes = set()
        for _ in range(10):
            store.traffic.record("a.example", IN, REFUSED, 1)
            await asyncio.sleep(0.02)
            writes.add(store.traffic._flush)
        assert len(writes - {None}) == 1
    await store.close()
    store = await Store.open(tmp_path / "data", max_mailbox_size_bytes=1000)
    assert store.traffic.counts() == [TrafficCount("a.example", IN, REFUSED, 10, 10)]
    await store.close()
