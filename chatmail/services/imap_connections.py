"""All IMAP connections of the process: the register, and the deadlines.

Door: `ImapConnections`, the `ConnectionOwner` of every connection. One timer serves all deadlines, so an idle
connection costs no timer of its own.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from chatmail.imap.response_codes import UNAVAILABLE
from chatmail.imap.responses import StatusResponse, bye
from chatmail.open_connections import GOODBYE_SECONDS, OpenConnections
from chatmail.services.imap_connection import ImapConnection
from chatmail.services.imap_session_state import log

SWEEP_SECONDS: Final = 5.0
MAX_HELD_BYTES: Final = 64 << 20
"""What all connections together may keep in memory for peers that do not go on."""
STALLED_SECONDS: Final = 10.0
"""How long one may keep more than `_SMALL_BYTES` while all together keep too much …"""
HURRIED_SECONDS: Final = 1.0
"""… and twice too much."""
_SMALL_BYTES: Final = 16 * 1024
_TOO_MANY: Final = bye("Too many connections, please try again later", UNAVAILABLE)
_SHUTTING_DOWN: Final = bye("The server is shutting down, please come again", UNAVAILABLE)


class ImapConnections(OpenConnections[ImapConnection, StatusResponse]):
    """Counts connections and owns their tasks."""

    def __init__(self, max_connections: int, on_refused: Callable[[], None] = lambda: None) -> None:
        """At most so many at once; `on_refused` is called for each beyond."""
        super().__init__(max_connections, count_this_machine=False)
        self._on_refused = on_refused
        self._refused = 0
        self._timer: asyncio.TimerHandle | None = None

    def serve(self, tasks: asyncio.TaskGroup) -> None:
        """Accept connections from now on; their commands become tasks of `tasks`."""
        super().serve(tasks)
        self._sweep()

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        self.check_deadlines(loop.time())
        self._timer = loop.call_later(SWEEP_SECONDS, self._sweep)

    def check_deadlines(self, now: float) -> None:
        """End what has taken too long at `now`, the loop's time; keep idling connections alive."""
        for connection in self.all():
            connection.check_deadlines(now)
        self._relieve_memory(now)
        if self._refused:
            # Once for all of them: whoever knocks without end would fill the log.
            log.warning("connections_refused", reason="too-many", connections=self._refused, open=len(self))
            self._refused = 0

    def _relieve_memory(self, now: float) -> None:
        """While too much is held: cut off who holds some of it and does not go on, the longest stalled first."""
        holders = [connection for connection in self.all() if connection.held_bytes > _SMALL_BYTES]
        held_bytes = sum(connection.held_bytes for connection in holders)
        patience = STALLED_SECONDS if held_bytes < 2 * MAX_HELD_BYTES else HURRIED_SECONDS
        cut_off = 0
        for connection in sorted(holders, key=lambda each: each.stalled_seconds(now), reverse=True):
            if held_bytes <= MAX_HELD_BYTES or connection.stalled_seconds(now) < patience:
                break
            held_bytes -= connection.held_bytes
            connection.abort()
            cut_off += 1
        if cut_off:
            log.warning("stalled_cut_off", connections=cut_off, held_mib=held_bytes >> 20)

    def opened(self, connection: ImapConnection, peer_host: str) -> StatusResponse | None:
        """Count a new connection. What it is told if it may not begin."""
        has_room = self.add(connection, peer_host)
        if self._tasks is None:
            return _SHUTTING_DOWN
        if not has_room:
            self._on_refused()
            self._refused += 1
            return _TOO_MANY
        return None

    def spawn(self, connection: ImapConnection) -> "asyncio.Task[None] | None":
        """Run the commands that came; None once the service has ended."""
        return None if self._tasks is None else self._tasks.create_task(connection.converse())

    async def end_all(self, goodbye_seconds: float = GOODBYE_SECONDS) -> None:
        """Refuse new connections, say goodbye to those that are open, cut off who has not gone in time."""
        if self._timer is not None:
            self._timer.cancel()
        await self.end_with(_SHUTTING_DOWN, goodbye_seconds)
