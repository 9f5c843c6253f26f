"""Notifications that wait: rows of `push_queue`, one for each token of an account.

They are put in by the transaction that delivers, so none is lost and none is without its message. A second delivery
finds the row there: it only counts up, and the notification that is due anyway serves for both.
"""

import asyncio
from collections.abc import Collection, Sequence

from chatmail.mail.changes import AccountId
from chatmail.policy.push import BURST_SECONDS, LIFETIME_SECONDS
from chatmail.storage.database import Reader, among
from chatmail.storage.transaction import Transaction
from chatmail.storage.upkeep import PushItem
from chatmail.storage.writer import Writer


class PushTable:
    """What a delivery does."""

    def __init__(self) -> None:
        self.changed = asyncio.Event()

    def enqueue(self, transaction: Transaction, account_ids: Sequence[int], now_seconds: int) -> None:
        """Notify every token of these accounts soon."""
        which, numbers = among(account_ids)
        rows = transaction.run(
            "INSERT INTO push_queue (account_id, token, deliveries, queued_at, due_at, failures)"
            f" SELECT account_id, token, 1, ?1, ?2, 0 FROM device_tokens WHERE account_id {which.replace('?', '?3')}"
            " ON CONFLICT DO UPDATE SET deliveries = deliveries + 1, queued_at = excluded.queued_at",
            (now_seconds, now_seconds + BURST_SECONDS, numbers),
        )
        if rows > 0:
            transaction.when_committed(self.changed.set)


class StoredPushQueue:
    """`PushQueue` over SQLite."""

    def __init__(self, writer: Writer, reader: Reader, table: PushTable) -> None:
        self._writer = writer
        self._reader = reader
        self.changed = table.changed

    async def due(self, now: int, limit: int, under_way: Collection[tuple[AccountId, str]]) -> Sequence[PushItem]:
        """See `PushQueue.due`. What waits longer than a notification lives was queued by a clock that went back."""
        rows = self._reader.rows(
            "SELECT account_id, token, deliveries, queued_at, failures FROM push_queue"
            " WHERE due_at <= ?1 OR due_at > ?2 ORDER BY due_at LIMIT ?3",
            (now, now + LIFETIME_SECONDS, limit + len(under_way)),
        )
        return [PushItem(*row) for row in rows if (row[0], row[1]) not in under_way][:limit]

    async def next_due_at(self) -> int | None:
        """See `PushQueue.next_due_at`."""
        row = self._reader.row("SELECT min(due_at) FROM push_queue")
        return None if row is None or row[0] is None else int(row[0])

    async def sent(self, item: PushItem, now: int) -> None:
        """See `PushQueue.sent`."""

        def job(transaction: Transaction) -> None:
            key = (item.account_id, item.token)
            if not transaction.run(
                "DELETE FROM push_queue WHERE account_id = ? AND token = ? AND deliveries = ?", (*key, item.deliveries)
            ):
                transaction.run(
                    "UPDATE push_queue SET deliveries = deliveries - ?, due_at = ?, failures = 0"
                    " WHERE account_id = ? AND token = ?",
                    (item.deliveries, now + BURST_SECONDS, *key),
                )

        await self._writer.submit(job)

    async def postpone(self, item: PushItem, due_at: int) -> None:
        """See `PushQueue.postpone`."""
        sql = "UPDATE push_queue SET due_at = ?, failures = failures + 1 WHERE account_id = ? AND token = ?"
        await self._writer.submit(lambda transaction: transaction.run(sql, (due_at, item.account_id, item.token)))

    async def drop(self, item: PushItem) -> None:
        """See `PushQueue.drop`."""
        sql = "DELETE FROM push_queue WHERE account_id = ? AND token = ?"
        await self._writer.submit(lambda transaction: transaction.run(sql, (item.account_id, item.token)))

    async def forget_token(self, item: PushItem) -> None:
        """See `PushQueue.forget_token`."""

        def job(transaction: Transaction) -> None:
            for table in ("push_queue", "device_tokens"):
                transaction.run(
                    f"DELETE FROM {table} WHERE account_id = ? AND token = ?", (item.account_id, item.token)
                )

        await self._writer.submit(job)

    async def counts(self) -> tuple[int, int]:
        """See `PushQueue.counts`."""
        row = self._reader.row("SELECT (SELECT count(*) FROM push_queue), (SELECT count(*) FROM device_tokens)")
        assert row is not None
        return row[0], row[1]
