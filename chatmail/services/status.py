"""Collects what is known of the running server: the snapshot, and the history of the last day and month.

Doors: `StatusService.run`, which keeps the history and feels the pulse of the event loop, and `snapshot`. It knows no
other service: each part comes through one of the small functions of `StatusSources`. Whatever costs more than some
microseconds is kept for a while, and the longer the more it cost, so that somebody who asks every second costs the
server next to nothing. The verdict is `policy/health.py`'s.
"""

import asyncio
import os
import resource
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic, process_time, thread_time
from typing import Final, Generic, TypeVar

from chatmail import __version__
from chatmail.errors import StorageError
from chatmail.mail.redaction import without_names
from chatmail.meters import Meters
from chatmail.policy.health import HealthLimits, judge
from chatmail.status_snapshot import (
    LISTED_DESTINATIONS,
    AccountCounts,
    CertificateState,
    DnsState,
    ExpiryState,
    History,
    HistoryPoint,
    Latencies,
    MachineState,
    MessageRates,
    PeerTraffic,
    PushState,
    QueueDestination,
    QueueState,
    SessionCounts,
    StatusSnapshot,
    StoreState,
    encode_snapshot,
)
from chatmail.storage.census import AccountCensus, Counted, QueueCensus, StoreCensus
from chatmail.storage.history import HistoryFile
from chatmail.storage.store import Direction, Store, TrafficOutcome
from chatmail.storage.traffic import OTHER_DOMAINS
from chatmail.system_load import Machine, load_1m, read_machine

PULSE_SECONDS: Final = 0.1
"""How often the event loop is asked whether it is in time."""
LAG_MINUTE: Final = 60
CPU_SECONDS: Final = 5
FRESH_SECONDS: Final = 0.5
"""Several who watch get the same snapshot."""
COST_SHARE: Final = 500.0
"""What took a millisecond to count is kept for half a second, and so on: a fifth of a percent of one core each."""
LONGEST_KEPT_SECONDS: Final = 300.0
ERROR_SECONDS: Final = 600.0
"""How long an error of the disk is spoken of."""
MINUTE: Final = timedelta(minutes=1)

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class StatusSources:
    """Where the parts come from that the store and the meters do not know. All are quick."""

    sessions: Callable[[], SessionCounts]
    registration: Callable[[], str]
    shortage: Callable[[], str | None]
    certificate: Callable[[], CertificateState]
    dns: Callable[[], DnsState]
    expiry: Callable[[], ExpiryState]
    push: Callable[[], PushState]
    """Without the counts of the store."""


@dataclass(slots=True)
class _Kept(Generic[_T]):
    """A value that is asked for anew when it is older than `seconds`, or than its cost allows."""

    ask: Callable[[], Awaitable[Counted[_T]]]
    seconds: float
    value: _T
    until: float = 0.0
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def get(self) -> _T:
        async with self.asking:
            if monotonic() >= self.until:
                seconds = self.seconds
                with suppress(StorageError):
                    counted = await self.ask()
                    self.value = counted.value
                    seconds = max(seconds, min(LONGEST_KEPT_SECONDS, COST_SHARE * counted.took_seconds))
                self.until = monotonic() + seconds
        return self.value


@dataclass(slots=True)
class _Totals:
    """What the meters said when the minute began."""

    inbound: int = 0
    outbound: int = 0
    local: int = 0
    refused: int = 0


