from datetime import UTC, datetime, timedelta
from pathlib import Path

from chatmail.mail.address import Address
from chatmail.storage.store import DeliveryOutcome, LocalDelivery, Store

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
DELIVERED, DUPLICATE, UNKNOWN = DeliveryOutcome.DELIVERED, DeliveryOutcome.DUPLICATE, DeliveryOutcome.UNKNOWN
ALICE, BOB = Address("alicexxxx", "chat.example"), Address("bobxxxxxx", "chat.example")


async def open_store(folder: Path) -> Store:
    store = await Store.open(folder, max_mailbox_size_bytes=10_000)
    for address in (ALICE, BOB):
        await store.accounts.create(address, "no password", NOW.date())
    return store


async def deliver(
    store: Store, key: bytes | None, *to: Address, at: datetime = NOW, size_bytes: int = 10
) -> list[DeliveryOutcome]:
    body = store.stage(b"A: b\r\n\r\n")
    body.write(b"x" * size_bytes)
    [outcomes] = await store.deliver([LocalDelivery(body, to, None, key)], at)
    return [outcomes[address] for address in to]


async def test_nobody_gets_the_same_message_twice_within_a_day(tmp_path: Path) -> None:
    store = await open_store(tmp_path / "data")
    assert await deliver(store, b"key", ALICE) == [DELIVERED]
    assert await deliver(store, b"key", ALICE, BOB) == [DUPLICATE, DELIVERED]
    assert await deliver(store, b"other", ALICE) == [DELIVERED]
    assert await deliver(store, None, ALICE) == await deliver(store, None, ALICE) == [DELIVERED]
    await store.close()
    store = await open_store(tmp_path / "data")  # a restart forgets nothing
    assert await deliver(store, b"key", ALICE, at=NOW + timedelta(hours=23)) == [DUPLICATE]
    assert await deliver(store, b"key", ALICE, at=NOW + timedelta(hours=25)) == [DELIVERED]
    await store.close()


async def test_what_was_not_delivered_may_come_again(tmp_path: Path) -> None:
    store = await open_store(tmp_path / "data")
    carol = Address("carolxxxx", "chat.example")
    assert await deliver(store, b"key", carol) == [UNKNOWN]
    await store.accounts.create(carol, "no password", NOW.date())
    assert await deliver(store, b"key", carol) == [DELIVERED]
    assert await deliver(store, b"big", ALICE, size_bytes=20_000) == [DeliveryOutcome.OVER_QUOTA]
    assert await deliver(store, b"big", ALICE) == [DELIVERED]
    await store.close()


async def test_two_in_one_commit_are_still_the_same_message(tmp_path: Path) -> None:
    store = await open_store(tmp_path / "data")
    bodies = [store.stage(b"A: b\r\n\r\n") for _ in range(2)]
    outcomes = await store.deliver([LocalDelivery(body, (BOB,), None, b"key") for body in bodies], NOW)
    assert [outcome[BOB] for outcome in outcomes] == [DELIVERED, DUPLICATE]
    assert await store.check() == ()
    await store.close()


async def test_what_is_old_is_forgotten_as_new_mail_comes_in(tmp_path: Path) -> None:
    store = await open_store(tmp_path / "data")
    for number in range(180):
        await deliver(store, b"%d" % number, BOB, at=NOW + timedelta(days=number // 60), size_bytes=1)
    rows = store._reader.rows("SELECT count(*) FROM seen")
    assert rows[0][0] <= 2 * 60
    await store.close()
