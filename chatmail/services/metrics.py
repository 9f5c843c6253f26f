"""The snapshot as OpenMetrics, for a Prometheus on this machine: `GET /metrics` in plain HTTP on a loopback address.

Door: `MetricsService.run`. Off unless the configuration names an address; what renders it is imported then only. Counts
only, as in the snapshot it is made from. Names and meanings are in `docs/status.md`.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Final

from aiohttp import web

from chatmail.errors import OperatorError
from chatmail.log import Log
from chatmail.meters import BOUNDS, STEPS_PER_DOUBLING, Latency, Meters
from chatmail.status_snapshot import HealthLevel, StatusSnapshot

if TYPE_CHECKING:
    from prometheus_client.core import Metric

PATH: Final = "/metrics"
_LEVELS: Final = {HealthLevel.FINE: 0, HealthLevel.DEGRADED: 1, HealthLevel.BROKEN: 2}
_CLOSE_SECONDS: Final = 1.0

_log = Log("metrics")


class MetricsService:
    """One listener. Make it inside the running loop."""

    def __init__(
        self, address: tuple[str, int], snapshot: Callable[[], Awaitable[StatusSnapshot]], meters: Meters
    ) -> None:
        """Binds. Raises `OperatorError` if the address is taken."""
        host, port = address
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.socket(family, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.setblocking(False)
        try:
            self._listener.bind((host, port))
            self._listener.listen()
        except OSError as error:
            self._listener.close()
            raise OperatorError(
                f"The metrics cannot be served at {host} port {port} ({error.strerror}); change listen in [metrics]."
            ) from None
        self._snapshot = snapshot
        self._meters = meters

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop`."""
        server = web.Server(self._answer, access_log=None)
        listening = await asyncio.get_running_loop().create_server(server, sock=self._listener)
        try:
            await stop.wait()
        finally:
            listening.close()
            await server.shutdown(_CLOSE_SECONDS)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path != PATH:
            return web.Response(status=404, text=f"The metrics are at {PATH}\n")
        if request.method not in ("GET", "HEAD"):
            return web.Response(status=405, text="Only GET\n", headers={"Allow": "GET, HEAD"})
        try:
            body, content_type = render(await self._snapshot(), self._meters)
        except Exception as error:
            _log.bug(error)
            return web.Response(status=500, text="500\n")
        return web.Response(body=body, headers={"Content-Type": content_type})


def render(snapshot: StatusSnapshot, meters: Meters) -> tuple[bytes, str]:
    """OpenMetrics text, and its content type."""
    from prometheus_client.core import CollectorRegistry
    from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest

    class Once:
        """What the library calls a collector."""

        def collect(self) -> "Iterator[Metric]":
            return _metrics(snapshot, meters)

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Once())
    text: bytes = generate_latest(registry)  # type: ignore[no-untyped-call]  # the library's
    return text, CONTENT_TYPE_LATEST


def _metrics(snapshot: StatusSnapshot, meters: Meters) -> "Iterator[Metric]":
    yield from _server(snapshot)
    yield from _people(snapshot)
    yield from _mail(snapshot, meters)
    yield from _machine(snapshot)
    yield from _federation(snapshot)


def _gauge(name: str, text: str, value: float) -> "Metric":
    from prometheus_client.core import GaugeMetricFamily

    return GaugeMetricFamily(f"chatmail_{name}", text, value)


def _gauges(name: str, text: str, label: str, values: dict[str, float]) -> "Metric":
    from prometheus_client.core import GaugeMetricFamily

    family = GaugeMetricFamily(f"chatmail_{name}", text, labels=[label])
    for word, value in values.items():
        family.add_metric([word], value)
    return family


def _counters(name: str, text: str, label: str, values: dict[str, float]) -> "Metric":
    from prometheus_client.core import CounterMetricFamily

    family = CounterMetricFamily(f"chatmail_{name}", text, labels=[label])
    for word, value in values.items():
        family.add_metric([word], value)
    return family


def _server(snapshot: StatusSnapshot) -> "Iterator[Metric]":
    from prometheus_client.core import InfoMetricFamily

    yield InfoMetricFamily("chatmail", "The program.", {"version": snapshot.version})
    yield _gauge("start_time_seconds", "When the server started.", snapshot.started_at.timestamp())
    yield _gauge("health", "0 fine, 1 degraded, 2 broken.", _LEVELS[snapshot.health.level])
    reasons = {reason.code: float(_LEVELS[reason.level]) for reason in reversed(snapshot.health.reasons)}
    yield _gauges("health_reason", "Reasons of the verdict, by code; the value is their level.", "reason", reasons)
    certificate = snapshot.certificate
    if certificate.not_after is not None:
        text = "When the certificate expires."
        yield _gauge("certificate_expiry_timestamp_seconds", text, certificate.not_after.timestamp())
    yield _gauge("certificate_failures", "Failed renewals in a row.", certificate.failures)
    yield _gauge("dns_wrong_records", "Required DNS records that are missing or different.", _wrong(snapshot))


def _wrong(snapshot: StatusSnapshot) -> int:
    return sum(record.required for record in snapshot.dns.wrong)


