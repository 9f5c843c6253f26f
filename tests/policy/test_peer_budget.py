from chatmail.policy.peer_budget import MAX_PEERS, PeerBudget, peer_of

A, B = peer_of("192.0.2.1"), peer_of("2001:db8::1")


def budget() -> PeerBudget:
    return PeerBudget(bytes_per_window=100, open_at_once=3, open_of_one_peer=2)


def test_what_one_customer_gets_is_one_peer() -> None:
    assert peer_of("2001:db8::1") == peer_of("2001:db8::ffff:1%eth0") != peer_of("2001:db8:0:1::1")
    assert peer_of("192.0.2.1") != peer_of("192.0.2.2")
    assert peer_of("") == b""


def test_so_much_may_be_open_of_one_and_of_all() -> None:
    counted = budget()
    assert [counted.begin(A, 0.0) for _ in range(3)] == [True, True, False]
    assert [counted.begin(B, 0.0) for _ in range(2)] == [True, False]
    counted.end(A)
    assert counted.begin(B, 0.0)


def test_bytes_are_counted_by_the_minute_and_begun_anew() -> None:
    counted = budget()
    assert counted.spend(A, 100, 1.0)
    assert not counted.spend(A, 1, 2.0)
    assert not counted.begin(A, 3.0)
    assert counted.begin(B, 3.0)
    assert counted.begin(A, 100.0)


def test_memory_is_bounded() -> None:
    counted = budget()
    for number in range(2 * MAX_PEERS):
        counted.spend(b"%d" % number, 1, 0.0)
    assert len(counted._bytes) <= MAX_PEERS + 1
    assert not counted.begin(b"a newcomer", 0.0)