class StatusService:
    """Make it inside the running loop. `clock` is the wall clock, aware UTC."""

    def __init__(
        self,
        *,
        mail_domain: str,
        data_dir: Path,
        limits: HealthLimits,
        store: Store,
        meters: Meters,
        sources: StatusSources,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._mail_domain = mail_domain
        self._limits = limits
        self._store = store
        self._meters = meters
        self._sources = sources
        self._clock = clock
        self._started_at = clock()
        self._started_monotonic = monotonic()
        self._history = HistoryFile(data_dir / "history")
        self._pulse = _Pulse()
        self._minute_began = _minute_of(self._started_at)
        self._totals = _Totals()
        self._last_minute = HistoryPoint(self._minute_began - MINUTE)
        self._accounts = _Kept(self._count_accounts, 1.0, AccountCensus(0, 0, 0, 0))
        self._queue = _Kept(lambda: store.census.queue(LISTED_DESTINATIONS), 1.0, QueueCensus(0, 0, ()))
        self._amounts = _Kept(store.census.store, 10.0, StoreCensus(0, 0, 0, 0))
        self._push_counts = _Kept(store.census.push, 2.0, (0, 0))
        self._peers: _Kept[tuple[PeerTraffic, ...]] = _Kept(_timed(self._count_peers), 5.0, ())
        self._certificate = _Kept(_timed(sources.certificate), 5.0, CertificateState())
        self._machine = _Kept(_timed(lambda: read_machine(data_dir)), 1.0, Machine())
        self._encoded, self._encoded_until, self._encoding = b"", 0.0, asyncio.Lock()

    async def run(self, stop: asyncio.Event) -> None:
        """Feel the pulse, and keep the history, until `stop`."""
        self._pulse.begin(asyncio.get_running_loop())
        try:
            while not stop.is_set():
                now = self._clock()
                ends_at = self._minute_began + MINUTE
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), max(0.05, min(60.0, (ends_at - now).total_seconds())))
                if self._clock() >= ends_at or stop.is_set():
                    await self._end_minute()
        finally:
            self._pulse.end()
            self._history.close()

    async def _end_minute(self) -> None:
        meters, before = self._meters, self._totals
        waiting = await self._queue.get()
        now = _Totals(meters.inbound, meters.outbound, meters.local, meters.refused)
        exists = meters.exists.end_minute()
        meters.durable.end_minute()
        meters.push.end_minute()
        self._last_minute = HistoryPoint(
            self._minute_began,
            inbound=now.inbound - before.inbound,
            outbound=now.outbound - before.outbound,
            local=now.local - before.local,
            refused=now.refused - before.refused,
            imap_sessions=self._sources.sessions().imap,
            queue_items=waiting.items,
            exists_p99_ms=exists.p99_ms,
        )
        self._totals = now
        self._history.add_minute(self._last_minute)
        self._minute_began = _minute_of(self._clock())

    # --- what is asked for ------------------------------------------------------------------------------------------

    async def encoded(self) -> bytes:
        """The snapshot as one line of JSON, up to `FRESH_SECONDS` old."""
        async with self._encoding:
            if monotonic() >= self._encoded_until:
                self._encoded = encode_snapshot(await self.snapshot())
                self._encoded_until = monotonic() + FRESH_SECONDS
            return self._encoded

    async def snapshot(self) -> StatusSnapshot:
        """One look, now."""
        now = self._clock()
        snapshot = StatusSnapshot(
            version=__version__,
            mail_domain=self._mail_domain,
            taken_at=now,
            started_at=self._started_at,
            uptime_seconds=round(monotonic() - self._started_monotonic, 1),
            accounts=await self._account_counts(),
            sessions=self._sources.sessions(),
            messages=self._rates(),
            latency=self._latencies(),
            queue=await self._queue_state(),
            refusals=dict(sorted(self._meters.refusals.items())),
            certificate=_with_days(await self._certificate.get(), now),
            dns=self._sources.dns(),
            machine=await self._machine_state(),
            store=await self._store_state(now),
            expiry=self._sources.expiry(),
            push=await self._push_state(),
            peers=await self._peers.get(),
        )
        return replace(snapshot, health=judge(snapshot, self._limits))

    def last_day(self) -> History:
        """By the minute."""
        return self._history.last_day(self._clock())

    def last_month(self) -> History:
        """By the hour."""
        return self._history.last_month(self._clock())

    # --- its parts --------------------------------------------------------------------------------------------------

    async def _count_accounts(self) -> Counted[AccountCensus]:
        return await self._store.census.accounts(self._clock().date())

    async def _account_counts(self) -> AccountCounts:
        census = await self._accounts.get()
        return AccountCounts(
            census.total,
            census.active,
            census.new,
            census.blocked,
            self._sources.registration(),
            self._sources.shortage() or "",
        )

    def _rates(self) -> MessageRates:
        meters, minute = self._meters, self._last_minute
        return MessageRates(
            minute.inbound,
            minute.outbound,
            minute.local,
            meters.outbound_at,
            meters.inbound,
            meters.outbound,
            meters.local,
        )

    def _latencies(self) -> Latencies:
        return Latencies(self._meters.durable.lately(), self._meters.exists.lately(), self._meters.push.lately())

    async def _queue_state(self) -> QueueState:
        census = await self._queue.get()
        destinations = tuple(
            QueueDestination(
                one.domain,
                one.items,
                one.oldest_queued_at,
                one.next_attempt_at,
                one.attempts,
                without_names(one.last_reply),
            )
            for one in census.longest
        )
        oldest = destinations[0].oldest_queued_at if destinations else None
        return QueueState(census.items, census.domains, oldest, destinations)

    async def _machine_state(self) -> MachineState:
        machine = await self._machine.get()
        return MachineState(
            disk_free_bytes=machine.disk_free_bytes,
            disk_total_bytes=machine.disk_total_bytes,
            memory_available_bytes=machine.memory_available_bytes,
            memory_total_bytes=machine.memory_total_bytes,
            resident_bytes=machine.resident_bytes,
            cpu_percent=self._pulse.cpu_percent(),
            load_1m=round(load_1m(), 2),
            cpu_count=os.cpu_count() or 1,
            open_files=machine.open_files,
            open_files_limit=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
            loop_lag_ms=self._pulse.lag_ms(),
        )

    async def _store_state(self, now: datetime) -> StoreState:
        census, meters = await self._amounts.get(), self._meters
        is_recent = meters.store_error_at is not None and (now - meters.store_error_at).total_seconds() < ERROR_SECONDS
        return StoreState(
            messages=census.messages,
            database_bytes=census.database_bytes,
            bodies_bytes=census.bodies_bytes,
            free_pages_bytes=census.free_pages_bytes,
            last_error=without_names(meters.store_error) if is_recent else "",
            last_error_at=meters.store_error_at,
        )

    async def _push_state(self) -> PushState:
        waiting, tokens = await self._push_counts.get()
        return replace(self._sources.push(), waiting=waiting, device_tokens=tokens)

    def _count_peers(self) -> tuple[PeerTraffic, ...]:
        found: dict[str, dict[str, int]] = {}
        for count in self._store.traffic.counts():
            if count.domain == OTHER_DOMAINS:
                continue
            names = _TRAFFIC_NAMES[count.direction]
            values = found.setdefault(count.domain, {})
            values[names[count.outcome]] = count.messages
            size_name = "bytes_to" if count.direction is Direction.OUTBOUND else "bytes_from"
            if count.outcome is TrafficOutcome.DELIVERED:
                values[size_name] = count.size_bytes
        peers = [PeerTraffic(domain, **values) for domain, values in found.items()]
        peers.sort(key=lambda peer: (-(peer.delivered_to + peer.received_from), peer.domain))
        return tuple(peers[:LISTED_DESTINATIONS])


