"""What every page has: the names of all pages, the verdict, its own content or what is known of an outage, the keys."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.reactive import var
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Footer, Static

from installer.dashboard.commands import Command
from installer.dashboard.moment import Moment, Outage
from installer.dashboard.screens.reasons import ReasonsWindow
from installer.dashboard.widgets.outage_panel import OutagePanel
from installer.dashboard.widgets.panel import Panel
from installer.dashboard.widgets.tab_bar import TabBar
from installer.dashboard.widgets.verdict import Verdict

if TYPE_CHECKING:
    from installer.dashboard.app import Dashboard

ACTIONS = ("act", "sign_up", "search", "items")
"""What a reader may not do."""


class Page(Screen[None]):
    """The app sets `moment` or `outage` on the page on top, which hands them to its panels.

    They are not bound to it one by one: the machinery of that costs more each second than all the drawing.
    """

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (72, "-normal"), (110, "-wide"), (160, "-widest")]  # noqa: RUF012 — Textual's
    VERTICAL_BREAKPOINTS = [(0, "-low"), (34, "-high")]  # noqa: RUF012

    DEFAULT_CSS = """
    Page #content { height: 1fr; }
    Page OutagePanel { display: none; }
    Page.-down #content { display: none; }
    Page.-down OutagePanel { display: block; }
    Page #read-only { height: 1; padding: 0 1; background: $panel; color: $text-muted; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("w", "reasons", "Why")]

    name_of_page: ClassVar[str]
    is_brief: ClassVar[bool] = True
    """Whether its verdict leaves out the reasons."""
    moment: var[Moment | None] = var(None, init=False)
    outage: var[Outage | None] = var(None, init=False)

    def on_mount(self) -> None:
        """Find the panels once: asking for them each second costs more than drawing them."""
        self._panels = tuple(self.query(Panel))

    @property
    def dashboard(self) -> "Dashboard":
        """The app this page is of."""
        return cast("Dashboard", self.app)

    def compose(self) -> ComposeResult:
        """From the top to the bottom."""
        yield TabBar(self.name_of_page)
        yield Verdict(brief=self.is_brief)
        with Container(id="content"):
            yield from self.content()
        yield OutagePanel()
        if why := self.dashboard.source.read_only_because:
            yield Static(why, id="read-only", markup=False)
        yield Footer(compact=True, show_command_palette=False)

    def content(self) -> Iterable[Widget]:
        """What this page is for; panels among it get the moment."""
        raise NotImplementedError

    def show_moment(self, moment: Moment) -> None:
        """Update what is not a panel."""

    def command(self, name: str) -> Command | None:
        """What the operator can have done from this page, by the name its key is bound to; None if not just now."""
        return None

    def watch_moment(self, moment: Moment | None) -> None:
        """Hand it on."""
        if moment is not None:
            self.query_one(Verdict).show(moment)
            for panel in self._panels:
                panel.show(moment)
            self.show_moment(moment)

    def watch_outage(self, outage: Outage | None) -> None:
        """Figures that are no longer true are not shown."""
        self.set_class(outage is not None, "-down")
        if outage is not None:
            self.query_one(Verdict).show_outage(outage)
            self.query_one(OutagePanel).show(outage)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Readers see no keys that are not for them."""
        if action in ACTIONS and self.dashboard.source.read_only_because:
            return False
        return super().check_action(action, parameters)

    def action_act(self, name: str) -> None:
        """Ask, then have it done."""
        if command := self.command(name):
            self.dashboard.ask(command)

    def action_reasons(self) -> None:
        """All that the server says of itself."""
        if self.moment is not None:
            self.app.push_screen(ReasonsWindow(self.moment.snapshot.health))

    def action_sign_up(self) -> None:
        """A code for phones."""
        moment = self.moment
        self.dashboard.sign_up(moment.snapshot.accounts.registration if moment else "open")
