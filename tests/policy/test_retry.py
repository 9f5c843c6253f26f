from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from chatmail.policy.retry import RETRY_SECONDS, next_attempt_at

QUEUED_AT = datetime(2026, 11, 23, 20, 0, tzinfo=UTC)
DAY = 86_400


def test_the_pauses_are_short_at_first_and_then_an_hour_each() -> None:
    now, pauses = QUEUED_AT, []
    for attempts in range(1, 9):
        at = next_attempt_at(QUEUED_AT, attempts, now, 2 * DAY, 0.5)
        assert at is not None
        pauses.append((at - now).total_seconds())
        now = at
    assert pauses == [30, 120, 300, 900, 3600, 3600, 3600, 3600]


def test_the_last_attempt_comes_when_the_lifetime_ends_and_none_after_it() -> None:
    now = QUEUED_AT + timedelta(seconds=50)
    assert next_attempt_at(QUEUED_AT, 2, now, 60, 0.5) == QUEUED_AT + timedelta(seconds=60)
    assert next_attempt_at(QUEUED_AT, 3, QUEUED_AT + timedelta(seconds=60), 60, 0.5) is None


@given(st.integers(1, 1000), st.floats(0, 1), st.integers(0, 3 * DAY))
def test_every_queue_comes_to_its_end(attempts: int, chance: float, waited: int) -> None:
    now = QUEUED_AT + timedelta(seconds=waited)
    at = next_attempt_at(QUEUED_AT, attempts, now, 2 * DAY, chance)
    if at is None:
        assert waited >= 2 * DAY
    else:
        assert now < at <= QUEUED_AT + timedelta(days=2)
        assert at - now <= timedelta(seconds=1.11 * RETRY_SECONDS[-1])
