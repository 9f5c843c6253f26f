"""All IMAP connections of the process: how many there may be, whose tasks they are, their deadlines, their end.

Door: `ImapConnections`, the `ConnectionOwner` of every connection. One timer serves all deadlines, so an idle
connection costs no timer of its own. Addresses of peers are counted while they are connected, and never logged.
"""

import asyncio
import ipaddress
from collections import Counter
from contextlib import suppress
from typing import Final

from chatmail.imap.response_codes import UNAVAILABLE
from chatmail.imap.responses import StatusResponse, bye
from chatmail.services.imap_connection import ImapConnection
from chatmail.services.imap_session_state import log

SWEEP_SECONDS: Final = 5.0
GOODBYE_SECONDS: Final = 5.0
"""How long connections may take to end when the service stops."""
_TOO_MANY: Final = bye("Too many connections, please try again later", UNAVAILABLE)
_SHUTTING_DOWN: Final = bye("The server is shutting down, please come again", UNAVAILABLE)
_SHARE_OF_ONE_PEER: Final = 5
"""One address may have a fifth of all connections: many clients share one behind a carrier's NAT."""
_IPV6_NETWORK_BYTES: Final = 8
"""A /64 is what one customer gets, so it counts as one address."""


class ImapConnections:
    """Counts connections and owns their tasks."""

    def __init__(self, max_connections: int) -> None:
        """At most so many at once."""
        self._max_connections = max_connections
        self._max_of_one_peer = max(1, max_connections // _SHARE_OF_ONE_PEER)
        self._open: dict[ImapConnection, bytes] = {}
        self._by_peer: Counter[bytes] = Counter()
        self._tasks: asyncio.TaskGroup | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._all_gone = asyncio.Event()

    def __len__(self) -> int:
        """How many there are."""
        return len(self._open)

    def all(self) -> tuple[ImapConnection, ...]:
        """All that are open."""
        return tuple(self._open)

    def serve(self, tasks: asyncio.TaskGroup) -> None:
        """Accept connections from now on; their commands become tasks of `tasks`."""
        self._tasks = tasks
        self._sweep()

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        self.check_deadlines(loop.time())
        self._timer = loop.call_later(SWEEP_SECONDS, self._sweep)

    def check_deadlines(self, now: float) -> None:
        """End what has taken too long at `now`, the loop's time; keep idling connections alive."""
        for connection in tuple(self._open):
            connection.check_deadlines(now)

    def opened(self, connection: ImapConnection, peer_host: str) -> StatusResponse | None:
        """Count a new connection. What it is told if it may not begin."""
        peer = _peer_key(peer_host)
        self._open[connection] = peer
        self._by_peer[peer] += 1
        if self._tasks is None:
            return _SHUTTING_DOWN
        if len(self._open) > self._max_connections or (peer and self._by_peer[peer] > self._max_of_one_peer):
            log.warning("connection_refused", reason="too-many", open=len(self._open), of_one_peer=self._by_peer[peer])
            return _TOO_MANY
        return None

    def spawn(self, connection: ImapConnection) -> "asyncio.Task[None] | None":
        """Run the commands that came; None once the service has ended."""
        return None if self._tasks is None else self._tasks.create_task(connection.converse())

    def lost(self, connection: ImapConnection) -> None:
        """It is gone."""
        peer = self._open.pop(connection)
        self._by_peer[peer] -= 1
        if not self._by_peer[peer]:
            del self._by_peer[peer]
        if not self._open:
            self._all_gone.set()

    async def end_all(self, goodbye_seconds: float = GOODBYE_SECONDS) -> None:
        """Refuse new connections, say goodbye to those that are open, cut off who has not gone in time."""
        self._tasks = None
        if self._timer is not None:
            self._timer.cancel()
        for connection in tuple(self._open):
            connection.end(_SHUTTING_DOWN)
        with suppress(TimeoutError):
            async with asyncio.timeout(goodbye_seconds):
                while self._open:
                    self._all_gone.clear()
                    await self._all_gone.wait()
        for connection in tuple(self._open):
            connection.abort()


def _peer_key(host: str) -> bytes:
    """What counts as one peer; empty for this machine itself, where a proxy may stand for many."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:  # not TCP over IP
        return b""
    if address.is_loopback:
        return b""
    return address.packed[:_IPV6_NETWORK_BYTES] if address.version == 6 else address.packed
