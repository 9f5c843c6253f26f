"""The store's one door: `Store`. Async, in the field's words; nothing of SQL or SQLite crosses it.

Guarantees every service relies on:

- When a mutating call returns, its effect is durable (`synchronous=FULL`, group commit) and visible to every reader.
- In the same event-loop tick, *before* the awaiting caller resumes, its `MailboxChanges` have been handed to all
  subscribers of `Store.broadcast`, in commit order.
- UIDs of a mailbox ascend and are never reused; UIDVALIDITY is random and changes when an address is created again.
- A body is stored once however many recipients it has, and goes away with its last message.
- Failures are `StorageError` / `StorageFullError`; nothing half-written is ever visible.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final, Self

from chatmail.errors import OperatorError
from chatmail.mail.address import Address
from chatmail.mail.changes import MailboxId
from chatmail.storage.accounts import Accounts
from chatmail.storage.bodies import BodyCache, BodyReader, BodyTable
from chatmail.storage.broadcast import ChangeBroadcast
from chatmail.storage.census import Census
from chatmail.storage.check import problems
from chatmail.storage.database import INCREMENTAL, Reader, connect, storage_errors
from chatmail.storage.duplicates import deliver_once
from chatmail.storage.interface import (
    Account,
    AccountDetails,
    AccountStore,
    AccountSummary,
    Broadcast,
    ChangeListener,
    DeliveryOutcome,
    FlagsMode,
    LocalDelivery,
    Mailbox,
    MailboxSnapshot,
    MailboxStatus,
    MailboxStore,
    NewMessage,
    StagedBody,
    StoredBody,
    SubscriptionId,
)
from chatmail.storage.invitations import Invitations, Settings
from chatmail.storage.layout import DataLayout, FolderLock, prepare
from chatmail.storage.long_reading import LongReading
from chatmail.storage.mailboxes import Mailboxes
from chatmail.storage.messages import LIGHT_MESSAGES, Messages
from chatmail.storage.outbound import (
    Deferral,
    Direction,
    Outbound,
    QueueItem,
    QueueItemId,
    TrafficCount,
    TrafficOutcome,
)
from chatmail.storage.purge import Purge
from chatmail.storage.push_queue import PushTable, StoredPushQueue
from chatmail.storage.queue import OutboundQueue, QueueTable
from chatmail.storage.retention import Retention
from chatmail.storage.schema import migrate
from chatmail.storage.staging import IncomingBody, Stage, own_body
from chatmail.storage.sweep import sweep
from chatmail.storage.traffic import Traffic
from chatmail.storage.transaction import Transaction
from chatmail.storage.upkeep import (
    Amount,
    Invitation,
    InvitationStore,
    MessageKey,
    Overdue,
    PushItem,
    PushQueue,
    RetentionStore,
    SettingStore,
    Space,
)
from chatmail.storage.writer import Writer

__all__ = [
    "Account",
    "AccountDetails",
    "AccountStore",
    "AccountSummary",
    "Amount",
    "Broadcast",
    "ChangeListener",
    "Deferral",
    "DeliveryOutcome",
    "Direction",
    "FlagsMode",
    "Invitation",
    "InvitationStore",
    "LocalDelivery",
    "Mailbox",
    "MailboxSnapshot",
    "MailboxStatus",
    "MailboxStore",
    "MessageKey",
    "NewMessage",
    "Outbound",
    "OutboundQueue",
    "Overdue",
    "PushItem",
    "PushQueue",
    "QueueItem",
    "QueueItemId",
    "RetentionStore",
    "SettingStore",
    "Space",
    "StagedBody",
    "Store",
    "StoredBody",
    "SubscriptionId",
    "Traffic",
    "TrafficCount",
    "TrafficOutcome",
]

_WRITER_CACHE_BYTES: Final = 8 << 20
_READER_CACHE_BYTES: Final = 4 << 20
"""Pages that each connection keeps, taken only as they are needed; the system's page cache has the rest."""
_FILE_THREADS: Final = 4
"""Threads for fsync and for reading large bodies: as many as a disk serves well at once."""


