"""The delivery loop: takes what the queue says is due to other servers, and settles with the queue what became of it.

Doors: `DeliveryService.run`. Each domain with work has a task of its own and, as long as deliveries succeed, up to
`MAX_LANES` of them side by side; a domain none of whose servers can be spoken to is tried by one of its items at a
time, and the others wait with it, so that neither the dead nor the slow hold up anybody else. What is under way at a
`kill -9` is due again at the next start: RFC 5321 §6.1 permits the duplicate, and never the loss.

Times are the queue's; when to try again is `policy/retry.py`.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from chatmail.errors import StorageError
from chatmail.log import Log
from chatmail.mail.address import Address
from chatmail.mail.envelope import SmtpReply
from chatmail.mail.message import header_length
from chatmail.mail.trace_headers import FailedRecipient
from chatmail.meters import Meters
from chatmail.net.courier import DeliveryReport
from chatmail.net.dkim_signing import DkimSigner
from chatmail.net.outbound_message import PIECE_BYTES, OutboundMessage, pieces_of
from chatmail.policy.retry import next_attempt_at
from chatmail.routing import Router
from chatmail.storage.store import (
    Deferral,
    Direction,
    LocalDelivery,
    QueueItem,
    QueueItemId,
    Store,
    StoredBody,
    TrafficOutcome,
)

log = Log("delivery")

MAX_LANES: Final = 8
"""Deliveries to one domain side by side."""
MAX_ATTEMPTS: Final = 256
"""Deliveries side by side in all."""
DOWN_SECONDS: Final = 25.0
"""How long nobody tries a domain again that could not be reached; shorter than the first pause of an item."""
MAX_DOMAINS: Final = 512
"""Domains with work in hand; the others wait on the disk. One message to a thousand domains is a thousand of them."""
BEHIND_SECONDS: Final = 5.0
"""How long those wait at most before somebody looks whether there is room for one of them."""
FETCHED_ITEMS: Final = 50
RECOVERY_SECONDS: Final = 5.0
"""Pause after the store failed."""
_LONGEST_SLEEP_SECONDS: Final = 3600.0

STOP_SECONDS: Final = 5.0
"""How long deliveries that are under way may take to end when the server does."""

_IN_VAIN: Final = "It could not be delivered in time; the last answer was"
_OWN_FAULT: Final = SmtpReply(451, "This server met a fault of its own", "4.3.0")


class Deliverer(Protocol):
    """Who takes messages to other servers: the `Courier`."""

    async def deliver(self, message: OutboundMessage, recipients: Sequence[Address]) -> DeliveryReport:
        """See `Courier.deliver`."""

    async def close(self) -> None:
        """See `Courier.close`."""


@dataclass(slots=True)
class _Destination:
    """One domain: its items in hand, and how it has been lately."""

    domain: str
    fetched: deque[QueueItem] = field(default_factory=deque)
    under_way: set[QueueItemId] = field(default_factory=set)
    running: int = 0
    lanes: int = 1
    down_until: float = 0.0
    down_reply: SmtpReply | None = None


class DeliveryService:
    """Empties the queue."""

    def __init__(
        self,
        queue_lifetime_seconds: float,
        *,
        store: Store,
        router: Router,
        courier: Deliverer,
        signer: DkimSigner | None,
        chance: Callable[[], float],
        meters: Meters | None = None,
    ) -> None:
        """`signer` is None where nothing is signed; `chance` is random from 0 up to 1."""
        self._lifetime_seconds = queue_lifetime_seconds
        self._store = store
        self._router = router
        self._courier = courier
        self._signer = signer
        self._chance = chance
        self._meters = meters or Meters()
        self._destinations: dict[str, _Destination] = {}
        self._slots = asyncio.Semaphore(MAX_ATTEMPTS)
        self._lanes: set[asyncio.Task[None]] = set()
        self._domains_in_hand = 0
        self._is_behind = False
        """There are domains with work that did not fit in hand."""
        self._wake = asyncio.Event()
        self._wakes_at = datetime.max.replace(tzinfo=UTC)
        self._is_stopping = False

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until `stop`, then let what is under way come to its end, within a few seconds."""
        self._store.queue.listen(self._on_work)
        try:
            while not stop.is_set():
                self._wake.clear()
                self._wakes_at = await self._begin_all()
                await _either(stop, self._wake, (self._wakes_at - datetime.now(UTC)).total_seconds())
            self._is_stopping = True
            if self._lanes:
                await asyncio.wait(self._lanes, timeout=STOP_SECONDS)
        finally:
            self._is_stopping = True
            for lane in self._lanes:
                lane.cancel()
            await asyncio.gather(*self._lanes, return_exceptions=True)
            await self._courier.close()

    async def _begin_all(self) -> datetime:
        """Begin everything that is due; when something else will be."""
        now = datetime.now(UTC)
        self._is_behind = False
        try:
            self._on_work(await self._store.queue.due_domains(now))
            following = await self._store.queue.next_attempt_after(now)
        except StorageError as error:
            log.error("queue_unreadable", error=error)
            return now + timedelta(seconds=RECOVERY_SECONDS)
        for destination in list(self._destinations.values()):
            self._forget_quiet(destination)
        latest = now + timedelta(seconds=BEHIND_SECONDS if self._is_behind else _LONGEST_SLEEP_SECONDS)
        return latest if following is None else min(latest, following)

    def _forget_quiet(self, destination: _Destination) -> None:
        """There may be millions of domains, and few at a time of which there is anything to know."""
        if not destination.running and destination.down_until <= asyncio.get_running_loop().time():
            self._destinations.pop(destination.domain, None)

    def _on_work(self, domains: Collection[str], by_operator: bool = False) -> None:
        """These domains have work that is due: see that somebody does it, even where all was in vain just now."""
        for domain in domains:
            destination = self._destinations.get(domain) or _Destination(domain)
            if by_operator:
                destination.down_until = 0.0
            if not destination.running and self._domains_in_hand >= MAX_DOMAINS:
                self._is_behind = True
                self._wake_at(datetime.now(UTC) + timedelta(seconds=BEHIND_SECONDS))
            else:
                self._destinations[domain] = destination
                self._begin_lane(destination)

    def _begin_lane(self, destination: _Destination) -> None:
        if destination.running < destination.lanes and not self._is_stopping:
            self._domains_in_hand += not destination.running
            destination.running += 1
            lane = asyncio.get_running_loop().create_task(self._lane(destination))
            self._lanes.add(lane)
            lane.add_done_callback(self._lanes.discard)

    def _wake_at(self, when: datetime) -> None:
        """Something will be due then, perhaps before anything else."""
        if when < self._wakes_at:
            self._wakes_at = when
            self._wake.set()

    # --- one lane ---

    async def _lane(self, destination: _Destination) -> None:
        """Deliver one item after the other until none is due."""
        try:
            while not self._is_stopping and (item := await self._next(destination)) is not None:
                try:
                    await self._attempt(destination, item)
                except StorageError as error:
                    log.error("delivery_without_store", error=error)
                    await asyncio.sleep(RECOVERY_SECONDS)
                finally:
                    destination.under_way.discard(item.item_id)
                if destination.fetched:
                    self._begin_lane(destination)
        except StorageError as error:
            log.error("queue_unreadable", error=error)
            self._wake_at(datetime.now(UTC) + timedelta(seconds=RECOVERY_SECONDS))
        finally:
            destination.running -= 1
            self._domains_in_hand -= not destination.running
            self._forget_quiet(destination)
            # Not for each that ends: looking for work goes through the whole queue.
            if self._is_behind and self._domains_in_hand <= MAX_DOMAINS // 2:
                self._is_behind = False
                self._wake.set()

    async def _next(self, destination: _Destination) -> QueueItem | None:
        """Take an item. Nothing is awaited that lets others run, so whoever finds none ends before more can come."""
        if not destination.fetched:
            found = await self._store.queue.due(
                destination.domain, datetime.now(UTC), FETCHED_ITEMS, destination.under_way
            )
            destination.fetched.extend(found)
            destination.under_way.update(item.item_id for item in found)
        return destination.fetched.popleft() if destination.fetched else None

    async def _attempt(self, destination: _Destination, item: QueueItem) -> None:
        stored = await self._store.queue.body(item)
        if stored is None:
            return await self._store.queue.settle(item, datetime.now(UTC))
        header_bytes = await _header_of(stored)
        if destination.down_reply is not None and asyncio.get_running_loop().time() < destination.down_until:
            report = DeliveryReport(failed=dict.fromkeys(item.recipients, destination.down_reply), is_unreachable=True)
        else:
            report = await self._deliver(item, header_bytes, stored)
            await self._learn(destination, item, report)
        await self._settle(item, report, header_bytes)

    async def _deliver(self, item: QueueItem, header_bytes: bytes, stored: StoredBody) -> DeliveryReport:
        async with self._slots:
            try:
                prefix = b""
                if self._signer is not None:
                    prefix = await self._signer.sign(
                        header_bytes, pieces_of(stored, len(header_bytes)), datetime.now(UTC)
                    )
                message = OutboundMessage(item.domain, item.mail_from, prefix, stored)
                return await self._courier.deliver(message, item.recipients)
            except StorageError:
                raise
            except Exception as error:
                # An item that we trip over must neither stop the others nor be tried again at once.
                log.bug(error)
                return DeliveryReport(failed=dict.fromkeys(item.recipients, _OWN_FAULT))

    async def _learn(self, destination: _Destination, item: QueueItem, report: DeliveryReport) -> None:
        if report.is_unreachable:
            destination.down_until = asyncio.get_running_loop().time() + DOWN_SECONDS
            destination.down_reply = next(iter(report.failed.values()))
            destination.lanes = 1
            return
        destination.lanes = min(destination.lanes + 1, MAX_LANES)
        if item.is_unreachable or destination.down_reply is not None:
            destination.down_reply = None
            await self._store.queue.reached(destination.domain, datetime.now(UTC))

    # --- afterwards ---

    async def _settle(self, item: QueueItem, report: DeliveryReport, header_bytes: bytes) -> None:
        """Make the outcome durable, however long the store takes: a peer that has the message must not get it again."""
        now = datetime.now(UTC)
        waiting = {to: reply for to, reply in report.failed.items() if not reply.is_permanent}
        final = [FailedRecipient(to, reply) for to, reply in report.failed.items() if reply.is_permanent]
        deferral = self._deferral(item, waiting, now, report.is_unreachable)
        if waiting and deferral is None:
            final += [
                FailedRecipient(to, SmtpReply(554, f"{_IN_VAIN}: {reply}", "5.4.7")) for to, reply in waiting.items()
            ]
        while True:
            bounce: LocalDelivery | None = None
            try:
                if final and item.mail_from is not None:
                    bounce = self._router.bounce(item.mail_from, final, header_bytes, item.queued_at)
                await self._store.queue.settle(item, now, deferral=deferral, bounce=bounce)
                break
            except StorageError as error:
                self._meters.fail_store(str(error), now)
                log.error("outcome_not_stored", error=error)
                await asyncio.sleep(RECOVERY_SECONDS)
            finally:
                if bounce is not None:
                    bounce.body.discard()
        if deferral is not None:
            self._wake_at(deferral.next_attempt_at)
        self._report(item, len(report.delivered), len(final), 0 if deferral is None else len(waiting))

    def _deferral(
        self, item: QueueItem, waiting: Mapping[Address, SmtpReply], now: datetime, is_unreachable: bool
    ) -> Deferral | None:
        if not waiting:
            return None
        at = next_attempt_at(item.queued_at, item.attempts + 1, now, self._lifetime_seconds, self._chance())
        reply = str(next(iter(waiting.values())))
        return None if at is None else Deferral(tuple(waiting), at, reply, is_unreachable)

    def _report(self, item: QueueItem, delivered: int, refused: int, deferred: int) -> None:
        log.info("delivery", delivered=delivered, deferred=deferred, refused=refused, size_bytes=item.size_bytes)
        if delivered:
            self._meters.delivered_out(datetime.now(UTC))
        for outcome, count in (
            (TrafficOutcome.DELIVERED, delivered),
            (TrafficOutcome.REFUSED, refused),
            (TrafficOutcome.DEFERRED, deferred),
        ):
            if count:
                self._store.traffic.record(item.domain, Direction.OUTBOUND, outcome, item.size_bytes)


async def _header_of(stored: StoredBody) -> bytes:
    """The header block of a message, its empty line included."""
    start = await stored.read(0, PIECE_BYTES)
    return start[: header_length(start) or len(start)]


async def _either(stop: asyncio.Event, wake: asyncio.Event, seconds: float) -> None:
    """Wait for one of the two, so many seconds at most."""
    waiting = [asyncio.ensure_future(event.wait()) for event in (stop, wake)]
    try:
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
