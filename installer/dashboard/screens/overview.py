"""The overview: all that matters in one look, with more panels where the terminal is larger."""

from collections.abc import Iterable
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget

from installer.dashboard import commands
from installer.dashboard.commands import Command
from installer.dashboard.screens.page import Page
from installer.dashboard.widgets.machine import Machine
from installer.dashboard.widgets.peers import Peers
from installer.dashboard.widgets.people import People
from installer.dashboard.widgets.reasons import Reasons
from installer.dashboard.widgets.refusals import Refusals
from installer.dashboard.widgets.speed import Speed
from installer.dashboard.widgets.traffic import Traffic
from installer.dashboard.widgets.trends import Trends
from installer.dashboard.widgets.upkeep import Upkeep
from installer.dashboard.widgets.waiting import Waiting


class OverviewPage(Page):
    """Six panels fit 80×24; trends, peers and refusals come with more room, and the reasons with most."""

    name_of_page: ClassVar[str] = "overview"
    is_brief: ClassVar[bool] = False

    DEFAULT_CSS = """
    OverviewPage #content { layout: grid; grid-size: 2; grid-rows: 1fr; }
    OverviewPage .larger, OverviewPage .largest { display: none; }
    OverviewPage.-wide.-high #content { grid-size: 3; }
    OverviewPage.-wide.-high .larger { display: block; }
    OverviewPage.-widest.-high #content { grid-size: 4; }
    OverviewPage.-widest.-high .larger, OverviewPage.-widest.-high .largest { display: block; }
    OverviewPage.-widest.-high Traffic, OverviewPage.-widest.-high Trends { column-span: 2; }
    OverviewPage.-wide.-low #content, OverviewPage.-widest.-low #content { grid-size: 3; }
    OverviewPage.-narrow #content { grid-size: 1; grid-rows: 6; overflow-y: auto; scrollbar-size-vertical: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("g", "act('registration')", "Registration"),
        Binding("s", "sign_up", "Sign-up QR"),
        Binding("c", "act('renew')", "Renew"),
        Binding("e", "act('expire')", "Expire"),
    ]

    def content(self) -> Iterable[Widget]:
        """In the order of the questions: is it used, by whom, what waits, what is due, how fast, what is left."""
        yield from (
            Traffic(), People(), Waiting(), Upkeep(), Speed(), Machine(), Reasons(classes="largest"),
            Trends(classes="larger"), Peers(classes="larger"), Refusals(classes="larger"),
        )  # fmt: skip

    def command(self, name: str) -> Command | None:
        """What concerns the whole relay."""
        if name == "renew":
            return commands.renew_certificate()
        if name == "expire":
            return commands.run_expiry()
        return None if self.moment is None else commands.switch_registration(self.moment.snapshot.accounts)
