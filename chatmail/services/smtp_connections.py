"""All SMTP connections of the process: the register, in SMTP's words.

Door: `SmtpConnections`, one for all SMTP listeners; it is the `ConnectionOwner` of their connections.
"""

from collections.abc import Callable, Coroutine
from typing import Any, Final

from chatmail.mail.envelope import SmtpReply
from chatmail.open_connections import GOODBYE_SECONDS, OpenConnections
from chatmail.services.smtp_handler import Endable
from chatmail.turns import Turns

_TOO_MANY: Final = SmtpReply(421, "Too many connections, please try again later", "4.7.0")
_SHUTTING_DOWN: Final = SmtpReply(421, "The server is shutting down, please try again later", "4.3.2")


class SmtpConnections(OpenConnections[Endable, SmtpReply]):
    """Counts connections and owns their tasks."""

    def __init__(
        self, max_connections: int, on_refused: Callable[[], None] = lambda: None, turns: Turns | None = None
    ) -> None:
        """At most so many at once; `on_refused` is called for each beyond. `turns` are those of the process."""
        super().__init__(max_connections)
        self.turns = turns or Turns()
        self._on_refused = on_refused

    def opened(self, connection: Endable, peer_host: str) -> SmtpReply | None:
        """Count a new connection. What it is told if it may not begin."""
        has_room = self.add(connection, peer_host)
        if self._tasks is None:
            return _SHUTTING_DOWN
        if not has_room:
            self._on_refused()
            return _TOO_MANY
        return None

    def spawn(self, conversation: Coroutine[Any, Any, None]) -> None:
        """Begin the conversation of a connection that may."""
        assert self._tasks is not None
        self._tasks.create_task(conversation)

    async def end_all(self, goodbye_seconds: float = GOODBYE_SECONDS) -> None:
        """Refuse new connections, say goodbye to those that are open, cut off who has not gone in time."""
        await self.end_with(_SHUTTING_DOWN, goodbye_seconds)
