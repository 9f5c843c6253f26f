"""Port 25: mail from other servers. RFC 5321, RFC 3207.

Door: `MxService`. STARTTLS comes first (530 before it), AUTH is not offered, and there is no code that could send
anything on: every recipient is an account of this server or refused at RCPT. The decisions are `Reception`'s.
"""

import asyncio
import socket
import ssl
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Final

from aiosmtpd.smtp import LoginPassword

from chatmail.config import Config
from chatmail.listeners import BACKLOG
from chatmail.mail.address import Address
from chatmail.mail.envelope import Envelope, SmtpReply
from chatmail.reception import Reception
from chatmail.services.smtp_connections import SmtpConnections
from chatmail.services.smtp_handler import MessageSink, SmtpOptions, SmtpSession, Transaction
from chatmail.services.smtp_protocol import SmtpConnection

_NO_LOGIN: Final = SmtpReply(503, "AUTH is not offered here", "5.5.1")
_MAX_ERRORS_BESIDES: Final = 20


class MxService:
    """The listeners for other servers. Make it inside the running loop."""

    def __init__(self, config: Config, reception: Reception, connections: SmtpConnections) -> None:
        """`connections` may be shared with other SMTP services."""
        self._options = SmtpOptions(
            hostname=config.address_domain,
            max_message_bytes=config.mail.max_message_size,
            max_recipients=config.mail.max_recipients,
            login_required=False,
            # Each address of a large group that has gone is an error of its own, and none of the peer's.
            max_errors=config.mail.max_recipients + _MAX_ERRORS_BESIDES,
        )
        self._handler = MxHandler(reception)
        self._connections = connections

    async def run(self, sockets: Sequence[socket.socket], context: ssl.SSLContext, stop: asyncio.Event) -> None:
        """Serve the bound sockets until `stop`; then end every connection, delivering first what was received whole."""

        def protocol() -> asyncio.Protocol:
            return SmtpConnection(self._handler, self._options, self._connections, starttls_context=context)

        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as tasks, AsyncExitStack() as at_end:
            at_end.push_async_callback(self._connections.end_all)
            for listener in sockets:
                server = await loop.create_server(protocol, sock=listener, backlog=BACKLOG)
                at_end.callback(server.close)
            self._connections.serve(tasks)
            await stop.wait()


class MxHandler:
    """Asks the reception. An `SmtpHandler`."""

    def __init__(self, reception: Reception) -> None:
        """One for all connections."""
        self._reception = reception

    async def authenticate(self, session: SmtpSession, login: LoginPassword) -> SmtpReply:
        """Nobody has an account here that could be logged into."""
        return _NO_LOGIN

    async def handle_MAIL(self, session: SmtpSession, transaction: Transaction) -> SmtpReply | None:
        """Only blocked domains are refused so early."""
        return self._reception.refuse_sender(transaction.sender)

    async def handle_RCPT(self, session: SmtpSession, transaction: Transaction, to: Address) -> SmtpReply | None:
        """Accounts of this server that have room."""
        return await self._reception.refuse_recipient(to, transaction.declared_size_bytes)

    def handle_DATA(self, session: SmtpSession, transaction: Transaction) -> MessageSink:
        """Begin a message."""
        envelope = Envelope(transaction.sender, tuple(transaction.recipients))
        return self._reception.begin(envelope, session.connection_id)

    def refused(self, reply: SmtpReply) -> None:
        """Count it."""
        self._reception.count_refusal(reply)
