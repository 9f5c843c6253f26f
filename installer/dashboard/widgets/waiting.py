"""The queue: what waits to go to other servers, and why."""

from collections.abc import Sequence
from typing import ClassVar

from chatmail.api import QueueDestination
from installer.dashboard import wording
from installer.dashboard.judgement import Mark
from installer.dashboard.line import MUTED, Line, both_ends, line
from installer.dashboard.moment import Moment
from installer.dashboard.widgets.panel import Panel


class Waiting(Panel):
    """The queue, and the destinations that wait longest."""

    title: ClassVar[str] = "Queue"

    def draw(self, moment: Moment, width: int, height: int) -> Sequence[Line]:
        """The sum, then two lines for each destination: who and since when, and what went wrong."""
        queue = moment.snapshot.queue
        if not queue.items:
            return [
                line((Mark.FINE.value[0], Mark.FINE.color), " empty"),
                line(("Nothing waits for other servers.", MUTED)),
            ]
        lines = [
            line(
                (wording.count(queue.items), "bold"),
                (" for ", MUTED),
                wording.counted(queue.domains, "server"),
                (", oldest ", MUTED),
                wording.age(queue.oldest_queued_at, moment.now),
            )
        ]
        for destination in queue.destinations:
            if len(lines) + 2 > height and len(lines) > 1:
                break
            lines += _destination(destination, moment, width)
        return lines


def _destination(destination: QueueDestination, moment: Moment, width: int) -> list[Line]:
    facts = f"{destination.items:,} · {wording.age(destination.oldest_queued_at, moment.now)}"
    error = wording.printable(destination.last_error) or "not tried yet"
    return [
        both_ends(line(destination.domain), line((facts, MUTED)), width),
        line(("  " + error, Mark.DEGRADED.color if destination.last_error else MUTED)),
    ]
