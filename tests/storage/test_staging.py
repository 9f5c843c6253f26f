"""Bodies on their way in: where the bytes are, and who may throw them away when."""

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from chatmail.errors import StorageError
from chatmail.storage import staging
from chatmail.storage.staging import SMALL_BODY_BYTES, own_body
from chatmail.storage.store import LocalDelivery, NewMessage, Store
from tests.support.filling import HEADER, NOW, QUOTA_BYTES, TEXT, add_account, address, inbox, messages, staged, whole

LARGE = b"large body\r\n" * 30_000


def waiting_files(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "data/tmp").iterdir())


async def test_a_body_moves_to_a_file_when_it_grows_and_leaves_nothing_when_discarded(
    store: Store, tmp_path: Path
) -> None:
    body = staged(store, b"x" * (SMALL_BODY_BYTES - len(HEADER)))
    assert waiting_files(tmp_path) == []
    body.write(b"x")
    assert [path.stat().st_size for path in waiting_files(tmp_path)] == [SMALL_BODY_BYTES + 1]
    assert body.size_bytes == SMALL_BODY_BYTES + 1
    body.discard()
    body.discard()
    assert waiting_files(tmp_path) == []


async def test_unfinished_bodies_hold_no_more_memory_than_is_set(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "MAX_HELD_BYTES", 10_000)
    bodies = [staged(store, b"x" * 2_000) for _ in range(10)]
    in_memory = 10 - len(waiting_files(tmp_path))
    assert in_memory == 4
    for body in bodies:
        body.discard()
    assert waiting_files(tmp_path) == []
    staged(store, b"x" * 2_000)  # what was let go counts no more
    assert waiting_files(tmp_path) == []


async def test_chunks_of_any_size_come_out_as_one_body(store: Store) -> None:
    account = await add_account(store, "alice")
    mailbox_id = (await inbox(store, account)).mailbox_id
    for text in (TEXT * 100, LARGE):
        body = store.stage(HEADER)
        for start in range(0, len(text), 4093):
            body.write(text[start : start + 4093])
        uid = await store.mailboxes.append(mailbox_id, body, frozenset(), NOW)
        assert uid is not None
        (message,) = await store.mailboxes.records(mailbox_id, [uid])
        assert await whole(store, message.body_id) == HEADER + text


async def test_a_header_block_may_be_large_itself(store: Store) -> None:
    account = await add_account(store, "alice")
    mailbox_id = (await inbox(store, account)).mailbox_id
    header = b"X: " + b"y" * SMALL_BODY_BYTES + b"\r\n\r\n"
    await store.mailboxes.append(mailbox_id, staged(store, TEXT, header), frozenset(), NOW)
    (message,) = await messages(store, mailbox_id)
    assert await whole(store, message.body_id) == header + TEXT
    assert await store.mailboxes.headers([message.body_id]) == {message.body_id: header}


@pytest.mark.parametrize("text", [TEXT, LARGE], ids=["small", "large"])
async def test_a_caller_that_goes_away_and_discards_loses_nothing_half(
    store: Store, tmp_path: Path, text: bytes
) -> None:
    account = await add_account(store, "alice")
    mailbox_id = (await inbox(store, account)).mailbox_id
    for steps in range(4):
        body = staged(store, text)
        delivery = LocalDelivery(body, (address("alice"),))
        caller = asyncio.create_task(_deliver(store, delivery))
        for _ in range(steps):
            await asyncio.sleep(0)
        caller.cancel()
        with suppress(asyncio.CancelledError):
            await caller
        body.discard()
    # Whatever was still under way is done before this.
    await store.deliver([LocalDelivery(staged(store, TEXT), (address("nobody"),))], NOW)
    for message in await messages(store, mailbox_id):
        assert await whole(store, message.body_id) == HEADER + text
    assert waiting_files(tmp_path) == []
    assert await store.check() == ()


async def _deliver(store: Store, delivery: LocalDelivery) -> None:
    await store.deliver([delivery], NOW)


async def test_a_store_that_is_closed_refuses_and_the_body_can_be_discarded(tmp_path: Path) -> None:
    store = await Store.open(tmp_path / "data", max_mailbox_size_bytes=QUOTA_BYTES)
    await store.close()
    body = staged(store, LARGE)
    with pytest.raises(StorageError, match="closed"):
        await store.deliver([LocalDelivery(body, (address("alice"),))], NOW)
    body.discard()
    assert waiting_files(tmp_path) == []
    for reading in (store.mailboxes.body(1), store.mailboxes.headers([1]), store.accounts.find(address("alice"))):
        with pytest.raises(StorageError, match="closed"):
            await reading


def test_a_body_of_another_store_is_refused() -> None:
    class Foreign:
        size_bytes = 0

        def write(self, chunk: bytes) -> None: ...

        def rest(self) -> None: ...

        def discard(self) -> None: ...

    with pytest.raises(TypeError):
        own_body(Foreign())


async def test_a_body_at_rest_holds_no_memory_and_no_file_open_and_can_still_grow(store: Store, tmp_path: Path) -> None:
    mailbox_id = (await inbox(store, await add_account(store, "alice"))).mailbox_id
    body = store.stage(HEADER)
    body.write(TEXT)
    open_files = len(list(Path("/proc/self/fd").iterdir()))
    body.rest()
    body.rest()
    assert len(list(Path("/proc/self/fd").iterdir())) == open_files
    assert [path.read_bytes() for path in waiting_files(tmp_path)] == [HEADER + TEXT]
    body.write(TEXT)
    body.rest()
    uids = await store.mailboxes.append_all(mailbox_id, [NewMessage(body, frozenset(), NOW)])
    assert uids == [1]
    (message,) = await messages(store, mailbox_id)
    assert await whole(store, message.body_id) == HEADER + TEXT + TEXT
    assert waiting_files(tmp_path) == []


async def test_a_body_at_rest_can_be_discarded(store: Store, tmp_path: Path) -> None:
    body = staged(store)
    body.rest()
    body.discard()
    assert waiting_files(tmp_path) == []
