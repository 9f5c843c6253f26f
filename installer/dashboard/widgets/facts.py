"""A panel of names and values that takes the height it needs: for pages, where nothing is cut off."""

from collections.abc import Callable, Sequence
from typing import Final

from installer.dashboard import wording
from installer.dashboard.line import MUTED, Line, line
from installer.dashboard.moment import Moment
from installer.dashboard.widgets.panel import Panel

_NAMES: Final = 16


class Facts(Panel):
    """`facts` makes the pairs; long values are wrapped behind their name."""

    def __init__(self, title: str, facts: Callable[[Moment], Sequence[tuple[str, str]]], *, classes: str = "") -> None:
        super().__init__(classes=classes)
        self.border_title = title
        self._facts = facts

    def draw(self, moment: Moment, width: int, height: int) -> Sequence[Line]:
        """A pair a line, or more where the value is long."""
        lines: list[Line] = []
        for name, value in self._facts(moment):
            rows = wording.wrapped(value, width - _NAMES, hang=0) or ["-"]
            lines.append(line((name.ljust(_NAMES), MUTED), rows[0]))
            lines += [line(" " * _NAMES, row) for row in rows[1:]]
        return lines
