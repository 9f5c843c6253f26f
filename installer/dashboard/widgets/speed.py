"""How fast the relay is: what people feel as waiting."""

from collections.abc import Sequence
from typing import ClassVar, Final

from chatmail.api import Percentiles
from installer.dashboard import wording
from installer.dashboard.line import MUTED, Line, line
from installer.dashboard.moment import Moment
from installer.dashboard.widgets.panel import Panel

_NAMES: Final = 10
_FIGURE: Final = 9
_MEANINGS: Final = (
    "Stored: from the final dot to the disk.",
    "Delivered: to the phone that waits.",
    "Push: until the notifier answers.",
)


class Speed(Panel):
    """Latencies of the last five minutes."""

    title: ClassVar[str] = "Speed, last 5 minutes"

    def draw(self, moment: Moment, width: int, height: int) -> Sequence[Line]:
        """A small table: half of all, and all but one in a hundred."""
        latency = moment.snapshot.latency
        rows = [
            _row("Stored", latency.durable),
            _row("Delivered", latency.exists),
            _row("Push", latency.push),
        ]
        lines = [line((" " * _NAMES + "median".rjust(_FIGURE) + "p99".rjust(_FIGURE), MUTED)), *rows]
        if height > len(lines) + 3:
            lines.append(Line())
            for what in _MEANINGS:
                lines += [line((row, MUTED)) for row in wording.wrapped(what, width)]
        return lines


def _row(name: str, percentiles: Percentiles) -> Line:
    if not percentiles.samples:
        return line((name.ljust(_NAMES), MUTED), ("-".rjust(_FIGURE) * 2, MUTED))
    return line(
        (name.ljust(_NAMES), MUTED),
        (wording.milliseconds(percentiles.p50_ms).rjust(_FIGURE), "bold"),
        wording.milliseconds(percentiles.p99_ms).rjust(_FIGURE),
    )
