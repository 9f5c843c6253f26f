"""A server for the dashboard's tests: frozen snapshots in the three states, and a source that answers with them."""

import math
import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from chatmail.api import (
    AccountCounts,
    CertificateState,
    DnsRecordState,
    DnsState,
    ExpiryState,
    Health,
    HealthLevel,
    HealthReason,
    History,
    HistoryPoint,
    Latencies,
    MachineState,
    MessageRates,
    OperatorError,
    PeerTraffic,
    Percentiles,
    PushState,
    QueueDestination,
    QueueState,
    SessionCounts,
    StatusSnapshot,
    StoreState,
)
from installer.dashboard.moment import Outage
from installer.dashboard.source import Progress, Waiting

_Answer = TypeVar("_Answer")

NOW: Final = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)
GIB: Final = 2**30
MIB: Final = 2**20


def fine() -> StatusSnapshot:
    """A relay that some hundred people use, on a small machine."""
    return StatusSnapshot(
        version="0.4.0",
        mail_domain="chat.example.org",
        taken_at=NOW,
        started_at=NOW - timedelta(days=12, hours=3),
        uptime_seconds=(12 * 24 + 3) * 3600,
        accounts=AccountCounts(total=1283, active_today=412, new_today=9, blocked=2),
        sessions=SessionCounts(imap=391, imap_idle=380, submission=4, mx=2, http=1, imap_limit=10000, smtp_limit=1000),
        messages=MessageRates(31, 12, 58, NOW, 180_211, 92_118, 410_992),
        latency=Latencies(
            durable=Percentiles(412, 0.82, 1.4, 3.1),
            exists=Percentiles(388, 1.2, 2.2, 5.4),
            push=Percentiles(97, 84.0, 130.0, 212.0),
        ),
        queue=QueueState(),
        refusals={"not_encrypted": 212, "no_such_account": 190, "rate": 31, "dkim": 12, "over_quota": 3},
        certificate=CertificateState(
            mode="acme",
            names=("chat.example.org", "www.chat.example.org", "mta-sts.chat.example.org"),
            trusted=True,
            not_after=NOW + timedelta(days=63),
            days_left=63.2,
            last_attempt_at=NOW - timedelta(days=27),
            next_attempt_at=NOW + timedelta(days=33),
        ),
        dns=DnsState(checked_at=NOW - timedelta(minutes=41), verdict="ok"),
        machine=MachineState(
            disk_free_bytes=31 * GIB,
            disk_total_bytes=39 * GIB,
            memory_available_bytes=2900 * MIB,
            memory_total_bytes=3900 * MIB,
            resident_bytes=88 * MIB,
            cpu_percent=3.2,
            load_1m=0.14,
            cpu_count=2,
            open_files=431,
            open_files_limit=262144,
            loop_lag_ms=4.1,
        ),
        store=StoreState(messages=20_317, database_bytes=412 * MIB, bodies_bytes=1337 * MIB, free_pages_bytes=20 * MIB),
        expiry=ExpiryState(
            last_run_at=NOW - timedelta(minutes=26),
            last_messages=211,
            last_accounts=1,
            next_run_at=NOW + timedelta(minutes=34),
        ),
        push=PushState(notifier="ok", device_tokens=702, delivered=51_220, gone=211),
        peers=(
            PeerTraffic("relay.example.com", 40_112, 20, 3, 912 * MIB, 60_120, 12, 4, 1200 * MIB),
            PeerTraffic("mail.example.net", 9_120, 2, 0, 210 * MIB, 12_411, 0, 0, 300 * MIB),
            PeerTraffic("chat.relay.example", 4_001, 0, 0, 80 * MIB, 3_812, 1, 0, 71 * MIB),
            PeerTraffic("a-rather-long-name-of-a-server.mail.example.net", 12, 0, 1, 2 * MIB, 7, 0, 0, MIB),
        ),
    )


