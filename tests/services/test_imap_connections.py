import asyncio
from pathlib import Path
from typing import cast

import pytest

from chatmail.services import imap_connections
from chatmail.services.imap_connection import ImapConnection
from chatmail.services.imap_connections import STALLED_SECONDS, ImapConnections
from tests.support.imap import imap_server


async def test_one_peer_has_a_fifth_and_a_network_of_ipv6_is_one_peer(tmp_path: Path) -> None:
    async with imap_server(tmp_path / "data") as server, asyncio.TaskGroup() as tasks:

        def connection() -> ImapConnection:
            return cast(ImapConnection, server.service.tls_protocol())

        connections = ImapConnections(10)
        assert connections.opened(connection(), "192.0.2.1") is not None, "nothing is served yet"
        connections.serve(tasks)
        assert connections.opened(connection(), "192.0.2.1") is None
        assert connections.opened(connection(), "192.0.2.1") is not None
        assert connections.opened(connection(), "2001:db8::1") is None
        assert connections.opened(connection(), "2001:db8::2") is None
        assert connections.opened(connection(), "2001:db8:0:0:ffff::3") is not None
        for _ in range(3):
            assert connections.opened(connection(), "127.0.0.1") is None, "a proxy on this machine stands for many"
        assert len(connections) == 9
        for each in connections.all():
            connections.lost(each)
        await connections.end_all()


async def test_those_who_find_no_room_are_told_of_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with imap_server(tmp_path / "data") as server, asyncio.TaskGroup() as tasks:
        connections = ImapConnections(1)
        connections.serve(tasks)
        for _ in range(4):
            connections.opened(cast(ImapConnection, server.service.tls_protocol()), "192.0.2.1")
        connections.check_deadlines(asyncio.get_running_loop().time())
        connections.check_deadlines(asyncio.get_running_loop().time())
        for each in connections.all():
            connections.lost(each)
        await connections.end_all()
    lines = [line for line in capsys.readouterr().err.splitlines() if "connections_refused" in line]
    assert len(lines) == 1 and "connections=3" in lines[0], lines


async def test_who_stalls_while_too_much_is_held_is_cut_off_the_longest_stalled_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imap_connections, "MAX_HELD_BYTES", 110_000)
    begun = b"x SEARCH TEXT {60000+}\r\n" + b"y" * 50_000
    async with imap_server(tmp_path / "data") as server:
        peers = [await server.logged_in("alice") for _ in range(3)]
        for peer in peers:
            await peer.ok("SELECT INBOX")
        connections, clock = server.service.connections, asyncio.get_running_loop().time
        for peer in peers[:2]:
            await peer.send(begun)
        while sum(each.held_bytes for each in connections.all()) <= 110_000:
            await asyncio.sleep(0)
        connections.check_deadlines(clock())
        assert len(connections) == 3, "nobody has stalled yet"
        connections.check_deadlines(clock() + STALLED_SECONDS)
        assert await peers[0].is_closed()
        await peers[1].send(b"y" * 10_000 + b"\r\n")
        await peers[1].until(b"x")
        await peers[2].ok("NOOP")
