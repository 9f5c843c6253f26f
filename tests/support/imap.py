"""An IMAP service on a real store in the same process, raw clients for it, and mail for its accounts."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from chatmail.config import Config, ImapConfig, LimitsConfig, MailConfig, MetadataConfig
from chatmail.login import Login
from chatmail.mail.address import Address
from chatmail.mail.changes import AccountId
from chatmail.mail.message import header_length
from chatmail.net.certificate_files import server_context
from chatmail.services.imap import ImapService
from chatmail.services.multiplexer import ANY_ALPN, Multiplexer, Route
from chatmail.storage.store import DeliveryOutcome, LocalDelivery, Store
from tests.support.certificates import TestAuthority, issue

DOMAIN = "chat.example"
PASSWORD = "correct horse battery"
WAIT_SECONDS = 10.0


@cache
def authority() -> TestAuthority:
    """One CA for all tests of a run."""
    return issue(Path(mkdtemp(prefix="chatmail-imap-")), "localhost", "127.0.0.1")


def address(name: str) -> str:
    """The address of one of the test's people: names of nine letters are allowed."""
    return f"{name:x<9}@{DOMAIN}"


def plain_message(subject: str = "hello", body: str = "text\r\n", extra: str = "") -> bytes:
    """A small message as another server would deliver it."""
    return (
        f"From: <sender@other.example>\r\nTo: <{address('alice')}>\r\nSubject: {subject}\r\n"
        f"Message-ID: <{subject}@other.example>\r\n{extra}\r\n{body}"
    ).encode()


