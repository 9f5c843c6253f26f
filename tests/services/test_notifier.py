import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chatmail.mail.address import Address
from chatmail.policy.push import LIFETIME_SECONDS
from chatmail.services import notifier as service
from chatmail.services.notifier import NotifierService
from chatmail.storage.store import LocalDelivery, Store
from tests.support.filling import TODAY, add_account, address, staged
from tests.support.notifier import CLOSE, HANG, Notifier, running_notifier

WAIT_SECONDS = 20.0


@dataclass
class Clock:
    """A wall clock that only a test moves."""

    now: datetime = datetime(TODAY.year, TODAY.month, TODAY.day, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(tmp_path / "data", max_mailbox_size_bytes=100_000_000, queues_push=True)
    yield store
    await store.close()


@pytest.fixture
async def notifier(tmp_path: Path) -> AsyncIterator[Notifier]:
    async with running_notifier(tmp_path) as notifier:
        yield notifier


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(autouse=True)
def short_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "MIN_ROUND_SECONDS", 0.005)


@asynccontextmanager
async def notifying(store: Store, notifier: Notifier, clock: Clock) -> AsyncIterator[NotifierService]:
    running = NotifierService(notifier.url, store.push, clock=clock, context=notifier.trusting, request_seconds=0.5)
    stop = asyncio.Event()
    task = asyncio.create_task(running.run(stop))
    try:
        yield running
    finally:
        stop.set()
        await task


async def account_with_tokens(store: Store, name: str, *tokens: str) -> None:
    account = await add_account(store, name)
    for token in tokens:
        await store.accounts.add_device_token(account.account_id, token, datetime.now(UTC))


async def deliver(store: Store, clock: Clock, *names: str, sender: Address | None = None) -> None:
    recipients = tuple(map(address, names))
    await store.deliver([LocalDelivery(staged(store), recipients, sender=sender)], clock.now)


async def settled(store: Store, waiting: int) -> None:
    async with asyncio.timeout(WAIT_SECONDS):
        while (await store.push.counts())[0] != waiting:
            await asyncio.sleep(0.005)


async def advance(store: Store, clock: Clock, seconds: float) -> None:
    clock.advance(seconds)
    store.push.changed.set()


async def test_a_burst_wakes_every_token_of_every_recipient_once(
    store: Store, notifier: Notifier, clock: Clock
) -> None:
    await account_with_tokens(store, "alice", "openpgp:one", "two")
    await account_with_tokens(store, "bob", "three")
    await account_with_tokens(store, "carol")
    async with notifying(store, notifier, clock):
        for _ in range(10):
            await deliver(store, clock, "alice", "bob", "carol")
        await asyncio.sleep(0.05)
        assert notifier.tokens == [], "the burst may go on"
        await advance(store, clock, 2)
        assert sorted(await notifier.wait_for(3)) == ["openpgp:one", "three", "two"]
        await settled(store, 0)
        await deliver(store, clock, "bob")
        await advance(store, clock, 2)
        assert (await notifier.wait_for(4))[3] == "three"


async def test_a_copy_for_oneself_wakes_nobody(store: Store, notifier: Notifier, clock: Clock) -> None:
    await account_with_tokens(store, "alice", "alice")
    await account_with_tokens(store, "bob", "bob")
    await deliver(store, clock, "alice", "bob", sender=address("alice"))
    assert (await store.push.counts())[0] == 1
    async with notifying(store, notifier, clock):
        await advance(store, clock, 2)
        assert await notifier.wait_for(1) == ["bob"]


async def test_410_forgets_the_token(store: Store, notifier: Notifier, clock: Clock) -> None:
    await account_with_tokens(store, "alice", "gone", "kept")
    notifier.answer = lambda token: 410 if token == "gone" else 200
    await deliver(store, clock, "alice")
    clock.advance(2)
    async with notifying(store, notifier, clock) as running:
        await notifier.wait_for(2)
        await settled(store, 0)
        assert (running.counters.gone, running.counters.delivered) == (1, 1)
    account = await store.accounts.find(address("alice"))
    assert account is not None and await store.accounts.device_tokens(account.account_id) == ("kept",)


