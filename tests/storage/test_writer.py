"""The writer's thread: group commit, one failing job among others, callers that go away."""

import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from chatmail.errors import StorageError
from chatmail.mail.changes import MailboxChanges, MailboxId, MailboxRemoved
from chatmail.storage.broadcast import ChangeBroadcast
from chatmail.storage.database import connect
from chatmail.storage.transaction import Transaction
from chatmail.storage.writer import Writer

MAILBOX = MailboxId(7)


class Desk:
    """A writer over one table of numbers, which can be held up so that what is submitted meanwhile shares a commit."""

    def __init__(self, path: Path) -> None:
        connection = self.connection = connect(path, cache_bytes=1 << 20)
        connection.execute("CREATE TABLE numbers (number INTEGER UNIQUE)")
        self.broadcast = ChangeBroadcast()
        self.turns = 0
        self.go = threading.Event()
        self.go.set()
        self.writer = Writer(connection, self.broadcast, self.background)
        self.reading = sqlite3.connect(path)

    def background(self, transaction: Transaction) -> bool:
        self.turns += 1
        return self.turns < 5

    def hold_up(self) -> "asyncio.Task[bool]":
        self.go.clear()
        return asyncio.create_task(self.writer.submit(lambda transaction: self.go.wait(), heavy=True))

    def numbers(self) -> list[int]:
        return [number for (number,) in self.reading.execute("SELECT number FROM numbers ORDER BY number")]


def insert(number: int) -> Callable[[Transaction], int]:
    return lambda transaction: transaction.insert("INSERT INTO numbers VALUES (?)", (number,))


def fail(transaction: Transaction) -> None:
    transaction.insert("INSERT INTO numbers VALUES (666)")
    raise RuntimeError("a bug")


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    desk = Desk(tmp_path / "numbers.sqlite")
    yield desk
    desk.go.set()
    await desk.writer.close()
    desk.reading.close()


async def test_a_job_is_durable_when_submit_returns(desk: Desk) -> None:
    await desk.writer.submit(insert(1))
    assert desk.numbers() == [1]


async def test_a_job_that_raises_fails_alone_and_leaves_nothing(desk: Desk) -> None:
    held = desk.hold_up()
    await asyncio.sleep(0)
    jobs = [asyncio.create_task(desk.writer.submit(job)) for job in (insert(1), fail, insert(2))]
    await asyncio.sleep(0)
    desk.go.set()
    first, bug, second = await asyncio.gather(*jobs, return_exceptions=True)
    await held
    assert isinstance(bug, RuntimeError)
    assert (first, second) == (1, 2)
    assert desk.numbers() == [1, 2]


async def test_what_a_failed_job_did_outside_the_database_is_taken_back(desk: Desk) -> None:
    undone: list[str] = []
    attempts: list[Transaction] = []

    def job(transaction: Transaction) -> None:
        attempts.append(transaction)
        transaction.when_undone(lambda: undone.append("first"))
        transaction.when_undone(lambda: undone.append("second"))
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError):
        await desk.writer.submit(job)
    # Twice if it shared its first transaction with another job.
    assert undone == ["second", "first"] * len(attempts)


async def test_a_job_of_a_lost_transaction_is_tried_again_by_itself(desk: Desk) -> None:
    held = desk.hold_up()
    await asyncio.sleep(0)

    def lose_everything(transaction: Transaction) -> None:
        # What SQLite does by itself when the disk is full.
        transaction.run("ROLLBACK")
        raise sqlite3.OperationalError("disk I/O error")

    jobs = [asyncio.create_task(desk.writer.submit(job)) for job in (insert(1), lose_everything, insert(2))]
    await asyncio.sleep(0)
    desk.go.set()
    first, lost, second = await asyncio.gather(*jobs, return_exceptions=True)
    await held
    assert isinstance(lost, StorageError)
    assert (first, second) == (1, 2)
    assert desk.numbers() == [1, 2]


async def test_changes_are_announced_in_order_and_before_any_caller_resumes(desk: Desk) -> None:
    story: list[object] = []
    desk.broadcast.subscribe(MAILBOX, lambda changes: story.append(changes.origin))

    def job(origin: str) -> Callable[[Transaction], None]:
        def run(transaction: Transaction) -> None:
            transaction.when_committed(lambda: story.append(f"{origin} committed"))
            transaction.changes.append(MailboxChanges(MAILBOX, (MailboxRemoved(),), origin))

        return run

    async def caller(origin: str) -> None:
        await desk.writer.submit(job(origin))
        story.append(f"{origin} resumed")

    held = desk.hold_up()
    await asyncio.sleep(0)
    callers = asyncio.gather(caller("a"), caller("b"))
    await asyncio.sleep(0)
    desk.go.set()
    await asyncio.gather(held, callers)
    assert story == ["a committed", "a", "b committed", "b", "a resumed", "b resumed"]


