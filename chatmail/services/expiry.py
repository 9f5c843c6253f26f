"""Removes what is over its time: old mail, unused accounts, old device tokens, used-up invitations, stray files.

Doors: `ExpiryService.run`, a loop that works off a little every hour, and `expire`, one run, which the operator's
command uses too. What is over its time is `policy/retention.py`; how it is removed is the store's business. This file
keeps it out of everybody's way: few messages at a time, and a pause after each that is longer than the work was.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Final

from chatmail.config import Config
from chatmail.errors import StorageError
from chatmail.log import Log
from chatmail.policy.retention import ClockTrust, RetentionLimits, retention_limits
from chatmail.storage.store import Amount, MessageKey, Store

RUN_EVERY_SECONDS: Final = 3600.0
"""A day's work in 24 pieces."""
FIRST_RUN_SECONDS: Final = 300.0
"""After a start there are more urgent things to do."""
BATCH_MESSAGES: Final = 40
"""Removed in one transaction: about two milliseconds."""
FOUND_AT_ONCE: Final = 4000
BATCH_ACCOUNTS: Final = 5
IDLE_SHARE: Final = 4.0
"""Pauses take so many times as long as the work between them."""
MAX_PAUSE_SECONDS: Final = 1.0
PROGRESS_EVERY: Final = 10_000
"""Messages."""
PROGRESS_SECONDS: Final = 5.0
"""Between two reports of what goes in the background."""
REPORTED_PIECES: Final = 1000
"""Pieces of space given back, a quarter of a gigabyte, between two reports."""
CLOCK_SETTING: Final = "clock seen at"

log = Log("expiry")

Report = Callable[[str], None]
Pause = Callable[[float], Awaitable[None]]
"""Awaited after each piece of work with the seconds that took."""


@dataclass(frozen=True, slots=True)
class Expired:
    """What a run removed."""

    messages: Amount
    accounts: Amount
    device_tokens: int
    invitations: int
    stray_files: int
    database_bytes_before: int
    database_bytes: int


async def pause_politely(worked_seconds: float) -> None:
    """Leave the disk and the event loop to the others for a while."""
    await asyncio.sleep(min(MAX_PAUSE_SECONDS, IDLE_SHARE * worked_seconds))


async def no_pause(worked_seconds: float) -> None:
    """For a store that nobody else uses."""


async def expire(store: Store, config: Config, now: datetime, report: Report, pause: Pause = pause_politely) -> Expired:
    """Remove all that is over its time at `now` (aware UTC). Raises `StorageError`.

    Whatever ends it between two pieces of work leaves the store whole, and the next run goes on there.
    """
    retention = store.retention
    limits = retention_limits(config, now)
    before = (await retention.space()).database_bytes
    await retention.correct_future(limits)
    accounts = await _expire_accounts(store, limits, report, pause)
    messages = await _expire_mail(store, limits, report, pause)
    tokens = await retention.expire_device_tokens(limits)
    invitations = await store.invitations.sweep(now)
    await _await_purge(store, report, pause)
    report("sweep and give space back")
    strays = await retention.sweep_orphans()
    await _give_back(store, report, pause)
    space = await retention.space()
    return Expired(messages, accounts, tokens, invitations, strays, before, space.database_bytes)


async def _await_purge(store: Store, report: Report, pause: Pause) -> None:
    """Wait until the writer has removed, in the background, what belonged to removed accounts."""
    told_at = monotonic()
    while left := await store.retention.doomed():
        if monotonic() - told_at >= PROGRESS_SECONDS:
            told_at = monotonic()
            report(f"{left:,} mailboxes and files of removed accounts left")
        await pause(0.05)
        await asyncio.sleep(0.005)


async def _give_back(store: Store, report: Report, pause: Pause) -> None:
    pieces, started = 0, monotonic()
    while await store.retention.give_back():
        pieces += 1
        if pieces % REPORTED_PIECES == 0:
            report(f"{(await store.retention.space()).free_bytes >> 20:,} MiB left to give back")
        await pause(monotonic() - started)
        started = monotonic()


