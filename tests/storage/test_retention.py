import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

from chatmail.config import Config
from chatmail.mail.changes import MailboxChanges, MailboxRemoved, MessageExpunged, Uid
from chatmail.policy.retention import retention_limits
from chatmail.storage.store import Amount, DeliveryOutcome, LocalDelivery, Store
from tests.support.filling import HEADER, NOW, add_account, address, deliver, inbox, messages, staged

CONFIG = Config("example.org")
SMALL = b"x" * 1000
LARGE = b"x" * 300_000


async def deliver_at(store: Store, moment: datetime, text: bytes = SMALL, name: str = "alice") -> DeliveryOutcome:
    (outcomes,) = await store.deliver([LocalDelivery(staged(store, text), (address(name),))], moment)
    return outcomes[address(name)]


async def expire(store: Store, now: datetime) -> Amount:
    limits, removed, after = retention_limits(CONFIG, now), Amount(), None
    while found := await store.retention.overdue_mail(limits, after, 3):
        removed += await store.retention.expire_mail([key for key, _size in found], limits)
        after = found[-1][0]
    return removed


async def test_mail_goes_at_its_age_and_large_mail_earlier(tmp_path: Path) -> None:
    store = await Store.open(tmp_path / "data", max_mailbox_size_bytes=1 << 30)
    account = await add_account(store, "alice")
    mailbox_id = (await inbox(store, account)).mailbox_id
    for days in (21, 19, 8, 6):
        await deliver_at(store, NOW - timedelta(days=days))
        await deliver_at(store, NOW - timedelta(days=days), LARGE)
    overdue = await store.retention.survey(retention_limits(CONFIG, NOW))
    size, large = len(HEADER + SMALL), len(HEADER + LARGE)
    assert overdue.messages == Amount(2, size + large)
    assert overdue.large == Amount(2, 2 * large)
    seen: list[MailboxChanges] = []
    store.broadcast.subscribe(mailbox_id, seen.append)
    assert await expire(store, NOW) == Amount(4, size + 3 * large)
    assert [message.uid for message in await messages(store, mailbox_id)] == [3, 5, 7, 8]
    gone = [change.uid for changes in seen for change in changes.changes if isinstance(change, MessageExpunged)]
    assert gone == [1, 2, 4, 6]
    assert await expire(store, NOW) == Amount()
    assert await store.check() == ()
    await store.close()


async def test_a_date_in_the_future_and_a_clock_that_went_back_keep_nothing_for_ever(store: Store) -> None:
    account = await add_account(store, "alice")
    mailbox_id = (await inbox(store, account)).mailbox_id
    future = NOW + timedelta(days=20_000)
    await deliver_at(store, future)
    limits = retention_limits(CONFIG, NOW)
    assert await store.retention.correct_future(limits) == 1
    assert await store.retention.correct_future(limits) == 0
    assert await expire(store, NOW + timedelta(days=19)) == Amount()
    assert (await expire(store, NOW + timedelta(days=21))).count == 1
    assert await messages(store, mailbox_id) == ()


async def test_an_unused_account_goes_with_everything_and_its_name_comes_back_as_another(store: Store) -> None:
    account = await add_account(store, "alice")
    await add_account(store, "bob")
    mailbox = await inbox(store, account)
    await store.accounts.add_device_token(account.account_id, "token", NOW)
    await deliver(store, "alice", "bob")
    later = NOW + timedelta(days=91)
    bob = await store.accounts.find(address("bob"))
    assert bob is not None
    await store.accounts.record_login(bob.account_id, later.date())
    limits = retention_limits(CONFIG, later)
    assert (await store.retention.survey(limits)).accounts.count == 1
    seen: list[MailboxChanges] = []
    store.broadcast.subscribe(mailbox.mailbox_id, seen.append)
    assert (await store.retention.expire_accounts(limits, 10)).count == 1
    assert (await store.retention.expire_accounts(limits, 10)).count == 0
    assert isinstance(seen[0].changes[0], MailboxRemoved)
    assert await store.accounts.find(address("alice")) is None
    assert (await store.push.counts())[1] == 0
    again = await add_account(store, "alice")
    assert (await inbox(store, again)).uid_validity != mailbox.uid_validity
    while await store.retention.doomed():
        await asyncio.sleep(0)
    assert await store.check() == ()


async def test_device_tokens_go_when_they_were_not_set_again(store: Store) -> None:
    account = await add_account(store, "alice")
    await store.accounts.add_device_token(account.account_id, "old", NOW - timedelta(days=91))
    await store.accounts.add_device_token(account.account_id, "set again", NOW - timedelta(days=91))
    await store.accounts.add_device_token(account.account_id, "set again", NOW - timedelta(days=1))
    limits = retention_limits(CONFIG, NOW)
    assert (await store.retention.survey(limits)).device_tokens == 1
    assert await store.retention.expire_device_tokens(limits) == 1
    assert await store.accounts.device_tokens(account.account_id) == ("set again",)