@pytest.mark.parametrize("failure", [500, 302, HANG, CLOSE])
async def test_failures_are_tried_again_ever_later_and_dropped_after_five_hours(
    store: Store, notifier: Notifier, clock: Clock, failure: int
) -> None:
    await account_with_tokens(store, "alice", "token")
    notifier.answer = lambda _token: failure
    await deliver(store, clock, "alice")
    delivered_at = clock.now
    async with notifying(store, notifier, clock) as running:
        clock.advance(2)
        store.push.changed.set()
        for attempt, pause in enumerate((8, 64, 512, 4096), 1):
            await notifier.wait_for(attempt)
            async with asyncio.timeout(WAIT_SECONDS):
                while running.counters.failed < attempt or await store.push.next_due_at() != int(
                    (clock.now + timedelta(seconds=pause)).timestamp()
                ):
                    await asyncio.sleep(0.005)
            await advance(store, clock, pause)
        await settled(store, 0)
        assert (running.counters.failed, running.counters.dropped) == (5, 1)
        assert clock.now - delivered_at < timedelta(seconds=LIFETIME_SECONDS)


async def test_mail_that_comes_while_a_notification_is_on_its_way_is_notified_anew(
    store: Store, notifier: Notifier, clock: Clock
) -> None:
    await account_with_tokens(store, "alice", "token")
    await deliver(store, clock, "alice")
    clock.advance(2)
    (item,) = await store.push.due(int(clock.now.timestamp()), 9, ())
    await deliver(store, clock, "alice")
    await store.push.sent(item, int(clock.now.timestamp()))
    assert (await store.push.counts())[0] == 1
    async with notifying(store, notifier, clock):
        await advance(store, clock, 2)
        await notifier.wait_for(1)
        await settled(store, 0)


async def test_the_queue_survives_a_restart(tmp_path: Path, notifier: Notifier, clock: Clock) -> None:
    store = await Store.open(tmp_path / "data", max_mailbox_size_bytes=1 << 30, queues_push=True)
    await account_with_tokens(store, "alice", "token")
    await deliver(store, clock, "alice")
    await store.close()
    clock.advance(3600)
    store = await Store.open(tmp_path / "data", max_mailbox_size_bytes=1 << 30, queues_push=True)
    async with notifying(store, notifier, clock):
        assert await notifier.wait_for(1) == ["token"]
        await settled(store, 0)
    await store.close()


async def test_what_is_older_than_five_hours_is_not_sent(store: Store, notifier: Notifier, clock: Clock) -> None:
    await account_with_tokens(store, "alice", "token")
    await deliver(store, clock, "alice")
    clock.advance(LIFETIME_SECONDS)
    async with notifying(store, notifier, clock) as running:
        await settled(store, 0)
        assert running.counters.dropped == 1 and notifier.tokens == []


async def test_a_clock_that_goes_back_does_not_hold_notifications_back(
    store: Store, notifier: Notifier, clock: Clock
) -> None:
    await account_with_tokens(store, "alice", "token")
    await deliver(store, clock, "alice")
    clock.advance(-365 * 86400)
    async with notifying(store, notifier, clock):
        assert await notifier.wait_for(1) == ["token"]


@pytest.mark.timeout(400)
async def test_ten_thousand_tokens_are_notified_with_few_connections_at_once(
    store: Store, notifier: Notifier, clock: Clock
) -> None:
    accounts = [await add_account(store, f"account{number}") for number in range(500)]
    await asyncio.gather(
        *(
            store.accounts.add_device_token(account.account_id, f"{account.account_id} {number}", clock.now)
            for account in accounts
            for number in range(20)
        )
    )
    await deliver(store, clock, *(account.address.localpart for account in accounts))
    assert await store.push.counts() == (10_000, 10_000)
    clock.advance(2)
    async with notifying(store, notifier, clock) as running:
        async with asyncio.timeout(300):
            while running.counters.delivered < 10_000:
                await asyncio.sleep(0.05)
    assert len(set(notifier.tokens)) == 10_000 == len(notifier.tokens)


async def test_a_notifier_that_hangs_delays_no_delivery_and_no_stop(
    store: Store, notifier: Notifier, clock: Clock
) -> None:
    await account_with_tokens(store, "alice", *(f"token{number}" for number in range(20)))
    notifier.answer = lambda _token: HANG
    await deliver(store, clock, "alice")
    clock.advance(2)
    async with notifying(store, notifier, clock):
        await notifier.wait_for(20)
        async with asyncio.timeout(5):
            for _ in range(100):
                await deliver(store, clock, "alice")
    assert (await store.push.counts())[0] == 20
