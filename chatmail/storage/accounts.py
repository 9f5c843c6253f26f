"""Accounts: rows of `accounts`, their default mailboxes, device tokens, and names that are blocked for ever.

Looking an account up happens in the event loop: one index look-up, 10 microseconds, less than a helper thread costs.
"""

import secrets
from collections.abc import Sequence
from datetime import date, datetime
from typing import Final

from chatmail.errors import StorageError
from chatmail.mail.address import Address
from chatmail.mail.changes import AccountId, MailboxChanges, MailboxId, MailboxRemoved
from chatmail.policy.retention import PROTECTED_SECONDS
from chatmail.policy.server_metadata import MAX_DEVICE_TOKENS
from chatmail.storage.bodies import BodyTable
from chatmail.storage.database import Reader, Row
from chatmail.storage.interface import Account, AccountDetails, AccountSummary
from chatmail.storage.transaction import Transaction
from chatmail.storage.writer import Writer

DEFAULT_MAILBOXES: Final = (("INBOX", ""), ("Sent", "\\Sent"), ("Trash", "\\Trash"), ("DeltaChat", ""))
"""Names and special-use attributes (RFC 6154) of what every account has from the beginning."""


def new_uid_validity() -> int:
    """A random UIDVALIDITY: 32 bits, not zero (RFC 9051 §2.3.1.1)."""
    return 1 + secrets.randbelow(2**32 - 1)


class Accounts:
    """`AccountStore` over SQLite."""

    def __init__(self, writer: Writer, reader: Reader, bodies: BodyTable, max_mailbox_size_bytes: int) -> None:
        self._writer = writer
        self._reader = reader
        self._bodies = bodies
        self._max_mailbox_size_bytes = max_mailbox_size_bytes

    async def find(self, address: Address) -> Account | None:
        """See `AccountStore.find`."""
        row = self._reader.row(
            "SELECT account_id, password_hash, created_on, last_login_on, blocked FROM accounts WHERE address = ?",
            (str(address),),
        )
        if row is None:
            return None
        account_id, password_hash, created_on, last_login_on, blocked = row
        return Account(
            AccountId(account_id),
            address,
            password_hash,
            date.fromordinal(created_on),
            date.fromordinal(last_login_on),
            bool(blocked),
        )

    async def create(self, address: Address, password_hash: str, today: date) -> Account | None:
        """See `AccountStore.create`."""

        def job(transaction: Transaction) -> Account | None:
            if is_taken(transaction, str(address)):
                return None
            account_id = insert_account(transaction, str(address), password_hash, today.toordinal())
            return Account(account_id, address, password_hash, today, today, blocked=False)

        return await self._writer.submit(job)

    async def record_login(self, account_id: AccountId, today: date) -> None:
        """See `AccountStore.record_login`."""
        day = today.toordinal()
        row = self._reader.row("SELECT last_login_on FROM accounts WHERE account_id = ?", (account_id,))
        if row is not None and row[0] != day:
            sql = "UPDATE accounts SET last_login_on = ? WHERE account_id = ?"
            await self._writer.submit(lambda transaction: transaction.run(sql, (day, account_id)))

    async def set_password_hash(self, account_id: AccountId, password_hash: str) -> None:
        """See `AccountStore.set_password_hash`."""
        await self._writer.submit(lambda t: _update_and_end_sessions(t, account_id, "password_hash", password_hash))

    async def set_blocked(self, account_id: AccountId, blocked: bool) -> None:
        """See `AccountStore.set_blocked`."""
        await self._writer.submit(lambda t: _update_and_end_sessions(t, account_id, "blocked", int(blocked)))

    async def remove(self, account_id: AccountId) -> None:
        """See `AccountStore.remove`. The messages become unreachable at once and leave the disk soon after."""
        await self._writer.submit(lambda transaction: remove_account(transaction, account_id, self._bodies), heavy=True)

    async def usage_bytes(self, account_id: AccountId) -> int:
        """See `AccountStore.usage_bytes`. Raises `StorageError` if the account is gone."""
        row = self._reader.row("SELECT usage_bytes FROM accounts WHERE account_id = ?", (account_id,))
        if row is None:
            raise StorageError("the account is gone")
        return int(row[0])

    async def has_room(self, account_id: AccountId, size_bytes: int, now: datetime) -> bool:
        """See `AccountStore.has_room`."""
        lacking = await self.usage_bytes(account_id) + size_bytes - self._max_mailbox_size_bytes
        if lacking <= 0:
            return True
        row = self._reader.row(
            "SELECT ifnull(sum(size_bytes), 0) FROM mailboxes JOIN messages USING (mailbox_id)"
            " WHERE account_id = ? AND min(received_at, saved_at) < ?",
            (account_id, int(now.timestamp()) - PROTECTED_SECONDS),
        )
        return row is not None and int(row[0]) >= lacking

    async def page(self, after: str, limit: int) -> Sequence[AccountSummary]:
        """See `AccountStore.page`."""
        rows = self._reader.rows(
            f"SELECT {_SUMMARY} FROM accounts WHERE address > ? ORDER BY address LIMIT ?", (after, limit)
        )
        return [_summary(row) for row in rows]

    async def details(self, account_id: AccountId) -> AccountDetails | None:
        """See `AccountStore.details`."""
        with self._reader.one_moment():
            row = self._reader.row(f"SELECT {_SUMMARY} FROM accounts WHERE account_id = ?", (account_id,))
            counts = self._reader.row(
                "SELECT (SELECT count(*) FROM mailboxes JOIN messages USING (mailbox_id) WHERE account_id = ?1),"
                " (SELECT count(*) FROM mailboxes WHERE account_id = ?1),"
                " (SELECT count(*) FROM device_tokens WHERE account_id = ?1)",
                (account_id,),
            )
        return None if row is None or counts is None else AccountDetails(_summary(row), *counts)

    async def add_device_token(self, account_id: AccountId, token: str, now: datetime) -> None:
        """See `AccountStore.add_device_token`; at most `MAX_DEVICE_TOKENS` are kept, the newest."""
        microseconds = int(now.timestamp() * 1_000_000)
        await self._writer.submit(lambda transaction: _add_device_token(transaction, account_id, token, microseconds))

    async def device_tokens(self, account_id: AccountId) -> tuple[str, ...]:
        """See `AccountStore.device_tokens`."""
        rows = self._reader.rows(
            "SELECT token FROM device_tokens WHERE account_id = ? ORDER BY refreshed_at_microseconds, token",
            (account_id,),
        )
        return tuple(token for (token,) in rows)


