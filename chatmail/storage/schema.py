"""The tables, and the steps that brought them about. `PRAGMA user_version` counts the steps a file has seen.

A new version of the program appends a `Migration`; it never edits one that was released. All missing steps run in
one transaction at start, so a file is of the old version or of the new one. Times are Unix seconds unless the
column says otherwise, days are proleptic ordinals, flags a bit mask in the order of `SYSTEM_FLAGS`.

Where the bytes lie: `bodies` holds what is small and asked for often (counts, header block), so a thousand header
blocks are a few dozen pages; `contents` holds the rest of small bodies; large ones are files named by `body_id`.

What is deliberately absent: no index by time. Bodies are numbered in order of arrival, and `messages` is clustered by
mailbox, so expiry walks mailboxes in slices at 60 bytes a message, and pays nothing on delivery.

Removals that may be large are queues: a row in `doomed_mailboxes` or `doomed_files` is work the writer does in
slices when nobody waits (see `purge.py`).
"""

import sqlite3
from collections.abc import Sequence
from typing import Final

from chatmail.errors import NewerDataError

Migration = tuple[str, ...]
"""SQL statements that lead from one schema version to the next."""

_FIRST: Final[Migration] = (
    """
    CREATE TABLE accounts (
        account_id INTEGER PRIMARY KEY AUTOINCREMENT,
        address TEXT NOT NULL UNIQUE,
        password_hash TEXT NOT NULL,
        created_on INTEGER NOT NULL,
        last_login_on INTEGER NOT NULL,
        blocked INTEGER NOT NULL DEFAULT 0,
        usage_bytes INTEGER NOT NULL DEFAULT 0,
        inbox_id INTEGER NOT NULL
    )
    """,
    # Blocked addresses whose account is gone: never to be created again.
    "CREATE TABLE blocked_addresses (address TEXT PRIMARY KEY) WITHOUT ROWID",
    """
    CREATE TABLE device_tokens (
        account_id INTEGER NOT NULL,
        token TEXT NOT NULL,
        refreshed_at_microseconds INTEGER NOT NULL,
        PRIMARY KEY (account_id, token)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE mailboxes (
        mailbox_id INTEGER PRIMARY KEY AUTOINCREMENT,
        account_id INTEGER NOT NULL,
        name TEXT NOT NULL,
        uid_validity INTEGER NOT NULL,
        uid_next INTEGER NOT NULL DEFAULT 1,
        highest_modseq INTEGER NOT NULL DEFAULT 1,
        subscribed INTEGER NOT NULL DEFAULT 1,
        special_use TEXT NOT NULL,
        UNIQUE (account_id, name)
    )
    """,
    """
    CREATE TABLE messages (
        mailbox_id INTEGER NOT NULL,
        uid INTEGER NOT NULL,
        modseq INTEGER NOT NULL,
        flags INTEGER NOT NULL,
        keywords TEXT NOT NULL,
        size_bytes INTEGER NOT NULL,
        received_at INTEGER NOT NULL,
        saved_at INTEGER NOT NULL,
        body_id INTEGER NOT NULL,
        PRIMARY KEY (mailbox_id, uid)
    ) WITHOUT ROWID
    """,
    # What was expunged lately, for QRESYNC: one row for each operation, `uids` as in a sequence set.
    """
    CREATE TABLE expunged (
        mailbox_id INTEGER NOT NULL,
        modseq INTEGER NOT NULL,
        uids TEXT NOT NULL,
        PRIMARY KEY (mailbox_id, modseq)
    ) WITHOUT ROWID
    """,
    # `messages_count` is how many rows of `messages` name the body. The number of a body is never used again.
    """
    CREATE TABLE bodies (
        body_id INTEGER PRIMARY KEY AUTOINCREMENT,
        messages_count INTEGER NOT NULL,
        size_bytes INTEGER NOT NULL,
        in_file INTEGER NOT NULL,
        header BLOB NOT NULL
    )
    """,
    "CREATE TABLE contents (body_id INTEGER PRIMARY KEY, content BLOB NOT NULL)",
    "CREATE TABLE doomed_mailboxes (mailbox_id INTEGER PRIMARY KEY)",
    "CREATE TABLE doomed_files (body_id INTEGER PRIMARY KEY)",
)

# What was delivered lately, so that it is not delivered again; see `duplicates.py`. Rows ascend with the time.
_DUPLICATES: Final[Migration] = (
    "CREATE TABLE seen (seen_id INTEGER PRIMARY KEY, seen_at INTEGER NOT NULL, digest BLOB NOT NULL UNIQUE)",
)

_UPKEEP: Final[Migration] = (
    # One row for each token that is to be notified; `deliveries` counts the messages it stands for.
    """
    CREATE TABLE push_queue (
        account_id INTEGER NOT NULL,
        token TEXT NOT NULL,
        deliveries INTEGER NOT NULL,
        queued_at INTEGER NOT NULL,
        due_at INTEGER NOT NULL,
        failures INTEGER NOT NULL,
        PRIMARY KEY (account_id, token)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX push_queue_by_time ON push_queue (due_at)",
    """
    CREATE TABLE invitations (
        token TEXT PRIMARY KEY,
        uses_left INTEGER NOT NULL,
        expires_at INTEGER NOT NULL,
        note TEXT NOT NULL,
        created_at INTEGER NOT NULL
    ) WITHOUT ROWID
    """,
    "CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
)

# `recipients` are addresses, one a line. An item names its body and is counted in `messages_count` like a message.
_OUTBOUND: Final[Migration] = (
    """
    CREATE TABLE queue_items (
        item_id INTEGER PRIMARY KEY AUTOINCREMENT,
        domain TEXT NOT NULL,
        mail_from TEXT NOT NULL,
        recipients TEXT NOT NULL,
        body_id INTEGER NOT NULL,
        size_bytes INTEGER NOT NULL,
        queued_at INTEGER NOT NULL,
        next_attempt_at INTEGER NOT NULL,
        attempts INTEGER NOT NULL,
        last_reply TEXT NOT NULL,
        is_unreachable INTEGER NOT NULL
    )
    """,
    "CREATE INDEX queue_items_by_domain ON queue_items (domain, next_attempt_at)",
    "CREATE INDEX queue_items_by_time ON queue_items (next_attempt_at, domain)",
    """
    CREATE TABLE traffic (
        domain TEXT NOT NULL,
        direction TEXT NOT NULL,
        outcome TEXT NOT NULL,
        messages INTEGER NOT NULL,
        size_bytes INTEGER NOT NULL,
        PRIMARY KEY (domain, direction, outcome)
    ) WITHOUT ROWID
    """,
)

# Names that are subscribed to though no mailbox has them any more.
_SUBSCRIPTIONS: Final[Migration] = (
    """
    CREATE TABLE gone_subscriptions (
        account_id INTEGER NOT NULL,
        name TEXT NOT NULL,
        PRIMARY KEY (account_id, name)
    ) WITHOUT ROWID
    """,
)

MIGRATIONS: Final[Sequence[Migration]] = (_FIRST, _DUPLICATES, _UPKEEP, _OUTBOUND, _SUBSCRIPTIONS)


def migrate(connection: sqlite3.Connection, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Bring the file to the version of `migrations`, in one transaction. Raises `NewerDataError` if it is beyond."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(migrations):
        raise NewerDataError(
            f"The data folder was written by a newer chatmail (its format is {version}, this program knows up to "
            f"{len(migrations)}); run that version or a newer one."
        )
    if version == len(migrations):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        for migration in migrations[version:]:
            for statement in migration:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(migrations)}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
