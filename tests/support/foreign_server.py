"""A mail server of somebody else, on loopback: SMTP with STARTTLS and `/mxdeliv`, that misbehaves as a test asks."""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import trustme
from aiohttp import web

SMTP_PORT = 2525
HTTPS_PORT = 2443


@dataclass
class Received:
    """One message that was accepted."""

    mail_from: str
    rcpt_tos: list[str]
    content: bytes
    way: str
    """`smtp` or `https`."""


@dataclass
class ForeignServer:
    """Use it with `async with`; change its behaviour at any time."""

    address: str
    authority: trustme.CA
    names: tuple[str, ...] = ()
    has_https: bool = False
    https_status: int = 200
    https_limit: str = ""
    """What its answers say of the number of recipients."""
    smtp_port: int = SMTP_PORT
    https_port: int = HTTPS_PORT
    extensions: list[str] = field(default_factory=lambda: ["PIPELINING", "SIZE 1000000", "8BITMIME"])
    offers_tls: bool = True
    greeting: bytes = b"220 mx.elsewhere.example ESMTP\r\n"
    recipient_reply: Callable[[str], str] = lambda address: "250 2.1.5 OK"
    data_reply: str = "354 go ahead"
    final_reply: str = "250 2.0.0 taken"
    keeps_refused: bool = False
    """Whether it has the message although `final_reply` says otherwise."""
    closes_at: str = ""
    """`DATA` or `dot`: it closes instead of answering."""
    silent_at: str = ""
    """`greeting`, `MAIL`, `body` or `dot`: it never answers."""
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)
    """Clear it, and the reply to the last dot waits until it is set again."""
    after_starttls: bytes = b""
    """Sent in clear behind the reply to STARTTLS."""
    received: list[Received] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    _smtp_connections: int = 0
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _https_peers: set[object] = field(default_factory=set)

    async def __aenter__(self) -> Self:
        self.may_answer.set()
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert(*(self.names or (self.address,))).configure_cert(self._context)
        server = await asyncio.start_server(self._accept, self.address, self.smtp_port, limit=1 << 24)
        self._stack.callback(server.close)
        if self.has_https:
            application = web.Application(client_max_size=1 << 26)
            application.router.add_post("/mxdeliv", self._take_post)
            runner = web.AppRunner(application, access_log=None)
            await runner.setup()
            self._stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, self.address, self.https_port, ssl_context=self._context).start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._stack.aclose()

    @property
    def connections(self) -> int:
        """How many there were, both ways."""
        return self._smtp_connections + len(self._https_peers)

    async def until(self, count: int, seconds: float = 10.0) -> list[Received]:
        """Wait until so many messages have come."""
        await self.until_true(lambda: len(self.received) >= count, seconds)
        return self.received

    async def until_true(self, condition: Callable[[], bool], seconds: float = 10.0) -> None:
        """Wait until something that peers said or sent has made `condition` true."""
        async with asyncio.timeout(seconds):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def drop_connections(self) -> None:
        """Close what is open, as after a restart."""
        for task in self._tasks:
            task.cancel()

    def _take(self, received: Received) -> None:
        self.received.append(received)
        self._changed.set()

    async def _take_post(self, request: web.Request) -> web.Response:
        assert request.transport is not None
        self._https_peers.add(request.transport.get_extra_info("peername"))
        content = await request.read()
        if self.https_status == 200:
            headers = request.headers
            recipients = ",".join(headers.getall("X-MAIL-TO")).split(",")
            self._take(Received(headers.get("X-MAIL-FROM", ""), recipients, content, "https"))
        said = {"X-MAIL-TO-LIMIT": self.https_limit} if self.https_limit else {}
        return web.Response(status=self.https_status, text="as asked", headers=said)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._smtp_connections += 1
        self._changed.set()
        try:
            await self._converse(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            with suppress(Exception):
                writer.transport.abort()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.silent_at == "greeting":
            await reader.read()
            return
        writer.write(self.greeting)
        mail_from, rcpt_tos, encrypted = "", list[str](), False
        while line := (await reader.readline()).decode().rstrip("\r\n"):
            self.commands.append(line)
            self._changed.set()
            verb = line[:4].upper()
            if self.silent_at == verb:
                await reader.read()
                return
            if self.closes_at == verb:
                return
            match verb:
                case "EHLO":
                    tls = ["STARTTLS"] if self.offers_tls and not encrypted else []
                    lines = ["mx.elsewhere.example", *tls, *self.extensions]
                    writer.write("".join(f"250-{name}\r\n" for name in lines[:-1]).encode())
                    writer.write(f"250 {lines[-1]}\r\n".encode())
                case "STAR":
                    writer.write(b"220 go\r\n" + self.after_starttls)
                    await writer.drain()
                    await writer.start_tls(self._context)
                    encrypted = True
                case "MAIL":
                    mail_from, rcpt_tos = line[10:].partition(">")[0].strip("<"), []
                    writer.write(b"250 2.1.0 OK\r\n")
                case "RCPT":
                    address = line[8:].strip("<>")
                    reply = self.recipient_reply(address)
                    if reply.startswith("2"):
                        rcpt_tos.append(address)
                    writer.write(f"{reply}\r\n".encode())
                case "DATA":
                    writer.write(f"{self.data_reply}\r\n".encode())
                    if self.data_reply.startswith("354"):
                        if self.silent_at == "body":
                            await writer.drain()
                            writer.transport.pause_reading()  # type: ignore[attr-defined]
                            await asyncio.Event().wait()
                        content = await read_message(reader)
                        if not await self._end(writer, mail_from, rcpt_tos, content):
                            return
                case "QUIT":
                    return
                case _:
                    writer.write(b"502 what?\r\n")
            await writer.drain()

    async def _end(self, writer: asyncio.StreamWriter, mail_from: str, rcpt_tos: list[str], content: bytes) -> bool:
        """The message is there; whether the conversation goes on."""
        if rcpt_tos and (self.final_reply.startswith("2") or self.keeps_refused):
            self._take(Received(mail_from, rcpt_tos, content, "smtp"))
        await self.may_answer.wait()
        if self.silent_at == "dot":
            await asyncio.Event().wait()
        if self.closes_at == "dot":
            return False
        writer.write(f"{self.final_reply if rcpt_tos else '554 5.5.1 nobody'}\r\n".encode())
        return True


async def read_message(reader: asyncio.StreamReader) -> bytes:
    """What DATA carries, its dots undone."""
    wire = b"\r\n"
    while not wire.endswith(b"\r\n.\r\n"):
        wire += await reader.readuntil(b".\r\n")
    return wire[:-3].replace(b"\r\n.", b"\r\n")[2:]
