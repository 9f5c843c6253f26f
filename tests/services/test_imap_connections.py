import asyncio
from pathlib import Path
from typing import cast

from chatmail.services.imap_connection import ImapConnection
from chatmail.services.imap_connections import ImapConnections
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
