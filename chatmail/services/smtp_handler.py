"""What an SMTP service says to the conversation, and the conversation to it: options, session, transaction, handler.

The seam between `smtp_protocol`, which knows SMTP, and the services, which know what may be sent. The words are
aiosmtpd's: `Session` is one connection, `Envelope` one transaction, `handle_*` are the hooks; DATA gives a stream.
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Final, Protocol

from aiosmtpd.smtp import Envelope, LoginPassword, Session

from chatmail.log import ConnectionId
from chatmail.mail.address import Address
from chatmail.mail.envelope import SmtpReply
from chatmail.storage.store import Account
from chatmail.turns import Turns


@dataclass(frozen=True, slots=True)
class SmtpOptions:
    """What all connections of a service have in common. Times in seconds."""

    hostname: str
    max_message_bytes: int
    max_recipients: int
    login_required: bool
    login_seconds: float = 60.0
    """From the connection to a successful AUTH, where one is required."""
    command_seconds: float = 300.0
    """Between two commands; RFC 5321 §4.5.3.2.7."""
    data_seconds: float = 120.0
    """In which `data_progress_bytes` of a message must come in; RFC 5321 §4.5.3.2.5 is of the same order."""
    data_progress_bytes: int = 4096
    max_errors: int = 20
    """5xx replies since the last accepted message, beyond which the connection ends."""


ADMITTED: Final = SmtpReply(250, "OK", "2.1.5")


class SmtpSession(Session):
    """One connection. `account` is whose login succeeded, `encrypted` whether TLS is on."""

    def __init__(self, loop: asyncio.AbstractEventLoop, connection_id: ConnectionId, *, encrypted: bool) -> None:
        """Nobody is logged in."""
        super().__init__(loop)
        self.connection_id = connection_id
        self.encrypted = encrypted
        self.account: Account | None = None
        self.account_seen_at: int | None = None
        """For a handler that looks whether the account still is what it was: `Broadcast.closed` when it looked."""


class Transaction(Envelope):
    """One mail transaction, from MAIL to the end of DATA: aiosmtpd's envelope with parsed addresses."""

    def __init__(self) -> None:
        """MAIL has not come yet."""
        super().__init__()
        self.is_open = False
        """Whether MAIL was accepted."""
        self.sender: Address | None = None
        """None for the null sender."""
        self.declared_size_bytes = 0
        """What MAIL said of the size (RFC 1870), or 0."""
        self.recipients: list[Address] = []
        self.admission: SmtpReply | None = None
        """For a handler that decides once for all RCPT of a transaction: `ADMITTED`, or what it answers to each."""


class MessageSink(Protocol):
    """Takes one message. Exactly one of `finish` and `discard` ends it."""

    def feed(self, chunk: bytes) -> None:
        """The next bytes of the message. A sink that has to refuse remembers why, and lets the rest go by."""

    async def finish(self) -> SmtpReply:
        """The message is whole. The reply says who answers for it from now on: 2xx the server, else the peer."""

    def discard(self) -> None:
        """The message will not become whole, or cannot be taken."""


class SmtpHandler(Protocol):
    """Decides for all connections of a service. `None` for a reply means yes."""

    async def authenticate(self, session: SmtpSession, login: LoginPassword) -> SmtpReply:
        """235 with `session.account` set, or a refusal."""

    async def handle_MAIL(self, session: SmtpSession, transaction: Transaction) -> SmtpReply | None:
        """May mail of `transaction.sender` begin?"""

    async def handle_RCPT(self, session: SmtpSession, transaction: Transaction, to: Address) -> SmtpReply | None:
        """May it go to that address too?"""

    def handle_DATA(self, session: SmtpSession, transaction: Transaction) -> MessageSink:
        """Where the message goes."""

    def refused(self, reply: SmtpReply) -> None:
        """A message or recipient was refused by SMTP itself, without asking."""


class Endable(Protocol):
    """A connection, as its owner sees it."""

    def end(self, reply: SmtpReply) -> None:
        """Say goodbye as soon as the server is not at work for it."""

    def abort(self) -> None:
        """Cut it off, whatever waits to be sent."""


class ConnectionOwner(Protocol):
    """Has the tasks of all connections."""

    @property
    def turns(self) -> Turns:
        """How the connections share the event loop."""

    def opened(self, connection: Endable, peer_host: str) -> SmtpReply | None:
        """There is a new connection. What it is told if it may not begin."""

    def spawn(self, conversation: Coroutine[Any, Any, None]) -> None:
        """Run the conversation of a connection that may."""

    def lost(self, connection: Endable) -> None:
        """It is gone."""
