"""What the tests of outgoing mail share: configurations for private networks, messages, a courier without DNS."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from time import monotonic

from chatmail.config import Config, FederationConfig
from chatmail.mail.address import Address
from chatmail.net.courier import Courier
from chatmail.net.mail_routes import MailRoutes
from chatmail.net.outbound_message import OutboundMessage
from chatmail.net.resolver import Resolver
from chatmail.net.smtp_client import SmtpPatience
from chatmail.storage.bodies import SmallBody
from tests.support.foreign_server import HTTPS_PORT, SMTP_PORT

ALICE = Address("alice", "chat.example")
PATIENCE = SmtpPatience(connect=2.0, reply=0.5, final_reply=0.5, write=2.0)
MESSAGE = b"From: <alice@chat.example>\r\nSubject: [...]\r\n\r\n.dot\r\n..\r\ntext\r\n"


def config(ca_file: Path | None = None, resolver: str = "", **federation: object) -> Config:
    """A server for `chat.example` whose peers are on loopback."""
    section = FederationConfig(smtp_port=SMTP_PORT, https_port=HTTPS_PORT, ca_file=str(ca_file or ""))
    made = Config("chat.example", federation=replace(section, **federation))  # type: ignore[arg-type]
    return replace(made, dns=replace(made.dns, resolvers=(resolver,))) if resolver else made


def routes(made: Config) -> MailRoutes:
    """Routes by the resolvers of the configuration; without any, for IP literals only."""
    return MailRoutes(made, lambda: Resolver(made.dns.resolvers, lifetime_seconds=2.0), monotonic, lambda: 0.5)


@asynccontextmanager
async def courier(made: Config, patience: SmtpPatience = PATIENCE) -> AsyncIterator[Courier]:
    """A courier, closed at the end."""
    running = Courier(made, routes(made), patience)
    try:
        yield running
    finally:
        await running.close()


def message_for(domain: str, content: bytes = MESSAGE, mail_from: Address | None = ALICE) -> OutboundMessage:
    """One message for a domain, without signature."""
    return OutboundMessage(domain, mail_from, b"", SmallBody(content))
