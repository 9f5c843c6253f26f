"""Is the server fine, and if not, why, and what to do about it? Judged from one snapshot. Pure.

`broken`: people are affected now. `degraded`: it serves, and something needs the operator, today or this week. A reason
of level `fine` is a notice: another server is down, say, which is worth knowing and nobody's task here. Thresholds are
such that a healthy small server is never called anything but fine.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from chatmail.status_snapshot import Health, HealthLevel, HealthReason, StatusSnapshot

MIB: Final = 1 << 20
DISK_FULL_BYTES: Final = 32 * MIB
"""Less than this is as good as nothing: the database alone grows by pieces of some megabytes."""
REFUSED_SECONDS: Final = 60.0
"""How long the disk's refusal says more than its free bytes, which know no quota and no number of files."""
DISK_LOW_SHARE: Final = 0.05
DISK_LOW_BYTES: Final = 5 * 1024 * MIB
"""A disk is low on space if it is below both."""
SLOW_LOOP_MS: Final = 500.0
STUCK_LOOP_MS: Final = 5000.0
NEARLY_ALL: Final = 0.9
CERTIFICATE_LATE_SHARE: Final = 0.2
"""Renewal begins when a third of a certificate's life is left; with a fifth left something has gone wrong."""
CERTIFICATE_LATE_DAYS: Final = 14.0
"""But a certificate for years is not late before this."""
NOTIFIER_FAILURES: Final = 3
QUEUE_OLD: Final = timedelta(hours=1)
"""How long mail may wait for another server before it is spoken of; no more than a quarter of the queue's lifetime."""
DEAD_PEERS: Final = 3
"""If so many domains cannot be reached and none was for as long, it is this server that cannot reach anybody."""
EXPIRY_LATE: Final = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class HealthLimits:
    """What the configuration says that matters here."""

    queue_lifetime_seconds: float = 2 * 86400.0


_Judge = Callable[[StatusSnapshot, HealthLimits], Iterator[HealthReason]]
_SEVERITY: Final = {HealthLevel.BROKEN: 0, HealthLevel.DEGRADED: 1, HealthLevel.FINE: 2}


def judge(snapshot: StatusSnapshot, limits: HealthLimits) -> Health:
    """The verdict over a snapshot; its own `health` is not looked at."""
    reasons = [reason for judge_part in _JUDGES for reason in judge_part(snapshot, limits)]
    reasons.sort(key=lambda reason: _SEVERITY[reason.level])
    return Health(reasons[0].level if reasons else HealthLevel.FINE, tuple(reasons))


def _broken(code: str, sentence: str, remedy: str) -> HealthReason:
    return HealthReason(HealthLevel.BROKEN, code, sentence, remedy)


def _degraded(code: str, sentence: str, remedy: str) -> HealthReason:
    return HealthReason(HealthLevel.DEGRADED, code, sentence, remedy)


def _disk(snapshot: StatusSnapshot, _limits: HealthLimits) -> Iterator[HealthReason]:
    machine, error = snapshot.machine, snapshot.store.last_error
    free = f"{machine.disk_free_bytes / MIB:,.0f} MiB"
    remedy = "Make some space on the disk of the data folder; mail is taken again by itself."
    is_known = machine.disk_total_bytes > 0
    was_refused, at = error.startswith("no space left"), snapshot.store.last_error_at
    just_now = was_refused and at is not None and (snapshot.taken_at - at).total_seconds() < REFUSED_SECONDS
    if (is_known and machine.disk_free_bytes < DISK_FULL_BYTES) or just_now:
        yield _broken("disk_full", f"The disk is full ({free} left): mail is refused until there is space.", remedy)
    elif was_refused:
        # Space was made, and no message has come since to show it; or what is short is not counted in bytes.
        yield _degraded(
            "disk_was_full",
            f"The disk refused mail minutes ago; {free} are free now, which the next message will show.",
            "If you made no space: see whether a quota or the number of files is used up (df -i).",
        )
    elif error:
        yield _broken(
            "store_failed",
            f"The disk or the database fails: {error}.",
            "Look at the log and at the kernel's (dmesg); a disk that fails wants to be replaced.",
        )
    elif is_known and machine.disk_free_bytes < min(DISK_LOW_BYTES, DISK_LOW_SHARE * machine.disk_total_bytes):
        yield _degraded("disk_low", f"The disk is nearly full: {free} left.", remedy)


