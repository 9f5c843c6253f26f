"""The last day out of the history, one value for each span of time, with gaps where the server did not run. Pure."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final

from chatmail.api import History, HistoryPoint
from installer.dashboard.line import Line

SHOWN: Final = timedelta(hours=24)


class DrawnOnce:
    """What `draw` makes of a history, a width and a height: drawn anew only if one of them is another.

    A history comes once a minute and is the same object until then.
    """

    def __init__(self, draw: Callable[[History, int, int], Sequence[Line]]) -> None:
        self._draw = draw
        self._of: tuple[History, int, int] | None = None
        self._lines: Sequence[Line] = ()

    def __call__(self, history: History, width: int, height: int) -> Sequence[Line]:
        """The lines."""
        if self._of is None or self._of[0] is not history or self._of[1:] != (width, height):
            self._of, self._lines = (history, width, height), self._draw(history, width, height)
        return self._lines


def last_day(history: History, value: Callable[[HistoryPoint], float | None]) -> list[float | None]:
    """What `value` makes of each point, the latest last; None where there is no point."""
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