def degraded() -> StatusSnapshot:
    """Something needs the operator this week: a certificate that is not renewed, and a dead peer."""
    reason = HealthReason(
        HealthLevel.DEGRADED,
        "certificate_expiring",
        "The certificate ends in 6 days, and 4 attempts to renew it failed: the authority found port 443 closed.",
        "Open port 443 to the world, then run: chatmail cert renew",
    )
    waits = HealthReason(
        HealthLevel.DEGRADED,
        "queue_old",
        "Mail for gone.example.net has been waiting for 7 hours.",
        "See chatmail queue list; it is given up after 2 days.",
    )
    before = fine()
    return replace(
        before,
        health=Health(HealthLevel.DEGRADED, (reason, waits)),
        certificate=replace(
            before.certificate,
            not_after=NOW + timedelta(days=6),
            days_left=6.1,
            last_attempt_at=NOW - timedelta(hours=2),
            next_attempt_at=NOW + timedelta(hours=4),
            failures=4,
            last_error="The authority could not connect to port 443.",
        ),
        queue=QueueState(
            items=9,
            domains=2,
            oldest_queued_at=NOW - timedelta(hours=7),
            destinations=(
                QueueDestination("gone.example.net", 8, NOW - timedelta(hours=7), NOW + timedelta(minutes=22), 11,
                                 "no answer on port 25 within 30 seconds"),
                QueueDestination("busy.example.com", 1, NOW - timedelta(minutes=4), NOW + timedelta(minutes=2), 2,
                                 "450 4.2.1 Try again later"),
            ),
        ),
        dns=DnsState(
            checked_at=NOW - timedelta(minutes=3),
            verdict="incomplete",
            wrong=(DnsRecordState("_dmarc.chat.example.org", "TXT", "different", False),),
        ),
    )  # fmt: skip


def broken() -> StatusSnapshot:
    """People are affected: a full disk, and a notifier that does not answer."""
    before = degraded()
    reasons = (
        HealthReason(
            HealthLevel.BROKEN,
            "disk_full",
            "The disk is full: 12.0 MiB are left, and messages are refused until there is room.",
            "Make room below /var/lib/chatmail, or let old mail go now: chatmail expire",
        ),
        HealthReason(
            HealthLevel.BROKEN,
            "push_failing",
            "The notifier has not answered for 20 minutes: 41 phones wait to be woken.",
            "Nothing to do here if others see it too; it is tried again by itself.",
        ),
    )
    return replace(
        before,
        health=Health(HealthLevel.BROKEN, reasons + before.health.reasons),
        accounts=replace(before.accounts, new_refused_because="disk"),
        machine=replace(before.machine, disk_free_bytes=12 * MIB),
        store=replace(before.store, last_error="the disk is full", last_error_at=NOW - timedelta(seconds=40)),
        push=replace(before.push, notifier="failing", waiting=41, failed=112, failing_since=NOW - timedelta(minutes=20),
                     last_error="no answer from push.example.org"),
    )  # fmt: skip


def with_registration(mode: str) -> StatusSnapshot:
    """Fine, with accounts for everybody, for the invited or for nobody."""
    before = fine()
    return replace(before, accounts=replace(before.accounts, registration=mode))


def waiting_because(error: str) -> StatusSnapshot:
    """Fine, but for one server that answers so."""
    destination = QueueDestination("gone.example.net", 1, NOW, NOW, 1, error)
    return replace(fine(), queue=QueueState(1, 1, NOW, (destination,)))


def empty() -> StatusSnapshot:
    """A minute after its installation."""
    return StatusSnapshot("0.4.0", "chat.example.org", NOW, NOW - timedelta(seconds=42), 42.0)


def day() -> History:
    """24 hours in steps of five minutes: a quiet night, a busy evening, and half an hour without a server."""
    points = []
    for number in range(288):
        at = NOW - timedelta(minutes=5 * (287 - number))
        if 150 <= number < 156:
            continue
        busy = 1.05 + math.sin((number - 90) / 288 * 2 * math.pi) + 0.25 * math.sin(number * 1.7)
        amount = max(0, int(busy * 180))
        points.append(
            HistoryPoint(
                at, amount // 3, amount // 8, amount // 2, number % 7, 200 + amount // 3, number % 11 // 8, 4 + busy
            )
        )
    return History(300, tuple(points))


OUTAGE: Final = Outage(
    "The server does not run: chatmail.service failed 3 minutes ago.",
    "Mend what the last lines below say, then run: systemctl restart chatmail",
    unit_state="failed (exit-code) since Sat 2026-03-14 15:06:12 UTC",
    log_lines=(
        "Mar 14 15:06:08 systemd[1]: Starting chatmail.service - chatmail relay...",
        "Mar 14 15:06:12 chatmail[812]: port 25 is taken by postfix; stop it, or choose another",
        "Mar 14 15:06:12 systemd[1]: chatmail.service: Main process exited, code=exited, status=1/FAILURE",
    ),
)


