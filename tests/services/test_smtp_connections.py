import asyncio
from dataclasses import dataclass, field

from chatmail.mail.envelope import SmtpReply
from chatmail.services.smtp_connections import SmtpConnections


@dataclass(eq=False)
class Line:
    """A connection that goes when it is told to, or only when it is cut off."""

    connections: SmtpConnections
    is_stubborn: bool = False
    told: list[str] = field(default_factory=list)

    def end(self, reply: SmtpReply) -> None:
        self.told.append(str(reply))
        if not self.is_stubborn:
            self.connections.lost(self)

    def abort(self) -> None:
        self.told.append("aborted")
        self.connections.lost(self)


def codes(connections: SmtpConnections, *hosts: str) -> list[int | None]:
    refusals = [connections.opened(Line(connections), host) for host in hosts]
    return [refusal.code if refusal else None for refusal in refusals]


async def test_one_peer_gets_a_fifth_and_all_together_the_whole() -> None:
    async with asyncio.TaskGroup() as tasks:
        connections = SmtpConnections(10)
        connections.serve(tasks)
        assert codes(connections, "192.0.2.1", "192.0.2.1", "192.0.2.1") == [None, None, 421]
        assert codes(connections, *(f"192.0.2.{number}" for number in range(2, 9))) == [None] * 7
        assert codes(connections, "198.51.100.1") == [421]
        assert len(connections) == 11


async def test_a_whole_ipv6_network_counts_as_one_peer() -> None:
    async with asyncio.TaskGroup() as tasks:
        connections = SmtpConnections(10)
        connections.serve(tasks)
        assert codes(connections, "2001:db8::1", "2001:db8::2%eth0", "2001:db8::3", "2001:db8:0:1::1") == [
            None,
            None,
            421,
            None,
        ]


async def test_who_has_gone_counts_no_more() -> None:
    async with asyncio.TaskGroup() as tasks:
        connections = SmtpConnections(1)
        connections.serve(tasks)
        line = Line(connections)
        assert connections.opened(line, "192.0.2.1") is None
        connections.lost(line)
        assert codes(connections, "192.0.2.1") == [None]


async def test_nobody_is_let_in_before_and_after_the_service_runs() -> None:
    connections = SmtpConnections(10)
    assert codes(connections, "192.0.2.1") == [421]
    async with asyncio.TaskGroup() as tasks:
        connections.serve(tasks)
        await connections.end_all()
        assert codes(connections, "192.0.2.1") == [421]


async def test_at_the_end_everybody_is_told_and_the_stubborn_are_cut_off() -> None:
    async with asyncio.TaskGroup() as tasks:
        connections = SmtpConnections(10)
        connections.serve(tasks)
        polite, stubborn = Line(connections), Line(connections, is_stubborn=True)
        for line in (polite, stubborn):
            connections.opened(line, "192.0.2.1")
        await connections.end_all(goodbye_seconds=0.01)
        assert [told[:9] for told in polite.told] == ["421 4.3.2"]
        assert [told[:9] for told in stubborn.told] == ["421 4.3.2", "aborted"]
        assert len(connections) == 0
