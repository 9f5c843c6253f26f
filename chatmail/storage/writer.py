"""What writes: one connection, one transaction at a time, and group commit.

All jobs that wait run in one transaction with one commit (`synchronous=FULL`): with fifty callers waiting, fifty
messages share one fsync. Then, in order, each job's changes are broadcast and its result is set, so that sessions
hear of a change before the caller that made it goes on. Meanwhile the next jobs gather.

Who runs what. Light jobs run in the event loop, some fifty microseconds each. Their COMMIT waits for the disk: where
that is quick, as on today's SSDs, it happens in the event loop too; where one was slow, the next ones happen in the
writer's thread, and all of them where the disk stays slow (`disk_pace.py`). Transactions are fewer and larger there:
they wait a little for company, and take in light jobs over several turns of the event loop. Heavy jobs, background
work, checkpoints and whatever is tried again run in the thread as a whole. The reason is the interpreter's lock: a
thread gives it up at each SQL statement, and beside an event loop that is busy it gets it back late. With whole
transactions in the thread, a loop at full load let one message a second through; with only the COMMIT there, between
one and a thousand. The connection is never used by both at once: it belongs to the thread from `_hand_over` until
`_finished`.

A job that fails, fails alone: when one of them raises, nothing of its transaction remains, it is tried again by itself,
and the others begin anew together. Where the COMMIT fails (full disk, I/O error), each of its jobs is tried again in a
transaction of its own. What can be done is done, the rest fails for its own caller, and the thread itself never ends by
an error.

Work that nobody waits for is one function, `background`: a job asks for it by `Transaction.leave_work`, and it then
gets every second turn, or all turns when nothing waits, until it says that it is done. Checkpoints come when nothing
waits, and before that only if the WAL grows beyond `WAL_LIMIT_BYTES`.
"""

import asyncio
import contextlib
import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from queue import SimpleQueue
from typing import Final, TypeVar

from chatmail.errors import StorageError
from chatmail.mail.changes import MailboxId
from chatmail.storage.broadcast import ChangeBroadcast
from chatmail.storage.database import PAGE_BYTES
from chatmail.storage.disk_pace import DiskPace
from chatmail.storage.transaction import AnyJob, Job, Transaction, nothing

log = logging.getLogger(__name__)

T = TypeVar("T")

BATCH_JOBS: Final = 256
"""Jobs in one commit: bounds the wait of the first of them."""
BATCH_SECONDS: Final = 0.004
"""Light jobs begin no later than this in one turn of the event loop: bounds how long that does nothing else."""
WAITING_JOBS: Final = 1024
"""Jobs accepted before callers wait for their turn to submit."""
IDLE_SECONDS: Final = 0.25
"""Nothing to do for this long means there is time for a checkpoint."""
IDLE_CHECKPOINT_BYTES: Final = 1 << 20
"""Less than this in the WAL is not worth the fsyncs of a checkpoint."""
WAL_LIMIT_BYTES: Final = 16 << 20
"""Beyond this the checkpoint no longer waits for a quiet moment. At 16 MiB it is hardly seen in the p99 of deliveries;
at 64 MiB it doubles that."""
LOCKED_SECONDS: Final = 2.0
"""How long the thread waits when another program, a person's sqlite3 shell for instance, has the database locked."""