def _new_accounts(snapshot: StatusSnapshot, _limits: HealthLimits) -> Iterator[HealthReason]:
    because = snapshot.accounts.new_refused_because
    if because and snapshot.accounts.registration != "closed":
        what = {"cpu": "the machine is busy", "memory": "memory is short", "disk": "the disk is short of space"}
        yield _degraded(
            f"new_accounts_refused_{because}",
            f"Nobody gets a new account, because {what.get(because, because)}.",
            "See what uses it up, give the machine more, or change the guard under [limits] in the configuration.",
        )


def _certificate(snapshot: StatusSnapshot, _limits: HealthLimits) -> Iterator[HealthReason]:
    certificate = snapshot.certificate
    left, failed = certificate.days_left, f" The last attempt failed: {certificate.last_error}"
    why = failed if certificate.last_error else ""
    remedy = (
        "Put a renewed certificate and its key in their place; they are taken by themselves."
        if certificate.mode == "files"
        else "See what chatmail cert status says, mend that, then run chatmail cert renew."
    )
    if left is not None and left <= 0:
        yield _broken("certificate_expired", f"The certificate has expired: apps cannot connect.{why}", remedy)
    elif certificate.mode == "acme" and not certificate.trusted:
        yield _broken("certificate_missing", f"There is no certificate that apps accept yet.{why}", remedy)
    elif left is not None and certificate.mode != "self-signed" and left < _late_days(snapshot):
        yield _degraded("certificate_expiring", f"The certificate expires in {_days(left)}.{why}", remedy)
    elif certificate.failures:
        yield _degraded("certificate_renewal_fails", f"The certificate could not be renewed.{why}", remedy)
    elif certificate.last_error:
        yield _degraded("certificate_not_taken", f"A new certificate could not be used.{why}", remedy)
    if certificate.clock:
        yield _degraded("clock_wrong", certificate.clock, "Set the clock: timedatectl set-ntp true")


def _late_days(snapshot: StatusSnapshot) -> float:
    begin, end = snapshot.certificate.not_before, snapshot.certificate.not_after
    if begin is None or end is None:
        return 0.0
    return min(CERTIFICATE_LATE_DAYS, CERTIFICATE_LATE_SHARE * (end - begin) / timedelta(days=1))


def _days(days: float) -> str:
    return f"{int(days)} days" if days >= 2 else f"{24 * days:.0f} hours"


def _dns(snapshot: StatusSnapshot, _limits: HealthLimits) -> Iterator[HealthReason]:
    dns = snapshot.dns
    if dns.verdict == "wrong":
        names = ", ".join(f"{record.name} {record.kind}" for record in dns.wrong if record.required)
        yield _broken(
            "dns_wrong",
            f"Required DNS records are missing or different: {names}.",
            "Mend them as chatmail dns check says; until then other servers may refuse mail or not find this one.",
        )
    elif dns.verdict == "unreachable":
        yield _degraded(
            "dns_unreachable",
            "The name servers of this server's domain did not answer when they were asked last.",
            "Run chatmail dns check; if it fails too, see to this machine's resolver or to the domain's name servers.",
        )