async def test_a_caller_that_goes_away_does_not_undo_its_job(desk: Desk) -> None:
    outcomes: list[bool] = []
    held = desk.hold_up()
    await asyncio.sleep(0)
    caller = asyncio.create_task(desk.writer.submit(insert(1), outcomes.append))
    await asyncio.sleep(0)
    caller.cancel()
    with suppress(asyncio.CancelledError):
        await caller
    desk.go.set()
    await held
    await desk.writer.submit(insert(2))
    assert desk.numbers() == [1, 2]
    assert outcomes == [True]


async def test_background_work_runs_until_it_is_done_and_again_when_a_job_asks(desk: Desk) -> None:
    while desk.turns < 5:
        await desk.writer.submit(lambda transaction: None)
    await desk.writer.submit(lambda transaction: transaction.leave_work())
    await desk.writer.close()
    assert desk.turns in (5, 6)  # closing does not wait for it


async def test_more_callers_than_places_all_get_their_turn(desk: Desk) -> None:
    await asyncio.gather(*(desk.writer.submit(insert(number)) for number in range(3000)))
    assert desk.numbers() == list(range(3000))


async def test_closing_does_what_was_submitted_and_refuses_what_comes_later(desk: Desk) -> None:
    outcomes: list[bool] = []
    earlier = asyncio.create_task(desk.writer.submit(insert(1)))
    await asyncio.sleep(0)
    await desk.writer.close()
    await earlier
    assert desk.numbers() == [1]
    with pytest.raises(StorageError):
        await desk.writer.submit(insert(2), outcomes.append)
    assert outcomes == [False]


