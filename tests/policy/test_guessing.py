from chatmail.policy import guessing
from chatmail.policy.guessing import BURST, REFILL_SECONDS, GuessLimit

PEER, NEIGHBOUR, ELSEWHERE = "192.0.2.7", "192.0.2.8", "198.51.100.1"
ALICE, BOB = "alice", "bob"


def guess(limit: GuessLimit, now: float, times: int = 1000) -> int:
    """Guess alice's password; how many tries were let through."""
    return sum(limit.take(PEER, ALICE, now) for _ in range(times))


def test_so_many_guesses_and_then_one_at_a_time() -> None:
    limit = GuessLimit()
    assert guess(limit, 0.0) == BURST
    assert guess(limit, REFILL_SECONDS - 0.1) == 0
    assert guess(limit, REFILL_SECONDS) == 1
    assert guess(limit, 100 * REFILL_SECONDS) == BURST


def test_neither_the_owner_elsewhere_nor_the_neighbour_is_shut_out() -> None:
    limit = GuessLimit()
    guess(limit, 0.0)
    assert not limit.take(NEIGHBOUR, ALICE, 0.0), "one network counts as one"
    assert limit.take(PEER, BOB, 0.0) and limit.take(NEIGHBOUR, BOB, 0.0)
    assert limit.take(ELSEWHERE, ALICE, 0.0)


def test_who_knows_the_password_comes_as_often_as_they_like() -> None:
    limit = GuessLimit()
    for _ in range(10 * BURST):
        assert limit.take(PEER, ALICE, 0.0)
        limit.give_back(PEER, ALICE)


def test_memory_is_bounded() -> None:
    limit = GuessLimit()
    for number in range(guessing.MAX_PAIRS + 10):
        limit.take(PEER, str(number), 0.0)
    assert len(limit._full_at) == guessing.MAX_PAIRS
