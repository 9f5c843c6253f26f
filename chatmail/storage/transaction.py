"""A job of the writer, and the transaction it runs in."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from chatmail.mail.changes import MailboxChanges
from chatmail.storage.broadcast import ChangeBroadcast
from chatmail.storage.database import Row, translated

log = logging.getLogger(__name__)

T = TypeVar("T")


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
        """Call `hook`, in the thread that ran the job, if it does not come to pass; last registered, first called."""
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


def nothing(stored: bool) -> None:
    """Do nothing when a job is settled."""


@dataclass(slots=True)
class Job(Generic[T]):
    """A function to be run in a transaction; perhaps more than once, so its effects lie in the transaction alone."""

    run: Callable[[Transaction], T]
    future: "asyncio.Future[T] | None" = None
    settled: Callable[[bool], None] = nothing
    heavy: bool = False
    """Whether it may take milliseconds, or waits for a disk, and so must not run in the event loop."""
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