class ImapPeer:
    """A client that writes and reads lines; it can be the `Peer` of a dialogue."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._tags = 0

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def line(self) -> bytes:
        """The next line without CR LF; empty at the end."""
        async with asyncio.timeout(WAIT_SECONDS):
            return (await self.reader.readline()).rstrip(b"\r\n")

    async def octets(self, count: int) -> bytes:
        """Exactly `count` octets."""
        async with asyncio.timeout(WAIT_SECONDS):
            return await self.reader.readexactly(count)

    async def is_closed(self) -> bool:
        async with asyncio.timeout(WAIT_SECONDS):
            try:
                return await self.reader.read(1) == b""
            except ConnectionError:
                return True

    async def run(self, command: str | bytes) -> list[bytes]:
        """Send one command and return all lines up to the tagged one, literals included as they come."""
        self._tags += 1
        tag = b"T%d" % self._tags
        await self.send(tag + b" " + (command.encode() if isinstance(command, str) else command) + b"\r\n")
        return await self.until(tag)

    async def until(self, tag: bytes) -> list[bytes]:
        """All lines up to the one that begins with `tag`."""
        lines: list[bytes] = []
        while True:
            line = await self.line()
            assert line or not self.reader.at_eof(), f"closed after {lines}"
            lines.append(line)
            if line.startswith(tag + b" "):
                return lines

    async def ok(self, command: str | bytes) -> list[bytes]:
        """Like `run`; the answer must be OK. Returns the untagged lines."""
        lines = await self.run(command)
        assert lines[-1].split(b" ", 2)[1] == b"OK", lines
        return lines[:-1]

    async def fetched(self, command: str) -> bytes:
        """The octets of the one literal in the answer to a FETCH."""
        self._tags += 1
        tag = b"T%d" % self._tags
        await self.send(tag + b" " + command.encode() + b"\r\n")
        first = await self.line()
        assert first.endswith(b"}"), first
        value = await self.octets(int(first[first.rindex(b"{") + 1 : -1]))
        await self.until(tag)
        return value

    async def start_tls(self) -> None:
        """The handshake after STARTTLS."""
        await self.writer.start_tls(authority().trusting_context(), server_hostname="localhost")

    async def idle(self) -> None:
        """Begin to idle."""
        await self.send(b"I IDLE\r\n")
        while await self.line() != b"+ idling":
            pass

    async def idle_for_a_turn(self, hear: Callable[[bytes], None]) -> None:
        """Idle, let others work, and end it; every untagged line goes to `hear`."""
        await self.send(b"I IDLE\r\n")
        while (line := await self.line()) != b"+ idling":
            hear(line)
        for _ in range(20):
            await asyncio.sleep(0)
        for line in await self.done():
            hear(line)

    async def done(self) -> list[bytes]:
        """End it; what was said until its end."""
        await self.send(b"DONE\r\n")
        return (await self.until(b"I"))[:-1]

    def hang_up(self) -> None:
        """Drop the connection."""
        self.writer.transport.abort()


@dataclass
class ImapServer:
    """Both ports, and the store behind them."""

    store: Store
    service: ImapService
    imap_port: int
    imaps_port: int
    stop: asyncio.Event
    peers: list[ImapPeer] = field(default_factory=list)

    async def connect(self, *, encrypted: bool = True, limit: int = 1 << 26) -> ImapPeer:
        """A client before the greeting."""
        context = authority().trusting_context() if encrypted else None
        reader, writer = await asyncio.open_connection(
            "127.0.0.1",
            self.imaps_port if encrypted else self.imap_port,
            ssl=context,
            server_hostname="localhost" if encrypted else None,
            limit=limit,
        )
        peer = ImapPeer(reader, writer)
        self.peers.append(peer)
        return peer

    async def greeted(self, *, encrypted: bool = True) -> ImapPeer:
        """A client that has heard the greeting."""
        peer = await self.connect(encrypted=encrypted)
        await peer.line()
        return peer

    async def logged_in(self, name: str = "alice") -> ImapPeer:
        """A client of a person."""
        peer = await self.greeted()
        await peer.ok(f'LOGIN "{address(name)}" "{PASSWORD}"')
        return peer

    async def selected(self, name: str = "alice", mailbox: str = "INBOX") -> ImapPeer:
        """A client with a mailbox."""
        peer = await self.logged_in(name)
        await peer.ok(f'SELECT "{mailbox}"')
        return peer

    async def account_id(self, name: str) -> AccountId:
        """The account of a person."""
        parsed = Address.parse(address(name))
        assert parsed is not None
        account = await self.store.accounts.find(parsed)
        assert account is not None
        return account.account_id

    async def deliver(self, message: bytes, name: str = "alice") -> None:
        """Put a message into somebody's INBOX."""
        length = header_length(message)
        assert length is not None
        body = self.store.stage(message[:length])
        body.write(message[length:])
        to = Address.parse(address(name))
        assert to is not None
        (outcome,) = await self.store.deliver([LocalDelivery(body, (to,))], datetime.now(UTC))
        assert outcome[to] is DeliveryOutcome.DELIVERED


@asynccontextmanager
async def imap_server(
    data_dir: Path,
    *,
    mail: MailConfig | None = None,
    limits: LimitsConfig | None = None,
    imap: ImapConfig | None = None,
    metadata: MetadataConfig | None = None,
    wrap: Callable[[ssl.SSLContext], ssl.SSLContext] = lambda context: context,
) -> AsyncIterator[ImapServer]:
    """Serve on two free ports; afterwards everything has ended in order."""
    config = Config(
        DOMAIN,
        mail=mail or MailConfig(),
        limits=limits or LimitsConfig(),
        imap=imap or ImapConfig(),
        metadata=metadata or MetadataConfig(),
    )
    store = await Store.open(data_dir, max_mailbox_size_bytes=config.mail.max_mailbox_size)
    login = Login(store.accounts, config, lambda: None)
    service = ImapService(config, store=store, login=login, wrong_login_seconds=0.0)
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    stop = asyncio.Event()
    server = ImapServer(store, service, sockets[0].getsockname()[1], sockets[1].getsockname()[1], stop)
    context = wrap(server_context(authority().files))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(service.run(sockets[:1], context, stop))
        tasks.create_task(Multiplexer({ANY_ALPN: Route(lambda: context, service.tls_protocol)}).run(sockets[1:], stop))
        try:
            yield server
        finally:
            stop.set()
            for peer in server.peers:
                peer.hang_up()
    login.close()
    await store.close()
