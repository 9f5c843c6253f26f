"""A snapshot in a few lines for people, and in one for monitoring. Pure."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from chatmail.installation.watching import ServerDown
from chatmail.status_snapshot import Health, HealthLevel, Percentiles, StatusSnapshot

LEVEL_CODES: Final = {HealthLevel.FINE: 0, HealthLevel.DEGRADED: 1, HealthLevel.BROKEN: 2}
"""Exit codes of monitoring plugins."""
_LEVEL_WORDS: Final = {HealthLevel.FINE: "FINE", HealthLevel.DEGRADED: "DEGRADED", HealthLevel.BROKEN: "BROKEN"}
_MIB: Final = 1 << 20


def check_line(health: Health, snapshot: StatusSnapshot | None) -> str:
    """One line: the verdict, then the reasons for it, or a few figures; then the figures for programs."""
    why = " ".join(reason.sentence for reason in health.reasons if reason.level is health.level)
    line = f"CHATMAIL {_LEVEL_WORDS[health.level]}"
    if snapshot is None:
        return f"{line} - {_one_line(why)}"
    sessions = snapshot.sessions
    open_now = sessions.imap + sessions.submission + sessions.mx + sessions.http
    counts = f"{snapshot.accounts.total} accounts, {open_now} connections, {snapshot.queue.items} waiting for others"
    said = why if why and health.level is not HealthLevel.FINE else counts
    figures = (
        f"accounts={snapshot.accounts.total} connections={open_now} queue={snapshot.queue.items}"
        f" disk_free={snapshot.machine.disk_free_bytes}B exists_p99={_plain(snapshot.latency.exists)}"
    )
    return f"{line} - {_one_line(said)} | {figures}"


def _one_line(text: str) -> str:
    """ "|" begins the figures of a plugin, and a line is a line."""
    return " ".join(text.replace("|", "/").split())


def _plain(latency: Percentiles) -> str:
    return "U" if latency.p99_ms is None else f"{latency.p99_ms}ms"


def down_text(down: ServerDown) -> str:
    """Why it does not run, what to do, and its last words."""
    lines = ["BROKEN", f"  {down.sentence}", f"  → {down.remedy}"]
    if down.log_lines:
        lines += ["", "Its last words:", *(f"  {line}" for line in down.log_lines)]
    return "".join(f"{line}\n" for line in lines)


def status_text(snapshot: StatusSnapshot) -> str:
    """The verdict with its reasons, then a line for each subject."""
    return "".join(f"{line}\n" for line in (*_verdict(snapshot), *_subjects(snapshot)))


def _verdict(snapshot: StatusSnapshot) -> Iterator[str]:
    uptime = timedelta(seconds=round(snapshot.uptime_seconds))
    word = _LEVEL_WORDS[snapshot.health.level]
    yield f"{word}  {snapshot.mail_domain}, chatmail {snapshot.version}, up {uptime}"
    for reason in snapshot.health.reasons:
        mark = "note: " if reason.level is HealthLevel.FINE else ""
        yield f"  {mark}{reason.sentence}"
        yield f"  → {reason.remedy}"


def _subjects(snapshot: StatusSnapshot) -> Iterator[str]:
    accounts, sessions, messages = snapshot.accounts, snapshot.sessions, snapshot.messages
    yield (
        f"accounts      {accounts.total}, active today {accounts.active_today}, new today {accounts.new_today},"
        f" registration {accounts.registration}"
    )
    yield (
        f"connections   IMAP {sessions.imap} (waiting in IDLE: {sessions.imap_idle}), submission {sessions.submission},"
        f" other servers {sessions.mx}, web {sessions.http}"
    )
    yield (
        f"last minute   {messages.local_last_minute} between accounts here, {messages.inbound_last_minute} in,"
        f" {messages.outbound_last_minute} out"
    )
    latency = snapshot.latency
    yield f"delivery      to the disk {_shown(latency.durable)}, to the phone {_shown(latency.exists)}"
    yield f"queue         {snapshot.queue.items} waiting for {snapshot.queue.domains} servers"
    yield f"refused       {_counts(snapshot.refusals)}"
    yield f"certificate   {_certificate(snapshot)}"
    yield f"DNS           {snapshot.dns.verdict}"
    machine, store = snapshot.machine, snapshot.store
    yield (
        f"machine       {machine.disk_free_bytes // _MIB:,} MiB of disk free,"
        f" {machine.memory_available_bytes // _MIB:,} MiB of memory available, {machine.cpu_percent} % of a core in use"
    )
    yield (
        f"store         {store.messages:,} messages, {(store.database_bytes + store.bodies_bytes) // _MIB:,} MiB,"
        f" next expiry {_time(snapshot)}"
    )
    yield f"notifications {snapshot.push.notifier}, {snapshot.push.waiting} waiting"


def _shown(latency: Percentiles) -> str:
    return "-" if latency.p50_ms is None else f"{latency.p50_ms:.1f} ms (p99 {latency.p99_ms:.1f})"


def _counts(refusals: dict[str, int]) -> str:
    most = sorted(refusals.items(), key=lambda one: (-one[1], one[0]))[:4]
    return ", ".join(f"{count} {reason}" for reason, count in most) or "nothing"


def _certificate(snapshot: StatusSnapshot) -> str:
    certificate = snapshot.certificate
    left = "-" if certificate.days_left is None else f"{certificate.days_left:.0f} days left"
    return f"{certificate.mode}, {left}"


def _time(snapshot: StatusSnapshot) -> str:
    at = snapshot.expiry.next_run_at
    return "-" if at is None else f"{at:%H:%M} UTC"
