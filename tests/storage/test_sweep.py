"""What a start removes, and what it must not."""

from pathlib import Path

from chatmail.mail.changes import DELETED, Uid
from chatmail.storage.layout import BODIES_PER_SHARD, DataLayout
from chatmail.storage.store import FlagsMode, Store
from tests.support.filling import QUOTA_BYTES, add_account, deliver, inbox, messages, staged

LARGE = b"large body\r\n" * 30_000


async def open_store(folder: Path) -> Store:
    return await Store.open(folder / "data", max_mailbox_size_bytes=QUOTA_BYTES)


async def test_a_body_that_was_being_received_goes(tmp_path: Path) -> None:
    store = await open_store(tmp_path)
    layout = DataLayout(tmp_path / "data")
    body = staged(store, LARGE)
    assert len(list(layout.tmp.iterdir())) == 1
    await store.close()
    store = await open_store(tmp_path)
    assert list(layout.tmp.iterdir()) == []
    await store.close()
    body.discard()


async def test_a_file_whose_commit_never_came_goes_and_stored_ones_stay(tmp_path: Path) -> None:
    store = await open_store(tmp_path)
    account = await add_account(store, "alice")
    await deliver(store, "alice", text=LARGE)
    await store.close()
    layout = DataLayout(tmp_path / "data")
    strays = [layout.body(2), layout.body(BODIES_PER_SHARD + 3)]
    for stray in strays:
        stray.parent.mkdir(exist_ok=True)
        stray.write_bytes(LARGE)
    store = await open_store(tmp_path)
    assert not any(stray.exists() for stray in strays)
    (message,) = await messages(store, (await inbox(store, account)).mailbox_id)
    assert await store.mailboxes.body(message.body_id) is not None
    assert await store.check() == ()
    await store.close()


async def test_a_removal_that_was_interrupted_is_finished(tmp_path: Path) -> None:
    store = await open_store(tmp_path)
    account = await add_account(store, "alice")
    mailbox_id = (await inbox(store, account)).mailbox_id
    await deliver(store, "alice", text=LARGE)
    await deliver(store, "alice")
    await store.mailboxes.store_flags(mailbox_id, [Uid(1)], FlagsMode.ADD, frozenset({DELETED}))
    # Closing does not wait for the purge, whatever it has come to.
    await store.mailboxes.expunge(mailbox_id)
    await store.accounts.remove(account.account_id)
    await store.close()
    store = await open_store(tmp_path)
    await deliver(store, "nobody")
    while list((tmp_path / "data/bodies").iterdir()):
        await store.accounts.set_blocked(account.account_id, blocked=True)
    assert await store.check() == ()
    await store.close()
