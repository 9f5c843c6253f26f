"""When a phone is woken, how often that is tried, and what the notifier's answers mean. Pure: `now` is an argument.

A notification is a device token, POSTed as it is: "there is something new". So the messages of one burst share one,
and a notification that is hours late is worth nothing.
"""

from enum import Enum
from typing import Final

BURST_SECONDS: Final = 2
"""From a delivery to its notification: what else comes meanwhile, as in a lively group, is covered by the same one."""
RETRY_BASE_SECONDS: Final = 8
"""The n-th try after the first comes this to the power of n later: 8 s, 64 s, 9 min, 68 min."""
LIFETIME_SECONDS: Final = 5 * 3600
"""From the delivery until the notification is dropped."""


class Answer(Enum):
    """What the notifier's answer means for the token."""

    DELIVERED = "delivered"
    GONE = "gone"
    """The token is no longer valid: forget it."""
    FAILED = "failed"


def answer_of(status: int) -> Answer:
    """The meaning of an HTTP status."""
    if 200 <= status < 300:
        return Answer.DELIVERED
    return Answer.GONE if status == 410 else Answer.FAILED


def is_over(queued_at: int, now: int) -> bool:
    """Whether a notification is too old to be tried; one from the future (the clock went back) is not."""
    return now - queued_at >= LIFETIME_SECONDS


def next_try_at(queued_at: int, failures: int, now: int) -> int | None:
    """When to try again after the `failures`-th failure in a row (from 1); None if that would be too late."""
    at = now + RETRY_BASE_SECONDS ** min(failures, 6)
    return None if is_over(queued_at, at) else at