class Writer:
    """Owns the writing connection and its thread. `background` returns whether it has to be called again."""

    def __init__(
        self, connection: sqlite3.Connection, broadcast: ChangeBroadcast, background: Callable[[Transaction], bool]
    ) -> None:
        self._connection = connection
        self._broadcast = broadcast
        self._background = background
        self._work_left = True
        self._background_was_last = False
        self._wal_bytes = 0
        self._rows_changed = 0
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[AnyJob] = deque()
        self._slots = asyncio.Semaphore(WAITING_JOBS)
        self._is_in_use = False
        """A transaction is open, or the connection is the thread's."""
        self._untold: asyncio.Future[None] | None = None
        """While the thread commits: ends when the changes have been broadcast."""
        self._untold_mailboxes: frozenset[MailboxId] | None = None
        """Whose changes those are; None where only the thread will know."""
        self._pace = DiskPace()
        self._next_is_due = False
        self._used_at = 0.0
        self._idle_timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._tasks: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="chatmail-writer", daemon=True)
        self._thread.start()
        self._call_next()

    # --- the door ---

    async def submit(
        self,
        run: Callable[[Transaction], T],
        settled: Callable[[bool], None] = nothing,
        *,
        heavy: bool = False,
    ) -> T:
        """Run `run` in a transaction; returns when that is durable. Raises `StorageError`, or what `run` raises.

        `heavy` work takes milliseconds or waits for a disk. A caller that is cancelled does not undo its job.
        `settled` is called at the end in any case, in the event loop, with whether the job was committed.
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
        self._waiting.append(Job(run, future, settled, heavy))
        self._call_next()
        return await future

    async def caught_up(self, mailbox_id: MailboxId) -> None:
        """Return when whatever a reader can see of a mailbox by now has been broadcast.

        The thread commits before the event loop hears of it; what others commit meanwhile is not waited for.
        """
        if self._untold is not None and (self._untold_mailboxes is None or mailbox_id in self._untold_mailboxes):
            await asyncio.shield(self._untold)

    def require_open(self) -> None:
        """Raise `StorageError` once `close` was called."""
        if self._closed:
            raise StorageError("the store is closed")

    async def close(self) -> None:
        """Do what is queued, checkpoint, end the thread."""
        if not self._closed:
            self._closed = True
            if self._idle_timer is not None:
                self._idle_timer.cancel()
            self._call_next()
        # A caller that is cancelled here must not cancel what the thread is about to set.
        await asyncio.shield(self._ended)
        self._thread.join()

    # --- in the event loop ---

    def _call_next(self) -> None:
        # Not at once: what is submitted in the same turn of the event loop belongs to the same commit.
        if not self._next_is_due and not self._is_in_use:
            self._next_is_due = True
            gathering_seconds = self._pace.gathering_seconds
            if gathering_seconds and len(self._waiting) < BATCH_JOBS:
                self._loop.call_later(gathering_seconds, self._next)
            else:
                self._loop.call_soon(self._next)

    def _next(self) -> None:
        """Begin what is to be done next, if anything is."""
        self._next_is_due = False
        background = self._work_left and not self._closed
        if self._wal_bytes > WAL_LIMIT_BYTES:
            self._hand_over(self._checkpoint, [])
        elif self._waiting and not (background and not self._background_was_last):
            self._background_was_last = False
            self._begin_batch()
        elif background:
            self._background_was_last = True
            self._work_left = False
            self._hand_over(self._each_alone, [Job(self._do_background, heavy=True)])
        elif self._closed:
            self._hand_over(self._end, [])
        elif self._wal_bytes > IDLE_CHECKPOINT_BYTES and self._idle_timer is None:
            self._idle_timer = self._loop.call_later(IDLE_SECONDS, self._idle)

    def _begin_batch(self) -> None:
        if self._waiting[0].heavy:
            self._hand_over(self._each_alone, [self._waiting.popleft()])
            return
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            # Not even begun: what all wait for is the same.
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), BATCH_JOBS))]
            self._undo(batch, error)
            self._hand_over(self._each_alone, batch)
        else:
            self._is_in_use = True
            self._fill([])

    def _fill(self, batch: list[AnyJob]) -> None:
        """Run light jobs in the open transaction; where the disk is slow, go on in the next turns of the loop."""
        connection = self._connection
        until = time.monotonic() + BATCH_SECONDS
        try:
            while self._waiting and not self._waiting[0].heavy and len(batch) < BATCH_JOBS:
                batch.append(self._waiting.popleft())
                batch[-1].attempt(connection)
                if time.monotonic() > until:
                    if self._pace.is_slow:
                        self._loop.call_soon(self._fill, batch)
                        return
                    break
        except Exception as error:
            self._undo(batch, error)
            culprit = batch.pop()
            self._waiting.extendleft(reversed(batch))
            self._hand_over(self._each_alone, [culprit])
            return
        if self._pace.is_slow:
            self._hand_over(self._commit, batch, _mailboxes_of(batch))
        else:
            self._commit_here(batch)

    def _commit_here(self, batch: list[AnyJob]) -> None:
        started = time.monotonic()
        try:
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._undo(batch, error)
            self._hand_over(self._each_alone, batch)
            return
        self._used_at = self._loop.time()
        self._pace.took_in_loop(time.monotonic() - started)
        self._note_committed(batch)
        self._finished(batch)

    def _hand_over(
        self,
        task: Callable[[list[AnyJob]], None],
        batch: list[AnyJob],
        mailboxes: frozenset[MailboxId] | None = None,
    ) -> None:
        """From now on the connection belongs to the thread, until that calls `_finished`."""
        self._is_in_use = True
        self._untold = self._loop.create_future() if batch else None
        self._untold_mailboxes = mailboxes
        self._used_at = self._loop.time()
        self._tasks.put(lambda: task(batch))

    def _finished(self, batch: Sequence[AnyJob]) -> None:
        self._is_in_use = False
        for job in batch:
            if job.future is not None:
                self._slots.release()
            elif job.error is not None:
                log.warning("background work failed, to be continued later: %s", job.error)
            job.settle(self._broadcast)
        if self._untold is not None:
            self._untold.set_result(None)
            self._untold = None
        # After the callers that were just answered: what they submit now shares the next commit.
        self._call_next()

    def _idle(self) -> None:
        self._idle_timer = None
        if self._is_in_use or self._next_is_due:
            return
        if self._loop.time() - self._used_at >= IDLE_SECONDS:
            self._hand_over(self._checkpoint, [])
        else:
            self._call_next()

    # --- in the writer's thread ---

    def _work(self) -> None:
        for task in iter(self._tasks.get, None):
            task()

    def _report(self, batch: list[AnyJob]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed without us: nobody is left to be told
            self._loop.call_soon_threadsafe(self._finished, batch)

    def _commit(self, batch: list[AnyJob]) -> None:
        started = time.monotonic()
        try:
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._undo(batch, error)
            self._each_alone(batch)
        else:
            # Nobody else looks at the pace while the connection is the thread's.
            self._pace.took_in_thread(time.monotonic() - started)
            self._note_committed(batch)
            self._report(batch)

    def _each_alone(self, batch: list[AnyJob]) -> None:
        """Run each job in its own transaction; afterwards each has its value or its error."""
        connection = self._connection
        patience_seconds = LOCKED_SECONDS
        for job in batch:
            try:
                connection.execute(f"PRAGMA busy_timeout = {round(1000 * patience_seconds)}")
                connection.execute("BEGIN IMMEDIATE")
                job.attempt(connection)
                connection.execute("COMMIT")
            except Exception as error:
                self._undo([job], error)
                # Whoever holds a lock for so long will hold it for the next one too.
                patience_seconds = 0.0
        with contextlib.suppress(sqlite3.Error):
            connection.execute("PRAGMA busy_timeout = 0")
        self._note_committed(batch)
        self._report(batch)

    def _undo(self, batch: Sequence[AnyJob], error: Exception) -> None:
        """Leave the transaction, if SQLite has not done so itself, and take back what its jobs did elsewhere."""
        for job in reversed(batch):
            job.fail(error)
        if self._connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")

    def _note_committed(self, batch: Sequence[AnyJob]) -> None:
        """What a COMMIT leaves to be done."""
        self._work_left = self._work_left or any(job.left_work() for job in batch)
        rows_changed = self._connection.total_changes
        # A changed row dirties about one page; rows of one commit often share theirs. A guess is enough.
        self._wal_bytes += min(rows_changed - self._rows_changed, 4 * len(batch) + 64) * PAGE_BYTES
        self._rows_changed = rows_changed

    def _do_background(self, transaction: Transaction) -> None:
        if self._background(transaction):
            transaction.leave_work()

    def _checkpoint(self, batch: list[AnyJob]) -> None:
        self._copy_wal()
        self._report(batch)

    def _copy_wal(self) -> None:
        """Copy the WAL into the database file; whatever a reader still needs stays for the next time."""
        try:
            _busy, frames, copied = self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error as error:
            log.warning("the checkpoint failed: %s", error)
            frames = copied = 0
        # What a reader still needs now is not worth another try before more is added to it.
        self._wal_bytes = 0 if frames == copied else min((frames - copied) * PAGE_BYTES, WAL_LIMIT_BYTES // 2)

    def _end(self, batch: list[AnyJob]) -> None:
        self._copy_wal()
        self._connection.close()
        self._tasks.put(None)
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._ended.set_result, None)


def _mailboxes_of(batch: Iterable[AnyJob]) -> frozenset[MailboxId]:
    """The mailboxes that jobs have changed in their open transaction."""
    return frozenset(
        changes.mailbox_id for job in batch if job.transaction is not None for changes in job.transaction.changes
    )