async def test_space_is_given_back_to_the_disk(tmp_path: Path) -> None:
    store = await Store.open(tmp_path / "data", max_mailbox_size_bytes=1 << 30)
    await add_account(store, "alice")
    for _ in range(200):
        await deliver_at(store, NOW, b"x" * 100_000)
    full = (await store.retention.space()).database_bytes
    assert (await expire(store, NOW + timedelta(days=21))).count == 200
    while await store.retention.give_back():
        pass
    space = await store.retention.space()
    await store.close()
    assert full > 20_000_000 and space.database_bytes < 3_000_000 and space.free_bytes <= 1 << 20
    assert (tmp_path / "data" / "chatmail.sqlite").stat().st_size == space.database_bytes


async def test_stray_files_of_bodies_are_swept_and_no_other(store: Store, tmp_path: Path) -> None:
    await add_account(store, "alice")
    await deliver_at(store, NOW, LARGE)
    (kept,) = (tmp_path / "data" / "bodies").rglob("1")
    await deliver_at(store, NOW)
    (kept.parent / "2").write_bytes(b"stray")
    (kept.parent / "999").write_bytes(b"of a commit under way")
    assert await store.retention.sweep_orphans() == 1
    assert sorted(path.name for path in kept.parent.iterdir()) == ["1", "999"]


# --- quota ---


async def test_a_nearly_full_account_loses_its_oldest_mail_down_to_seventy_percent(store: Store) -> None:
    account = await add_account(store, "alice")
    mailbox_id = (await inbox(store, account)).mailbox_id
    old = NOW - timedelta(days=2)
    for _ in range(14):  # 50,049 bytes each, of 1,000,000
        await deliver_at(store, old, b"x" * 50_000)
    assert len(await messages(store, mailbox_id)) == 14
    await deliver_at(store, NOW, b"x" * 50_000)  # more than 75 percent
    assert [message.uid for message in await messages(store, mailbox_id)] == list(map(Uid, range(3, 16)))
    assert await store.accounts.usage_bytes(account.account_id) == 13 * (len(HEADER) + 50_000)


async def test_fresh_mail_is_protected_and_what_does_not_fit_is_refused_for_one_alone(store: Store) -> None:
    account = await add_account(store, "alice")
    await add_account(store, "bob")
    mailbox_id = (await inbox(store, account)).mailbox_id
    fresh = NOW - timedelta(hours=23)
    for _ in range(19):
        assert await deliver_at(store, fresh, b"x" * 50_000) is DeliveryOutcome.DELIVERED
    assert await deliver(store, "alice", "bob", text=b"x" * 50_000) == {
        "alice": DeliveryOutcome.OVER_QUOTA,
        "bob": DeliveryOutcome.DELIVERED,
    }
    assert len(await messages(store, mailbox_id)) == 19
    tomorrow = NOW + timedelta(days=1)
    assert await deliver_at(store, tomorrow, b"x" * 50_000) is DeliveryOutcome.DELIVERED
    assert await store.accounts.usage_bytes(account.account_id) <= 700_000
    assert await store.check() == ()


async def test_what_does_not_fit_even_then_removes_nothing(store: Store) -> None:
    account = await add_account(store, "alice")
    mailbox_id = (await inbox(store, account)).mailbox_id
    fresh = datetime.now(UTC)
    for _ in range(17):
        await deliver_at(store, fresh, b"x" * 50_000)
    assert await store.mailboxes.append(mailbox_id, staged(store, b"x" * 50_000), frozenset(), NOW) == 18  # old mail
    before = await messages(store, mailbox_id)
    assert await store.mailboxes.append(mailbox_id, staged(store, b"x" * 200_000), frozenset(), NOW) is None
    assert await deliver_at(store, fresh, b"x" * 200_000) is DeliveryOutcome.OVER_QUOTA
    assert await messages(store, mailbox_id) == before
    # What fits once the old message is gone is stored, and only now that goes.
    assert await store.mailboxes.append(mailbox_id, staged(store, b"x" * 140_000), frozenset(), fresh) == 19
    assert [message.uid for message in await messages(store, mailbox_id)] == [*map(Uid, range(1, 18)), Uid(19)]
    assert await store.check() == ()


async def test_one_large_message_makes_as_much_room_as_it_needs_among_small_ones(tmp_path: Path) -> None:
    store = await Store.open(tmp_path / "data", max_mailbox_size_bytes=1_000_000)
    account = await add_account(store, "alice")
    for _ in range(700):
        await deliver_at(store, NOW - timedelta(days=2), SMALL)
    assert await deliver_at(store, NOW, b"x" * 400_000) is DeliveryOutcome.DELIVERED
    assert await store.accounts.usage_bytes(account.account_id) <= 1_000_000
    await store.close()
