"""One SMTP connection to another server: TLS from the beginning of the mail, commands in groups, bodies in pieces.

Doors: `SmtpClient.connect`, then `send` any number of times, `quit`. RFC 5321, STARTTLS RFC 3207, pipelining RFC 2920,
SIZE RFC 1870, 8BITMIME RFC 6152, SMTPUTF8 RFC 6531. Mail is never sent without TLS.

Not aiosmtplib: it waits for a reply after each recipient, and takes a message as one string.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, cast

from chatmail.errors import ChatmailError
from chatmail.mail.address import Address
from chatmail.mail.envelope import SmtpReply
from chatmail.net.first_connection import first_connection
from chatmail.net.outbound_message import OutboundMessage
from chatmail.net.smtp_replies import MAX_REPLY_BYTES, SmtpReplyError, take_reply

GROUP_COMMANDS: Final = 100
"""Commands sent before their replies are read."""

CANNOT_BE_REACHED: Final = SmtpReply(451, "The other server cannot be reached", "4.4.1")
BROKEN_OFF: Final = SmtpReply(421, "The connection to the other server broke off", "4.4.2")
NOT_ANSWERED: Final = SmtpReply(421, "The other server did not answer in time", "4.4.2")
NOT_SMTP: Final = SmtpReply(421, "The other server does not speak SMTP", "4.5.0")
NO_TLS: Final = SmtpReply(451, "The other server offers no encryption (STARTTLS)", "4.7.4")
BAD_CERTIFICATE: Final = SmtpReply(451, "The certificate of the other server cannot be trusted", "4.7.5")
TOO_BIG_THERE: Final = SmtpReply(552, "The message is larger than the other server takes", "5.3.4")
NO_UTF8_THERE: Final = SmtpReply(553, "The other server does not take addresses like this", "5.6.7")


@dataclass(frozen=True, slots=True)
class SmtpPatience:
    """How long the other server may take, in seconds. RFC 5321 §4.5.3.2 would wait longer; chats do not."""

    connect: float = 15.0
    reply: float = 60.0
    final_reply: float = 300.0
    write: float = 120.0


class SmtpClientError(ChatmailError):
    """The connection cannot be used (any more)."""

    def __init__(self, reply: SmtpReply, *, is_in_doubt: bool = False) -> None:
        """`is_in_doubt`: the whole message was sent, and the server may have taken it."""
        super().__init__(reply.text)
        self.reply = reply
        self.is_in_doubt = is_in_doubt


class _Wire(asyncio.Protocol):
    """Bytes in and out, with deadlines; what the peer sends unasked is held back by not reading it."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.buffer = bytearray()
        self.is_lost = False
        self._arrived = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # those of uvloop are none by inheritance

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        self._arrived.set()
        if len(self.buffer) > MAX_REPLY_BYTES and self.transport is not None:
            self.transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = True
        self._arrived.set()
        self._writable.set()

    def eof_received(self) -> None:
        return None

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    async def reply(self, seconds: float) -> tuple[SmtpReply, list[str]]:
        """The next reply. Raises `SmtpClientError`."""
        # Most replies of a group are there with the first one, and need no deadline.
        found = self._take_reply()
        if found is None:
            try:
                async with asyncio.timeout(seconds):
                    while found is None:
                        await self._more()
                        found = self._take_reply()
            except TimeoutError:
                raise SmtpClientError(NOT_ANSWERED) from None
        return found

    def _take_reply(self) -> tuple[SmtpReply, list[str]] | None:
        try:
            return take_reply(self.buffer)
        except SmtpReplyError:
            raise SmtpClientError(NOT_SMTP) from None

    async def _more(self) -> None:
        if self.is_lost:
            raise SmtpClientError(BROKEN_OFF)
        self._arrived.clear()
        if self.transport is not None and not self.transport.is_reading():
            self.transport.resume_reading()
        await self._arrived.wait()

    async def write(self, wire: bytes, seconds: float) -> None:
        """Send, and wait until most of it is on its way. Raises `SmtpClientError`."""
        if self.is_lost or self.transport is None:
            raise SmtpClientError(BROKEN_OFF)
        self.transport.write(wire)
        if self._writable.is_set():
            return
        try:
            async with asyncio.timeout(seconds):
                await self._writable.wait()
        except TimeoutError:
            raise SmtpClientError(NOT_ANSWERED) from None


