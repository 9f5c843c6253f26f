"""IMAP: port 143, and 993 and 443 handed over by the multiplexer. RFC 3501, RFC 8314; the rest is in `imap_session`.

Door: `ImapService`. Connections are `imap_connection`s, counted and owned by `imap_connections`; what their commands do
is in `imap_session` and its neighbours. In clear only STARTTLS gets anywhere.
"""

import asyncio
import socket
import ssl
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime

from chatmail.config import Config
from chatmail.listeners import BACKLOG
from chatmail.login import Login
from chatmail.meters import Meters
from chatmail.policy.guessing import WRONG_LOGIN_SECONDS
from chatmail.policy.refusals import TOO_MANY_CONNECTIONS
from chatmail.services.imap_connection import ImapConnection
from chatmail.services.imap_connections import ImapConnections
from chatmail.services.imap_session_state import SessionContext
from chatmail.storage.store import Store
from chatmail.turns import Turns


class ImapService:
    """The IMAP listeners. Make it inside the running loop."""

    def __init__(
        self,
        config: Config,
        *,
        store: Store,
        login: Login,
        meters: Meters | None = None,
        wrong_login_seconds: float = WRONG_LOGIN_SECONDS,
        turns: Turns | None = None,
    ) -> None:
        """`wrong_login_seconds` is how long the answer to a wrong password takes; `turns` are those of the process."""
        meters, turns = meters or Meters(), turns or Turns()
        self._context = SessionContext(
            config, store, login, lambda: datetime.now(UTC), wrong_login_seconds, meters, turns
        )
        self.connections = ImapConnections(
            config.limits.max_imap_connections, lambda: meters.refuse(TOO_MANY_CONNECTIONS)
        )

    def tls_protocol(self) -> asyncio.Protocol:
        """A protocol for a connection whose TLS handshake is done."""
        return ImapConnection(self._context, self.connections, starttls_context=None)

    async def run(self, sockets: Sequence[socket.socket], context: ssl.SSLContext, stop: asyncio.Event) -> None:
        """Serve the bound sockets, in clear until STARTTLS, until `stop`.

        Then close them, and end every connection with a BYE, those of `tls_protocol` too; a command in hand is
        answered first.
        """

        def clear_protocol() -> asyncio.Protocol:
            return ImapConnection(self._context, self.connections, starttls_context=context)

        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as tasks, AsyncExitStack() as at_end:
            self.connections.serve(tasks)
            at_end.push_async_callback(self.connections.end_all)
            for listener in sockets:
                server = await loop.create_server(clear_protocol, sock=listener, backlog=BACKLOG)
                at_end.callback(server.close)
            await stop.wait()
