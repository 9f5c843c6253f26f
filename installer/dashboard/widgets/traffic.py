"""Messages: how many now, and the last 24 hours as a chart."""

from collections.abc import Sequence
from typing import ClassVar

from installer.dashboard import charts, wording
from installer.dashboard.line import MUTED, Line, both_ends, line
from installer.dashboard.moment import Moment
from installer.dashboard.trend import last_day
from installer.dashboard.widgets.panel import Panel


class Traffic(Panel):
    """In, out and local messages in the last minute, and their sum over a day."""

    title: ClassVar[str] = "Messages per minute"

    def draw(self, moment: Moment, width: int, height: int) -> Sequence[Line]:
        """Figures, chart, time axis."""
        rates = moment.snapshot.messages
        figures = line(
            (wording.count(rates.inbound_last_minute), "bold"), (" in   ", MUTED),
            (wording.count(rates.outbound_last_minute), "bold"), (" out   ", MUTED),
            (wording.count(rates.local_last_minute), "bold"), (" local", MUTED),
        )  # fmt: skip
        values = last_day(moment, lambda point: point.inbound + point.outbound + point.local)
        peak = max((value for value in values if value is not None), default=0) * 60 / moment.history.span_seconds
        rows = charts.columns(values, width, max(1, height - 2))
        axis = both_ends(line(("24 h ago", MUTED)), line((f"peak {wording.count(round(peak))} · now", MUTED)), width)
        return [figures, *(line((row, "$primary")) for row in rows), axis]
