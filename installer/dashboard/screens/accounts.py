"""Accounts: how many, who may have one, and what is known of one by its whole address. Nobody is listed here."""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Final

from textual import on
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, Static

from installer.dashboard import commands, wording
from installer.dashboard.commands import Command
from installer.dashboard.line import MUTED, Line, line
from installer.dashboard.messages import AccountRead
from installer.dashboard.moment import Moment
from installer.dashboard.screens.page import Page
from installer.dashboard.widgets.facts import Facts
from installer.dashboard.widgets.people import SHORT_OF

_REGISTRATION: Final = {"open": "open to everybody", "invite": "by invitation only", "closed": "closed"}
_NAMES: Final = 16


class AccountsPage(Page):
    """Counts above, the search below."""

    name_of_page: ClassVar[str] = "accounts"
    AUTO_FOCUS = ""
    DEFAULT_CSS = """
    AccountsPage #content { layout: vertical; }
    AccountsPage Facts { height: 8; }
    AccountsPage #label { padding: 0 2; color: $text-muted; }
    AccountsPage Input { margin: 0 1 1 1; }
    AccountsPage #found { height: 1fr; padding: 0 2; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "search", "Search", key_display="/"),
        Binding("g", "act('registration')", "Registration"),
        Binding("s", "sign_up", "Sign-up QR"),
        Binding("e", "act('expire')", "Expire"),
        Binding("escape", "leave_search", "Leave the search", show=False),
    ]

    def content(self) -> Iterable[Widget]:
        """Facts, and for those who may act the search."""
        yield Facts("Accounts", _facts)
        if not self.dashboard.source.read_only_because:
            yield Static("Look up an account: press / and type its whole address, then Enter", id="label")
            yield Input(placeholder="name@domain", max_length=320)
        yield Static(id="found")

    def command(self, name: str) -> Command | None:
        """Registration is switched to what it is not; expiry."""
        if name == "expire":
            return commands.run_expiry()
        return None if self.moment is None else commands.switch_registration(self.moment.snapshot.accounts)

    def action_search(self) -> None:
        """Type an address."""
        for field in self.query(Input):
            field.focus()

    def action_leave_search(self) -> None:
        """So that keys are keys again."""
        self.set_focus(None)

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        if address := event.value.strip():
            self.dashboard.read_account(address)

    def show_account(self, message: AccountRead) -> None:
        """What was found."""
        lines = [line((wording.printable(message.problem), "$warning"))] if message.problem else _found(message.facts)
        self.query_one("#found", Static).update(Content("\n").join(each.content for each in lines))


def _facts(moment: Moment) -> Sequence[tuple[str, str]]:
    accounts = moment.snapshot.accounts
    paused = (
        f", paused: {SHORT_OF.get(accounts.new_refused_because, 'the machine')}" if accounts.new_refused_because else ""
    )
    return [
        ("Accounts", wording.count(accounts.total)),
        ("Active today", wording.count(accounts.active_today)),
        ("New today", wording.count(accounts.new_today)),
        ("Blocked", wording.count(accounts.blocked)),
        ("Registration", _REGISTRATION.get(accounts.registration, accounts.registration) + paused),
        ("Stored", wording.counted(moment.snapshot.store.messages, "message")),
    ]


def _found(facts: dict[str, Any]) -> list[Line]:
    return [
        line((name.removesuffix("_bytes").replace("_", " ").ljust(_NAMES), MUTED), _shown(name, value))
        for name, value in facts.items()
    ]


def _shown(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return wording.size(value) if name.endswith("_bytes") else wording.count(value)
    return "-" if value is None else wording.printable(str(value))