class SmtpClient:
    """A connection, ready to send."""

    def __init__(self, wire: _Wire, patience: SmtpPatience) -> None:
        """Use `connect`."""
        self._wire = wire
        self._patience = patience
        self._extensions: dict[str, str] = {}

    @classmethod
    async def connect(
        cls,
        addresses: Sequence[str],
        port: int,
        *,
        context: ssl.SSLContext,
        server_name: str | None,
        own_name: str,
        patience: SmtpPatience,
    ) -> "SmtpClient":
        """Connect to the first of a host's IP addresses that answers, and come as far as the second EHLO.

        `server_name` is who `context` expects; `own_name` what we call ourselves, as EHLO has it. Raises
        `SmtpClientError`.
        """
        left = list(addresses)
        while True:
            try:
                async with asyncio.timeout(patience.connect):
                    address, wire = await first_connection(_Wire, left, port)
            except (OSError, TimeoutError):
                raise SmtpClientError(CANNOT_BE_REACHED) from None
            client = cls(wire, patience)
            try:
                await client._begin(context, server_name, own_name)
            except BaseException as error:
                client.abort()
                left.remove(address)
                if not left or not isinstance(error, SmtpClientError):
                    raise
            else:
                return client

    async def _begin(self, context: ssl.SSLContext, server_name: str | None, own_name: str) -> None:
        greeting, _lines = await self._wire.reply(self._patience.reply)
        if greeting.code != 220:
            raise SmtpClientError(_temporary(greeting))
        await self._hello(own_name)
        if "STARTTLS" not in self._extensions:
            raise SmtpClientError(NO_TLS)
        if (await self._say("STARTTLS")).code != 220:
            raise SmtpClientError(NO_TLS)
        if self._wire.buffer:
            # RFC 3207 §6: what was said in clear must not be taken for a part of the encrypted conversation.
            raise SmtpClientError(NOT_SMTP)
        await self._start_tls(context, server_name)
        await self._hello(own_name)

    async def _hello(self, own_name: str) -> None:
        await self._wire.write(f"EHLO {own_name}\r\n".encode(), self._patience.write)
        reply, lines = await self._wire.reply(self._patience.reply)
        if reply.code != 250:
            raise SmtpClientError(_temporary(reply))
        words = [line.upper().partition(" ") for line in lines[1:]]
        self._extensions = {name: arguments for name, _, arguments in words}

    async def _start_tls(self, context: ssl.SSLContext, server_name: str | None) -> None:
        assert self._wire.transport is not None
        loop = asyncio.get_running_loop()
        try:
            transport = await loop.start_tls(
                self._wire.transport,
                self._wire,
                context,
                server_hostname=server_name,
                ssl_handshake_timeout=self._patience.reply,
            )
        except ssl.SSLCertVerificationError:
            raise SmtpClientError(BAD_CERTIFICATE) from None
        except (OSError, TimeoutError):
            raise SmtpClientError(SmtpReply(451, "The TLS handshake with the other server failed", "4.7.5")) from None
        assert transport is not None
        self._wire.transport = transport

    async def send(self, message: OutboundMessage, recipients: Sequence[Address]) -> dict[Address, SmtpReply]:
        """Send one message in one transaction; the reply for each recipient, 2xx if they have it.

        Raises `SmtpClientError` when the connection fails, and `StorageError` when the message cannot be read; the
        connection must not be used after either.
        """
        refusal = self._refusal(message, recipients)
        if refusal is not None:
            return dict.fromkeys(recipients, refusal)
        replies = await self._envelope(message, recipients)
        accepted = [address for address, reply in replies.items() if reply.code < 300]
        start, _lines = await self._wire.reply(self._patience.reply)
        if start.code != 354:
            return replies | dict.fromkeys(accepted, start if start.code >= 400 else NOT_SMTP)
        if not accepted:
            # RFC 2920 §3.1: it waits for a message to nobody.
            await self._wire.write(b".\r\n", self._patience.write)
            await self._wire.reply(self._patience.final_reply)
            return replies
        async for wire in dot_stuffed(message.pieces()):
            await self._wire.write(wire, self._patience.write)
        try:
            end, _lines = await self._wire.reply(self._patience.final_reply)
        except SmtpClientError as error:
            raise SmtpClientError(error.reply, is_in_doubt=True) from None
        return replies | dict.fromkeys(accepted, end if end.code != 354 else NOT_SMTP)

    def _refusal(self, message: OutboundMessage, recipients: Sequence[Address]) -> SmtpReply | None:
        """What is clear before a word is said."""
        limit = self._extensions.get("SIZE", "")
        if limit.isascii() and limit.isdigit() and 0 < int(limit[:18]) < message.size_bytes:
            return TOO_BIG_THERE
        is_ascii = message.is_ascii and all(str(address).isascii() for address in recipients)
        return None if is_ascii or "SMTPUTF8" in self._extensions else NO_UTF8_THERE

    async def _envelope(self, message: OutboundMessage, recipients: Sequence[Address]) -> dict[Address, SmtpReply]:
        """MAIL, RCPT and DATA, all but the reply to DATA."""
        commands = [self._mail_command(message, recipients), *(f"RCPT TO:<{_wire_form(to)}>" for to in recipients)]
        replies: list[SmtpReply] = []
        group = GROUP_COMMANDS if "PIPELINING" in self._extensions else 1
        for at in range(0, len(commands), group):
            lines = commands[at : at + group]
            await self._write_lines([*lines, "DATA"] if group > 1 and at + group >= len(commands) else lines)
            replies += [(await self._wire.reply(self._patience.reply))[0] for _ in lines]
            if replies[-1].code == 421:
                raise SmtpClientError(replies[-1])
            if group == 1 and replies[0].code >= 300:
                break
        if group == 1:
            await self._write_lines(["DATA"])
        mail_reply = replies[0]
        if mail_reply.code >= 300:
            return dict.fromkeys(recipients, mail_reply if mail_reply.code >= 400 else NOT_SMTP)
        return {
            to: reply if reply.code < 300 or reply.code >= 400 else NOT_SMTP
            for to, reply in zip(recipients, replies[1:], strict=True)
        }

    def _mail_command(self, message: OutboundMessage, recipients: Sequence[Address]) -> str:
        words = [f"MAIL FROM:<{'' if message.mail_from is None else _wire_form(message.mail_from)}>"]
        if "SIZE" in self._extensions:
            words.append(f"SIZE={message.size_bytes}")
        if "8BITMIME" in self._extensions:
            words.append("BODY=8BITMIME")
        if not (message.is_ascii and all(str(address).isascii() for address in recipients)):
            words.append("SMTPUTF8")
        return " ".join(words)

    async def _write_lines(self, lines: Sequence[str]) -> None:
        await self._wire.write("".join(f"{line}\r\n" for line in lines).encode(), self._patience.write)

    async def _say(self, line: str) -> SmtpReply:
        await self._write_lines([line])
        reply, _lines = await self._wire.reply(self._patience.reply)
        return reply

    @property
    def is_open(self) -> bool:
        """Whether the peer has neither closed nor said a word since the last reply (it could only be farewell)."""
        return not self._wire.is_lost and not self._wire.buffer

    def quit(self) -> None:
        """Take leave without waiting for an answer."""
        if self._wire.transport is not None:
            with suppress(RuntimeError):
                self._wire.transport.write(b"QUIT\r\n")
                self._wire.transport.close()

    def abort(self) -> None:
        """Drop the connection."""
        if self._wire.transport is not None:
            self._wire.transport.abort()


async def dot_stuffed(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """A message as DATA carries it, with the end of DATA behind the last piece. RFC 5321 §4.5.2."""
    ready = b""  # kept back, so that the end of DATA is no write of its own
    held = b""  # a line end, or half of one, whose next byte is not known yet
    is_first = True
    async for piece in pieces:
        work = held + piece
        if is_first and work.startswith(b"."):
            work = b"." + work
        is_first = is_first and not work
        held = b"\r\n" if work.endswith(b"\r\n") else work[-1:] if work.endswith(b"\r") else b""
        if ready:
            yield ready
        ready = work[: len(work) - len(held)].replace(b"\r\n.", b"\r\n..")
    yield ready + (b"\r\n" if held == b"\r\n" or is_first else held + b"\r\n") + b".\r\n"


def _wire_form(address: Address) -> str:
    """RFC 5321 §4.1.3 writes `IPv6:` so; the domain of an address is kept in lower case."""
    return str(address).replace("@[ipv6:", "@[IPv6:")


def _temporary(reply: SmtpReply) -> SmtpReply:
    """Who does not even greet us may do so later: nothing was said of the message."""
    return reply if 400 <= reply.code < 500 else SmtpReply(451, reply.text, "4.3.2")
