"""The last day out of the history, one value for each span of time, with gaps where the server did not run. Pure."""

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from chatmail.api import HistoryPoint
from installer.dashboard.moment import Moment

SHOWN: Final = timedelta(hours=24)


def last_day(moment: Moment, value: Callable[[HistoryPoint], float | None]) -> list[float | None]:
    """What `value` makes of each point, the latest last; None where there is no point."""
    history = moment.history
    if not history.points:
        return []
    spans = int(SHOWN.total_seconds()) // history.span_seconds
    latest = history.points[-1].at
    values: list[float | None] = [None] * spans
    for point in reversed(history.points):
        back = round((latest - point.at).total_seconds() / history.span_seconds)
        if back >= spans:
            break
        values[spans - 1 - back] = value(point)
    return values
