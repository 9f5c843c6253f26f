"""The store as a whole: what is put in comes out, at once and after a restart."""

from pathlib import Path

from chatmail.mail.changes import DELETED, MailboxChanges, MessageAdded
from chatmail.storage.store import DeliveryOutcome, FlagsMode, Store
from tests.support.filling import HEADER, NOW, QUOTA_BYTES, TEXT, add_account, deliver, inbox, messages, staged, whole


async def test_a_delivered_message_is_in_the_inbox(store: Store) -> None:
    account = await add_account(store, "alice")
    assert await deliver(store, "alice", "nobody") == {
        "alice": DeliveryOutcome.DELIVERED,
        "nobody": DeliveryOutcome.UNKNOWN,
    }
    (message,) = await messages(store, (await inbox(store, account)).mailbox_id)
    assert (message.uid, message.size_bytes, message.received_at) == (1, len(HEADER + TEXT), NOW)
    assert await whole(store, message.body_id) == HEADER + TEXT
    assert await store.mailboxes.headers([message.body_id]) == {message.body_id: HEADER}


async def test_a_large_message_is_stored_as_a_file_and_streamed(store: Store, tmp_path: Path) -> None:
    account = await add_account(store, "alice")
    text = bytes(range(256)) * 2000
    await deliver(store, "alice", text=text)
    mailbox_id = (await inbox(store, account)).mailbox_id
    (message,) = await messages(store, mailbox_id)
    assert await whole(store, message.body_id) == HEADER + text
    assert list((tmp_path / "data/tmp").iterdir()) == []
    assert len(list((tmp_path / "data/bodies").glob("*/*"))) == 1


async def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    store = await Store.open(tmp_path / "data", max_mailbox_size_bytes=QUOTA_BYTES)
    account = await add_account(store, "alice")
    await deliver(store, "alice")
    mailbox_id = (await inbox(store, account)).mailbox_id
    before = await store.mailboxes.snapshot(mailbox_id)
    await store.close()
    store = await Store.open(tmp_path / "data", max_mailbox_size_bytes=QUOTA_BYTES)
    assert await store.accounts.find(account.address) == account
    after = await store.mailboxes.snapshot(mailbox_id)
    assert after == before
    assert after is not None
    assert await whole(store, after.messages[0].body_id) == HEADER + TEXT
    await store.close()


async def test_changes_are_broadcast_before_the_caller_resumes(store: Store) -> None:
    account = await add_account(store, "alice")
    mailbox_id = (await inbox(store, account)).mailbox_id
    heard: list[MailboxChanges] = []
    subscription = store.broadcast.subscribe(mailbox_id, heard.append)
    await deliver(store, "alice")
    assert [change for changes in heard for change in changes.changes] == [
        MessageAdded(message.uid, message.modseq, message.flags, message.size_bytes)
        for message in await messages(store, mailbox_id)
    ]
    store.broadcast.unsubscribe(subscription)
    await deliver(store, "alice")
    assert len(heard) == 1


async def test_append_flags_expunge_and_copy_work_together(store: Store) -> None:
    account = await add_account(store, "alice")
    mailbox_id = (await inbox(store, account)).mailbox_id
    trash = await store.mailboxes.find(account.account_id, "Trash")
    assert trash is not None
    uid = await store.mailboxes.append(mailbox_id, staged(store), frozenset(), NOW)
    assert uid == 1
    await store.mailboxes.store_flags(mailbox_id, [uid], FlagsMode.ADD, frozenset({DELETED}))
    copied = await store.mailboxes.copy(mailbox_id, [uid], trash.mailbox_id, move=False)
    assert copied == {1: 1}
    assert await store.mailboxes.expunge(mailbox_id) == [1]
    assert await store.accounts.usage_bytes(account.account_id) == len(HEADER + TEXT)
    (message,) = await messages(store, trash.mailbox_id)
    assert await whole(store, message.body_id) == HEADER + TEXT