def _people(snapshot: StatusSnapshot) -> "Iterator[Metric]":
    accounts, sessions = snapshot.accounts, snapshot.sessions
    yield _gauge("accounts", "Accounts.", accounts.total)
    yield _gauge("accounts_active_today", "Accounts with a login today (UTC).", accounts.active_today)
    yield _gauge("accounts_new_today", "Accounts made today (UTC).", accounts.new_today)
    yield _gauge("accounts_blocked", "Accounts that are blocked.", accounts.blocked)
    counts = {"imap": sessions.imap, "submission": sessions.submission, "mx": sessions.mx, "http": sessions.http}
    yield _gauges("sessions", "Connections open now.", "protocol", {name: float(n) for name, n in counts.items()})
    yield _gauge("imap_idle_sessions", "IMAP sessions that wait in IDLE.", sessions.imap_idle)


def _mail(snapshot: StatusSnapshot, meters: Meters) -> "Iterator[Metric]":
    messages, push = snapshot.messages, snapshot.push
    ways = {"inbound": messages.inbound_total, "outbound": messages.outbound_total, "local": messages.local_total}
    yield _counters("messages", "Messages taken, sent on, or delivered here.", "direction", _floats(ways))
    yield _counters("refused", "What was refused, by reason.", "reason", _floats(snapshot.refusals))
    yield _latency("durable", "From the end of a message to its commit.", meters.durable)
    yield _latency("exists", "From the end of a message to EXISTS in a waiting session.", meters.exists)
    yield _latency("push", "From the POST to the notifier's answer.", meters.push)
    outcomes = {"delivered": push.delivered, "gone": push.gone, "failed": push.failed, "dropped": push.dropped}
    yield _counters("push", "Notifications, by what became of them.", "outcome", _floats(outcomes))
    yield _gauge("push_waiting", "Notifications that wait.", push.waiting)
    yield _gauge("push_device_tokens", "Device tokens of all accounts.", push.device_tokens)
    yield _gauge("push_failing", "1 while the notifier fails.", push.notifier == "failing")


def _floats(counts: dict[str, int]) -> dict[str, float]:
    return {name: float(count) for name, count in counts.items()}


def _latency(name: str, text: str, latency: Latency) -> "Metric":
    """A bucket for each doubling: enough for a graph, and few enough to keep for years."""
    from prometheus_client.core import HistogramMetricFamily

    counts, below, buckets = latency.since_start(), 0, []
    for number, bound in enumerate(BOUNDS):
        below += counts[number]
        if number % STEPS_PER_DOUBLING == 0:
            buckets.append((f"{bound:g}", below))
    buckets.append(("+Inf", sum(counts)))
    return HistogramMetricFamily(f"chatmail_{name}_seconds", text, buckets=buckets, sum_value=latency.sum_seconds)


def _machine(snapshot: StatusSnapshot) -> "Iterator[Metric]":
    machine, store, expiry = snapshot.machine, snapshot.store, snapshot.expiry
    yield _gauge("disk_free_bytes", "Free on the disk of the data folder.", machine.disk_free_bytes)
    yield _gauge("disk_size_bytes", "The disk of the data folder.", machine.disk_total_bytes)
    yield _gauge("memory_available_bytes", "Memory that programs may still have.", machine.memory_available_bytes)
    yield _gauge("resident_memory_bytes", "Memory of the server.", machine.resident_bytes)
    yield _gauge("cpu_ratio", "Of one core, used by the server over the last seconds.", machine.cpu_percent / 100)
    yield _gauge("open_files", "Files and connections open.", machine.open_files)
    yield _gauge("open_files_limit", "How many may be.", machine.open_files_limit)
    yield _gauge("loop_lag_seconds", "The longest the server was late in the last minute.", machine.loop_lag_ms / 1000)
    yield _gauge("stored_messages", "Messages in all mailboxes.", store.messages)
    sizes = {"database": store.database_bytes, "bodies": store.bodies_bytes}
    yield _gauges("store_bytes", "The data folder.", "part", _floats(sizes))
    yield _gauge("store_failing", "1 if the disk refused something within ten minutes.", bool(store.last_error))
    if expiry.last_run_at is not None:
        yield _gauge("expiry_last_run_timestamp_seconds", "When old mail was removed.", expiry.last_run_at.timestamp())


def _federation(snapshot: StatusSnapshot) -> "Iterator[Metric]":
    queue = snapshot.queue
    yield _gauge("queue_items", "Messages that wait for other servers.", queue.items)
    yield _gauge("queue_domains", "Domains they wait for.", queue.domains)
    yield _gauge("queue_oldest_age_seconds", "How long the oldest has waited.", _age(queue.oldest_queued_at, snapshot))
    names = ("delivered_to", "deferred_to", "refused_by", "received_from", "deferred_from", "refused_from")
    for name in names:
        values = {peer.domain: float(getattr(peer, name)) for peer in snapshot.peers}
        text = "Messages exchanged with the busiest domains."
        yield _counters(f"peer_{name}", text, "domain", values)


def _age(since: datetime | None, snapshot: StatusSnapshot) -> float:
    return 0.0 if since is None else (snapshot.taken_at - since).total_seconds()
