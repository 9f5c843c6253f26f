"""The one thread that writes, and its group commit.

It takes all jobs that wait, runs them in one transaction, and commits once (`synchronous=FULL`): with fifty callers
waiting, fifty messages share one fsync. After the COMMIT one call into the event loop
hands out, in order, what each job changed and then its result, so that sessions hear of a change before the caller
that made it goes on.

A job that fails, fails alone: when one of them raises, or the whole transaction is lost (full disk, I/O error), nothing
of it remains and each of its jobs is tried again in a transaction of its own. What can be done is done, the rest fails
for its own caller, and the thread itself never ends by an error.

Work that nobody waits for is one function, `background`: a job asks for it by `Transaction.leave_work`, and it then
gets a turn in each commit, or on its own when nothing waits, until it says that it is done.
Checkpoints, too, come when nothing waits, and before that only if the WAL grows beyond `WAL_LIMIT_BYTES`.
"""

import asyncio
import contextlib
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Final, Generic, TypeVar

from chatmail.errors import StorageError
from chatmail.mail.changes import MailboxChanges
from chatmail.storage.broadcast import ChangeBroadcast
from chatmail.storage.database import PAGE_BYTES, Row, translated

log = logging.getLogger(__name__)

T = TypeVar("T")

BATCH_JOBS: Final = 256
"""Jobs in one commit: bounds the wait of the first of them."""
WAITING_JOBS: Final = 1024
"""Jobs accepted before callers wait for their turn to submit."""
IDLE_SECONDS: Final = 0.25
"""Nothing to do for this long means there is time for a checkpoint."""
IDLE_CHECKPOINT_BYTES: Final = 1 << 20
"""Less than this in the WAL is not worth the fsyncs of a checkpoint."""
WAL_LIMIT_BYTES: Final = 64 << 20
"""Beyond this the checkpoint no longer waits for a quiet moment."""


class Transaction:
    """What one job sees while it runs: the database, and a place to say what else belongs to its outcome."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.changes: list[MailboxChanges] = []
        self.work_left = False
        self._committed: list[Callable[[], None]] = []
        self._undone: list[Callable[[], None]] = []

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        """Run one statement; all its rows."""
        return self._connection.execute(sql, parameters).fetchall()

    def row(self, sql: str, parameters: Sequence[object] = ()) -> Row | None:
        """Run one statement; its first row."""
        rows = self.rows(sql, parameters)
        return rows[0] if rows else None

    def run(self, sql: str, parameters: Sequence[object] = ()) -> int:
        """Run one statement; the number of rows it changed."""
        return self._connection.execute(sql, parameters).rowcount

    def insert(self, sql: str, parameters: Sequence[object] = ()) -> int:
        """Insert one row; its number."""
        row_id = self._connection.execute(sql, parameters).lastrowid
        assert row_id is not None
        return row_id

    def run_many(self, sql: str, parameters: Iterable[Sequence[object]]) -> None:
        """Run one statement for each set of parameters."""
        self._connection.executemany(sql, parameters)

    def when_committed(self, hook: Callable[[], None]) -> None:
        """Call `hook` in the event loop once the job is durable, before its changes are broadcast."""
        self._committed.append(hook)

    def leave_work(self) -> None:
        """Once this is committed there is something to do for `background`."""
        self.work_left = True

    def when_undone(self, hook: Callable[[], None]) -> None:
        """Call `hook` in the writer's thread if the job does not come to pass; last registered, first called."""
        self._undone.append(hook)

    def undo(self) -> None:
        """Call the `when_undone` hooks. A hook that fails leaves a stray file, which the sweep at start removes."""
        while self._undone:
            try:
                self._undone.pop()()
            except OSError:
                log.warning("could not take back a file of a failed transaction")

    def announce(self, broadcast: ChangeBroadcast) -> None:
        """In the event loop: the `when_committed` hooks, then the changes."""
        for hook in self._committed:
            hook()
        broadcast.publish(self.changes)


def _nothing(stored: bool) -> None:
    pass


@dataclass(slots=True)
class Job(Generic[T]):
    """A function to be run in a transaction; perhaps more than once, so its effects lie in the transaction alone."""

    run: Callable[[Transaction], T]
    future: "asyncio.Future[T] | None" = None
    settled: Callable[[bool], None] = _nothing
    transaction: Transaction | None = None
    value: T | None = None
    error: Exception | None = None

    def attempt(self, connection: sqlite3.Connection) -> None:
        """Run, for the first time or again; raises what the function raises."""
        self.error = None
        self.transaction = Transaction(connection)
        self.value = self.run(self.transaction)

    def fail(self, error: Exception) -> None:
        """The job did not come to pass."""
        self.error = translated(error)
        if self.transaction is not None:
            self.transaction.undo()

    def left_work(self) -> bool:
        """Whether, being committed, it has something for the background."""
        return self.error is None and self.transaction is not None and self.transaction.work_left

    def settle(self, broadcast: ChangeBroadcast) -> None:
        """In the event loop: announce, then resolve."""
        if self.error is None and self.transaction is not None:
            self.transaction.announce(broadcast)
        self.settled(self.error is None)
        if self.future is None or self.future.done():
            return
        if self.error is None:
            self.future.set_result(self.value)  # type: ignore[arg-type]
        else:
            self.future.set_exception(self.error)


