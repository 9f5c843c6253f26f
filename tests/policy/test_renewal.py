from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from chatmail.policy.renewal import RenewalState, after_failure, after_success, due_at

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_without_advice_a_certificate_is_renewed_after_two_thirds_of_its_life() -> None:
    assert due_at(NOW, NOW + timedelta(days=90), None) == NOW + timedelta(days=60)
    assert due_at(NOW, NOW + timedelta(days=6), None) == NOW + timedelta(days=4)


def test_the_advice_of_the_authority_comes_first_but_never_later_than_the_end() -> None:
    end = NOW + timedelta(days=90)
    assert due_at(NOW, end, NOW + timedelta(days=7)) == NOW + timedelta(days=7)
    assert due_at(NOW, end, end + timedelta(days=7)) == end


def test_waits_grow_with_every_failure_and_success_forgets_them() -> None:
    state, waits = RenewalState(), []
    for _ in range(7):
        state = after_failure(state, NOW, "no", jitter=0.0)
        assert state.next_attempt_at is not None
        waits.append(state.next_attempt_at - NOW)
    assert waits == sorted(waits)
    assert waits[0] == timedelta(minutes=20)
    assert waits[-1] == timedelta(hours=20)
    assert after_success(NOW) == RenewalState(last_attempt_at=NOW)


@given(st.floats(0, 1), st.integers(0, 20))
def test_never_more_than_three_attempts_in_an_hour(jitter: float, failures: int) -> None:
    state = after_failure(RenewalState(failures=failures), NOW, "no", jitter)
    assert state.next_attempt_at is not None
    assert timedelta(minutes=20) <= state.next_attempt_at - NOW <= timedelta(hours=25)


def test_what_the_authority_asks_for_is_respected() -> None:
    later = NOW + timedelta(days=2)
    assert after_failure(RenewalState(), NOW, "no", 0.5, retry_at=later).next_attempt_at == later
