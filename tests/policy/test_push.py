import pytest

from chatmail.policy.push import LIFETIME_SECONDS, Answer, answer_of, is_over, next_try_at


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (200, Answer.DELIVERED),
        (204, Answer.DELIVERED),
        (410, Answer.GONE),
        (301, Answer.FAILED),
        (404, Answer.FAILED),
        (500, Answer.FAILED),
    ],
)
def test_what_an_answer_means(status: int, answer: Answer) -> None:
    assert answer_of(status) is answer


def test_tries_come_ever_later_until_it_would_be_too_late() -> None:
    now, pauses = 1000, []
    for failures in range(1, 9):
        at = next_try_at(1000, failures, now)
        if at is None:
            break
        pauses.append(at - now)
        now = at
    assert pauses == [8, 64, 512, 4096]


def test_five_hours_are_the_end() -> None:
    assert not is_over(0, LIFETIME_SECONDS - 1)
    assert is_over(0, LIFETIME_SECONDS)
    assert not is_over(10, 0), "the clock went back"
    assert next_try_at(0, 10**9, 0) is None
