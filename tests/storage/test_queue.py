"""The outbound queue: what is put in, taken out, and what an end of an item brings with it."""

from datetime import UTC, datetime, timedelta

from chatmail.mail.address import Address
from chatmail.mail.changes import DELETED
from chatmail.storage.store import (
    Deferral,
    FlagsMode,
    LocalDelivery,
    Outbound,
    QueueItem,
    QueueItemId,
    StagedBody,
    Store,
)
from tests.support.filling import add_account, address, inbox, messages

NOW = datetime(2026, 11, 23, 20, 0, tzinfo=UTC)
LATER = NOW + timedelta(seconds=30)
BOB, CAROL = Address("bob", "one.example"), Address("carol", "one.example")
DAVE = Address("dave", "two.example")


def staged(store: Store, text: bytes = b"text\r\n") -> StagedBody:
    body = store.stage(b"Subject: x\r\n\r\n")
    body.write(text)
    return body


async def queue(store: Store, *recipients: Address, text: bytes = b"text\r\n") -> None:
    delivery = LocalDelivery(staged(store, text), (), outbound=Outbound(address("alice"), recipients))
    await store.deliver([delivery], NOW)


async def due(store: Store, domain: str, now: datetime = NOW, limit: int = 10) -> list[QueueItem]:
    return list(await store.queue.due(domain, now, limit, ()))


async def test_each_domain_is_an_item_of_its_own_and_told_to_who_listens(store: Store) -> None:
    heard: list[set[str]] = []
    store.queue.listen(lambda domains, by_operator: heard.append(set(domains)))
    await queue(store, BOB, DAVE, CAROL, BOB)
    assert heard == [{"one.example", "two.example"}]
    assert sorted(await store.queue.due_domains(NOW)) == ["one.example", "two.example"]
    [item] = await due(store, "one.example")
    assert (item.recipients, item.mail_from, item.attempts) == ((BOB, CAROL), address("alice"), 0)


async def test_one_body_serves_mailboxes_and_queue_and_goes_with_the_last_of_them(store: Store) -> None:
    account = await add_account(store, "alice")
    for text in (b"small\r\n", b"large\r\n" * 100_000):
        outbound = Outbound(account.address, (BOB, DAVE))
        await store.deliver([LocalDelivery(staged(store, text), (account.address,), outbound=outbound)], NOW)
        items = await store.queue.page(0, 10)
        [message] = await messages(store, (await inbox(store, account)).mailbox_id)
        assert {item.body_id for item in items} == {message.body_id}
        mailbox_id = (await inbox(store, account)).mailbox_id
        await store.mailboxes.store_flags(mailbox_id, [message.uid], FlagsMode.ADD, frozenset({DELETED}))
        await store.mailboxes.expunge(mailbox_id)
        for item in items:
            body = await store.queue.body(item)
            assert body is not None and (await body.read(0, body.size_bytes)).endswith(text)
            assert await store.check() == ()
            await store.queue.settle(item, NOW)
        assert await store.queue.body(items[0]) is None
        assert await store.check() == ()


async def test_what_is_deferred_comes_back_when_it_is_due(store: Store) -> None:
    await queue(store, BOB, CAROL)
    [item] = await due(store, "one.example")
    await store.queue.settle(item, NOW, deferral=Deferral((CAROL,), LATER, "451 4.2.0 later", False))
    assert await due(store, "one.example") == [] == await store.queue.due_domains(NOW)
    assert await store.queue.next_attempt_after(NOW) == LATER
    [again] = await due(store, "one.example", LATER)
    assert (again.recipients, again.attempts, again.last_reply) == ((CAROL,), 1, "451 4.2.0 later")


async def test_the_bounce_comes_in_the_transaction_that_ends_the_item(store: Store) -> None:
    account = await add_account(store, "alice")
    await queue(store, BOB)
    [item] = await due(store, "one.example")
    await store.queue.settle(item, NOW, bounce=LocalDelivery(staged(store, b"bounce\r\n"), (account.address,)))
    assert len(await messages(store, (await inbox(store, account)).mailbox_id)) == 1
    assert await store.queue.page(0, 10) == []
    assert await store.check() == ()


async def test_who_was_dropped_meanwhile_stays_dropped_and_nobody_hears_of_it(store: Store) -> None:
    account = await add_account(store, "alice")
    await queue(store, BOB)
    [item] = await due(store, "one.example")
    assert await store.queue.drop([item.item_id]) == 1
    await store.queue.settle(item, NOW, bounce=LocalDelivery(staged(store), (account.address,)))
    await store.queue.settle(item, NOW, deferral=Deferral((BOB,), LATER, "451", False))
    assert not await messages(store, (await inbox(store, account)).mailbox_id)
    assert await store.queue.page(0, 10) == []
    assert await store.check() == ()


async def test_once_a_domain_is_reached_what_waited_for_that_is_due_and_nothing_else(store: Store) -> None:
    for _ in range(2):
        await queue(store, BOB)
    unreachable, greylisted = await due(store, "one.example")
    await store.queue.settle(unreachable, NOW, deferral=Deferral((BOB,), LATER, "451", True))
    await store.queue.settle(greylisted, NOW, deferral=Deferral((BOB,), LATER, "451", False))
    await store.queue.reached("one.example", NOW)
    assert [item.item_id for item in await due(store, "one.example")] == [unreachable.item_id]


async def test_the_longest_due_come_first_and_those_under_way_not_again(store: Store) -> None:
    for _ in range(5):
        await queue(store, BOB)
    first, second = await due(store, "one.example", limit=2)
    rest = await store.queue.due("one.example", NOW, 2, {first.item_id, second.item_id})
    assert [item.item_id for item in rest] == [second.item_id + 1, second.item_id + 2]


async def test_the_operator_selects_retries_and_drops(store: Store) -> None:
    for number in range(3):
        await queue(store, BOB, DAVE, text=b"%d\r\n" % number)
    items = await store.queue.page(0, 10)
    for item in items:
        await store.queue.settle(item, NOW, deferral=Deferral(item.recipients, LATER, "451", False))
    ids = await store.queue.select(domain="one.example")
    assert len(ids) == 3 and len(await store.queue.select()) == 6
    assert await store.queue.select(item_id=ids[1]) == [ids[1]]
    assert await store.queue.select(item_id=999) == []
    assert await store.queue.retry([*ids, QueueItemId(999)], NOW) == 3
    assert await store.queue.due_domains(NOW) == ["one.example"]
    assert await store.queue.drop(ids) == 3
    assert [item.domain for item in await store.queue.page(0, 10)] == ["two.example"] * 3
    assert await store.check() == ()
