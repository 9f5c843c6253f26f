"""The items of the queue for one server, in a window: each can be tried again or dropped."""

from collections.abc import Iterable
from typing import Any, ClassVar, Final

from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import Static

from installer.dashboard import commands, wording
from installer.dashboard.messages import ItemsRead
from installer.dashboard.screens.window import Window
from installer.dashboard.source import Waiting
from installer.dashboard.widgets.live_table import LiveTable, Row

_COLUMNS: Final = (">Number", ">Size", "To", "Tries", "Since", "Last answer")


class ItemsWindow(Window):
    """Asks for the items when it opens, and again after each command."""

    DEFAULT_CSS = """
    ItemsWindow > Vertical { width: 100%; height: 80%; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "item('retry')", "Retry"),
        Binding("d", "item('drop')", "Drop"),
    ]

    def __init__(self, domain: str) -> None:
        super().__init__(f"What waits for {domain}", "r tries one again · d drops one · Esc closes")
        self._domain = domain

    def body(self) -> Iterable[Widget]:
        """A table."""
        yield Static("Asking the server …", id="state", markup=False)
        yield LiveTable(_COLUMNS)

    def on_mount(self) -> None:
        """Ask."""
        self.dashboard.read_items(self._domain)

    def show(self, message: ItemsRead) -> None:
        """What was found."""
        if message.domain != self._domain:
            return
        state = message.problem or wording.counted(len(message.items), "message")
        self.query_one("#state", Static).update(state)
        self.query_one(LiveTable).show([_row(item) for item in message.items])

    def command_done(self) -> None:
        """Look again."""
        self.dashboard.read_items(self._domain)

    def action_item(self, name: str) -> None:
        """Retry or drop the item under the cursor."""
        number = self.query_one(LiveTable).chosen
        if number is not None:
            make = commands.retry if name == "retry" else commands.drop
            self.dashboard.ask(make(Waiting(item=int(number)), f"message {number} for {self._domain}"))


def _row(item: dict[str, Any]) -> Row:
    return Row(
        str(item["item"]),
        (
            str(item["item"]),
            wording.size(int(item["size_bytes"])),
            wording.counted(int(item["recipients"]), "person", "people"),
            str(item["attempts"]),
            str(item["queued_at"])[:16].replace("T", " "),
            wording.printable(str(item["last_reply"])) or "not tried yet",
        ),
    )
