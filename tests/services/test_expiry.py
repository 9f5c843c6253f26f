import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chatmail.config import AccountsConfig, Config
from chatmail.services.expiry import Expired, ExpiryService, expire, no_pause
from chatmail.storage.store import Amount, DeliveryOutcome, LocalDelivery, Store
from tests.support.filling import HEADER, add_account, address, inbox, messages, staged

CONFIG = Config("example.org")
START = datetime(2026, 3, 1, tzinfo=UTC)


@dataclass
class Time:
    """Both clocks, moved by waiting: `wait` takes no time and ends the server after `ends_after` waits."""

    now: datetime = START
    monotonic: float = 0.0
    ends_after: int = 10
    on_wait: Callable[[int], None] = lambda number: None
    waits: list[float] = field(default_factory=list)

    async def wait(self, stop: asyncio.Event, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += timedelta(seconds=seconds)
        self.monotonic += seconds
        self.on_wait(len(self.waits))
        if len(self.waits) >= self.ends_after:
            stop.set()
        await asyncio.sleep(0)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(tmp_path / "data", max_mailbox_size_bytes=1 << 30, queues_push=True)
    yield store
    await store.close()


async def run_service(store: Store, time: Time) -> ExpiryService:
    service = ExpiryService(
        CONFIG, store, clock=lambda: time.now, monotonic_clock=lambda: time.monotonic, wait=time.wait
    )
    await service.run(asyncio.Event())
    return service


async def deliver_at(store: Store, moment: datetime, *names: str, size: int = 5000) -> None:
    recipients = tuple(map(address, names))
    (outcomes,) = await store.deliver([LocalDelivery(staged(store, b"x" * size), recipients)], moment)
    assert set(outcomes.values()) == {DeliveryOutcome.DELIVERED}


async def count(store: Store, name: str) -> int:
    account = await store.accounts.find(address(name))
    assert account is not None
    return len(await messages(store, (await inbox(store, account)).mailbox_id))


async def test_the_loop_removes_mail_within_the_hour_of_its_age(store: Store) -> None:
    await add_account(store, "alice")
    await deliver_at(store, START - timedelta(days=20) + timedelta(hours=3), "alice")
    time = Time(ends_after=3)
    await run_service(store, time)
    assert await count(store, "alice") == 1
    time = Time(now=time.now, monotonic=time.monotonic, ends_after=4)
    service = await run_service(store, time)
    assert await count(store, "alice") == 0
    assert service.last is not None
    assert time.waits == [300.0, 3600.0, 3600.0, 3600.0]


async def test_a_clock_that_leaps_removes_nothing_until_it_has_settled(store: Store) -> None:
    await add_account(store, "alice")
    await deliver_at(store, START, "alice")
    time = Time(ends_after=40)

    def leap(number: int) -> None:
        if number == 3:
            time.now += timedelta(days=365)
        if number == 20:
            time.now -= timedelta(days=365)

    time.on_wait = leap
    await run_service(store, time)
    assert await count(store, "alice") == 1


async def test_a_leap_that_lasts_is_believed_after_a_day(store: Store) -> None:
    await add_account(store, "alice")
    await deliver_at(store, START, "alice")
    time = Time(ends_after=40)

    def leap(number: int) -> None:
        if number == 3:
            time.now += timedelta(days=30)

    time.on_wait = leap
    await run_service(store, time)
    assert await count(store, "alice") == 0


async def test_two_runs_at_once_follow_each_other(store: Store) -> None:
    await add_account(store, "alice")
    for _ in range(200):
        await deliver_at(store, START - timedelta(days=30), "alice", size=100)
    service = ExpiryService(CONFIG, store, clock=lambda: START)
    said: list[str] = []
    first, second = await asyncio.gather(service.expire_now(said.append), service.expire_now(said.append))
    assert sorted((first.messages.count, second.messages.count)) == [0, 200]
    assert "wait for the run under way" in said


async def test_progress_is_told_on_long_runs(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatmail.services.expiry.PROGRESS_EVERY", 100)
    await add_account(store, "alice")
    for _ in range(250):
        await deliver_at(store, START - timedelta(days=30), "alice", size=10)
    said: list[str] = []
    await expire(store, CONFIG, START, said.append, no_pause)
    assert said == ["120 of 250 messages", "240 of 250 messages", "sweep and give space back"]


async def test_a_login_between_looking_and_removing_saves_the_account(store: Store) -> None:
    account = await add_account(store, "alice")
    later = START + timedelta(days=100)
    await store.accounts.record_login(account.account_id, later.date())
    done = await expire(store, CONFIG, later, lambda _text: None, no_pause)
    assert done.accounts == Amount() and await store.accounts.find(address("alice")) is not None


async def sign_up(store: Store, name: str, now: datetime) -> None:
    account = await store.accounts.create(address(name), "hash", now.date())
    assert account is not None
    await store.accounts.add_device_token(account.account_id, f"token of {name}", now)


def row_counts(path: Path) -> dict[str, int]:
    with closing(sqlite3.connect(path)) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        return {name: database.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in tables}


async def test_a_simulated_year_leaves_what_the_live_data_needs(memory_path: Path) -> None:
    """Accounts come, chat and go; each day six come, everybody of the last ninety days may get mail."""
    store = await Store.open(memory_path / "data", max_mailbox_size_bytes=1 << 30, queues_push=True)
    config = Config("example.org", accounts=AccountsConfig(delete_inactive_users_after=90))
    today, done = START, None
    live: list[str] = []
    for day in range(365):
        today = START + timedelta(days=day)
        names = [f"d{day}n{number}" for number in range(6)]
        await asyncio.gather(*(sign_up(store, name, today) for name in names))
        live = [*live, *names][-6 * 90 :]
        deliveries = [
            LocalDelivery(staged(store, b"x" * 3000), (address(live[-1 - n % len(live)]), address(live[n % len(live)])))
            for n in range(30)
        ]
        deliveries.append(LocalDelivery(staged(store, b"x" * 300_000), (address(live[-1]),)))
        await store.deliver(deliveries, today)
        if day == 180:
            peak = await store.retention.space()
        done = await expire(store, config, today, lambda _text: None, no_pause)
    assert isinstance(done, Expired)
    space, (waiting, tokens) = await store.retention.space(), await store.push.counts()
    assert await store.check() == ()
    names = [row.address for row in await store.accounts.page("", 5000)]
    files = [path for path in (memory_path / "data" / "bodies").rglob("*") if path.is_file()]
    await store.close()
    database_bytes = (memory_path / "data" / "chatmail.sqlite").stat().st_size
    rows = row_counts(memory_path / "data" / "chatmail.sqlite")
    # 91 days of six accounts; 21 days of 30 messages to two; 8 days of one large file.
    assert len(names) == 6 * 91 == tokens == rows["device_tokens"] == rows["accounts"]
    assert rows["mailboxes"] == 4 * rows["accounts"]
    assert rows["bodies"] == 21 * 30 + 8
    assert 21 * 30 + 8 <= rows["messages"] <= 21 * 60 + 8
    assert rows["doomed_mailboxes"] == rows["doomed_files"] == rows["queue_items"] == 0
    assert waiting == rows["push_queue"] <= 61, "no more than the last day's"
    assert len(files) == 8
    live_bytes = 21 * 30 * (3000 + len(HEADER))
    print(f"year: rows {rows}, {len(files)} files, {database_bytes:,} bytes for {live_bytes:,} of live bodies")
    assert database_bytes == space.database_bytes <= peak.database_bytes * 1.3
    assert database_bytes < 3 * live_bytes + (4 << 20)
