"""Accounts from creation to removal."""

import asyncio
from datetime import UTC, date, datetime, timedelta

import pytest

from chatmail.errors import StorageError
from chatmail.mail.address import Address
from chatmail.mail.changes import DELETED, MailboxChanges, MailboxRemoved, Uid
from chatmail.policy.server_metadata import MAX_DEVICE_TOKENS
from chatmail.storage.store import Account, DeliveryOutcome, FlagsMode, Store
from tests.support.filling import (
    HEADER,
    NOW,
    QUOTA_BYTES,
    TEXT,
    TODAY,
    add_account,
    address,
    deliver,
    inbox,
    messages,
    staged,
)


async def test_a_new_account_can_be_found_and_has_its_mailboxes(store: Store) -> None:
    created = await store.accounts.create(address("alice"), "hash", TODAY)
    assert created is not None
    assert created == await store.accounts.find(address("alice"))
    assert created == Account(created.account_id, address("alice"), "hash", TODAY, TODAY, blocked=False)
    mailboxes = await store.mailboxes.list(created.account_id)
    assert [(mailbox.name, mailbox.special_use) for mailbox in mailboxes] == [
        ("INBOX", ""),
        ("DeltaChat", ""),
        ("Sent", "\\Sent"),
        ("Trash", "\\Trash"),
    ]
    assert all(mailbox.subscribed and 0 < mailbox.uid_validity < 2**32 for mailbox in mailboxes)


async def test_of_simultaneous_creators_exactly_one_gets_the_account(store: Store) -> None:
    attempts = [store.accounts.create(address("alice"), f"hash {number}", TODAY) for number in range(10)]
    created = [account for account in await asyncio.gather(*attempts) if account is not None]
    assert created == [await store.accounts.find(address("alice"))]


async def test_an_address_with_a_literal_domain_is_an_account_like_any_other(store: Store) -> None:
    literal = Address.parse("alice@[127.0.0.1]")
    assert literal is not None
    assert await store.accounts.create(literal, "hash", TODAY) is not None
    assert await store.accounts.find(address("alice")) is None


async def test_the_last_login_is_kept_by_day(store: Store) -> None:
    account = await add_account(store, "alice")
    tomorrow = TODAY + timedelta(days=1)
    await store.accounts.record_login(account.account_id, TODAY)
    await store.accounts.record_login(account.account_id, tomorrow)
    await store.accounts.record_login(account.account_id, tomorrow)
    found = await store.accounts.find(account.address)
    assert found is not None
    assert (found.created_on, found.last_login_on) == (TODAY, tomorrow)


async def test_a_password_can_be_replaced(store: Store) -> None:
    account = await add_account(store, "alice")
    await store.accounts.set_password_hash(account.account_id, "other hash")
    found = await store.accounts.find(account.address)
    assert found is not None
    assert found.password_hash == "other hash"


async def test_mail_to_a_blocked_account_is_discarded_until_it_is_unblocked(store: Store) -> None:
    account = await add_account(store, "alice")
    await store.accounts.set_blocked(account.account_id, blocked=True)
    assert await deliver(store, "alice") == {"alice": DeliveryOutcome.DISCARDED}
    assert await store.accounts.usage_bytes(account.account_id) == 0
    await store.accounts.set_blocked(account.account_id, blocked=False)
    assert await deliver(store, "alice") == {"alice": DeliveryOutcome.DELIVERED}