class FakeSource:
    """Answers what the test put in; `snapshot_now` None is a server that does not run."""

    def __init__(self, snapshot: StatusSnapshot | None, *, read_only_because: str = "") -> None:
        self.snapshot_now = snapshot
        self.read_only_because = read_only_because
        self.outages_told = 0
        self.asked: list[tuple[str, object]] = []
        self.refusals: dict[str, str] = {}
        """What the server says to a command instead of doing it."""
        self.log: tuple[str, ...] = OUTAGE.log_lines

    def snapshot(self) -> StatusSnapshot:
        """As it is now."""
        if self.snapshot_now is None:
            raise OperatorError(OUTAGE.sentence)
        return self.snapshot_now

    def history(self) -> History:
        """A day, but for a server that has just begun."""
        if self.snapshot_now is None:
            raise OperatorError(OUTAGE.sentence)
        return History(300, ()) if self.snapshot_now.uptime_seconds < 300 else day()

    def outage(self, error: OperatorError) -> Outage:
        """The unit has failed."""
        self.outages_told += 1
        return OUTAGE

    def log_lines(self) -> Sequence[str]:
        """The same three."""
        return self.log

    def queue_items(self, domain: str) -> Sequence[dict[str, Any]]:
        """Two, to make a choice among."""
        self.asked.append(("queue_items", domain))
        return [item(41, domain), item(47, domain)]

    def retry(self, which: Waiting) -> int:
        """One item goes."""
        return self._answer("retry", which, 1)

    def drop(self, which: Waiting) -> int:
        """One item goes."""
        return self._answer("drop", which, 1)

    def renew_certificate(self, on_progress: Progress) -> None:
        """In two steps."""
        on_progress("place the order")
        on_progress("prove the name")
        self._answer("renew", None, None)

    def check_dns(self) -> str:
        """All is well."""
        return self._answer("check_dns", None, "ok")

    def set_registration(self, mode: str) -> str:
        """So be it."""
        return self._answer("registration", mode, mode)

    def invite(self) -> str:
        """With a token as long as they are."""
        return self._answer("invite", None, f"dcaccount:https://chat.example.org/new?t={'Zk3' * 7}A")

    def run_expiry(self, on_progress: Progress) -> dict[str, Any]:
        """A few go."""
        on_progress("messages: 20 removed")
        return self._answer(
            "expire", None, {"messages": 20, "message_bytes": 40_000, "accounts": 1, "account_bytes": 10}
        )

    def find_account(self, address: str) -> dict[str, Any]:
        """One is there."""
        facts = {
            "address": address,
            "messages": 12,
            "stored_bytes": 81_000,
            "blocked": False,
            "created_on": "2026-01-02",
        }
        return self._answer("account", address, facts)

    def sign_up_link(self) -> str:
        """As the web page has it."""
        return "dcaccount:chat.example.org"

    def _answer(self, words: str, argument: object, usual: _Answer) -> _Answer:
        self.asked.append((words, argument))
        if words in self.refusals:
            raise OperatorError(self.refusals[words])
        return usual


def item(number: int, domain: str) -> dict[str, Any]:
    """As `queue list --json` prints it."""
    return {
        "item": number,
        "domain": domain,
        "recipients": 1,
        "size_bytes": 5100,
        "attempts": 11,
        "queued_at": "2026-03-14T08:09:26+00:00",
        "next_attempt_at": "2026-03-14T15:31:26+00:00",
        "last_reply": "no answer on port 25 within 30 seconds",
    }


class FakeClock:
    """Stands still until it is told to go on; the watch sleeps meanwhile."""

    def __init__(self) -> None:
        self._now = 1000.0
        self._changed = threading.Condition()
        self._asleep = False
        self._is_over = False

    def now(self) -> float:
        """As it was set last."""
        return self._now

    def sleep(self, seconds: float) -> None:
        """Until `pass_by` comes, or the end."""
        with self._changed:
            self._asleep = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._asleep or self._is_over)

    def wake(self) -> None:
        """The end."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    def wait_until_asleep(self) -> None:
        """Until all that belongs to this moment has been asked for."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._asleep, 30), "the watch did not come to its sleep"

    def pass_by(self, seconds: float) -> None:
        """Wake whoever sleeps that much later, and wait for the next sleep."""
        with self._changed:
            self._now += seconds
            self._asleep = False
            self._changed.notify_all()
        self.wait_until_asleep()
