"""What is known of a running server at one moment: the vocabulary of `status`, the dashboard and the metrics.

Frozen values, and the JSON they travel as; who collects them is `chatmail.services.status`. Counts only: no field holds
a person's address, an IP address or a Message-ID; domains of other servers are named. Names of fields are stable:
`status --json` prints them, and `docs/status.md` lists them.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, TypeVar

import msgspec

from chatmail.errors import ProtocolError

_Value = TypeVar("_Value")

LISTED_DESTINATIONS: Final = 20
"""Destinations and peers named in a snapshot, the worst and the busiest; all others are in the totals."""


class HealthLevel(StrEnum):
    """How the server is. The order is that of severity."""

    FINE = "fine"
    DEGRADED = "degraded"
    """It serves, and something needs the operator, today or this week."""
    BROKEN = "broken"
    """People are affected now."""


@dataclass(frozen=True, slots=True)
class HealthReason:
    """Something worth saying about the server: one sentence, and one with what to do."""

    level: HealthLevel
    """`fine` for a notice: worth knowing, and nothing the operator has to do."""
    code: str
    """Stable and short, such as `disk_full`; for programs."""
    sentence: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Health:
    """The verdict, which is the worst level among its reasons, and these, the worst first."""

    level: HealthLevel = HealthLevel.FINE
    reasons: tuple[HealthReason, ...] = ()


@dataclass(frozen=True, slots=True)
class AccountCounts:
    """Accounts, by day (UTC)."""

    total: int = 0
    active_today: int = 0
    new_today: int = 0
    blocked: int = 0
    registration: str = "open"
    """`open`, `invite` or `closed`."""
    new_refused_because: str = ""
    """Why new accounts are refused although registration allows them (load, memory, disk); empty if they are not."""


@dataclass(frozen=True, slots=True)
class SessionCounts:
    """Connections open now."""

    imap: int = 0
    imap_idle: int = 0
    submission: int = 0
    mx: int = 0
    http: int = 0
    imap_limit: int = 0
    smtp_limit: int = 0


@dataclass(frozen=True, slots=True)
class MessageRates:
    """Messages in the last full minute, and since the start. A message counts once, however many get it."""

    inbound_last_minute: int = 0
    outbound_last_minute: int = 0
    local_last_minute: int = 0
    outbound_last_at: datetime | None = None
    """When another server took a message last, since the start."""
    inbound_total: int = 0
    outbound_total: int = 0
    local_total: int = 0


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Of what was measured in the last five minutes; None where nothing was."""

    samples: int = 0
    p50_ms: float | None = None
    p90_ms: float | None = None
    p99_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Latencies:
    """How long things take."""

    durable: Percentiles = field(default_factory=Percentiles)
    """From the final dot of DATA to the commit."""
    exists: Percentiles = field(default_factory=Percentiles)
    """From the final dot of DATA to EXISTS on its way to whoever waits in IDLE."""
    push: Percentiles = field(default_factory=Percentiles)
    """From the POST to the notifier's answer."""


@dataclass(frozen=True, slots=True)
class QueueDestination:
    """What waits for one domain."""

    domain: str
    items: int
    oldest_queued_at: datetime
    next_attempt_at: datetime
    attempts: int
    last_error: str
    """What the last attempt ended with; without any address."""


@dataclass(frozen=True, slots=True)
class QueueState:
    """What waits to go to other servers; `destinations` by age, the oldest first."""

    items: int = 0
    domains: int = 0
    oldest_queued_at: datetime | None = None
    destinations: tuple[QueueDestination, ...] = ()


@dataclass(frozen=True, slots=True)
class CertificateState:
    """The certificate clients see."""

    mode: str = ""
    names: tuple[str, ...] = ()
    trusted: bool = False
    not_before: datetime | None = None
    not_after: datetime | None = None
    days_left: float | None = None
    renewal_due_at: datetime | None = None
    last_attempt_at: datetime | None = None
    next_attempt_at: datetime | None = None
    failures: int = 0
    last_error: str = ""
    clock: str = ""
    """One sentence if this machine's clock differs from the authority's."""


@dataclass(frozen=True, slots=True)
class DnsRecordState:
    """One record that is not as it should be."""

    name: str
    kind: str
    state: str
    """`missing` or `different`."""
    required: bool


@dataclass(frozen=True, slots=True)
class DnsState:
    """The last comparison with the authoritative name servers; `checked_at` is None before the first."""

    checked_at: datetime | None = None
    verdict: str = "unknown"
    """`ok`, `incomplete` (only recommended records are wrong), `wrong`, `unreachable`, `unneeded` or `unknown`."""
    wrong: tuple[DnsRecordState, ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True)
