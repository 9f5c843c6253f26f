import asyncio

from chatmail.open_connections import OpenConnections


class Peer:
    """A connection that goes when it is told to, or only when it is cut off."""

    def __init__(self, register: "OpenConnections[Peer, str]", *, polite: bool = True) -> None:
        self.register, self.polite, self.heard = register, polite, ""

    def end(self, goodbye: str, /) -> None:
        self.heard = goodbye
        if self.polite:
            self.register.lost(self)

    def abort(self) -> None:
        self.register.lost(self)


def test_one_peer_may_have_a_fifth_and_an_ipv6_network_is_one_peer() -> None:
    register: OpenConnections[Peer, str] = OpenConnections(10)
    assert [register.add(Peer(register), "192.0.2.1") for _ in range(3)] == [True, True, False]
    assert [register.add(Peer(register), f"2001:db8::{n}") for n in range(3)] == [True, True, False]
    assert register.add(Peer(register), "192.0.2.2")


def test_the_whole_is_limited_and_who_leaves_makes_room() -> None:
    register: OpenConnections[Peer, str] = OpenConnections(3)
    peers = [Peer(register) for _ in range(4)]
    assert [register.add(peer, f"192.0.2.{n}") for n, peer in enumerate(peers)] == [True, True, True, False]
    for peer in peers[2:]:
        register.lost(peer)
    assert len(register) == 2
    assert register.add(Peer(register), "192.0.2.3")


def test_this_machine_may_be_left_uncounted() -> None:
    register: OpenConnections[Peer, str] = OpenConnections(5, count_this_machine=False)
    assert all(register.add(Peer(register), "127.0.0.1") for _ in range(5))


def test_only_a_proxy_is_taken_for_this_machine() -> None:
    register: OpenConnections[Peer, str] = OpenConnections(5, count_this_machine=False)
    assert all(register.add(Peer(register), "::1") for _ in range(3))
    register = OpenConnections(5, count_this_machine=False)
    assert [register.add(Peer(register), "127.0.0.3") for _ in range(2)] == [True, False]


async def test_at_the_end_all_hear_goodbye_and_the_stubborn_are_cut_off() -> None:
    register: OpenConnections[Peer, str] = OpenConnections(5)
    peers = [Peer(register), Peer(register, polite=False)]
    for peer in peers:
        register.add(peer, "192.0.2.1")
    await asyncio.wait_for(register.end_with("bye", goodbye_seconds=0.01), 5)
    assert [peer.heard for peer in peers] == ["bye", "bye"]
    assert len(register) == 0
