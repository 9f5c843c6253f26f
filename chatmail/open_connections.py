"""The connections of one service: how many there may be, how many of one peer, and how they end together.

`OpenConnections` is the base of each service's own register, which adds the words of its protocol. Addresses of peers
are counted while they are connected, and never logged.
"""

import asyncio
from collections import Counter
from contextlib import suppress
from typing import Any, Final, Generic, Protocol, TypeVar

from chatmail.policy.peer_budget import peer_of

GOODBYE_SECONDS: Final = 5.0
"""How long connections may take to end when the service stops."""
_SHARE_OF_ONE_PEER: Final = 5
"""One address may have a fifth of all connections: many clients share one behind a carrier's NAT."""
PROXIES: Final = frozenset({"127.0.0.1", "::1"})
"""Where a proxy on this machine connects from."""

Goodbye = TypeVar("Goodbye", contravariant=True)


class Endable(Protocol[Goodbye]):
    """What a connection must be able to do to be registered."""

    def end(self, goodbye: Goodbye, /) -> None:
        """Finish what is in hand, say `goodbye` and close."""

    def abort(self) -> None:
        """Close at once."""


Word = TypeVar("Word")
Connection = TypeVar("Connection", bound=Endable[Any])


class OpenConnections(Generic[Connection, Word]):
    """Counts connections and owns the task group they run in."""

    def __init__(self, max_connections: int, *, count_this_machine: bool = True) -> None:
        """At most so many at once; `count_this_machine` is False where a proxy here stands for many peers."""
        self.max_connections = max_connections
        self._max_of_one_peer = max(1, max_connections // _SHARE_OF_ONE_PEER)
        self._count_this_machine = count_this_machine
        self._open: dict[Connection, bytes] = {}
        self._by_peer: Counter[bytes] = Counter()
        self._tasks: asyncio.TaskGroup | None = None
        self._all_gone = asyncio.Event()

    def __len__(self) -> int:
        """How many there are."""
        return len(self._open)

    def all(self) -> tuple[Connection, ...]:
        """All that are open."""
        return tuple(self._open)

    def serve(self, tasks: asyncio.TaskGroup) -> None:
        """Accept connections from now on; their work becomes tasks of `tasks`."""
        self._tasks = tasks

    def add(self, connection: Connection, peer_host: str) -> bool:
        """Count a new connection; whether there is room for it. It must be taken back with `lost` either way."""
        peer = self._peer_key(peer_host)
        self._open[connection] = peer
        self._by_peer[peer] += 1
        return len(self._open) <= self.max_connections and (not peer or self._by_peer[peer] <= self._max_of_one_peer)

    def lost(self, connection: Connection) -> None:
        """It is gone."""
        peer = self._open.pop(connection)
        self._by_peer[peer] -= 1
        if not self._by_peer[peer]:
            del self._by_peer[peer]
        if not self._open:
            self._all_gone.set()

    async def end_with(self, goodbye: Word, goodbye_seconds: float = GOODBYE_SECONDS) -> None:
        """Refuse new connections, say `goodbye` to those that are open, cut off who has not gone in time."""
        self._tasks = None
        for connection in tuple(self._open):
            connection.end(goodbye)
        with suppress(TimeoutError):
            async with asyncio.timeout(goodbye_seconds):
                while self._open:
                    self._all_gone.clear()
                    await self._all_gone.wait()
        for connection in tuple(self._open):
            connection.abort()

    def _peer_key(self, host: str) -> bytes:
        """What counts as one peer; empty for one that is not counted, as without IP."""
        return b"" if host in PROXIES and not self._count_this_machine else peer_of(host)