_TRAFFIC_NAMES: Final = {
    Direction.OUTBOUND: {
        TrafficOutcome.DELIVERED: "delivered_to",
        TrafficOutcome.DEFERRED: "deferred_to",
        TrafficOutcome.REFUSED: "refused_by",
    },
    Direction.INBOUND: {
        TrafficOutcome.DELIVERED: "received_from",
        TrafficOutcome.DEFERRED: "deferred_from",
        TrafficOutcome.REFUSED: "refused_from",
    },
}


def _timed(question: Callable[[], _T]) -> Callable[[], Awaitable[Counted[_T]]]:
    async def ask() -> Counted[_T]:
        started = thread_time()
        value = question()
        return Counted(value, thread_time() - started)

    return ask


class _Pulse:
    """Whether the event loop is in time, and how much of a core the process uses."""

    def __init__(self) -> None:
        self._timer: asyncio.TimerHandle | None = None
        self._due_at = 0.0
        self._worst = 0.0
        self._second = 0
        self._by_second: deque[float] = deque(maxlen=LAG_MINUTE)
        self._used: deque[tuple[float, float]] = deque([(monotonic(), process_time())], maxlen=CPU_SECONDS)

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._due_at = monotonic() + PULSE_SECONDS
        self._timer = loop.call_later(PULSE_SECONDS, self._beat)

    def end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _beat(self) -> None:
        now = monotonic()
        self._worst = max(self._worst, now - self._due_at)
        if int(now) != self._second:
            self._second = int(now)
            self._by_second.append(self._worst)
            self._used.append((now, process_time()))
            self._worst = 0.0
        self._due_at = now + PULSE_SECONDS
        self._timer = self._loop.call_later(PULSE_SECONDS, self._beat)

    def lag_ms(self) -> float:
        return round(1000 * max(self._worst, *self._by_second, 0.0), 1)

    def cpu_percent(self) -> float:
        then, used = self._used[0]
        now = monotonic()
        return round(100 * (process_time() - used) / (now - then), 1) if now > then else 0.0


def _minute_of(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)


def _with_days(certificate: CertificateState, now: datetime) -> CertificateState:
    if certificate.not_after is None:
        return certificate
    return replace(certificate, days_left=round((certificate.not_after - now).total_seconds() / 86400, 2))