async def _expire_accounts(store: Store, limits: RetentionLimits, report: Report, pause: Pause) -> Amount:
    total = Amount()
    while True:
        started = monotonic()
        removed = await store.retention.expire_accounts(limits, BATCH_ACCOUNTS)
        if not removed.count:
            return total
        total += removed
        report(f"{total.count} accounts")
        await _await_purge(store, report, no_pause)  # not the mail of all at once
        await pause(monotonic() - started)


async def _expire_mail(store: Store, limits: RetentionLimits, report: Report, pause: Pause) -> Amount:
    overdue = await store.retention.survey(limits)
    expected = overdue.messages.count + overdue.large.count
    total = Amount()
    after: MessageKey | None = None
    reported = 0
    while found := await store.retention.overdue_mail(limits, after, FOUND_AT_ONCE):
        keys = [key for key, _size in found]
        after = keys[-1]
        for first in range(0, len(keys), BATCH_MESSAGES):
            started = monotonic()
            total += await store.retention.expire_mail(keys[first : first + BATCH_MESSAGES], limits)
            if total.count - reported >= PROGRESS_EVERY:
                reported = total.count
                report(f"{total.count:,} of {expected:,} messages")
            await pause(monotonic() - started)
    return total


class ExpiryService:
    """The loop. `clock` is the wall clock, aware UTC; `wait` sleeps, or returns early when the server stops."""

    def __init__(
        self,
        config: Config,
        store: Store,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic_clock: Callable[[], float] = monotonic,
        wait: Callable[[asyncio.Event, float], Awaitable[None]] | None = None,
    ) -> None:
        self._config = config
        self._store = store
        self._clock = clock
        self._monotonic = monotonic_clock
        self._wait = wait or _wait
        self._running = asyncio.Lock()
        self.last: Expired | None = None
        """What the last run of this process removed."""
        self.last_at: datetime | None = None
        """When that was."""
        self.next_at: datetime | None = None
        """When the loop looks again."""

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`; a run under way ends between two pieces of work."""
        trust = ClockTrust(await self._clock_seen_at())
        await self._rest(stop, FIRST_RUN_SECONDS)
        while not stop.is_set():
            await self._tick(trust, stop)
            await self._rest(stop, RUN_EVERY_SECONDS)

    @property
    def is_running(self) -> bool:
        """Whether a run is under way."""
        return self._running.locked()

    async def _rest(self, stop: asyncio.Event, seconds: float) -> None:
        self.next_at = self._clock() + timedelta(seconds=seconds)
        await self._wait(stop, seconds)

    async def _tick(self, trust: ClockTrust, stop: asyncio.Event) -> None:
        now, at = self._clock(), self._monotonic()
        if trust.jumped(now, at):
            log.warning("clock_jumped", remedy="nothing is removed for a day; check the clock of this machine")
        try:
            await self._store.settings.put(CLOCK_SETTING, now.isoformat())
            if not trust.is_settled(at):
                return
            work = asyncio.ensure_future(self.expire_now(lambda _text: None))
            stopping = asyncio.ensure_future(stop.wait())
            await asyncio.wait((work, stopping), return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            if work.done():
                work.result()
            else:
                work.cancel()
                with suppress(asyncio.CancelledError):
                    await work
        except StorageError as error:
            log.error("expiry_failed", error=error)

    async def expire_now(self, report: Report) -> Expired:
        """One run, after the one under way if there is one. Raises `StorageError`."""
        if self._running.locked():
            report("wait for the run under way")
        async with self._running:
            done = await expire(self._store, self._config, self._clock(), report)
        self.last, self.last_at = done, self._clock()
        log.info(
            "expired",
            messages=done.messages.count,
            message_bytes=done.messages.size_bytes,
            accounts=done.accounts.count,
            device_tokens=done.device_tokens,
            stray_files=done.stray_files,
            database_bytes=done.database_bytes,
        )
        return done

    async def _clock_seen_at(self) -> datetime | None:
        kept = await self._store.settings.get(CLOCK_SETTING)
        return None if kept is None else datetime.fromisoformat(kept)


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
