"""The line below a list that says how much of it is out of sight, and which keys lead there."""

from dataclasses import dataclass
from typing import Protocol, cast

from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static

BELOW = "↓ {count} more below: PgDn"
ABOVE = "↑ {count} more above: PgUp"


class Longer(Protocol):
    """A list that may be longer than its window."""

    def out_of_sight(self) -> tuple[int, int]:
        """How many of its entries are not whole in the window: above, and below."""


class MoreLine(Static):
    """Watches the list `of`; takes no room while all of that is in sight."""

    DEFAULT_CSS = """
    MoreLine { display: none; height: 1; width: 100%; color: $accent; text-style: bold; text-wrap: nowrap; }
    """

    @dataclass
    class Counted(Message):
        """So many entries are out of sight now."""

        above: int
        below: int

    def __init__(self, of: Widget) -> None:
        super().__init__("", markup=False)
        self._of = of
        self._counted = (0, 0)

    def on_mount(self) -> None:
        """From now on."""
        self.watch(self._of, "scroll_y", self._count, init=False)
        self.screen.screen_layout_refresh_signal.subscribe(self, lambda _screen: self._count())

    def _count(self) -> None:
        if not self.is_attached:
            return
        above, below = cast(Longer, self._of).out_of_sight() if self._of.display else (0, 0)
        if (above, below) == self._counted:
            return
        self._counted = (above, below)
        self.display = bool(above or below)
        self.update((BELOW if below else ABOVE).format(count=below or above))
        self.post_message(self.Counted(above, below))