class Store:
    """Everything durable. Made by `open`; use it in the event loop that opened it."""

    accounts: AccountStore
    mailboxes: MailboxStore
    broadcast: Broadcast
    retention: RetentionStore
    push: PushQueue
    invitations: InvitationStore
    settings: SettingStore
    queue: OutboundQueue
    traffic: Traffic
    census: Census

    def __init__(
        self,
        layout: DataLayout,
        lock: FolderLock,
        connection: sqlite3.Connection,
        max_mailbox_size_bytes: int,
        queues_push: bool,
    ) -> None:
        broadcast = ChangeBroadcast()
        cache = BodyCache()
        table = BodyTable(layout, cache)
        self._layout = layout
        self._lock = lock
        self._threads = ThreadPoolExecutor(_FILE_THREADS, "chatmail-files")
        self._reader = Reader(layout.database, cache_bytes=_READER_CACHE_BYTES)
        cold_reader = Reader(layout.database, cache_bytes=_READER_CACHE_BYTES)
        self._bodies = BodyReader(layout, cache, cold_reader, self._threads)
        self._long_reading = LongReading(layout.database)
        self._writer = Writer(connection, broadcast, Purge(layout, table).step)
        self._stage = Stage(layout, self._writer, self._threads)
        push = PushTable()
        queue = QueueTable(table)
        self._messages = Messages(table, queue, max_mailbox_size_bytes, push if queues_push else None)
        self._retention = Retention(layout, self._writer, self._messages)
        self.broadcast = broadcast
        self.retention = self._retention
        self.push = StoredPushQueue(self._writer, self._reader, push)
        self.invitations = Invitations(self._writer, self._reader)
        self.settings = Settings(self._writer, self._reader)
        self.queue = OutboundQueue(self._writer, self._reader, self._stage, self._bodies, queue, self._deliver_one)
        self.traffic = Traffic(self._writer, self._reader)
        self.census = Census(layout)
        self.accounts = Accounts(self._writer, self._reader, table, max_mailbox_size_bytes)
        self.mailboxes = Mailboxes(
            self._writer, self._reader, self._messages, self._stage, self._bodies, self._long_reading
        )

    @classmethod
    async def open(cls, data_dir: Path, *, max_mailbox_size_bytes: int, queues_push: bool = False) -> Self:
        """Open or create the store, migrate its schema, sweep what an interrupted run left.

        The folder is created if its parent exists. `max_mailbox_size_bytes` bounds the sum of an account's messages;
        with `queues_push` each delivery puts notifications into `push`.
        Raises `NewerDataError` for a folder of a newer version, `OperatorError` if the folder cannot be used or
        another process holds it, `StorageError` otherwise.
        """
        layout, lock = prepare(data_dir)
        with contextlib.ExitStack() as undo:
            undo.callback(lock.release)
            connection = await asyncio.to_thread(_open_database, layout)
            undo.callback(connection.close)
            with storage_errors():
                store = cls(layout, lock, connection, max_mailbox_size_bytes, queues_push)
            undo.pop_all()
        return store

    def stage(self, header_bytes: bytes) -> StagedBody:
        """Begin to receive a message whose (already rewritten) header block is `header_bytes`."""
        return self._stage.begin(header_bytes)

    async def deliver(
        self, deliveries: Sequence[LocalDelivery], now: datetime
    ) -> Sequence[Mapping[Address, DeliveryOutcome]]:
        """Deliver all in one transaction; one map of outcomes per delivery. A full mailbox fails for itself alone.

        Addresses are looked up as they are: whoever gives mail to `name+tag` to `name` does so before. Times are kept
        in whole seconds. Raises `StorageFullError` or `StorageError` with nothing delivered at all.
        """
        bodies = [own_body(delivery.body) for delivery in deliveries]
        seconds = int(now.timestamp())

        def job(transaction: Transaction) -> Sequence[Mapping[Address, DeliveryOutcome]]:
            return [
                self._deliver_one(transaction, body, delivery, seconds)
                for body, delivery in zip(bodies, deliveries, strict=True)
            ]

        heavy = sum(len(delivery.recipients) for delivery in deliveries) > LIGHT_MESSAGES
        return await self._stage.store(bodies, job, heavy=heavy)

    def _deliver_one(
        self, transaction: Transaction, body: IncomingBody, delivery: LocalDelivery, now_seconds: int
    ) -> Mapping[Address, DeliveryOutcome]:
        deliver = partial(
            self._messages.deliver,
            transaction,
            body,
            now_seconds=now_seconds,
            sender=delivery.sender,
            outbound=delivery.outbound,
            whole_at=delivery.whole_at,
        )
        return deliver_once(transaction, delivery.duplicate_key, delivery.recipients, now_seconds, deliver)

    async def check(self) -> tuple[str, ...]:
        """Read everything and say, in a sentence each, what is not as it should be; takes minutes for a large store."""
        return await asyncio.to_thread(self._check)

    def _check(self) -> tuple[str, ...]:
        reader = Reader(self._layout.database, cache_bytes=_READER_CACHE_BYTES)
        try:
            return tuple(problems(reader, self._layout))
        finally:
            reader.close()

    async def caught_up(self, mailbox_id: MailboxId) -> None:
        """Return when whatever of a mailbox has been read by now has also been broadcast."""
        await self._writer.caught_up(mailbox_id)

    async def close(self) -> None:
        """Finish what is waiting, checkpoint and close."""
        await self.traffic.close()
        await self._writer.close()
        await self.census.close()
        self._bodies.close()
        self._long_reading.close()
        self._retention.close()
        self._reader.close()
        self._threads.shutdown()
        self._lock.release()


def _open_database(layout: DataLayout) -> sqlite3.Connection:
    with storage_errors():
        try:
            connection = connect(layout.database, cache_bytes=_WRITER_CACHE_BYTES)
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_NOTADB:
                raise
            raise OperatorError(
                f"The file {layout.database} is not a database of chatmail; move it away or set data_dir elsewhere."
            ) from error
        try:
            _make_shrinkable(connection)
            migrate(connection)
            sweep(connection, layout)
        except BaseException:
            connection.close()
            raise
    return connection


def _make_shrinkable(connection: sqlite3.Connection) -> None:
    """Rewrite a file of the first days, which could not give space back; minutes for gigabytes, once."""
    (auto_vacuum,) = connection.execute("PRAGMA auto_vacuum").fetchone()
    if auto_vacuum != INCREMENTAL:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("VACUUM")
