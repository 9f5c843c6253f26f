"""What keeps itself in order: certificate, DNS, notifications, expiry."""

from collections.abc import Sequence
from datetime import timedelta
from typing import ClassVar, Final

from chatmail.api import CertificateState, DnsState, ExpiryState, PushState
from installer.dashboard import wording
from installer.dashboard.judgement import Topic, mark_of
from installer.dashboard.line import MUTED, Line, line
from installer.dashboard.marked import state_line
from installer.dashboard.moment import Moment
from installer.dashboard.widgets.panel import Panel

_NAMES: Final = 12
FOR_YEARS_DAYS: Final = 3 * 365


class Upkeep(Panel):
    """A line for each, with its sign."""

    title: ClassVar[str] = "Upkeep"

    def draw(self, moment: Moment, width: int, height: int) -> Sequence[Line]:
        """Four states; with more room when each was looked at last."""
        snapshot, health = moment.snapshot, moment.snapshot.health
        lines = [
            state_line(
                mark_of(health, Topic.CERTIFICATE), "Certificate", certificate_words(snapshot.certificate), _NAMES
            ),
            state_line(mark_of(health, Topic.DNS), "DNS", dns_words(snapshot.dns), _NAMES),
            state_line(mark_of(health, Topic.PUSH), "Push", push_words(snapshot.push), _NAMES),
            state_line(mark_of(health, Topic.EXPIRY), "Expiry", expiry_words(snapshot.expiry, moment), _NAMES),
        ]
        if height >= 2 * len(lines):
            details = _details(moment)
            return [line for pair in zip(lines, details, strict=True) for line in pair]
        return lines


def certificate_words(state: CertificateState) -> str:
    """Days left, or what stands in the way."""
    if state.days_left is None:
        return (state.last_error and "none yet") or "-"
    if state.days_left <= 0:
        return "expired"
    if state.days_left > FOR_YEARS_DAYS:
        return "good for years" if state.trusted else "self-signed, for years"
    days = wording.span(timedelta(days=state.days_left).total_seconds())
    return f"{days} left" + ("" if state.trusted else ", self-signed")


def dns_words(state: DnsState) -> str:
    """The last verdict."""
    if state.checked_at is None:
        return "not checked yet"
    return {
        "ok": "as it should be",
        "incomplete": f"{wording.counted(len(state.wrong), 'record')} could be better",
        "wrong": f"{wording.counted(sum(r.required for r in state.wrong), 'record')} wrong",
        "unreachable": "name servers do not answer",
        "unneeded": "not needed",
    }.get(state.verdict, state.verdict)


def push_words(state: PushState) -> str:
    """Whether phones that sleep are woken."""
    if state.notifier == "failing":
        return f"failing, {wording.count(state.waiting)} waiting"
    words = {"off": "off", "idle": "nothing sent yet", "ok": "works"}.get(state.notifier, state.notifier)
    return f"{words}, {wording.count(state.waiting)} waiting" if state.waiting else words


def expiry_words(state: ExpiryState, moment: Moment) -> str:
    """When old mail goes next."""
    if state.running:
        return "at work now"
    return "-" if state.next_run_at is None else f"next {wording.until(state.next_run_at, moment.now)}"


def _details(moment: Moment) -> list[Line]:
    certificate, dns, push, expiry = (
        moment.snapshot.certificate, moment.snapshot.dns, moment.snapshot.push, moment.snapshot.expiry,
    )  # fmt: skip
    renewal = certificate.last_error or f"renews {wording.until(certificate.next_attempt_at, moment.now)}"
    removed = (
        f"{wording.counted(expiry.last_messages, 'message')} and {wording.counted(expiry.last_accounts, 'account')}"
    )
    return [
        _detail(renewal if certificate.last_error or certificate.next_attempt_at else f"mode {certificate.mode}"),
        _detail(dns.error or f"checked {wording.ago(dns.checked_at, moment.now)}"),
        _detail(
            push.last_error or f"{wording.count(push.delivered)} sent, {wording.count(push.device_tokens)} devices"
        ),
        _detail(
            f"last {wording.ago(expiry.last_run_at, moment.now)}: {removed}" if expiry.last_run_at else "no run yet"
        ),
    ]


def _detail(words: str) -> Line:
    return line((f"  {wording.printable(words)}", MUTED))
