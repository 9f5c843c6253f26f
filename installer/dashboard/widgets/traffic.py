"""Messages: how many now, and the last 24 hours as a chart."""

from collections.abc import Sequence
from typing import ClassVar

from chatmail.api import History
from installer.dashboard import charts, wording
from installer.dashboard.line import MUTED, Line, both_ends, line
from installer.dashboard.moment import Moment
from installer.dashboard.trend import DrawnOnce, last_day
from installer.dashboard.widgets.panel import Panel


class Traffic(Panel):
    """In, out and local messages in the last minute, and their sum over a day."""

    title: ClassVar[str] = "Messages per minute"

    def __init__(self) -> None:
        super().__init__()
        self._chart = DrawnOnce(_chart)

    def draw(self, moment: Moment, width: int, height: int) -> Sequence[Line]:
        """Figures, chart, time axis."""
        rates = moment.snapshot.messages
        figures = line(
            (wording.count(rates.inbound_last_minute), "bold"), (" in   ", MUTED),
            (wording.count(rates.outbound_last_minute), "bold"), (" out   ", MUTED),
            (wording.count(rates.local_last_minute), "bold"), (" local", MUTED),
        )  # fmt: skip
        return [figures, *self._chart(moment.history, width, max(1, height - 2))]


def _chart(history: History, width: int, height: int) -> Sequence[Line]:
    values = last_day(history, lambda point: point.inbound + point.outbound + point.local)
    peak = max((value for value in values if value is not None), default=0) * 60 / history.span_seconds
    rows = charts.columns(values, width, height)
    axis = both_ends(line(("24 h ago", MUTED)), line((f"peak {wording.count(round(peak))} · now", MUTED)), width)
    return [*(line((row, "$primary")) for row in rows), axis]