def _queue(snapshot: StatusSnapshot, limits: HealthLimits) -> Iterator[HealthReason]:
    old = min(QUEUE_OLD, timedelta(seconds=limits.queue_lifetime_seconds / 4))
    late = [
        one for one in snapshot.queue.destinations if one.attempts and snapshot.taken_at - one.oldest_queued_at >= old
    ]
    sent_at = snapshot.messages.outbound_last_at
    if len(late) >= DEAD_PEERS and (sent_at is None or snapshot.taken_at - sent_at >= old):
        yield _degraded(
            "nothing_gets_out",
            f"No mail gets out to other servers: {len(late)} of them could not be reached.",
            "See whether outgoing port 25 is open (many providers block it until asked), and whether the DNS works.",
        )
    for one in late:
        yield HealthReason(
            HealthLevel.FINE,
            "peer_unreachable",
            f"Mail for {one.domain} has been waiting for {_age(snapshot.taken_at - one.oldest_queued_at)}"
            f" ({one.items} in all): {one.last_error or 'no answer yet'}",
            f"Nothing, if that server is down: mail is tried again until it is {_age_of(limits)} old, then its senders"
            " are told.",
        )


def _age(age: timedelta) -> str:
    seconds = age.total_seconds()
    if seconds < 120:
        return f"{seconds:.0f} seconds"
    if seconds < 7200:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.0f} hours"


def _age_of(limits: HealthLimits) -> str:
    return _age(timedelta(seconds=limits.queue_lifetime_seconds))


def _notifier(snapshot: StatusSnapshot, _limits: HealthLimits) -> Iterator[HealthReason]:
    push = snapshot.push
    if push.notifier == "failing" and push.failures_in_a_row >= NOTIFIER_FAILURES:
        yield _degraded(
            "notifier_failing",
            f"Phones are not woken: the notifier fails ({push.last_error}); {push.waiting} notifications wait.",
            "Mail itself is not affected; see whether this machine reaches the notifier's address over HTTPS.",
        )


def _connections(snapshot: StatusSnapshot, _limits: HealthLimits) -> Iterator[HealthReason]:
    sessions, machine = snapshot.sessions, snapshot.machine
    for name, count, limit, key in (
        ("IMAP", sessions.imap, sessions.imap_limit, "max_imap_connections"),
        ("SMTP", sessions.submission + sessions.mx, sessions.smtp_limit, "max_smtp_connections"),
    ):
        remedy = f"Raise {key} under [limits] in the configuration, if the machine has memory for it."
        if limit and count >= limit:
            yield _broken(
                f"{name.lower()}_full", f"All {limit} {name} connections are taken: others are refused.", remedy
            )
        elif limit and count >= NEARLY_ALL * limit:
            yield _degraded(f"{name.lower()}_nearly_full", f"{count} of {limit} {name} connections are taken.", remedy)
    if machine.open_files_limit and machine.open_files >= NEARLY_ALL * machine.open_files_limit:
        yield _degraded(
            "open_files",
            f"{machine.open_files} of {machine.open_files_limit} files that may be open are.",
            "Raise LimitNOFILE of the systemd unit.",
        )


def _loop(snapshot: StatusSnapshot, _limits: HealthLimits) -> Iterator[HealthReason]:
    lag = snapshot.machine.loop_lag_ms
    sentence = f"The server was {lag / 1000:.1f} seconds late in the last minute."
    remedy = "See what else runs on this machine; if it is the server alone, it needs a faster processor or disk."
    if lag >= STUCK_LOOP_MS:
        yield _broken("server_slow", sentence, remedy)
    elif lag >= SLOW_LOOP_MS:
        yield _degraded("server_slow", sentence, remedy)


def _expiry(snapshot: StatusSnapshot, _limits: HealthLimits) -> Iterator[HealthReason]:
    since = snapshot.expiry.last_run_at or snapshot.started_at
    if not snapshot.expiry.running and snapshot.taken_at - since >= EXPIRY_LATE:
        yield _degraded(
            "expiry_late",
            f"Old mail was last removed {_age(snapshot.taken_at - since)} ago.",
            "See what the log says of expiry, then run chatmail expire.",
        )


_JUDGES: Final[tuple[_Judge, ...]] = (
    _disk,
    _certificate,
    _dns,
    _connections,
    _loop,
    _new_accounts,
    _notifier,
    _expiry,
    _queue,
)