async def test_usage_counts_every_message_in_full_and_a_full_account_fails_alone(store: Store) -> None:
    account, other = await add_account(store, "alice"), await add_account(store, "bob")
    mailbox_id = (await inbox(store, account)).mailbox_id
    fits = b"x" * (QUOTA_BYTES - len(HEADER) - 100)
    assert await store.mailboxes.append(mailbox_id, staged(store, fits), frozenset(), datetime.now(UTC)) == 1
    assert await store.accounts.usage_bytes(account.account_id) == QUOTA_BYTES - 100
    text = b"x" * 200
    assert await deliver(store, "alice", "bob", text=text) == {
        "alice": DeliveryOutcome.OVER_QUOTA,
        "bob": DeliveryOutcome.DELIVERED,
    }
    assert await store.mailboxes.append(mailbox_id, staged(store, text), frozenset(), datetime.now(UTC)) is None
    assert await store.accounts.usage_bytes(other.account_id) == len(HEADER + text)
    await store.mailboxes.store_flags(mailbox_id, [Uid(1)], FlagsMode.ADD, frozenset({DELETED}))
    await store.mailboxes.expunge(mailbox_id)
    assert await store.accounts.usage_bytes(account.account_id) == 0


async def test_removal_takes_everything_and_the_name_can_be_had_again(store: Store) -> None:
    account = await add_account(store, "alice")
    old = await inbox(store, account)
    await deliver(store, "alice")
    (message,) = await messages(store, old.mailbox_id)
    heard: list[MailboxChanges] = []
    store.broadcast.subscribe(old.mailbox_id, heard.append)
    await store.accounts.add_device_token(account.account_id, "token", NOW)
    await store.accounts.remove(account.account_id)
    assert heard == [MailboxChanges(old.mailbox_id, (MailboxRemoved(),))]
    assert await store.accounts.find(account.address) is None
    assert await store.mailboxes.snapshot(old.mailbox_id) is None
    assert await store.accounts.device_tokens(account.account_id) == ()
    assert await deliver(store, "alice") == {"alice": DeliveryOutcome.UNKNOWN}

    again = await add_account(store, "alice")
    new = await inbox(store, again)
    assert again.account_id != account.account_id
    assert (new.mailbox_id, new.uid_validity) != (old.mailbox_id, old.uid_validity)
    assert await messages(store, new.mailbox_id) == ()
    assert await store.mailboxes.body(message.body_id) is None


async def test_a_blocked_name_is_never_had_again(store: Store) -> None:
    account = await add_account(store, "alice")
    await store.accounts.set_blocked(account.account_id, blocked=True)
    assert await store.accounts.create(account.address, "hash", TODAY) is None
    await store.accounts.remove(account.account_id)
    assert await store.accounts.create(account.address, "hash", TODAY) is None


async def test_removing_twice_is_harmless_and_what_is_gone_is_said_to_be(store: Store) -> None:
    account = await add_account(store, "alice")
    await store.accounts.remove(account.account_id)
    await store.accounts.remove(account.account_id)
    await store.accounts.record_login(account.account_id, date(2026, 5, 1))
    await store.accounts.add_device_token(account.account_id, "token", NOW)
    assert await store.accounts.device_tokens(account.account_id) == ()
    with pytest.raises(StorageError):
        await store.accounts.usage_bytes(account.account_id)


async def test_device_tokens_are_kept_once_each_oldest_first(store: Store) -> None:
    account = await add_account(store, "alice")
    for number, token in enumerate(("1111", "2222", "1111", "0000")):
        await store.accounts.add_device_token(account.account_id, token, NOW + timedelta(microseconds=number))
    assert await store.accounts.device_tokens(account.account_id) == ("2222", "1111", "0000")


async def test_the_oldest_device_tokens_make_room(store: Store) -> None:
    account = await add_account(store, "alice")
    for number in range(MAX_DEVICE_TOKENS + 2):
        await store.accounts.add_device_token(account.account_id, str(number), NOW + timedelta(seconds=number))
    tokens = await store.accounts.device_tokens(account.account_id)
    assert tokens == tuple(str(number) for number in range(2, MAX_DEVICE_TOKENS + 2))


async def test_an_account_in_use_by_two_messages_of_one_body_counts_both(store: Store) -> None:
    account = await add_account(store, "alice")
    mailbox_id = (await inbox(store, account)).mailbox_id
    await deliver(store, "alice")
    await store.mailboxes.copy(mailbox_id, [Uid(1)], mailbox_id, move=False)
    assert await store.accounts.usage_bytes(account.account_id) == 2 * len(HEADER + TEXT)
