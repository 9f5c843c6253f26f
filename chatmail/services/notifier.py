"""Wakes phones: takes what is due from the push queue and POSTs each token, as it is, to the notifier.

Door: `NotifierService.run`. The queue is the store's and survives a restart; deliveries put into it and wait for
nothing here. When, how often and what an answer means is `policy/push.py`. A notifier that is down or slow holds
`MAX_UNDER_WAY` requests for `REQUEST_SECONDS` and nothing else. Tokens are never parsed and never logged.
"""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import Final

import aiohttp

from chatmail.errors import StorageError
from chatmail.log import Log
from chatmail.mail.changes import AccountId
from chatmail.meters import Meters
from chatmail.policy.push import Answer, answer_of, is_over, next_try_at
from chatmail.storage.store import PushItem, PushQueue

REQUEST_SECONDS: Final = 30.0
MAX_UNDER_WAY: Final = 32
"""Requests at once; each is a task and, at worst, a connection."""
MIN_ROUND_SECONDS: Final = 0.25
"""Deliveries come by the thousand a second; the queue is looked at only so often."""
MAX_ROUND_SECONDS: Final = 60.0
"""How long the loop sleeps at most: the clock may be set meanwhile."""
STORE_FAILED_SECONDS: Final = 30.0

log = Log("push")


@dataclass(slots=True)
class PushCounters:
    """Since the start."""

    delivered: int = 0
    gone: int = 0
    """Tokens forgotten because the notifier said so."""
    failed: int = 0
    """Attempts that failed, most of which are tried again."""
    dropped: int = 0
    """Notifications given up."""


@dataclass(frozen=True, slots=True)
class NotifierState:
    """How the notifier has answered lately. `failing_since` is None while it answers, or before it was asked."""

    asked: bool = False
    failing_since: datetime | None = None
    failures_in_a_row: int = 0
    last_error: str = ""
    """Why the last attempt failed; empty while it answers."""


class NotifierService:
    """The loop. `clock` is the wall clock, aware UTC; `context` is for a notifier with a private certificate."""

    def __init__(
        self,
        url: str,
        queue: PushQueue,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        context: ssl.SSLContext | None = None,
        request_seconds: float = REQUEST_SECONDS,
        meters: Meters | None = None,
    ) -> None:
        self._url = url
        self._queue = queue
        self._clock = clock
        self._context = context
        self._timeout = aiohttp.ClientTimeout(total=request_seconds)
        self._under_way: set[tuple[AccountId, str]] = set()
        self._meters = meters or Meters()
        self.state = NotifierState()
        self.counters = PushCounters()

    async def run(self, stop: asyncio.Event) -> None:
        """Notify until `stop`; what is under way then is tried again after the next start."""
        connector = aiohttp.TCPConnector(limit=MAX_UNDER_WAY, ssl=self._context or True)
        async with (
            aiohttp.ClientSession(
                connector=connector,
                timeout=self._timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "chatmail"},
            ) as session,
            asyncio.TaskGroup() as tasks,
        ):
            waker = tasks.create_task(self._wake_at(stop))
            notifying: set[asyncio.Task[None]] = set()
            while not stop.is_set():
                seconds = MAX_ROUND_SECONDS
                try:
                    for item in await self._take_due():
                        task = tasks.create_task(self._notify(session, item))
                        notifying.add(task)
                        task.add_done_callback(notifying.discard)
                    seconds = await self._seconds_to_next()
                except StorageError as error:
                    log.error("store_failed", error=error)
                    seconds = STORE_FAILED_SECONDS
                await self._wait(stop, seconds)
            waker.cancel()
            for task in notifying:
                task.cancel()

    async def _wake_at(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._queue.changed.set()

    async def _wait(self, stop: asyncio.Event, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._queue.changed.wait(), seconds)
        self._queue.changed.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), MIN_ROUND_SECONDS)

    def _now(self) -> int:
        return int(self._clock().timestamp())

    async def _take_due(self) -> list[PushItem]:
        free = MAX_UNDER_WAY - len(self._under_way)
        items = list(await self._queue.due(self._now(), free, self._under_way)) if free else []
        self._under_way.update((item.account_id, item.token) for item in items)
        return items

    async def _seconds_to_next(self) -> float:
        if self._under_way:
            return 1.0  # the next may be one of these; whichever ends first wakes the loop anyway
        next_due_at = await self._queue.next_due_at()
        if next_due_at is None:
            return MAX_ROUND_SECONDS
        return min(MAX_ROUND_SECONDS, max(0.0, next_due_at - self._clock().timestamp()))

    async def _notify(self, session: aiohttp.ClientSession, item: PushItem) -> None:
        try:
            if is_over(item.queued_at, self._now()):
                self.counters.dropped += 1
                await self._queue.drop(item)
            else:
                await self._settle(item, await self._post(session, item.token))
        except StorageError as error:
            log.error("store_failed", error=error)
            await asyncio.sleep(STORE_FAILED_SECONDS)  # before the same token would be posted again
        finally:
            self._under_way.discard((item.account_id, item.token))
            self._queue.changed.set()

    async def _post(self, session: aiohttp.ClientSession, token: str) -> Answer:
        asked_at, error = monotonic(), ""
        try:
            async with session.post(self._url, data=token.encode(), allow_redirects=False) as response:
                answer = answer_of(response.status)
                error = f"it answered {response.status}"
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as problem:
            answer = Answer.FAILED
            error = _why(problem)
        self._meters.push.record(monotonic() - asked_at)
        self._note(answer, error)
        return answer

    def _note(self, answer: Answer, error: str) -> None:
        """Say once that the notifier fails, and once that it works again."""
        before = self.state
        if answer is not Answer.FAILED:
            self.state = NotifierState(asked=True)
            if before.failing_since is not None:
                log.info("notifier_answers")
            return
        since = before.failing_since or self._clock()
        self.state = NotifierState(True, since, before.failures_in_a_row + 1, error)
        if before.failing_since is None:
            log.warning("notifier_fails", remedy="phones are woken late until it answers again")

    async def _settle(self, item: PushItem, answer: Answer) -> None:
        now = self._now()
        if answer is Answer.DELIVERED:
            self.counters.delivered += 1
            await self._queue.sent(item, now)
        elif answer is Answer.GONE:
            self.counters.gone += 1
            await self._queue.forget_token(item)
        else:
            self.counters.failed += 1
            again_at = next_try_at(item.queued_at, item.failures + 1, now)
            if again_at is None:
                self.counters.dropped += 1
                await self._queue.drop(item)
            else:
                await self._queue.postpone(item, again_at)


def _why(problem: Exception) -> str:
    """Why there was no answer, without any address."""
    if isinstance(problem, TimeoutError):
        return "it did not answer in time"
    if isinstance(problem, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError):
        return "its certificate cannot be trusted"
    if isinstance(problem, aiohttp.ClientConnectorDNSError):
        return "its name was not found in the DNS"
    if isinstance(problem, aiohttp.ClientConnectorError | OSError):
        return "it cannot be connected to"
    return "it hung up or answered something else than HTTP"
