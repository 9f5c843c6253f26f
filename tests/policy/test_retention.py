from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from chatmail.config import Config
from chatmail.policy.retention import ClockTrust, excess_bytes, retention_limits

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LIMITS = retention_limits(Config("example.org"), NOW)
DAY = 86400


def arrived(days: float) -> int:
    return int(NOW.timestamp() - days * DAY)


def test_mail_is_kept_twenty_days_and_large_mail_seven() -> None:
    assert not LIMITS.is_expired_mail(arrived(20), arrived(20), 200_000)
    assert LIMITS.is_expired_mail(arrived(20.01), arrived(20.01), 1)
    assert not LIMITS.is_expired_mail(arrived(7), arrived(7), 200_001)
    assert LIMITS.is_expired_mail(arrived(7.01), arrived(7.01), 200_001)
    assert not LIMITS.is_expired_mail(arrived(7.01), arrived(7.01), 200_000)


def test_neither_a_move_nor_a_date_in_the_future_prolongs() -> None:
    assert LIMITS.is_expired_mail(arrived(21), arrived(1), 1)
    assert LIMITS.is_expired_mail(arrived(-9999), arrived(21), 1)


def test_accounts_are_kept_ninety_days_after_the_day_of_their_login() -> None:
    assert not LIMITS.is_expired_account((NOW - timedelta(days=90)).date())
    assert LIMITS.is_expired_account((NOW - timedelta(days=91)).date())


@given(st.integers(0, 2000), st.integers(1, 2000), st.integers(1, 1000))
def test_room_is_made_above_three_quarters_and_down_to_seventy_percent(usage: int, incoming: int, quota: int) -> None:
    excess = excess_bytes(usage, incoming, quota)
    if (usage + incoming) * 100 <= quota * 75:
        assert excess == 0
    else:
        assert usage + incoming - excess == quota * 70 // 100


def test_a_clock_that_runs_evenly_is_trusted() -> None:
    trust = ClockTrust(NOW - timedelta(days=2))
    for hour in range(200):
        assert not trust.jumped(NOW + timedelta(hours=hour), 1000 + hour * 3600)
        assert trust.is_settled(1000 + hour * 3600)


def test_after_a_jump_nothing_is_removed_for_a_day() -> None:
    for leap in (timedelta(days=365), timedelta(days=-1), timedelta(hours=3)):
        trust = ClockTrust(NOW)
        assert not trust.jumped(NOW, 0)
        assert trust.jumped(NOW + leap, 3600)
        assert not trust.is_settled(3600) and not trust.is_settled(3600 + DAY - 1)
        assert not trust.jumped(NOW + leap + timedelta(hours=1), 7200)
        assert trust.is_settled(3600 + DAY)


def test_a_start_far_from_the_last_look_waits_too_and_a_first_start_does_not() -> None:
    assert ClockTrust(NOW - timedelta(days=4)).jumped(NOW, 0)
    assert ClockTrust(NOW + timedelta(hours=2)).jumped(NOW, 0)
    assert not ClockTrust(None).jumped(NOW, 0)
