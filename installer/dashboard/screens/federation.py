"""Traffic with other servers: messages and bytes in both directions, and what was refused."""

from collections.abc import Iterable
from typing import ClassVar, Final

from textual.widget import Widget
from textual.widgets import Static

from chatmail.api import PeerTraffic
from installer.dashboard import wording
from installer.dashboard.moment import Moment
from installer.dashboard.screens.page import Page
from installer.dashboard.widgets.live_table import LiveTable, Row
from installer.dashboard.widgets.peers import shortened

_COLUMNS: Final = (
    "Server", ">Sent", ">Received", ">Refused", ">Deferred", ">Out", ">In",
)  # fmt: skip


_FIGURES: Final = 60
"""Cells that all columns but the first take."""
_NAME_AT_LEAST: Final = 18


class FederationPage(Page):
    """The busiest first."""

    name_of_page: ClassVar[str] = "federation"
    DEFAULT_CSS = """
    FederationPage #empty { display: none; padding: 1 2; color: $text-muted; }
    FederationPage.-empty #empty { display: block; }
    FederationPage.-empty LiveTable { display: none; }
    """

    def content(self) -> Iterable[Widget]:
        """A table, or the words that there is nothing in it."""
        yield Static("No mail to or from other servers yet.", id="empty")
        yield LiveTable(_COLUMNS)

    def show_moment(self, moment: Moment) -> None:
        """Update the table."""
        peers = moment.snapshot.peers
        self.set_class(not peers, "-empty")
        self.query_one(LiveTable).show([_row(peer, self.size.width - _FIGURES) for peer in peers])


def _row(peer: PeerTraffic, room: int) -> Row:
    return Row(
        peer.domain,
        (
            shortened(peer.domain, max(_NAME_AT_LEAST, room)),
            wording.count(peer.delivered_to),
            wording.count(peer.received_from),
            wording.count(peer.refused_by + peer.refused_from),
            wording.count(peer.deferred_to + peer.deferred_from),
            wording.size(peer.bytes_to),
            wording.size(peer.bytes_from),
        ),
    )
