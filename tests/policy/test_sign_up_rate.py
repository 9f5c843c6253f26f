"""The soft limit on account links."""

import pytest

from chatmail.policy.sign_up_rate import MAX_NETWORKS, Rate, SignUpRate, network_of

UNLIMITED = Rate(per_second=1e6, burst=10**9)


@pytest.mark.parametrize(
    ("peer", "network"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2ff:3::1", "2001:db8:1:200::/56"),
        ("fe80::1%eth0", "fe80::/56"),
        ("::ffff:192.0.2.77", "192.0.2.0/24"),
        ("", ""),
    ],
)
def test_addresses_are_counted_by_network(peer: str, network: str) -> None:
    assert network_of(peer) == network


def test_a_network_gets_its_burst_and_then_one_per_interval() -> None:
    rate = SignUpRate(per_network=Rate(per_second=0.5, burst=3), overall=UNLIMITED)
    assert [rate.take("192.0.2.1", 100.0) for _ in range(3)] == [0, 0, 0]
    assert rate.take("192.0.2.9", 100.0) == pytest.approx(2.0)
    assert rate.take("192.0.2.9", 101.0) == pytest.approx(1.0)
    assert rate.take("192.0.2.9", 102.0) == 0
    assert rate.take("198.51.100.1", 100.0) == 0


def test_a_refusal_takes_nothing() -> None:
    rate = SignUpRate(per_network=Rate(per_second=1, burst=1), overall=UNLIMITED)
    rate.take("192.0.2.1", 0.0)
    assert {rate.take("192.0.2.1", 0.5) for _ in range(10)} == {0.5}


def test_all_networks_together_have_a_limit_too() -> None:
    rate = SignUpRate(per_network=UNLIMITED, overall=Rate(per_second=1, burst=2))
    assert [rate.take(f"10.0.{n}.1", 5.0) for n in range(3)] == [0, 0, pytest.approx(1.0)]


def test_a_bucket_never_holds_more_than_its_burst() -> None:
    rate = SignUpRate(per_network=Rate(per_second=1, burst=2), overall=UNLIMITED)
    rate.take("192.0.2.1", 0.0)
    assert [rate.take("192.0.2.1", 1e6) > 0 for _ in range(3)] == [False, False, True]


def test_memory_is_bounded_by_forgetting_who_asked_longest_ago() -> None:
    rate = SignUpRate(per_network=Rate(per_second=1e-6, burst=1), overall=UNLIMITED)
    rate.take("192.0.2.1", 0.0)
    for n in range(MAX_NETWORKS):
        rate.take(f"10.{n >> 8}.{n & 255}.1", 0.0)
    assert rate.take("192.0.2.1", 0.0) == 0
    assert rate.take(f"10.{(MAX_NETWORKS - 1) >> 8}.{(MAX_NETWORKS - 1) & 255}.1", 0.0) > 0
