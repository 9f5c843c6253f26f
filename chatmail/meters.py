"""What the server counts while it works: whole numbers, and how long things took. Pure; lives in the event loop.

Services add to `Meters` where something happens, at the cost of an addition; `services/status` reads it. Nothing here
knows a person, a peer or a message: there are counts by reason, and times by their length. Times come in seconds, from
a clock that the caller chose.
"""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from chatmail.status_snapshot import Percentiles

WINDOW_MINUTES: Final = 5
"""What percentiles are of: the minute under way and so many before it."""
SHORTEST_SECONDS: Final = 50e-6
STEPS_PER_DOUBLING: Final = 4
"""So a percentile is right within a tenth."""
DOUBLINGS: Final = 20
BOUNDS: Final = tuple(
    SHORTEST_SECONDS * 2 ** (step / STEPS_PER_DOUBLING) for step in range(STEPS_PER_DOUBLING * DOUBLINGS)
)
"""Upper bounds of the buckets, in seconds, up to some 45; what takes longer is in one more."""
BUCKETS: Final = len(BOUNDS) + 1


class Latency:
    """How long one kind of thing took, in a fixed number of buckets: now, lately, and since the start."""

    __slots__ = ("_before", "_current", "_ended", "sum_seconds")

    def __init__(self) -> None:
        self._current = [0] * BUCKETS
        self._before: list[list[int]] = []
        self._ended = [0] * BUCKETS
        self.sum_seconds = 0.0
        """Of everything since the start."""

    def record(self, seconds: float) -> None:
        """It took so long."""
        self._current[bisect_right(BOUNDS, seconds)] += 1
        self.sum_seconds += seconds

    def end_minute(self) -> Percentiles:
        """Begin another minute, and forget the oldest; the percentiles of the one that ended."""
        ended, self._current = self._current, [0] * BUCKETS
        self._before = [ended, *self._before][:WINDOW_MINUTES]
        self._ended = [sum(pair) for pair in zip(self._ended, ended, strict=True)]
        return percentiles(ended)

    def lately(self) -> Percentiles:
        """Of the window."""
        return percentiles([sum(column) for column in zip(self._current, *self._before, strict=True)])

    def since_start(self) -> list[int]:
        """How many were in each bucket."""
        return [sum(pair) for pair in zip(self._ended, self._current, strict=True)]


def percentiles(counts: Sequence[int]) -> Percentiles:
    """Of what is in the buckets; within a bucket all are taken to be spread evenly."""
    samples = sum(counts)
    if not samples:
        return Percentiles()
    p50, p90, p99 = (_quantile(counts, samples * share) for share in (0.5, 0.9, 0.99))
    return Percentiles(samples, p50, p90, p99)


def _quantile(counts: Sequence[int], rank: float) -> float:
    """Milliseconds, rounded to the microsecond."""
    below = 0
    for bucket, count in enumerate(counts):
        if count and below + count >= rank:
            low = BOUNDS[bucket - 1] if bucket else 0.0
            high = BOUNDS[bucket] if bucket < len(BOUNDS) else 2 * low
            return round(1000 * (low + (high - low) * (rank - below) / count), 3)
        below += count
    raise AssertionError("a rank is not beyond the sum of the counts")


class Meters:
    """All meters of one run of the server."""

    __slots__ = (
        "durable",
        "exists",
        "imap_idle",
        "inbound",
        "local",
        "outbound",
        "outbound_at",
        "push",
        "refusals",
        "store_error",
        "store_error_at",
    )

    def __init__(self) -> None:
        """All zero."""
        self.inbound = 0
        """Messages taken from other servers."""
        self.outbound = 0
        """Messages handed to other servers."""
        self.outbound_at: datetime | None = None
        self.local = 0
        """Messages from an account of this server to others of it."""
        self.refusals: dict[str, int] = {}
        self.imap_idle = 0
        """Sessions that wait in IDLE now."""
        self.durable = Latency()
        """From the end of a message to the commit."""
        self.exists = Latency()
        """From the end of a message to EXISTS, for each session in IDLE that is told."""
        self.push = Latency()
        """From the POST to the notifier's answer."""
        self.store_error = ""
        self.store_error_at: datetime | None = None

    def refuse(self, reason: str) -> None:
        """Something was refused; `reason` is one of a fixed set of words."""
        self.refusals[reason] = self.refusals.get(reason, 0) + 1

    def delivered_out(self, now: datetime) -> None:
        """A message was handed to another server."""
        self.outbound += 1
        self.outbound_at = now

    def stored(self, seconds: float) -> None:
        """A message is durable, so long after its end: the store works."""
        self.durable.record(seconds)
        if self.store_error:
            self.store_error = ""

    def fail_store(self, error: str, now: datetime) -> None:
        """The disk or the database refused something; `error` names no person."""
        self.store_error, self.store_error_at = error, now

    @property
    def refused(self) -> int:
        """Everything that was refused."""
        return sum(self.refusals.values())
