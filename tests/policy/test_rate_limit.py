"""The rate of submissions."""

import pytest

from chatmail.mail.address import Address
from chatmail.policy import rate_limit
from chatmail.policy.rate_limit import RateLimit, SendRates, take
from chatmail.policy.verdict import ACCEPT, Defer

LIMIT = RateLimit(per_minute=60, burst=10)
ALICE = Address("alice1234", "chat.example")
BOB = Address("bob567890", "chat.example")


def accepted_at(times: list[float], limit: RateLimit = LIMIT) -> list[bool]:
    arrival, results = times[0], []
    for now in times:
        taken = take(arrival, now, limit)
        arrival = arrival if taken is None else taken
        results.append(taken is not None)
    return results


@pytest.mark.parametrize("start", [0.0, 0.1, 1e6 + 1 / 3])
def test_exactly_the_burst_passes_at_once(start: float) -> None:
    assert accepted_at([start] * 12) == [True] * 10 + [False] * 2


def test_the_steady_rate_passes_for_ever() -> None:
    assert all(accepted_at([float(second) for second in range(1000)]))


def test_somebody_who_never_stops_is_refused_before_the_180th_message() -> None:
    results = accepted_at([0.3 * count for count in range(180)])
    assert not all(results) and all(results[:10])


def test_a_refused_message_costs_nothing() -> None:
    assert accepted_at([0.0] * 10 + [0.5] * 100 + [1.0])[-1]


def test_a_burst_is_possible_again_after_a_rest() -> None:
    assert accepted_at([0.0] * 10 + [10.0] * 11) == [True] * 20 + [False]


@pytest.mark.parametrize(("per_minute", "burst"), [(1, 1), (7, 3), (600, 100)])
def test_other_limits_count_alike(per_minute: int, burst: int) -> None:
    assert accepted_at([5.0] * (burst + 1), RateLimit(per_minute, burst)) == [True] * burst + [False]


def test_the_answer_is_the_one_clients_know() -> None:
    rates = SendRates(LIMIT)
    assert [rates.take(ALICE, 100.0) for _ in range(10)] == [ACCEPT] * 10
    verdict = rates.take(ALICE, 100.0)
    assert isinstance(verdict, Defer)
    assert str(verdict.reply).startswith("450 4.7.1: Too much mail from <alice1234@chat.example>, ")


def test_everybody_has_a_rate_of_their_own() -> None:
    rates = SendRates(LIMIT)
    for _ in range(11):
        rates.take(ALICE, 100.0)
    assert rates.take(BOB, 100.0) == ACCEPT


def test_only_who_sent_lately_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = SendRates(LIMIT)
    for number in range(100):
        rates.take(Address(f"sender{number}", "chat.example"), number / 100)
    rates.take(ALICE, 20.0)
    assert len(rates) == 1
    monkeypatch.setattr(rate_limit, "MAX_TRACKED_ACCOUNTS", 5)
    for number in range(100):
        rates.take(Address(f"sender{number}", "chat.example"), 30.0)
    assert len(rates) == 5
