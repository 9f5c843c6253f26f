"""When a certificate is renewed. Pure: times and randomness are arguments.

The authority's own advice (ARI, RFC 9773) comes first; without it, two thirds of the lifetime. After a failure the wait
grows, with jitter so that servers do not come back all at once; at no time are more than three attempts made within an
hour, which is below what Let's Encrypt allows (five failed validations for a name and hour).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

WAITS_AFTER_FAILURE: Final = (
    timedelta(minutes=20),
    timedelta(hours=1),
    timedelta(hours=3),
    timedelta(hours=8),
    timedelta(hours=20),
)
"""How long to wait after the first, second … failure in a row; the last goes on for ever."""
JITTER_SHARE: Final = 0.25
"""Up to this share of a wait is added."""
RENEW_AFTER_SHARE: Final = 2 / 3
MIN_BETWEEN_CERTIFICATES: Final = timedelta(hours=24)
"""Only for changed names; the usual limit is five certificates for the same names in a week."""


@dataclass(frozen=True, slots=True)
class RenewalState:
    """What is remembered between attempts, over restarts too (aware UTC)."""

    failures: int = 0
    last_attempt_at: datetime | None = None
    last_error: str = ""
    next_attempt_at: datetime | None = None
    asked_to_wait_until: datetime | None = None
    advised_at: datetime | None = None
    ask_advice_at: datetime | None = None


def due_at(not_before: datetime, not_after: datetime, advised_at: datetime | None) -> datetime:
    """When a certificate of this validity is to be renewed."""
    if advised_at is not None:
        return min(advised_at, not_after)
    return not_before + (not_after - not_before) * RENEW_AFTER_SHARE


def after_failure(
    state: RenewalState, now: datetime, error: str, jitter: float, retry_at: datetime | None = None
) -> RenewalState:
    """The state after one more failure. `jitter` is within 0 and 1; `retry_at` is what the authority asked for."""
    wait = WAITS_AFTER_FAILURE[min(state.failures, len(WAITS_AFTER_FAILURE) - 1)]
    next_attempt_at = now + wait * (1 + JITTER_SHARE * jitter)
    if retry_at is not None:
        next_attempt_at = max(next_attempt_at, retry_at)
    return RenewalState(
        failures=state.failures + 1,
        last_attempt_at=now,
        last_error=error,
        next_attempt_at=next_attempt_at,
        asked_to_wait_until=retry_at,
        advised_at=state.advised_at,
        ask_advice_at=state.ask_advice_at,
    )


def after_success(now: datetime) -> RenewalState:
    """The state after a certificate was obtained: the advice on the old one counts no more."""
    return RenewalState(last_attempt_at=now)