_SUMMARY: Final = "address, created_on, last_login_on, blocked, usage_bytes"


def _summary(row: Row) -> AccountSummary:
    address, created_on, last_login_on, blocked, usage_bytes = row
    return AccountSummary(
        address, date.fromordinal(created_on), date.fromordinal(last_login_on), bool(blocked), usage_bytes
    )


def is_taken(transaction: Transaction, address: str) -> bool:
    """Whether no account of this address can be made: there is one, or it was blocked for ever."""
    return (
        transaction.row(
            "SELECT 1 FROM accounts WHERE address = ?1 UNION ALL SELECT 1 FROM blocked_addresses WHERE address = ?1",
            (address,),
        )
        is not None
    )


def insert_account(transaction: Transaction, address: str, password_hash: str, today: int) -> AccountId:
    """Make an account with its mailboxes; `today` is a proleptic ordinal."""
    account_id = transaction.insert(
        "INSERT INTO accounts (address, password_hash, created_on, last_login_on, inbox_id) VALUES (?, ?, ?, ?, 0)",
        (address, password_hash, today, today),
    )
    mailbox_ids = [
        transaction.insert(
            "INSERT INTO mailboxes (account_id, name, uid_validity, special_use) VALUES (?, ?, ?, ?)",
            (account_id, name, new_uid_validity(), special_use),
        )
        for name, special_use in DEFAULT_MAILBOXES
    ]
    transaction.run("UPDATE accounts SET inbox_id = ? WHERE account_id = ?", (mailbox_ids[0], account_id))
    return AccountId(account_id)


def _update_and_end_sessions(transaction: Transaction, account_id: AccountId, column: str, value: int | str) -> None:
    """Change how the account may be used; who is in it by the old rules has to leave."""
    transaction.run(f"UPDATE accounts SET {column} = ? WHERE account_id = ?", (value, account_id))
    rows = transaction.rows("SELECT mailbox_id FROM mailboxes WHERE account_id = ?", (account_id,))
    transaction.changes += [MailboxChanges(MailboxId(mailbox_id), (MailboxRemoved(),)) for (mailbox_id,) in rows]


def remove_account(transaction: Transaction, account_id: AccountId, bodies: BodyTable) -> None:
    """Take the account and everything of it out of sight; its messages leave in the background."""
    row = transaction.row("DELETE FROM accounts WHERE account_id = ? RETURNING address, blocked", (account_id,))
    if row is None:
        return
    address, blocked = row
    if blocked:
        transaction.run("INSERT OR IGNORE INTO blocked_addresses VALUES (?)", (address,))
    bodies.release(
        transaction,
        [
            row[0]
            for row in transaction.rows("DELETE FROM queue_items WHERE mail_from = ? RETURNING body_id", (address,))
        ],
    )
    for table in ("device_tokens", "push_queue", "gone_subscriptions"):
        transaction.run(f"DELETE FROM {table} WHERE account_id = ?", (account_id,))
    rows = transaction.rows("DELETE FROM mailboxes WHERE account_id = ? RETURNING mailbox_id", (account_id,))
    mailbox_ids = [MailboxId(mailbox_id) for (mailbox_id,) in rows]
    transaction.run_many("INSERT INTO doomed_mailboxes VALUES (?)", ((mailbox_id,) for mailbox_id in mailbox_ids))
    transaction.changes += [MailboxChanges(mailbox_id, (MailboxRemoved(),)) for mailbox_id in mailbox_ids]
    transaction.leave_work()


def _add_device_token(transaction: Transaction, account_id: AccountId, token: str, microseconds: int) -> None:
    transaction.run(
        "INSERT INTO device_tokens SELECT account_id, ?, ? FROM accounts WHERE account_id = ?"
        " ON CONFLICT DO UPDATE SET refreshed_at_microseconds = excluded.refreshed_at_microseconds",
        (token, microseconds, account_id),
    )
    transaction.run(
        "DELETE FROM device_tokens WHERE account_id = ?1 AND token IN (SELECT token FROM device_tokens"
        " WHERE account_id = ?1 ORDER BY refreshed_at_microseconds DESC, token DESC LIMIT -1 OFFSET ?2)",
        (account_id, MAX_DEVICE_TOKENS),
    )
