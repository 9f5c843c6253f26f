"""What the server refused since its start, by reason."""

from collections.abc import Sequence
from typing import ClassVar

from installer.dashboard import wording
from installer.dashboard.line import MUTED, Line, both_ends, line
from installer.dashboard.moment import Moment
from installer.dashboard.widgets.panel import Panel


class Refusals(Panel):
    """The most frequent first."""

    title: ClassVar[str] = "Refused since the start"

    def draw(self, moment: Moment, width: int, height: int) -> Sequence[Line]:
        """A line for each reason."""
        refusals = sorted(moment.snapshot.refusals.items(), key=lambda item: -item[1])
        if not refusals:
            return [line(("Nothing.", MUTED))]
        return [
            both_ends(line((reason.replace("_", " "), MUTED)), line((wording.count(number), "bold")), width)
            for reason, number in refusals[:height]
        ]