AnyJob = Job[Any]
_STOP: Final[AnyJob] = Job(lambda transaction: None)


class Writer:
    """Owns the writing connection and its thread. `background` returns whether it has to be called again."""

    def __init__(
        self, connection: sqlite3.Connection, broadcast: ChangeBroadcast, background: Callable[[Transaction], bool]
    ) -> None:
        self._connection = connection
        self._broadcast = broadcast
        self._background = background
        self._work_left = True
        self._wal_bytes = 0
        self._rows_changed = 0
        self._loop = asyncio.get_running_loop()
        self._queue: SimpleQueue[AnyJob] = SimpleQueue()
        self._slots = asyncio.Semaphore(WAITING_JOBS)
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="chatmail-writer", daemon=True)
        self._thread.start()

    # --- in the event loop ---

    async def submit(self, run: Callable[[Transaction], T], settled: Callable[[bool], None] = _nothing) -> T:
        """Run `run` in a transaction; returns when that is durable. Raises `StorageError`, or what `run` raises.

        A caller that is cancelled does not undo its job. `settled` is called at the end in any case, in the event
        loop, with whether the job was committed.
        """
        try:
            await self._slots.acquire()
        except asyncio.CancelledError:
            settled(False)
            raise
        if self._closed:
            self._slots.release()
            settled(False)
            self.require_open()
        future: asyncio.Future[T] = self._loop.create_future()
        self._queue.put(Job(run, future, settled))
        return await future

    def require_open(self) -> None:
        """Raise `StorageError` once `close` was called."""
        if self._closed:
            raise StorageError("the store is closed")

    async def close(self) -> None:
        """Do what is queued, checkpoint, end the thread."""
        if not self._closed:
            self._closed = True
            self._queue.put(_STOP)
            await asyncio.to_thread(self._thread.join)
            # What the thread handed back last is settled before the caller goes on.
            await asyncio.sleep(0)

    def _settle(self, jobs: Sequence[AnyJob]) -> None:
        for job in jobs:
            if job.future is not None:
                self._slots.release()
            job.settle(self._broadcast)

    # --- in the writer's thread ---

    def _work(self) -> None:
        stopping = False
        while not stopping:
            batch = self._take()
            stopping = bool(batch) and batch[-1] is _STOP
            if stopping:
                batch.pop()
            idle = not batch
            if self._work_left and not stopping:
                self._work_left = False
                batch.append(Job(self._do_background))
            if batch:
                self._commit(batch)
            if self._wal_bytes > (IDLE_CHECKPOINT_BYTES if idle else WAL_LIMIT_BYTES):
                self._checkpoint()
        self._checkpoint()
        self._connection.close()

    def _take(self) -> list[AnyJob]:
        """All that waits, up to a bound; nothing if there is time for other work."""
        batch: list[AnyJob] = []
        try:
            if self._work_left:
                batch.append(self._queue.get_nowait())
            else:
                due = self._wal_bytes > IDLE_CHECKPOINT_BYTES
                batch.append(self._queue.get(timeout=IDLE_SECONDS if due else None))
            while len(batch) < BATCH_JOBS and batch[-1] is not _STOP:
                batch.append(self._queue.get_nowait())
        except Empty:
            pass
        return batch

    def _do_background(self, transaction: Transaction) -> None:
        if self._background(transaction):
            transaction.leave_work()

    def _commit(self, batch: Sequence[AnyJob]) -> None:
        self._transact(batch)
        self._work_left = self._work_left or any(job.left_work() for job in batch)
        rows_changed = self._connection.total_changes
        # A changed row dirties about one page; rows of one commit often share theirs. A guess is enough.
        self._wal_bytes += min(rows_changed - self._rows_changed, 4 * len(batch) + 64) * PAGE_BYTES
        self._rows_changed = rows_changed
        with contextlib.suppress(RuntimeError):  # the loop was closed without us: nobody is left to be told
            self._loop.call_soon_threadsafe(self._settle, batch)

    def _transact(self, batch: Sequence[AnyJob]) -> None:
        """All jobs in one transaction; if that cannot be, each in its own. Afterwards each has its value or error.

        A job that raises is a rare thing, a savepoint for each costs every delivery a tenth: hence no savepoints.
        """
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            for job in batch:
                job.attempt(connection)
            connection.execute("COMMIT")
        except Exception as error:
            for job in reversed(batch):
                job.fail(error)
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        else:
            return
        if len(batch) > 1:
            for job in batch:
                self._transact((job,))

    def _checkpoint(self) -> None:
        """Copy the WAL into the database file; whatever a reader still needs stays for the next time."""
        try:
            _busy, frames, copied = self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error as error:
            log.warning("the checkpoint failed: %s", error)
            frames = copied = 0
        self._wal_bytes = (frames - copied) * PAGE_BYTES
