"""All SMTP connections of the process: how many there may be, whose tasks they are, and how they end together.

Door: `SmtpConnections`, one for all SMTP listeners; it is the `ConnectionOwner` of their connections. Addresses of
peers are counted while they are connected, and never logged.
"""

import asyncio
import ipaddress
from collections import Counter
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Final

from chatmail.mail.envelope import SmtpReply
from chatmail.services.smtp_handler import Endable

GOODBYE_SECONDS: Final = 5.0
"""How long connections may take to end when the service stops."""
_TOO_MANY: Final = SmtpReply(421, "Too many connections, please try again later", "4.7.0")
_SHUTTING_DOWN: Final = SmtpReply(421, "The server is shutting down, please try again later", "4.3.2")
_SHARE_OF_ONE_PEER: Final = 5
"""One address may have a fifth of all connections: many clients share one behind a carrier's NAT."""
_IPV6_NETWORK_BYTES: Final = 8
"""A /64 is what one customer gets, so it counts as one address."""


class SmtpConnections:
    """Counts connections and owns their tasks."""

    def __init__(self, max_connections: int) -> None:
        """At most so many at once."""
        self._max_connections = max_connections
        self._max_of_one_peer = max(1, max_connections // _SHARE_OF_ONE_PEER)
        self._open: dict[Endable, bytes] = {}
        self._by_peer: Counter[bytes] = Counter()
        self._tasks: asyncio.TaskGroup | None = None
        self._all_gone = asyncio.Event()

    def __len__(self) -> int:
        """How many there are."""
        return len(self._open)

    def serve(self, tasks: asyncio.TaskGroup) -> None:
        """Accept connections from now on; their conversations become tasks of `tasks`."""
        self._tasks = tasks

    def opened(self, connection: Endable, peer_host: str) -> SmtpReply | None:
        """Count a new connection. What it is told if it may not begin."""
        peer = _peer_key(peer_host)
        self._open[connection] = peer
        self._by_peer[peer] += 1
        if self._tasks is None:
            return _SHUTTING_DOWN
        if len(self._open) > self._max_connections or self._by_peer[peer] > self._max_of_one_peer:
            return _TOO_MANY
        return None

    def spawn(self, conversation: Coroutine[Any, Any, None]) -> None:
        """Begin the conversation of a connection that may."""
        assert self._tasks is not None
        self._tasks.create_task(conversation)

    def lost(self, connection: Endable) -> None:
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
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:  # not TCP over IP
        return host.encode()
    return address.packed[:_IPV6_NETWORK_BYTES] if address.version == 6 else address.packed