async def test_the_wal_stays_bounded_without_a_quiet_moment(
    tmp_path: Path, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatmail.storage.writer.WAL_LIMIT_BYTES", 1 << 20)
    for number in range(300):
        await desk.writer.submit(insert(number))
    # 300 commits of one or two pages of 16 KiB each, had nothing been copied on the way.
    assert (tmp_path / "numbers.sqlite-wal").stat().st_size < 3 << 20


async def test_while_another_program_holds_the_lock_the_event_loop_goes_on(desk: Desk, tmp_path: Path) -> None:
    await desk.writer.submit(insert(1))
    shell = sqlite3.connect(tmp_path / "numbers.sqlite", isolation_level=None)
    shell.execute("BEGIN IMMEDIATE")
    waiting = [asyncio.create_task(desk.writer.submit(insert(number))) for number in (2, 3)]
    for _ in range(100):
        await asyncio.sleep(0)
    assert not any(job.done() for job in waiting)
    shell.execute("ROLLBACK")
    await asyncio.gather(*waiting)
    assert desk.numbers() == [1, 2, 3]
    shell.close()


async def test_a_lock_that_stays_is_a_storage_error_for_all_who_wait_and_not_for_later_ones(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatmail.storage.writer.LOCKED_SECONDS", 0.05)
    await desk.writer.submit(insert(1))
    shell = sqlite3.connect(tmp_path / "numbers.sqlite", isolation_level=None)
    shell.execute("BEGIN IMMEDIATE")
    jobs = (desk.writer.submit(insert(number)) for number in range(2, 50))
    outcomes = await asyncio.gather(*jobs, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {StorageError}
    shell.execute("ROLLBACK")
    shell.close()
    await desk.writer.submit(insert(50))
    assert desk.numbers() == [1, 50]


async def test_after_a_slow_commit_the_next_ones_wait_for_the_disk_in_the_thread(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatmail.storage.disk_pace.QUICK_COMMIT_SECONDS", 0.0)
    monkeypatch.setattr("chatmail.storage.disk_pace.LOCK_SECONDS", 1000.0)
    monkeypatch.setattr("chatmail.storage.disk_pace.JUDGED_COMMITS", 3)
    while desk.turns < 5:
        await desk.writer.submit(lambda transaction: None)
    threads: list[str] = []

    def note(sql: str) -> None:
        if sql == "COMMIT":
            threads.append("loop" if threading.current_thread() is threading.main_thread() else "thread")

    desk.connection.set_trace_callback(note)
    for number in range(1, 12):
        await desk.writer.submit(insert(number))
    desk.connection.set_trace_callback(None)
    first = threads.index("loop")
    assert threads[first:][:8] == ["loop", "thread", "thread", "thread"] * 2


async def test_jobs_get_through_beside_an_event_loop_at_full_load(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatmail.storage.disk_pace.QUICK_COMMIT_SECONDS", 1.0)

    async def compute() -> None:
        while True:
            until = time.perf_counter() + 0.0002
            while time.perf_counter() < until:
                pass
            await asyncio.sleep(0)

    load = asyncio.create_task(compute())
    # When the thread ran each statement, this took more than a minute.
    async with asyncio.timeout(20):
        for first in range(0, 400, 20):
            await asyncio.gather(*(desk.writer.submit(insert(number)) for number in range(first, first + 20)))
    load.cancel()
    assert len(desk.numbers()) == 400


async def test_whoever_waits_to_be_caught_up_has_heard_of_all_that_can_be_read(desk: Desk) -> None:
    heard: list[MailboxChanges] = []
    desk.broadcast.subscribe(MAILBOX, heard.append)
    await desk.writer.caught_up(MAILBOX)

    def change(transaction: Transaction) -> None:
        transaction.insert("INSERT INTO numbers VALUES (1)")
        transaction.changes.append(MailboxChanges(MAILBOX, (MailboxRemoved(),)))

    submitted = asyncio.create_task(desk.writer.submit(change, heavy=True))
    while desk.numbers() != [1]:
        await asyncio.sleep(0)
    await desk.writer.caught_up(MAILBOX)
    assert len(heard) == 1
    await submitted


class SlowDisk:
    """Stands between a writer and its connection: a COMMIT waits in the thread until it may go on."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.commits: list[str] = []
        """`loop` or `thread`, for each."""
        self.may_commit = threading.Semaphore(0)

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:  # noqa: ANN401 — as sqlite3 has it
        if sql == "COMMIT":
            is_loop = threading.current_thread() is threading.main_thread()
            self.commits.append("loop" if is_loop else "thread")
            if not is_loop:
                self.may_commit.acquire()
        return self._connection.execute(sql, *parameters)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._connection, name)


@pytest.fixture
async def slow(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SlowDisk]:
    """From the next COMMIT on, the desk's disk is slow."""
    while desk.turns < 5:
        await desk.writer.submit(lambda transaction: None)
    monkeypatch.setattr("chatmail.storage.disk_pace.QUICK_COMMIT_SECONDS", 0.0)
    disk = SlowDisk(desk.connection)
    monkeypatch.setattr(desk.writer, "_connection", disk)
    await desk.writer.submit(insert(0))
    disk.commits.clear()
    yield disk
    disk.may_commit.release(1000)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.001)


async def test_a_disk_that_stays_slow_never_holds_up_the_event_loop_again(
    desk: Desk, slow: SlowDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatmail.storage.disk_pace.LOCK_SECONDS", 0.0)
    slow.may_commit.release(100)
    for number in range(1, 60):
        await desk.writer.submit(insert(number))
    assert slow.commits == ["thread"] * 59


async def test_on_a_slow_disk_what_comes_in_several_turns_shares_one_commit(
    desk: Desk, slow: SlowDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatmail.storage.writer.BATCH_SECONDS", 0.0)  # one job, or none, in each turn
    jobs = [asyncio.create_task(desk.writer.submit(insert(number))) for number in range(1, 201)]
    await until(lambda: slow.commits == ["thread"])
    slow.may_commit.release()
    await asyncio.gather(*jobs)
    assert len(slow.commits) == 1
    assert desk.numbers() == list(range(201))


async def test_one_job_that_fails_costs_the_others_of_its_transaction_no_commit_each(
    desk: Desk, slow: SlowDisk
) -> None:
    slow.may_commit.release(1000)
    work = [*map(insert, range(1, 100)), fail, *map(insert, range(100, 200))]
    outcomes = await asyncio.gather(*(desk.writer.submit(job) for job in work), return_exceptions=True)
    assert [type(one) for one in outcomes].count(RuntimeError) == 1
    assert desk.numbers() == list(range(200))
    assert len(slow.commits) < 10


async def test_who_reads_another_mailbox_does_not_wait_for_the_disk(desk: Desk, slow: SlowDisk) -> None:
    def change(transaction: Transaction) -> None:
        transaction.changes.append(MailboxChanges(MAILBOX, (MailboxRemoved(),)))

    changing = asyncio.create_task(desk.writer.submit(change))
    await until(lambda: slow.commits == ["thread"])
    async with asyncio.timeout(20):
        await desk.writer.caught_up(MailboxId(8))
    waiting = asyncio.create_task(desk.writer.caught_up(MAILBOX))
    await asyncio.sleep(0)
    assert not waiting.done() and not changing.done()
    slow.may_commit.release()
    await asyncio.gather(waiting, changing)
