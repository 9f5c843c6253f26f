"""The full check finds what it is there to find."""

import sqlite3
from pathlib import Path

import pytest

from chatmail.storage.store import Store
from tests.support.filling import QUOTA_BYTES, add_account, deliver

LARGE = b"large body\r\n" * 30_000

DAMAGES = {
    "UPDATE bodies SET messages_count = 7": "bodies whose count of messages is wrong: 2",
    "DELETE FROM contents": "small bodies without content: 1",
    "INSERT INTO contents VALUES (99, 'stray')": "contents without a body: 1",
    "UPDATE contents SET content = 'cut'": "small bodies of a wrong size: 1",
    "UPDATE messages SET mailbox_id = 99 WHERE uid = 1": "messages of no mailbox: 1",
    "UPDATE mailboxes SET uid_next = 1": "messages with a UID or MODSEQ beyond their mailbox's: 2",
    "UPDATE accounts SET usage_bytes = 1": "accounts whose usage is wrong: 1",
    "UPDATE mailboxes SET account_id = 99": "mailboxes of no account: 4",
    "UPDATE messages SET body_id = 99 WHERE uid = 1": "messages without a body: 1",
}


async def filled(folder: Path) -> None:
    store = await Store.open(folder, max_mailbox_size_bytes=QUOTA_BYTES)
    await add_account(store, "alice")
    await deliver(store, "alice")
    await deliver(store, "alice", text=LARGE)
    assert await store.check() == ()
    await store.close()


async def findings(folder: Path) -> tuple[str, ...]:
    store = await Store.open(folder, max_mailbox_size_bytes=QUOTA_BYTES)
    try:
        return await store.check()
    finally:
        await store.close()


@pytest.mark.parametrize(("damage", "finding"), DAMAGES.items())
async def test_a_wrong_row_is_found(tmp_path: Path, damage: str, finding: str) -> None:
    await filled(tmp_path / "data")
    with sqlite3.connect(tmp_path / "data/chatmail.sqlite") as connection:
        connection.execute(damage)
    connection.close()
    assert finding in await findings(tmp_path / "data")


async def test_a_missing_and_a_stray_file_are_found(tmp_path: Path) -> None:
    await filled(tmp_path / "data")
    (path,) = (tmp_path / "data/bodies").glob("*/*")
    path.rename(path.with_name("1"))
    assert await findings(tmp_path / "data") == ("files of no body: 1", "large bodies without their file: 1")
