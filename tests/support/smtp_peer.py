"""One raw SMTP connection to a server in the same process, and a server around a handler that remembers everything."""

import asyncio
import socket
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import cache

import trustme
from aiosmtpd.smtp import LoginPassword

from chatmail.mail.address import Address
from chatmail.mail.envelope import SmtpReply
from chatmail.services.smtp_connections import SmtpConnections
from chatmail.services.smtp_handler import MessageSink, SmtpOptions, SmtpSession, Transaction
from chatmail.services.smtp_protocol import SmtpConnection

ACCEPTED = SmtpReply(250, "OK", "2.0.0")
PATIENCE_SECONDS = 5.0
"""How long a test waits for the server; far above what it takes."""
OPTIONS = SmtpOptions(hostname="mx.example", max_message_bytes=100_000, max_recipients=20, login_required=True)


@cache
def authority() -> trustme.CA:
    return trustme.CA()


@cache
def server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority().issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return context


@cache
def client_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority().configure_trust(context)
    return context


@dataclass
class SmtpPeer:
    """What a client does, byte by byte."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def log_in(self, address: str, password: str) -> None:
        """AUTH PLAIN, which must succeed."""
        answer = await self.say("AUTH PLAIN " + b64encode(f"\0{address}\0{password}".encode()).decode())
        assert answer.startswith("235 "), answer

    async def submit(self, mail_from: str, rcpt_tos: Sequence[str], message: bytes) -> list[str]:
        """One pipelined transaction of a message without leading dots; all replies, the last one that to the end."""
        recipients = "".join(f"RCPT TO:<{address}>\r\n" for address in rcpt_tos)
        self.send(f"MAIL FROM:<{mail_from}> BODY=8BITMIME SMTPUTF8\r\n{recipients}DATA\r\n".encode())
        replies = [await self.reply() for _ in range(len(rcpt_tos) + 2)]
        if replies[-1].startswith("354 "):
            self.send(message + b".\r\n")
            replies.append(await self.reply())
        return replies

    async def start_tls(self) -> None:
        """The client's half of the handshake."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.writer.start_tls(client_context(), server_hostname="127.0.0.1")

    def send(self, wire: bytes) -> None:
        """Write in one piece."""
        self.writer.write(wire)

    async def reply(self) -> str:
        """One reply, its lines joined by LF."""
        lines = [await self.line()]
        while lines[-1][3:4] == "-":
            lines.append(await self.line())
        return "\n".join(lines)

    async def line(self) -> str:
        """One line of a reply."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            line = await self.reader.readline()
        assert line.endswith(b"\r\n"), f"closed instead of an answer: {line!r}"
        return line[:-2].decode()

    async def codes(self, count: int) -> list[int]:
        """The codes of the next replies."""
        return [int((await self.reply())[:3]) for _ in range(count)]

    async def say(self, line: str) -> str:
        """One command, one reply."""
        self.send(line.encode() + b"\r\n")
        return await self.reply()

    async def is_closed(self) -> bool:
        """Whether the server closes without another word."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            try:
                return await self.reader.read(1) == b""
            except (ConnectionError, ssl.SSLError):
                return True

    def hang_up(self) -> None:
        """Drop the connection."""
        self.writer.transport.abort()


@dataclass
class Door:
    """Where a server listens; remembers who came, so that everybody is gone at the end."""

    port: int
    is_encrypted: bool = False
    peers: list[SmtpPeer] = field(default_factory=list)

    async def connect(self) -> SmtpPeer:
        """Connect; the greeting is not read."""
        context = client_context() if self.is_encrypted else None
        peer = SmtpPeer(*await asyncio.open_connection("127.0.0.1", self.port, ssl=context))
        self.peers.append(peer)
        return peer

    async def greeted(self) -> SmtpPeer:
        """Connect, read the greeting, say EHLO."""
        peer = await self.connect()
        assert (await peer.reply()).startswith("220 ")
        assert (await peer.say("EHLO [127.0.0.1]")).startswith("250-")
        return peer

    async def close(self) -> None:
        """Drop every connection."""
        for peer in self.peers:
            peer.hang_up()
            with suppress(OSError):
                await peer.writer.wait_closed()


@dataclass
class RecordingSink:
    """Keeps the message."""

    handler: "RecordingHandler"
    transaction: Transaction
    content: bytes = b""
    state: str = "open"

    def feed(self, chunk: bytes) -> None:
        assert self.state == "open"
        self.content += chunk
        if self.handler.broken:
            raise RuntimeError("a bug")

    async def finish(self) -> SmtpReply:
        await asyncio.sleep(0)
        if len(self.handler.sinks) > 1:
            await self.handler.may_finish.wait()
        self.state = "finished"
        return self.handler.data_reply

    def discard(self) -> None:
        self.state = "discarded"


@dataclass
class RecordingHandler:
    """Lets `alice` in with the password `secret`, and takes all she sends."""

    sinks: list[RecordingSink] = field(default_factory=list)
    logins: list[LoginPassword] = field(default_factory=list)
    refusals: list[SmtpReply] = field(default_factory=list)
    data_reply: SmtpReply = ACCEPTED
    broken: bool = False
    may_finish: asyncio.Event = field(default_factory=asyncio.Event)
    """Set, unless a test clears it: the disk of every message behind the first one."""

    def __post_init__(self) -> None:
        self.may_finish.set()

    @property
    def messages(self) -> list[bytes]:
        """What was accepted."""
        return [sink.content for sink in self.sinks if sink.state == "finished"]

    async def authenticate(self, session: SmtpSession, login: LoginPassword) -> SmtpReply:
        self.logins.append(login)
        await asyncio.sleep(0)
        if login == LoginPassword(b"alice", b"secret"):
            return SmtpReply(235, "Welcome", "2.7.0")
        return SmtpReply(535, "Wrong", "5.7.8")

    async def handle_MAIL(self, session: SmtpSession, transaction: Transaction) -> SmtpReply | None:
        return None

    async def handle_RCPT(self, session: SmtpSession, transaction: Transaction, to: Address) -> SmtpReply | None:
        return SmtpReply(450, "Later", "4.7.1") if to.localpart == "later" else None

    def handle_DATA(self, session: SmtpSession, transaction: Transaction) -> MessageSink:
        self.sinks.append(RecordingSink(self, transaction))
        return self.sinks[-1]

    def refused(self, reply: SmtpReply) -> None:
        self.refusals.append(reply)


@asynccontextmanager
async def serving(
    handler: RecordingHandler, options: SmtpOptions = OPTIONS, *, tls: bool = False, starttls: bool = False
) -> AsyncIterator[Door]:
    """Serve on a free port; afterwards every conversation must have come to its end."""
    connections = SmtpConnections(max_connections=100)
    context = server_context() if tls or starttls else None

    def new_connection() -> SmtpConnection:
        starttls_context = context if starttls else None
        return SmtpConnection(handler, options, connections, starttls_context=starttls_context, encrypted=tls)

    async with asyncio.TaskGroup() as tasks:
        connections.serve(tasks)
        listener = socket.create_server(("127.0.0.1", 0))
        loop = asyncio.get_running_loop()
        server = await loop.create_server(new_connection, sock=listener, ssl=context if tls else None)
        door = Door(listener.getsockname()[1], tls)
        try:
            async with asyncio.timeout(4 * PATIENCE_SECONDS):
                yield door
        finally:
            server.close()
            await door.close()
            await connections.end_all()
