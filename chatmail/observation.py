"""Assembles what watches the server: status and DNS watch over the running services, and the commands that tell of it.

The other services are seen here through a handful of small functions, so that none of them knows who looks.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from chatmail.config import Config
from chatmail.config_values import is_ip_address, split_host_port
from chatmail.control_protocol import STATUS_GROUP, Encoded, status_socket_path
from chatmail.dns.records import required_records
from chatmail.dns.report import DnsReport
from chatmail.errors import OperatorError
from chatmail.log import recent_lines
from chatmail.meters import Meters
from chatmail.policy.health import HealthLimits
from chatmail.registration import RegistrationSwitch
from chatmail.relay_facts import relay_facts
from chatmail.services.certificates import CertificateService
from chatmail.services.control import ControlService, Handler, Report
from chatmail.services.dns_watch import DnsWatch
from chatmail.services.expiry import ExpiryService
from chatmail.services.http import HttpService
from chatmail.services.imap import ImapService
from chatmail.services.metrics import MetricsService
from chatmail.services.notifier import NotifierService
from chatmail.services.smtp_connections import SmtpConnections
from chatmail.services.smtp_protocol import SmtpConnection
from chatmail.services.status import StatusService, StatusSources
from chatmail.status_snapshot import CertificateState, ExpiryState, PushState, SessionCounts, encode_history
from chatmail.storage.store import Store

if TYPE_CHECKING:
    from chatmail.net.resolver import Resolver

MAX_LOG_LINES: Final = 500


@dataclass(frozen=True, slots=True)
class Observed:
    """The services that are looked at."""

    certificates: CertificateService
    http: HttpService
    imap: ImapService
    smtp: SmtpConnections
    expiry: ExpiryService
    notifier: NotifierService | None
    registration: RegistrationSwitch


class Observation:
    """Status, DNS watch and the read-only socket of one run of the server. Make it inside the running loop."""

    def __init__(
        self,
        config: Config,
        store: Store,
        meters: Meters,
        observed: Observed,
        *,
        shortage: Callable[[], str | None],
        resolver: Callable[[], "Resolver"],
    ) -> None:
        """Binds the read-only socket, and that of the metrics. Raises `OperatorError`."""
        self.dns = DnsWatch(None if is_ip_address(config.mail_domain) else _dns_look(config, resolver))
        self.status = StatusService(
            mail_domain=config.mail_domain,
            data_dir=Path(config.data_dir),
            limits=HealthLimits(config.federation.queue_lifetime),
            store=store,
            meters=meters,
            sources=_sources(config, meters, observed, self.dns, shortage),
        )
        self._readers = ControlService(status_socket_path(config), self._reading(), readers=STATUS_GROUP)
        address = config.metrics.listen
        self._metrics = MetricsService(split_host_port(address), self.status.snapshot, meters) if address else None

    def services(self, stop: asyncio.Event) -> list[Coroutine[Any, Any, None]]:
        """What is to run until `stop`."""
        metrics = [] if self._metrics is None else [self._metrics.run(stop)]
        return [self._readers.run(stop), self.status.run(stop), self.dns.run(stop), *metrics]

    def commands(self) -> dict[str, Handler]:
        """What the control socket answers: all that can be read, and looking at the DNS now."""

        async def look(_arguments: Mapping[str, Any], _report: Report) -> Any:  # noqa: ANN401 — JSON
            return {"verdict": (await self.dns.look()).verdict}

        return {**self._reading(), "status check-dns": look}

    def _reading(self) -> dict[str, Handler]:
        async def status(_arguments: Mapping[str, Any], _report: Report) -> Any:  # noqa: ANN401 — JSON
            return Encoded(await self.status.encoded())

        async def last_day(_arguments: Mapping[str, Any], _report: Report) -> Any:  # noqa: ANN401 — JSON
            return Encoded(encode_history(self.status.last_day()))

        async def last_month(_arguments: Mapping[str, Any], _report: Report) -> Any:  # noqa: ANN401 — JSON
            return Encoded(encode_history(self.status.last_month()))

        return {
            "status": status,
            "status history": last_day,
            "status history-month": last_month,
            "log tail": _log_tail,
        }


async def _log_tail(arguments: Mapping[str, Any], _report: Report) -> Any:  # noqa: ANN401 — JSON
    lines = arguments.get("lines", MAX_LOG_LINES)
    if not isinstance(lines, int) or isinstance(lines, bool) or not 0 < lines <= MAX_LOG_LINES:
        raise OperatorError(f"The log is shown by 1 to {MAX_LOG_LINES} lines.")
    return {"lines": recent_lines(lines)}


def _dns_look(config: Config, resolver: Callable[[], "Resolver"]) -> Callable[[], Any]:
    async def look() -> DnsReport:
        from chatmail.net.dns_check import check_dns

        return await check_dns(required_records(config, relay_facts(config)), resolver())

    return look


def _sources(
    config: Config, meters: Meters, observed: Observed, dns: DnsWatch, shortage: Callable[[], str | None]
) -> StatusSources:
    def sessions() -> SessionCounts:
        smtp = observed.smtp.all()
        submission = sum(isinstance(one, SmtpConnection) and one.takes_submissions for one in smtp)
        return SessionCounts(
            imap=len(observed.imap.connections),
            imap_idle=meters.imap_idle,
            submission=submission,
            mx=len(smtp) - submission,
            http=observed.http.connections,
            imap_limit=config.limits.max_imap_connections,
            smtp_limit=config.limits.max_smtp_connections,
        )

    return StatusSources(
        sessions=sessions,
        registration=observed.registration.mode,
        shortage=shortage,
        certificate=lambda: _certificate(observed.certificates),
        dns=lambda: dns.state,
        expiry=lambda: _expiry(observed.expiry),
        push=lambda: PushState() if observed.notifier is None else _push(observed.notifier),
    )


def _certificate(certificates: CertificateService) -> CertificateState:
    status = certificates.status()
    return CertificateState(
        mode=status.mode,
        names=status.names,
        trusted=status.trusted,
        not_before=status.not_before,
        not_after=status.not_after,
        renewal_due_at=status.renewal_due_at,
        last_attempt_at=status.last_attempt_at,
        next_attempt_at=status.next_attempt_at,
        failures=status.failures,
        last_error=status.last_error,
        clock=status.clock,
    )


def _expiry(expiry: ExpiryService) -> ExpiryState:
    last = expiry.last
    return ExpiryState(
        last_run_at=expiry.last_at,
        last_messages=last.messages.count if last else 0,
        last_accounts=last.accounts.count if last else 0,
        next_run_at=expiry.next_at,
        running=expiry.is_running,
    )


def _push(notifier: NotifierService) -> PushState:
    state, counters = notifier.state, notifier.counters
    word = "failing" if state.failing_since is not None else "ok" if state.asked else "idle"
    return PushState(
        notifier=word,
        delivered=counters.delivered,
        gone=counters.gone,
        failed=counters.failed,
        dropped=counters.dropped,
        failing_since=state.failing_since,
        failures_in_a_row=state.failures_in_a_row,
        last_error=state.last_error,
    )
