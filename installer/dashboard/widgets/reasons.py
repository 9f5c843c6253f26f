"""All that is to say about the relay's health, where there is room for it."""

from collections.abc import Sequence
from typing import ClassVar

from chatmail.api import Health
from installer.dashboard.judgement import MARKS
from installer.dashboard.line import MUTED, Line, line
from installer.dashboard.moment import Moment
from installer.dashboard.widgets.panel import Panel
from installer.dashboard.widgets.verdict import reason_lines


class Reasons(Panel):
    """Each with its remedy, the worst first."""

    title: ClassVar[str] = "What to know"

    def draw(self, moment: Moment, width: int, height: int) -> Sequence[Line]:
        """In as many lines as they take."""
        return explained(moment.snapshot.health, width) or [line(("Nothing: all is well.", MUTED))]


def explained(health: Health, width: int) -> list[Line]:
    """All reasons with their remedies; none where there are none."""
    lines: list[Line] = []
    for reason in health.reasons:
        lines += [Line()] if lines else []
        first, *rest = reason_lines(reason, width)
        mark = MARKS[reason.level]
        lines += [line((mark.sign, f"bold {mark.color}"), " ", (first.plain.strip(), first.parts[0][1])), *rest]
    return lines
