"""Versions of the file: new, older, newer, and a step that fails."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatmail.errors import NewerDataError
from chatmail.storage.schema import MIGRATIONS, Migration, migrate
from chatmail.storage.store import Store
from tests.support.filling import QUOTA_BYTES, add_account

NEXT: Migration = (
    "ALTER TABLE accounts ADD COLUMN note TEXT NOT NULL DEFAULT ''",
    "UPDATE accounts SET note = 'moved from ' || address",
)
BROKEN: Migration = ("CREATE TABLE queue (item INTEGER)", "INSERT INTO no_such_table VALUES (1)")


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    yield connection
    connection.close()


def version(connection: sqlite3.Connection) -> int:
    (number,) = connection.execute("PRAGMA user_version").fetchone()
    return int(number)


def add_old_account(connection: sqlite3.Connection) -> None:
    connection.execute(
        "INSERT INTO accounts (address, password_hash, created_on, last_login_on, inbox_id)"
        " VALUES ('alice@example.org', 'hash', 1, 1, 1)"
    )


def test_a_new_file_gets_all_steps_and_the_second_start_none(connection: sqlite3.Connection) -> None:
    migrate(connection)
    assert version(connection) == len(MIGRATIONS)
    before = connection.total_changes
    migrate(connection)
    assert connection.total_changes == before


def test_an_older_file_moves_forward_with_what_it_holds(connection: sqlite3.Connection) -> None:
    migrate(connection)
    add_old_account(connection)
    migrate(connection, [*MIGRATIONS, NEXT])
    assert version(connection) == len(MIGRATIONS) + 1
    assert connection.execute("SELECT note FROM accounts").fetchall() == [("moved from alice@example.org",)]


def test_a_step_that_fails_leaves_the_file_as_it_was(connection: sqlite3.Connection) -> None:
    migrate(connection)
    add_old_account(connection)
    with pytest.raises(sqlite3.OperationalError):
        migrate(connection, [*MIGRATIONS, NEXT, BROKEN])
    assert version(connection) == len(MIGRATIONS)
    assert "note" not in [column[1] for column in connection.execute("PRAGMA table_info(accounts)")]
    assert connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'queue'").fetchone() == (0,)


async def test_a_folder_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    store = await Store.open(tmp_path / "data", max_mailbox_size_bytes=QUOTA_BYTES)
    account = await add_account(store, "alice")
    await store.close()
    with sqlite3.connect(tmp_path / "data/chatmail.sqlite") as connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    with pytest.raises(NewerDataError, match="newer chatmail"):
        await Store.open(tmp_path / "data", max_mailbox_size_bytes=QUOTA_BYTES)
    with sqlite3.connect(tmp_path / "data/chatmail.sqlite") as connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
    connection.close()
    store = await Store.open(tmp_path / "data", max_mailbox_size_bytes=QUOTA_BYTES)
    assert await store.accounts.find(account.address) == account
    await store.close()


async def test_the_file_is_made_as_measured(tmp_path: Path) -> None:
    store = await Store.open(tmp_path / "data", max_mailbox_size_bytes=QUOTA_BYTES)
    await store.close()
    connection = sqlite3.connect(tmp_path / "data/chatmail.sqlite")
    assert connection.execute("PRAGMA page_size").fetchone() == (16384,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()
