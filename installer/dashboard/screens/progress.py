"""A command that takes its time, in a window: its steps, and how it ended."""

from collections.abc import Iterable
from typing import Final

from textual.containers import VerticalScroll
from textual.widget import Widget
from textual.widgets import Static

from installer.dashboard import wording
from installer.dashboard.judgement import Mark
from installer.dashboard.line import MUTED, line
from installer.dashboard.messages import CommandDone, CommandProgress
from installer.dashboard.screens.window import Window

SHOWN_STEPS: Final = 200


class ProgressWindow(Window):
    """Closing it does not stop the command."""

    DEFAULT_CSS = """
    ProgressWindow VerticalScroll { height: auto; max-height: 16; }
    ProgressWindow Static { height: auto; }
    """

    def __init__(self, title: str) -> None:
        super().__init__(title, "Esc closes; the server goes on with it")
        self._command = title
        self._steps = 0

    def body(self) -> Iterable[Widget]:
        """Steps above, the end below."""
        yield VerticalScroll()
        yield Static(line(("At work …", MUTED)).content, id="end")

    def step(self, message: CommandProgress) -> None:
        """One more."""
        self._steps += 1
        if self._steps <= SHOWN_STEPS:
            steps = self.query_one(VerticalScroll)
            steps.mount(Static(line((Mark.FINE.sign, Mark.FINE.color), f" {wording.printable(message.text)}").content))
            steps.scroll_end(animate=False)

    def end(self, message: CommandDone) -> None:
        """How it ended."""
        if message.title != self._command:
            return
        mark = Mark.BROKEN if message.failed else Mark.FINE
        sentence = line((f"{mark.sign} {wording.printable(message.sentence)}", f"bold {mark.color}"))
        self.query_one("#end", Static).update(sentence.content)
