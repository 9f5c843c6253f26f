"""The verdict, from values: what makes a server fine, degraded or broken, and the sentences it says."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from chatmail.policy.health import HealthLimits, judge
from chatmail.status_snapshot import (
    AccountCounts,
    CertificateState,
    DnsRecordState,
    DnsState,
    ExpiryState,
    HealthLevel,
    HealthReason,
    MachineState,
    MessageRates,
    PushState,
    QueueDestination,
    QueueState,
    SessionCounts,
    StatusSnapshot,
    StoreState,
)

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
GIB = 1 << 30
LIMITS = HealthLimits()
CERTIFICATE = CertificateState(
    mode="acme",
    names=("chat.example",),
    trusted=True,
    not_before=NOW - timedelta(days=30),
    not_after=NOW + timedelta(days=60),
    days_left=60.0,
)
FINE = StatusSnapshot(
    "1.0",
    "chat.example",
    NOW,
    NOW - timedelta(hours=2),
    7200.0,
    certificate=CERTIFICATE,
    dns=DnsState(NOW, "ok"),
    machine=MachineState(disk_free_bytes=40 * GIB, disk_total_bytes=100 * GIB, open_files=30, open_files_limit=1000),
    sessions=SessionCounts(imap=10, imap_limit=100, smtp_limit=100),
)


def only(snapshot: StatusSnapshot, limits: HealthLimits = LIMITS) -> HealthReason:
    health = judge(snapshot, limits)
    (reason,) = health.reasons
    assert health.level is reason.level
    assert reason.sentence and reason.remedy
    return reason


def test_a_server_without_trouble_is_fine_and_says_nothing() -> None:
    assert judge(FINE, LIMITS).level is HealthLevel.FINE
    assert judge(FINE, LIMITS).reasons == ()


@pytest.mark.parametrize("dns", ["ok", "incomplete", "unneeded", "unknown"])
def test_what_is_only_recommended_in_the_dns_or_not_known_yet_troubles_nobody(dns: str) -> None:
    assert judge(replace(FINE, dns=DnsState(verdict=dns)), LIMITS).reasons == ()


@pytest.mark.parametrize(
    ("part", "code", "level", "words"),
    [
        ({"machine": MachineState(10 << 20, 100 * GIB)}, "disk_full", HealthLevel.BROKEN, "10 MiB left"),
        (
            {"store": StoreState(last_error="no space left: database or disk is full", last_error_at=NOW)},
            "disk_full",
            HealthLevel.BROKEN,
            "mail is refused",
        ),
        (
            {"store": StoreState(last_error="no space left: disk is full", last_error_at=NOW - timedelta(minutes=2))},
            "disk_was_full",
            HealthLevel.DEGRADED,
            "40,960 MiB are free now",
        ),
        ({"store": StoreState(last_error="storage failed: disk I/O error")}, "store_failed", HealthLevel.BROKEN, "I/O"),
        ({"machine": MachineState(2 * GIB, 100 * GIB)}, "disk_low", HealthLevel.DEGRADED, "nearly full: 2,048 MiB"),
        ({"machine": MachineState(GIB, 4 * GIB)}, "", HealthLevel.FINE, ""),
        ({"machine": MachineState()}, "", HealthLevel.FINE, ""),
        (
            {"accounts": AccountCounts(new_refused_because="memory")},
            "new_accounts_refused_memory",
            HealthLevel.DEGRADED,
            "memory is short",
        ),
        ({"accounts": AccountCounts(new_refused_because="cpu", registration="closed")}, "", HealthLevel.FINE, ""),
        (
            {"certificate": replace(CERTIFICATE, days_left=-0.5)},
            "certificate_expired",
            HealthLevel.BROKEN,
            "has expired",
        ),
        ({"certificate": replace(CERTIFICATE, days_left=9.4)}, "certificate_expiring", HealthLevel.DEGRADED, "9 days"),
        (
            {"certificate": replace(CERTIFICATE, days_left=1.0)},
            "certificate_expiring",
            HealthLevel.DEGRADED,
            "24 hours",
        ),
        (
            {"certificate": replace(CERTIFICATE, failures=2, last_error="Port 80 is closed.")},
            "certificate_renewal_fails",
            HealthLevel.DEGRADED,
            "Port 80 is closed.",
        ),
        (
            {"certificate": replace(CERTIFICATE, trusted=False, last_error="Nobody answers.")},
            "certificate_missing",
            HealthLevel.BROKEN,
            "Nobody answers.",
        ),
        (
            {"certificate": CertificateState("self-signed", days_left=3.0, not_before=NOW, not_after=NOW)},
            "",
            HealthLevel.FINE,
            "",
        ),
        (
            {"certificate": replace(CERTIFICATE, mode="files", last_error="The key does not fit.")},
            "certificate_not_taken",
            HealthLevel.DEGRADED,
            "does not fit",
        ),
        (
            {"certificate": replace(CERTIFICATE, clock="The clock is late.")},
            "clock_wrong",
            HealthLevel.DEGRADED,
            "late",
        ),
        (
            {"dns": DnsState(NOW, "wrong", (DnsRecordState("chat.example", "MX", "missing", True),))},
            "dns_wrong",
            HealthLevel.BROKEN,
            "chat.example MX",
        ),
        ({"dns": DnsState(NOW, "unreachable")}, "dns_unreachable", HealthLevel.DEGRADED, "did not answer"),
        (
            {"push": PushState("failing", waiting=7, failures_in_a_row=3, last_error="it cannot be connected to")},
            "notifier_failing",
            HealthLevel.DEGRADED,
            "it cannot be connected to",
        ),
        ({"push": PushState("failing", failures_in_a_row=2)}, "", HealthLevel.FINE, ""),
        ({"sessions": SessionCounts(imap=100, imap_limit=100)}, "imap_full", HealthLevel.BROKEN, "All 100 IMAP"),
        ({"sessions": SessionCounts(imap=95, imap_limit=100)}, "imap_nearly_full", HealthLevel.DEGRADED, "95 of 100"),
        (
            {"sessions": SessionCounts(mx=60, submission=40, smtp_limit=100)},
            "smtp_full",
            HealthLevel.BROKEN,
            "100 SMTP",
        ),
        (
            {"machine": replace(FINE.machine, open_files=950)},
            "open_files",
            HealthLevel.DEGRADED,
            "950 of 1000 files",
        ),
        ({"machine": replace(FINE.machine, loop_lag_ms=900)}, "server_slow", HealthLevel.DEGRADED, "0.9 seconds late"),
        ({"machine": replace(FINE.machine, loop_lag_ms=9000)}, "server_slow", HealthLevel.BROKEN, "9.0 seconds late"),
        ({"started_at": NOW - timedelta(hours=7)}, "expiry_late", HealthLevel.DEGRADED, "7 hours ago"),
        ({"expiry": ExpiryState(last_run_at=NOW - timedelta(hours=9), running=True)}, "", HealthLevel.FINE, ""),
    ],
)
def test_each_trouble_has_its_level_and_its_words(
    part: dict[str, object], code: str, level: HealthLevel, words: str
) -> None:
    snapshot = replace(FINE, **part)  # type: ignore[arg-type]
    if not code:
        assert judge(snapshot, LIMITS).reasons == ()
        return
    reason = only(snapshot)
    assert (reason.code, reason.level) == (code, level)
    assert words in reason.sentence


def waiting(domain: str, age: timedelta) -> QueueDestination:
    return QueueDestination(domain, 3, NOW - age, NOW, 4, "The other server cannot be reached")


def queue(*destinations: QueueDestination) -> QueueState:
    return QueueState(3 * len(destinations), len(destinations), NOW, destinations)


def test_one_dead_peer_is_told_and_leaves_the_server_fine() -> None:
    reason = only(replace(FINE, queue=queue(waiting("dead.example", timedelta(hours=5)))))
    assert (reason.level, reason.code) == (HealthLevel.FINE, "peer_unreachable")
    assert reason.sentence == (
        "Mail for dead.example has been waiting for 5 hours (3 in all): The other server cannot be reached"
    )
    assert "48 hours" in reason.remedy


def test_mail_that_waits_for_minutes_is_not_worth_a_word() -> None:
    destination = waiting("slow.example", timedelta(minutes=50))
    assert judge(replace(FINE, queue=queue(destination)), LIMITS).reasons == ()
    assert only(replace(FINE, queue=queue(destination)), HealthLimits(3600.0)).code == "peer_unreachable"


def test_when_nothing_gets_out_at_all_the_fault_is_here() -> None:
    dead = queue(*(waiting(f"{name}.example", timedelta(hours=2)) for name in "abc"))
    health = judge(replace(FINE, queue=dead), LIMITS)
    assert health.level is HealthLevel.DEGRADED
    assert [reason.code for reason in health.reasons] == ["nothing_gets_out", *["peer_unreachable"] * 3]
    some = MessageRates(outbound_last_at=NOW - timedelta(minutes=3))
    assert judge(replace(FINE, queue=dead, messages=some), LIMITS).level is HealthLevel.FINE


def test_a_certificate_for_days_is_late_in_hours_and_one_for_years_in_two_weeks() -> None:
    short = replace(CERTIFICATE, not_before=NOW - timedelta(days=4), not_after=NOW + timedelta(days=2), days_left=2.0)
    assert judge(replace(FINE, certificate=short), LIMITS).reasons == ()
    assert only(replace(FINE, certificate=replace(short, days_left=1.1))).code == "certificate_expiring"
    years = replace(CERTIFICATE, mode="files", not_before=NOW - timedelta(days=3000), days_left=20.0)
    assert judge(replace(FINE, certificate=years), LIMITS).reasons == ()


def test_the_worst_comes_first() -> None:
    snapshot = replace(
        FINE,
        machine=MachineState(1 << 20, 100 * GIB, loop_lag_ms=600),
        queue=queue(waiting("dead.example", timedelta(hours=5))),
    )
    health = judge(snapshot, LIMITS)
    assert health.level is HealthLevel.BROKEN
    assert [reason.code for reason in health.reasons] == ["disk_full", "server_slow", "peer_unreachable"]
