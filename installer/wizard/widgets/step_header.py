"""The head of every page: whose it is, which step of how many, and how far that is."""

from typing import ClassVar

from rich.console import RenderableType
from rich.text import Text
from textual.widget import Widget

NAME = "chatmail"


class StepHeader(Widget):
    """Two lines: names, and a rule that fills up from the left."""

    DEFAULT_CSS = """
    StepHeader {
        height: 2;
        padding: 0 2;
        background: $surface;
        color: $text-muted;
    }
    StepHeader > .step-header--name { color: $primary; text-style: bold; }
    StepHeader > .step-header--rest { color: $border; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"step-header--name", "step-header--rest"}

    def __init__(self, step: str, number: int, total: int) -> None:
        super().__init__()
        self._step, self._number, self._total = step, number, total

    def render(self) -> RenderableType:
        """As wide as the window."""
        width = self.content_size.width
        name = self.get_component_rich_style("step-header--name", partial=True)
        rest = self.get_component_rich_style("step-header--rest", partial=True)
        where = f"Step {self._number} of {self._total} · {self._step}"
        gap = " " * max(1, width - len(NAME) - len(where))
        done = width * self._number // self._total
        first = Text.assemble((NAME, name), gap, where)
        return Text("\n").join([first, Text.assemble(("━" * done, name), ("─" * (width - done), rest))])
