"""All that is to say about the relay's health, in a window."""

from collections.abc import Iterable

from textual.containers import VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from chatmail.api import Health
from installer.dashboard.line import Line, line
from installer.dashboard.screens.window import Window
from installer.dashboard.widgets.reasons import explained


class ReasonsWindow(Window):
    """As it was when the window was opened."""

    DEFAULT_CSS = """
    ReasonsWindow VerticalScroll { height: auto; max-height: 18; }
    """

    def __init__(self, health: Health) -> None:
        super().__init__("What the server says of itself")
        self._health = health

    def body(self) -> Iterable[Widget]:
        """Each with its remedy, the worst first."""
        lines: list[Line] = explained(self._health, 68) or [line("All is well, and there is nothing to say.")]
        yield VerticalScroll(Static(Content("\n").join(each.content for each in lines)))
