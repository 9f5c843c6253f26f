"""Bodies: shared, counted, cached, streamed, gone with their last message."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chatmail.mail.changes import DELETED, Uid
from chatmail.storage import bodies as module
from chatmail.storage.bodies import BodyCache, LargeBody
from chatmail.storage.layout import DataLayout
from chatmail.storage.staging import SMALL_BODY_BYTES
from chatmail.storage.store import FlagsMode, LocalDelivery, Store
from tests.support.filling import HEADER, NOW, QUOTA_BYTES, TEXT, add_account, address, deliver, inbox, messages, whole

LARGE = b"large body\r\n" * 30_000


@pytest.fixture
async def forgetful(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Store]:
    """A store that remembers nothing, so that everything is read from disk."""
    monkeypatch.setattr(module, "CACHE_BYTES", 0)
    monkeypatch.setattr(module, "HEADER_CACHE_BYTES", 0)
    store = await Store.open(tmp_path / "data", max_mailbox_size_bytes=QUOTA_BYTES)
    yield store
    await store.close()


def body_files(tmp_path: Path) -> list[Path]:
    return DataLayout(tmp_path / "data").body_files()


async def expunge_all(store: Store, localpart: str) -> None:
    account = await store.accounts.find(address(localpart))
    assert account is not None
    mailbox_id = (await inbox(store, account)).mailbox_id
    uids = [message.uid for message in await messages(store, mailbox_id)]
    await store.mailboxes.store_flags(mailbox_id, uids, FlagsMode.ADD, frozenset({DELETED}))
    await store.mailboxes.expunge(mailbox_id)


@pytest.mark.parametrize("text", [b"", TEXT, LARGE], ids=["empty", "small", "large"])
async def test_what_is_read_from_disk_is_what_came_in(forgetful: Store, text: bytes) -> None:
    account = await add_account(forgetful, "alice")
    await deliver(forgetful, "alice", text=text)
    (message,) = await messages(forgetful, (await inbox(forgetful, account)).mailbox_id)
    assert await whole(forgetful, message.body_id) == HEADER + text
    assert await forgetful.mailboxes.headers([message.body_id, 999]) == {message.body_id: HEADER}
    body = await forgetful.mailboxes.body(message.body_id)
    assert body is not None
    assert body.size_bytes == message.size_bytes == len(HEADER + text)
    assert await body.read(5, 10) == (HEADER + text)[5:15]
    assert await body.read(body.size_bytes, 10) == b""


@pytest.mark.parametrize("text", [TEXT, LARGE], ids=["small", "large"])
async def test_a_body_is_stored_once_and_goes_with_its_last_message(store: Store, text: bytes, tmp_path: Path) -> None:
    people = ["alice", "bob", "carol"]
    accounts = [await add_account(store, name) for name in people]
    await deliver(store, *people, text=text)
    body_ids = {
        message.body_id
        for account in accounts
        for message in await messages(store, (await inbox(store, account)).mailbox_id)
    }
    (body_id,) = body_ids
    for name in people:
        assert await whole(store, body_id) == HEADER + text
        await expunge_all(store, name)
    assert await store.mailboxes.body(body_id) is None
    assert await store.mailboxes.headers([body_id]) == {}
    assert await store.check() == ()
    while body_files(tmp_path):
        await deliver(store, "nobody")
    assert await store.check() == ()


async def test_a_copy_keeps_a_body_alive(store: Store) -> None:
    account = await add_account(store, "alice")
    mailbox_id = (await inbox(store, account)).mailbox_id
    trash = await store.mailboxes.find(account.account_id, "Trash")
    assert trash is not None
    await deliver(store, "alice")
    await store.mailboxes.copy(mailbox_id, [Uid(1)], mailbox_id, move=False)
    await store.mailboxes.copy(mailbox_id, [Uid(1), Uid(2)], trash.mailbox_id, move=True)
    await expunge_all(store, "alice")
    first, second = await messages(store, trash.mailbox_id)
    assert first.body_id == second.body_id
    assert await whole(store, first.body_id) == HEADER + TEXT
    assert await store.check() == ()


async def test_a_large_body_can_be_read_to_its_end_though_it_is_expunged_meanwhile(
    store: Store, tmp_path: Path
) -> None:
    account = await add_account(store, "alice")
    await deliver(store, "alice", text=LARGE)
    (message,) = await messages(store, (await inbox(store, account)).mailbox_id)
    body = await store.mailboxes.body(message.body_id)
    assert isinstance(body, LargeBody)
    start = await body.read(0, 1000)
    await expunge_all(store, "alice")
    while body_files(tmp_path):
        await deliver(store, "nobody")
    assert start + await body.read(1000, body.size_bytes) == HEADER + LARGE


async def test_a_large_body_nobody_gets_is_not_kept(store: Store, tmp_path: Path) -> None:
    await deliver(store, "nobody", text=LARGE)
    assert body_files(tmp_path) == []
    assert list((tmp_path / "data/tmp").iterdir()) == []


async def test_several_deliveries_in_one_call_are_one_transaction(store: Store) -> None:
    account = await add_account(store, "alice")
    mailbox_id = (await inbox(store, account)).mailbox_id
    deliveries = []
    for number in range(3):
        body = store.stage(HEADER)
        body.write(b"%d" % number)
        deliveries.append(LocalDelivery(body, (address("alice"), address("alice"))))
    await store.deliver(deliveries, NOW)
    stored = await messages(store, mailbox_id)
    assert [await whole(store, message.body_id) for message in stored] == [HEADER + b"%d" % n for n in range(3)]
    assert [message.uid for message in stored] == [1, 2, 3]


async def test_the_largest_small_body_is_a_row_and_one_byte_more_a_file(store: Store, tmp_path: Path) -> None:
    await add_account(store, "alice")
    await deliver(store, "alice", text=b"x" * (SMALL_BODY_BYTES - len(HEADER)))
    assert body_files(tmp_path) == []
    await deliver(store, "alice", text=b"x" * (SMALL_BODY_BYTES - len(HEADER) + 1))
    assert len(body_files(tmp_path)) == 1


async def test_a_thousand_recipients_in_one_transaction(store: Store) -> None:
    people = [f"account{number}" for number in range(1000)]
    for name in people:
        assert await store.accounts.create(address(name), "hash", NOW.date()) is not None
    outcomes = await deliver(store, *people)
    assert len(outcomes) == 1000
    assert {outcome.value for outcome in outcomes.values()} == {"delivered"}
    assert await store.check() == ()


def test_the_cache_holds_the_most_recent_within_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CACHE_BYTES", 3 * 1200)
    cache = BodyCache()
    for body_id in (1, 2, 3):
        cache.put_body(body_id, b"x" * 1000)
    assert cache.body(1) is not None
    cache.put_body(4, b"x" * 1000)
    assert [body_id for body_id in range(1, 5) if cache.body(body_id)] == [1, 3, 4]
    cache.put_body(5, b"x" * 10_000)
    assert [body_id for body_id in range(1, 6) if cache.body(body_id)] == []
    cache.put_header(1, b"header")
    cache.put_header(2, b"another")
    assert cache.headers([1, 2, 3]) == {1: b"header", 2: b"another"}
    cache.drop([1, 7])
    assert cache.headers([1, 2]) == {2: b"another"}
