"""Who uses the relay: accounts by day, who may have one, and the connections open now."""

from collections.abc import Sequence
from typing import ClassVar, Final

from chatmail.api import AccountCounts, SessionCounts
from installer.dashboard import wording
from installer.dashboard.judgement import Mark
from installer.dashboard.line import MUTED, Line, line, named
from installer.dashboard.marked import bar_line
from installer.dashboard.moment import Moment
from installer.dashboard.widgets.panel import Panel

_NAMES: Final = 10
SHORT_OF: Final = {"cpu": "busy machine", "memory": "short of memory", "disk": "short of disk"}
_REGISTRATION: Final = {"open": "open to everybody", "invite": "by invitation", "closed": "closed"}


class People(Panel):
    """Accounts and sessions."""

    title: ClassVar[str] = "Accounts and sessions"

    def draw(self, moment: Moment, width: int, height: int) -> Sequence[Line]:
        """Accounts, today's, sessions, registration; with more room the kinds of session and how near the limit is."""
        accounts, sessions = moment.snapshot.accounts, moment.snapshot.sessions
        lines = [
            named("Accounts", _accounts(accounts), _NAMES),
            named("Today", line(f"{wording.count(accounts.active_today)} active · {accounts.new_today:,} new"), _NAMES),
            named("Sessions", _sessions(sessions), _NAMES),
            named("Sign-up", _registration(accounts), _NAMES),
        ]
        if height > len(lines) + 2:
            lines += _more(accounts, sessions, width)
        return lines


def _accounts(accounts: AccountCounts) -> Line:
    blocked = f" · {wording.count(accounts.blocked)} blocked" if accounts.blocked else ""
    return line((wording.count(accounts.total), "bold"), (blocked, MUTED))


def _sessions(sessions: SessionCounts) -> Line:
    smtp = sessions.submission + sessions.mx
    return line(
        (wording.count(sessions.imap), "bold"),
        (" IMAP · ", MUTED),
        wording.count(smtp),
        (" SMTP · ", MUTED),
        wording.count(sessions.http),
        (" web", MUTED),
    )


def _registration(accounts: AccountCounts) -> Line:
    if accounts.new_refused_because:
        return line((f"paused: {SHORT_OF.get(accounts.new_refused_because, 'the machine')}", Mark.DEGRADED.color))
    return line(_REGISTRATION.get(accounts.registration, accounts.registration))


def _more(accounts: AccountCounts, sessions: SessionCounts, width: int) -> list[Line]:
    imap_share = sessions.imap / sessions.imap_limit if sessions.imap_limit else 0
    smtp = sessions.submission + sessions.mx
    smtp_share = smtp / sessions.smtp_limit if sessions.smtp_limit else 0
    return [
        Line(),
        named("Waiting", line(f"{wording.count(sessions.imap_idle)} for new mail"), _NAMES),
        named("SMTP of", line(f"{sessions.submission:,} apps · {sessions.mx:,} servers"), _NAMES),
        bar_line("IMAP", imap_share, f"of {wording.count(sessions.imap_limit)}", Mark.FINE, width, _NAMES),
        bar_line("SMTP", smtp_share, f"of {wording.count(sessions.smtp_limit)}", Mark.FINE, width, _NAMES),
    ]
