"""The queue: each server that mail waits for, with what went wrong, and what can be done about it."""

from collections.abc import Iterable
from typing import ClassVar, Final

from textual import on
from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import DataTable, Static

from chatmail.api import QueueDestination
from installer.dashboard import commands, wording
from installer.dashboard.commands import Command
from installer.dashboard.moment import Moment
from installer.dashboard.screens.items import ItemsWindow
from installer.dashboard.screens.page import Page
from installer.dashboard.source import Waiting
from installer.dashboard.widgets.live_table import LiveTable, Row

_COLUMNS: Final = ("Server", ">Waits", "Oldest", "Tries", "Next", "Last answer")
EMPTY: Final = "Nothing waits for other servers."


class QueuePage(Page):
    """Destinations, the oldest first; m or Enter shows the items of one."""

    name_of_page: ClassVar[str] = "queue"
    DEFAULT_CSS = """
    QueuePage #content { layout: vertical; }
    QueuePage #empty { display: none; padding: 1 2; color: $text-muted; }
    QueuePage.-empty #empty { display: block; }
    QueuePage.-empty LiveTable, QueuePage.-empty #answer { display: none; }
    QueuePage #answer { height: auto; max-height: 6; border-top: solid $border; padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("m", "items", "Messages"),
        Binding("r", "act('retry')", "Retry"),
        Binding("d", "act('drop')", "Drop"),
        Binding("a", "act('retry_all')", "Retry all"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._answer = ""

    def content(self) -> Iterable[Widget]:
        """A table, or the words that there is nothing in it."""
        yield Static(EMPTY, id="empty")
        yield LiveTable(_COLUMNS)
        yield Static(id="answer", markup=False)

    def show_moment(self, moment: Moment) -> None:
        """Update the table."""
        queue = moment.snapshot.queue
        self.set_class(not queue.destinations, "-empty")
        self.query_one(LiveTable).show([_row(each, moment) for each in queue.destinations])
        self._show_answer()

    @on(DataTable.RowHighlighted)
    def _show_answer(self) -> None:
        """All of what the table has no room for."""
        chosen = self.query_one(LiveTable).chosen
        if self.moment is None or chosen is None:
            return
        answer = next(
            (each.last_error for each in self.moment.snapshot.queue.destinations if each.domain == chosen), ""
        )
        shown = f"{chosen}: {wording.printable(answer) or 'not tried yet'}"
        if shown != self._answer:
            self._answer = shown
            self.query_one("#answer", Static).update(shown)

    def command(self, name: str) -> Command | None:
        """About the server under the cursor, or about all."""
        if self.moment is None or not self.moment.snapshot.queue.items:
            return None
        if name == "retry_all":
            return commands.retry(Waiting(everything=True), "all that waits")
        domain = self.query_one(LiveTable).chosen
        if domain is None:
            return None
        make = commands.retry if name == "retry" else commands.drop
        return make(Waiting(domain=domain), f"what waits for {domain}")

    @on(DataTable.RowSelected)
    def action_items(self) -> None:
        """Show the items of the server under the cursor."""
        domain = self.query_one(LiveTable).chosen
        if domain is not None and not self.dashboard.source.read_only_because:
            self.app.push_screen(ItemsWindow(domain))


def _row(destination: QueueDestination, moment: Moment) -> Row:
    return Row(
        destination.domain,
        (
            destination.domain,
            wording.count(destination.items),
            wording.age(destination.oldest_queued_at, moment.now),
            str(destination.attempts),
            wording.until(destination.next_attempt_at, moment.now),
            wording.printable(destination.last_error) or "not tried yet",
        ),
    )
