"""The certificate that apps see, and the DNS records that are not as they should be."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget

from installer.dashboard import commands, wording
from installer.dashboard.commands import Command
from installer.dashboard.moment import Moment
from installer.dashboard.screens.page import Page
from installer.dashboard.widgets.facts import Facts
from installer.dashboard.widgets.upkeep import certificate_words, dns_words


class CertificatePage(Page):
    """Side by side where there is room, else one below the other."""

    name_of_page: ClassVar[str] = "certificate"
    DEFAULT_CSS = """
    CertificatePage #content { layout: vertical; }
    CertificatePage Facts { height: 1fr; }
    CertificatePage.-wide #content, CertificatePage.-widest #content { layout: horizontal; }
    CertificatePage.-wide Facts, CertificatePage.-widest Facts { width: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "act('renew')", "Renew the certificate"),
        Binding("d", "act('dns')", "Check the DNS"),
    ]

    def content(self) -> Iterable[Widget]:
        """Two panels."""
        yield Facts("Certificate", _certificate)
        yield Facts("DNS", _dns)

    def command(self, name: str) -> Command | None:
        """Renew, or look again."""
        return commands.renew_certificate() if name == "renew" else commands.check_dns()


def _certificate(moment: Moment) -> Sequence[tuple[str, str]]:
    state, now = moment.snapshot.certificate, moment.now
    facts = [
        ("State", certificate_words(state)),
        ("Names", ", ".join(state.names)),
        ("Ends", _day(state.not_after)),
        ("Mode", f"{state.mode}, {'accepted by apps' if state.trusted else 'made by itself: apps do not check it'}"),
        ("Last attempt", wording.ago(state.last_attempt_at, now)),
        ("Next renewal", wording.until(state.next_attempt_at or state.renewal_due_at, now)),
    ]
    if state.failures or state.last_error:
        facts.append(("Last error", state.last_error or f"{wording.counted(state.failures, 'attempt')} failed"))
    return facts + ([("Clock", state.clock)] if state.clock else [])


def _day(moment: datetime | None) -> str:
    return "-" if moment is None else f"{moment:%Y-%m-%d %H:%M} UTC"


def _dns(moment: Moment) -> Sequence[tuple[str, str]]:
    state = moment.snapshot.dns
    facts = [("State", dns_words(state)), ("Checked", wording.ago(state.checked_at, moment.now))]
    if state.error:
        facts.append(("Error", state.error))
    for record in state.wrong:
        weight = "required" if record.required else "recommended"
        facts.append((f"{record.kind} {record.state}", f"{record.name} ({weight})"))
    if state.wrong:
        facts.append(("What to do", "chatmail dns check shows what each record should be."))
    return facts
