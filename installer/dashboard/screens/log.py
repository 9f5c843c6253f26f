"""The last lines of the server's log, which follow as they come."""

from collections.abc import Iterable
from typing import ClassVar

from textual.widget import Widget
from textual.widgets import Log, Static

from installer.dashboard import wording
from installer.dashboard.messages import LogRead
from installer.dashboard.screens.page import Page

KEPT_LINES = 2000


class LogPage(Page):
    """Only new lines are added, so that whoever scrolled up stays where they are."""

    name_of_page: ClassVar[str] = "log"
    DEFAULT_CSS = """
    LogPage Log { height: 1fr; padding: 0 1; scrollbar-size-vertical: 1; background: $background; }
    LogPage #problem { display: none; padding: 1 2; color: $warning; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._seen: tuple[str, ...] = ()

    def content(self) -> Iterable[Widget]:
        """The lines, or why there are none."""
        yield Static(id="problem", markup=False)
        yield Log(max_lines=KEPT_LINES, auto_scroll=True)

    def show_log(self, message: LogRead) -> None:
        """Add what is new."""
        problem = self.query_one("#problem", Static)
        problem.display = bool(message.problem)
        problem.update(message.problem)
        new = new_lines(self._seen, tuple(message.lines))
        self._seen = tuple(message.lines)
        if new:
            log = self.query_one(Log)
            width = log.scrollable_content_region.width
            log.write_lines([row for each in new for row in wording.wrapped(each, width)])


def new_lines(before: tuple[str, ...], after: tuple[str, ...]) -> tuple[str, ...]:
    """What came since `before`, both being the end of the same log."""
    for start in range(len(before)):
        common = before[start:]
        if after[: len(common)] == common:
            return after[len(common) :]
    return after
