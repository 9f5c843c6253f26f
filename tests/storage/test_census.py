import asyncio
from datetime import UTC, date, datetime, timedelta

import pytest

from chatmail.errors import StorageError
from chatmail.mail.address import Address
from chatmail.storage.store import Deferral, LocalDelivery, Outbound, Store

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
TODAY = NOON.date()
SENDER = Address("alice1234", "chat.example")


async def queue(store: Store, domain: str, at: datetime) -> None:
    body = store.stage(b"Subject: x\r\n\r\n")
    outbound = Outbound(SENDER, (Address("x", domain),))
    await store.deliver([LocalDelivery(body, (), sender=SENDER, outbound=outbound)], at)


async def test_accounts_are_counted_by_the_days_the_store_knows(store: Store) -> None:
    for number, made in enumerate((TODAY, TODAY, date(2026, 5, 1), date(2026, 4, 1))):
        account = await store.accounts.create(Address(f"user{number:05}", "chat.example"), "hash", made)
        assert account is not None
        if number == 2:
            await store.accounts.record_login(account.account_id, TODAY)
        if number == 3:
            await store.accounts.set_blocked(account.account_id, True)
    counted = await store.census.accounts(TODAY)
    assert (counted.value.total, counted.value.active, counted.value.new, counted.value.blocked) == (4, 3, 2, 1)
    assert counted.took_seconds >= 0


async def test_the_queue_names_who_is_waited_for_longest(store: Store) -> None:
    for number in range(5):
        await queue(store, f"peer{number}.example", NOON - timedelta(minutes=number))
    await queue(store, "peer0.example", NOON)
    (item, _other) = await store.queue.due("peer0.example", NOON, 5, ())
    deferral = Deferral(item.recipients, NOON + timedelta(hours=1), "451 not now", False)
    await store.queue.settle(item, NOON, deferral=deferral)
    found = (await store.census.queue(3)).value
    assert (found.items, found.domains) == (6, 5)
    assert [one.domain for one in found.longest] == ["peer4.example", "peer3.example", "peer2.example"]
    (last,) = [one for one in (await store.census.queue(10)).value.longest if one.domain == "peer0.example"]
    assert (last.items, last.attempts, last.last_reply) == (2, 1, "451 not now")
    assert (last.oldest_queued_at, last.next_attempt_at) == (NOON, NOON)


async def test_an_empty_store_counts_nothing(store: Store) -> None:
    assert (await store.census.queue(3)).value.longest == ()
    assert (await store.census.accounts(TODAY)).value.total == 0
    assert (await store.census.push()).value == (0, 0)


async def test_large_bodies_are_counted_by_their_files(store: Store) -> None:
    account = await store.accounts.create(SENDER, "hash", TODAY)
    assert account is not None
    for size in (100, 400_000):
        body = store.stage(b"Subject: x\r\n\r\n")
        body.write(b"x" * size)
        await store.deliver([LocalDelivery(body, (SENDER,))], NOON)
    counted = (await store.census.store()).value
    assert counted.messages == 2
    assert 400_000 < counted.bodies_bytes < 401_000
    assert counted.database_bytes > 0


async def test_counting_beside_deliveries_sees_whole_transactions(store: Store) -> None:
    await store.accounts.create(SENDER, "hash", TODAY)
    counts = await asyncio.gather(
        *(queue(store, "peer.example", NOON) for _ in range(20)), *(store.census.queue(1) for _ in range(20))
    )
    assert all(one is None or 0 <= one.value.items <= 20 for one in counts)
    assert (await store.census.queue(1)).value.items == 20


async def test_a_closed_store_counts_no_more(store: Store) -> None:
    await store.census.close()
    with pytest.raises(StorageError):
        await store.census.accounts(TODAY)
