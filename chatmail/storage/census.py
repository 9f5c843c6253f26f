"""Counts over whole tables, for whoever watches the server: a few at a time, in a thread and over a connection of their
own, so that nobody who delivers or reads waits for them.

What they cost grows with the store (some ten milliseconds for 100,000 accounts), so each answer says what it took, for
whoever asks again and again.
"""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime
from time import thread_time
from typing import Final, Generic, TypeVar

from chatmail.errors import StorageError
from chatmail.storage.database import Reader
from chatmail.storage.layout import DataLayout

_CACHE_BYTES: Final = 1 << 20
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Counted(Generic[_T]):
    """An answer, and the processor time it took."""

    value: _T
    took_seconds: float


@dataclass(frozen=True, slots=True)
class AccountCensus:
    """How many accounts there are; a day is one of UTC."""

    total: int
    active: int
    """With a login that day."""
    new: int
    blocked: int


@dataclass(frozen=True, slots=True)
class WaitingFor:
    """What waits for one domain; `last_reply` is what another server said, or why it could not be asked."""

    domain: str
    items: int
    oldest_queued_at: datetime
    next_attempt_at: datetime
    attempts: int
    last_reply: str


@dataclass(frozen=True, slots=True)
class QueueCensus:
    """The outbound queue as a whole; `longest` are the domains waited for longest."""

    items: int
    domains: int
    longest: tuple[WaitingFor, ...]


@dataclass(frozen=True, slots=True)
class StoreCensus:
    """What the data folder holds. Bytes are those of files."""

    messages: int
    database_bytes: int
    free_pages_bytes: int
    bodies_bytes: int


class Census:
    """Asks one thing at a time. All raise `StorageError`."""

    def __init__(self, layout: DataLayout) -> None:
        """Nothing is opened before it is needed."""
        self._layout = layout
        self._thread = ThreadPoolExecutor(1, "chatmail-census")
        self._reader: Reader | None = None

    async def accounts(self, today: date) -> Counted[AccountCensus]:
        """Count accounts."""
        return await self._ask(lambda reader: _accounts(reader, today.toordinal()))

    async def queue(self, limit: int) -> Counted[QueueCensus]:
        """Count what waits, naming up to `limit` domains."""
        return await self._ask(lambda reader: _queue(reader, limit))

    async def store(self) -> Counted[StoreCensus]:
        """Count messages and bytes; reads the index of all messages, and the names of all files."""
        return await self._ask(self._store)

    async def push(self) -> Counted[tuple[int, int]]:
        """Notifications that wait, and device tokens of all accounts."""
        return await self._ask(_push)

    async def close(self) -> None:
        """Wait for the count under way, and end the thread."""
        await asyncio.to_thread(self._thread.shutdown)
        if self._reader is not None:
            self._reader.close()

    async def _ask(self, question: Callable[[Reader], _T]) -> Counted[_T]:
        def work() -> Counted[_T]:
            started = thread_time()
            value = question(self._open())
            return Counted(value, thread_time() - started)

        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except RuntimeError:
            raise StorageError("the store is closed") from None

    def _open(self) -> Reader:
        if self._reader is None:
            self._reader = Reader(self._layout.database, cache_bytes=_CACHE_BYTES)
        return self._reader

    def _store(self, reader: Reader) -> StoreCensus:
        (messages,) = reader.rows("SELECT count(*) FROM messages")[0]
        (free_pages,) = reader.rows("PRAGMA freelist_count")[0]
        (page_bytes,) = reader.rows("PRAGMA page_size")[0]
        database = self._layout.database
        beside = (database, database.with_name(f"{database.name}-wal"))
        bodies = sum(map(_size, map(str, self._layout.body_files())))
        return StoreCensus(messages, sum(map(_size, map(str, beside))), free_pages * page_bytes, bodies)


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _accounts(reader: Reader, today: int) -> AccountCensus:
    rows = reader.rows(
        "SELECT count(*), ifnull(sum(last_login_on = ?1), 0), ifnull(sum(created_on = ?1), 0), ifnull(sum(blocked), 0)"
        " FROM accounts",
        (today,),
    )
    return AccountCensus(*rows[0])


def _queue(reader: Reader, limit: int) -> QueueCensus:
    rows = reader.rows(
        "SELECT domain, count(*), min(queued_at), min(next_attempt_at), max(attempts) FROM queue_items GROUP BY domain"
        " ORDER BY min(queued_at), domain"
    )
    longest = [
        WaitingFor(domain, items, _time(queued_at), _time(next_attempt_at), attempts, _last_reply(reader, domain))
        for domain, items, queued_at, next_attempt_at, attempts in rows[:limit]
    ]
    return QueueCensus(sum(row[1] for row in rows), len(rows), tuple(longest))


def _last_reply(reader: Reader, domain: str) -> str:
    """Of the attempt that was made last, as far as that can be told: it has the latest next attempt."""
    row = reader.row(
        "SELECT last_reply FROM queue_items WHERE domain = ? AND last_reply != ''"
        " ORDER BY next_attempt_at DESC LIMIT 1",
        (domain,),
    )
    return "" if row is None else str(row[0])


def _push(reader: Reader) -> tuple[int, int]:
    row = reader.row("SELECT (SELECT count(*) FROM push_queue), (SELECT count(*) FROM device_tokens)")
    assert row is not None
    return row[0], row[1]


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
