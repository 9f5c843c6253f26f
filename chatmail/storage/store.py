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
from pathlib import Path
from typing import Final, Self

from chatmail.errors import OperatorError
from chatmail.mail.address import Address
from chatmail.storage.accounts import Accounts
from chatmail.storage.bodies import BodyCache, BodyReader, BodyTable
from chatmail.storage.broadcast import ChangeBroadcast
from chatmail.storage.check import problems
from chatmail.storage.database import Reader, connect, storage_errors
from chatmail.storage.interface import (
    Account,
    AccountStore,
    Broadcast,
    ChangeListener,
    DeliveryOutcome,
    FlagsMode,
    LocalDelivery,
    Mailbox,
    MailboxSnapshot,
    MailboxStatus,
    MailboxStore,
    StagedBody,
    StoredBody,
    SubscriptionId,
)
from chatmail.storage.layout import DataLayout, FolderLock, prepare
from chatmail.storage.mailboxes import Mailboxes
from chatmail.storage.messages import LIGHT_MESSAGES, Messages
from chatmail.storage.purge import Purge
from chatmail.storage.schema import migrate
from chatmail.storage.staging import Stage, own_body
from chatmail.storage.sweep import sweep
from chatmail.storage.transaction import Transaction
from chatmail.storage.writer import Writer

__all__ = [
    "Account",
    "AccountStore",
    "Broadcast",
    "ChangeListener",
    "DeliveryOutcome",
    "FlagsMode",
    "LocalDelivery",
    "Mailbox",
    "MailboxSnapshot",
    "MailboxStatus",
    "MailboxStore",
    "StagedBody",
    "Store",
    "StoredBody",
    "SubscriptionId",
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

    def __init__(
        self, layout: DataLayout, lock: FolderLock, connection: sqlite3.Connection, max_mailbox_size_bytes: int
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
        self._writer = Writer(connection, broadcast, Purge(layout, table).step)
        self._stage = Stage(layout, self._writer, self._threads)
        self._messages = Messages(table, max_mailbox_size_bytes)
        self.broadcast = broadcast
        self.accounts = Accounts(self._writer, self._reader)
        self.mailboxes = Mailboxes(self._writer, self._reader, self._messages, self._stage, self._bodies)

    @classmethod
    async def open(cls, data_dir: Path, *, max_mailbox_size_bytes: int) -> Self:
        """Open or create the store, migrate its schema, sweep what an interrupted run left.

        The folder is created if its parent exists. `max_mailbox_size_bytes` bounds the sum of an account's messages.
        Raises `NewerDataError` for a folder of a newer version, `OperatorError` if the folder cannot be used or
        another process holds it, `StorageError` otherwise.
        """
        layout, lock = prepare(data_dir)
        with contextlib.ExitStack() as undo:
            undo.callback(lock.release)
            connection = await asyncio.to_thread(_open_database, layout)
            undo.callback(connection.close)
            with storage_errors():
                store = cls(layout, lock, connection, max_mailbox_size_bytes)
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
                self._messages.deliver(transaction, body, delivery.recipients, seconds)
                for body, delivery in zip(bodies, deliveries, strict=True)
            ]

        heavy = sum(len(delivery.recipients) for delivery in deliveries) > LIGHT_MESSAGES
        return await self._stage.store(bodies, job, heavy=heavy)

    async def check(self) -> tuple[str, ...]:
        """Read everything and say, in a sentence each, what is not as it should be; takes minutes for a large store."""
        return await asyncio.to_thread(self._check)

    def _check(self) -> tuple[str, ...]:
        reader = Reader(self._layout.database, cache_bytes=_READER_CACHE_BYTES)
        try:
            return tuple(problems(reader, self._layout))
        finally:
            reader.close()

    async def close(self) -> None:
        """Finish what is waiting, checkpoint and close."""
        await self._writer.close()
        self._bodies.close()
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
            migrate(connection)
            sweep(connection, layout)
        except BaseException:
            connection.close()
            raise
    return connection
