"""In the place of the figures while the server does not answer: the unit's state, and its last words."""

from collections.abc import Sequence
from typing import ClassVar

from textual.content import Content
from textual.widget import Widget

from installer.dashboard import wording
from installer.dashboard.line import MUTED, Line, line
from installer.dashboard.moment import Outage


class OutagePanel(Widget):
    """As many of the last lines as fit, the newest below."""

    DEFAULT_CSS = """
    OutagePanel {
        height: 1fr; border: round $border; border-title-color: $text-muted; padding: 0 1;
    }
    """

    title: ClassVar[str] = "Why"

    def __init__(self) -> None:
        super().__init__()
        self.border_title = self.title
        self._outage: Outage | None = None

    def show(self, outage: Outage) -> None:
        """Draw it, if it is another."""
        if self._outage != outage:
            self._outage = outage
            self.refresh()

    def render(self) -> Content:
        """State, log, and that nobody has to do anything here to see it come back."""
        if self._outage is None:
            return Content("")
        return Content("\n").join(each.content for each in self._lines(self._outage))

    def _lines(self, outage: Outage) -> Sequence[Line]:
        width, height = self.content_size
        foot = line(("This looks again every second, and comes back by itself.", MUTED))
        head = [line(("Unit   ", MUTED), (wording.printable(outage.unit_state), "bold")), Line()]
        head = head if outage.unit_state else []
        log: list[Line] = []
        for entry in outage.log_lines:
            log += [line(row) for row in wording.wrapped(entry, width)]
        room = max(0, height - len(head) - 2)
        shown = log[len(log) - room :] if len(log) > room else log
        return [*head, *(shown or [line(("No log lines can be read here.", MUTED))]), Line(), foot]
