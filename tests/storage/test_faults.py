"""Disks that are full or refuse: the caller hears of it, nothing half-written is visible, and later all is well."""

import asyncio
import os
import resource
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chatmail.errors import StorageError, StorageFullError
from chatmail.storage.store import Store
from tests.support.filling import HEADER, NOW, add_account, deliver, inbox, messages, staged, whole
from tests.support.tools import lacking, require_root

MANY = 1 << 40
DISK_BYTES = 4 << 20
TEXT = os.urandom(20_000)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few megabytes."""
    require_root()
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", disk], capture_output=True)
    if mounted.returncode != 0:
        lacking("may not mount a tmpfs")
    yield disk
    subprocess.run(["umount", disk], check=True)


@pytest.fixture
async def small_store(small_disk: Path) -> AsyncIterator[Store]:
    store = await Store.open(small_disk / "data", max_mailbox_size_bytes=MANY)
    yield store
    await store.close()


@contextmanager
def largest_file_bytes(limit: int) -> Iterator[None]:
    """No file of this process may grow beyond `limit` meanwhile."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def deliver_until_refused(store: Store) -> int:
    """How many were accepted."""
    for accepted in range(10_000):
        try:
            await deliver(store, "alice", text=TEXT)
        except StorageError as error:
            assert isinstance(error, StorageFullError)
            return accepted
    raise AssertionError("the disk is never full")


async def test_a_full_disk_refuses_and_serves_again_when_there_is_room(small_store: Store, small_disk: Path) -> None:
    store = small_store
    account = await add_account(store, "alice")
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(DISK_BYTES // 2))
    accepted = await deliver_until_refused(store)
    assert accepted > 5
    for _ in range(3):
        with pytest.raises(StorageFullError):
            await deliver(store, "alice", text=TEXT)
    mailbox_id = (await inbox(store, account)).mailbox_id
    stored = await messages(store, mailbox_id)
    assert len(stored) == accepted
    assert await whole(store, stored[-1].body_id) == HEADER + TEXT
    assert await store.check() == ()
    ballast.unlink()
    await deliver(store, "alice", text=TEXT)
    assert [message.uid for message in await messages(store, mailbox_id)] == list(range(1, accepted + 2))
    assert await store.check() == ()


async def test_on_a_full_disk_each_of_many_callers_hears_its_own_outcome(small_store: Store) -> None:
    store = small_store
    account = await add_account(store, "alice")
    outcomes = await asyncio.gather(*(deliver(store, "alice", text=TEXT) for _ in range(300)), return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, StorageFullError)]
    stored = await messages(store, (await inbox(store, account)).mailbox_id)
    assert refused
    assert len(stored) + len(refused) == 300
    assert await store.check() == ()


async def test_a_large_body_on_a_full_disk_is_refused_and_leaves_no_file(small_store: Store, small_disk: Path) -> None:
    store = small_store
    await add_account(store, "alice")
    body = staged(store, b"")
    with pytest.raises(StorageFullError):
        for _ in range(DISK_BYTES // len(TEXT) + 1):
            body.write(TEXT)
    body.discard()
    assert list((small_disk / "data/tmp").iterdir()) == []
    await deliver(store, "alice", text=TEXT)
    assert await store.check() == ()


async def test_a_file_that_may_not_grow_fails_its_caller_and_nobody_later(tmp_path: Path) -> None:
    store = await Store.open(tmp_path / "data", max_mailbox_size_bytes=MANY)
    account = await add_account(store, "alice")
    wal_bytes = (tmp_path / "data/chatmail.sqlite-wal").stat().st_size
    with largest_file_bytes(wal_bytes + 50_000):
        for _ in range(2):
            with pytest.raises(StorageError):
                for _ in range(10):
                    await deliver(store, "alice", text=TEXT)
        with pytest.raises(StorageError):
            staged(store, bytes(wal_bytes + 100_000))
        accepted = len(await messages(store, (await inbox(store, account)).mailbox_id))
    await deliver(store, "alice", text=TEXT)
    assert len(await messages(store, (await inbox(store, account)).mailbox_id)) == accepted + 1
    assert await store.check() == ()
    await store.close()


async def test_a_large_body_whose_commit_fails_can_be_delivered_again(tmp_path: Path) -> None:
    store = await Store.open(tmp_path / "data", max_mailbox_size_bytes=MANY)
    account = await add_account(store, "alice")
    text = TEXT * 20
    body = staged(store, text)
    with largest_file_bytes(1), pytest.raises(StorageError):
        await store.mailboxes.append((await inbox(store, account)).mailbox_id, body, frozenset(), NOW)
    assert list((tmp_path / "data/bodies").glob("*/*")) == []
    mailbox_id = (await inbox(store, account)).mailbox_id
    await store.mailboxes.append(mailbox_id, body, frozenset(), NOW)
    (message,) = await messages(store, mailbox_id)
    assert await whole(store, message.body_id) == HEADER + text
    assert await store.check() == ()
    await store.close()
