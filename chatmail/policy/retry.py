"""When a delivery to another server is tried again: soon at first, then every hour, until the queue's lifetime is over.

RFC 5321 §4.5.4.1 asks for patience of days; the first intervals are short because people wait for chat messages.
"""

from datetime import datetime, timedelta
from typing import Final

RETRY_SECONDS: Final = (30, 120, 300, 900, 3600)
"""The pause after the first attempt, the second and so on; the last one repeats."""
JITTER: Final = 0.1
"""Pauses vary by so much of themselves, lest all that failed together be tried together."""


def next_attempt_at(
    queued_at: datetime, attempts: int, now: datetime, lifetime_seconds: float, chance: float
) -> datetime | None:
    """When to try again after `attempts` (at least one) attempts, the last of them just `now`; None: give up.

    `chance` is random, from 0 up to 1. The last attempt comes when the lifetime ends.
    """
    deadline = queued_at + timedelta(seconds=lifetime_seconds)
    if now >= deadline:
        return None
    pause_seconds = RETRY_SECONDS[min(attempts, len(RETRY_SECONDS)) - 1] * (1 + JITTER * (2 * chance - 1))
    return min(now + timedelta(seconds=pause_seconds), deadline)
