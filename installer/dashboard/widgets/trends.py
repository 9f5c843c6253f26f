"""The last 24 hours of what is not messages: sessions, queue, delivery time, refusals."""

from collections.abc import Callable, Sequence
from typing import ClassVar, Final

from chatmail.api import History, HistoryPoint
from installer.dashboard import charts, wording
from installer.dashboard.line import MUTED, Line, line
from installer.dashboard.moment import Moment
from installer.dashboard.trend import DrawnOnce, last_day
from installer.dashboard.widgets.panel import Panel

_NAMES: Final = 10
_PEAK: Final = 8


def _whole(value: float) -> str:
    return wording.count(round(value))


_ROWS: Final[tuple[tuple[str, Callable[[HistoryPoint], float | None], Callable[[float], str]], ...]] = (
    ("Sessions", lambda point: point.imap_sessions, _whole),
    ("Queue", lambda point: point.queue_items, _whole),
    ("Delivery", lambda point: point.exists_p99_ms, wording.milliseconds),
    ("Refused", lambda point: point.refused, _whole),
)


class Trends(Panel):
    """One row of columns for each, with the day's peak."""

    title: ClassVar[str] = "24 hours, with the peak"

    def __init__(self, *, classes: str | None = None) -> None:
        super().__init__(classes=classes)
        self._rows = DrawnOnce(_rows)

    def draw(self, moment: Moment, width: int, height: int) -> Sequence[Line]:
        """Rows as high as the room allows, with a line between them where there is one to spare."""
        return self._rows(moment.history, width, height)


def _rows(history: History, width: int, height: int) -> Sequence[Line]:
    gap = 1 if height >= 2 * len(_ROWS) - 1 else 0
    row_height = max(1, (height + gap) // len(_ROWS) - gap)
    lines: list[Line] = []
    for name, value, words in _ROWS:
        values = last_day(history, value)
        top = max((each for each in values if each is not None), default=None)
        chart = charts.columns(values, max(1, width - _NAMES - _PEAK), row_height)
        lines += [line(" " * _NAMES, (row, "$primary")) for row in chart[:-1]]
        peak = ("-" if top is None else words(top)).rjust(_PEAK)
        lines.append(line((name.ljust(_NAMES), MUTED), (chart[-1], "$primary"), peak))
        lines += [Line()] * gap
    return lines