class MachineState:
    """The process and the machine it runs on."""

    disk_free_bytes: int = 0
    disk_total_bytes: int = 0
    memory_available_bytes: int = 0
    memory_total_bytes: int = 0
    resident_bytes: int = 0
    cpu_percent: float = 0.0
    """Of one core, by the server, over the last seconds."""
    load_1m: float = 0.0
    cpu_count: int = 1
    open_files: int = 0
    open_files_limit: int = 0
    loop_lag_ms: float = 0.0
    """The longest the event loop was late in the last minute."""


@dataclass(frozen=True, slots=True)
class StoreState:
    """The data folder."""

    messages: int = 0
    database_bytes: int = 0
    bodies_bytes: int = 0
    free_pages_bytes: int = 0
    last_error: str = ""
    """What the disk refused last, within the last ten minutes; empty if nothing."""
    last_error_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ExpiryState:
    """Removal by age."""

    last_run_at: datetime | None = None
    last_messages: int = 0
    last_accounts: int = 0
    next_run_at: datetime | None = None
    running: bool = False


@dataclass(frozen=True, slots=True)
class PushState:
    """Notifications; `notifier` is `off`, `idle` (nothing was sent yet), `ok` or `failing`."""

    notifier: str = "off"
    device_tokens: int = 0
    waiting: int = 0
    delivered: int = 0
    gone: int = 0
    failed: int = 0
    dropped: int = 0
    failing_since: datetime | None = None
    failures_in_a_row: int = 0
    last_error: str = ""


@dataclass(frozen=True, slots=True)
class PeerTraffic:
    """Messages and bytes exchanged with one domain, since the data folder was made."""

    domain: str
    delivered_to: int = 0
    deferred_to: int = 0
    refused_by: int = 0
    bytes_to: int = 0
    received_from: int = 0
    refused_from: int = 0
    deferred_from: int = 0
    bytes_from: int = 0


@dataclass(frozen=True, slots=True)
class StatusSnapshot:
    """One look at the server."""

    version: str
    mail_domain: str
    taken_at: datetime
    started_at: datetime
    uptime_seconds: float
    running: bool = True
    """Always true; what is printed of a server that does not answer has false here."""
    health: Health = field(default_factory=Health)
    accounts: AccountCounts = field(default_factory=AccountCounts)
    sessions: SessionCounts = field(default_factory=SessionCounts)
    messages: MessageRates = field(default_factory=MessageRates)
    latency: Latencies = field(default_factory=Latencies)
    queue: QueueState = field(default_factory=QueueState)
    refusals: dict[str, int] = field(default_factory=dict)
    """Refused since the start, by reason."""
    certificate: CertificateState = field(default_factory=CertificateState)
    dns: DnsState = field(default_factory=DnsState)
    machine: MachineState = field(default_factory=MachineState)
    store: StoreState = field(default_factory=StoreState)
    expiry: ExpiryState = field(default_factory=ExpiryState)
    push: PushState = field(default_factory=PushState)
    peers: tuple[PeerTraffic, ...] = ()
    """The busiest, most messages first."""


@dataclass(frozen=True, slots=True)
class HistoryPoint:
    """What happened in one span of time that began at `at`: sums of messages and refusals, the rest at its end."""

    at: datetime
    inbound: int = 0
    outbound: int = 0
    local: int = 0
    refused: int = 0
    imap_sessions: int = 0
    queue_items: int = 0
    exists_p99_ms: float | None = None


@dataclass(frozen=True, slots=True)
class History:
    """Points of `span_seconds` each, ascending, without gaps but for times when the server did not run."""

    span_seconds: int
    points: tuple[HistoryPoint, ...]


def encode_snapshot(snapshot: StatusSnapshot) -> bytes:
    """One line of JSON, times in ISO 8601."""
    return msgspec.json.encode(snapshot)


def decode_snapshot(line: bytes | str) -> StatusSnapshot:
    """Raises `ProtocolError` if it is not a snapshot of this version's shape. Fields not known here are passed over."""
    return _decode(line, StatusSnapshot)


def encode_history(history: History) -> bytes:
    """One line of JSON."""
    return msgspec.json.encode(history)


def decode_history(line: bytes | str) -> History:
    """Raises `ProtocolError`."""
    return _decode(line, History)


def _decode(line: bytes | str, kind: type[_Value]) -> _Value:
    try:
        return msgspec.json.decode(line, type=kind)
    except msgspec.MsgspecError as error:
        raise ProtocolError(f"The server's status cannot be read: {error}.") from None
