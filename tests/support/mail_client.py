"""Minimal SMTP and IMAP clients that say exactly what the real client says, and nothing a library would add.

For load and for crash tests: they count, keep time, and fail loudly on an unexpected answer.
"""

import asyncio
import base64
import re
import ssl
from dataclasses import dataclass
from itertools import pairwise
from time import perf_counter
from typing import Self


class UnexpectedReplyError(Exception):
    """The server answered something else."""


def accept_any_certificate() -> ssl.SSLContext:
    """A client context for self-signed relays."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _local(source: str) -> tuple[str, int] | None:
    return (source, 0) if source else None


@dataclass(slots=True)
class SmtpClient:
    """One submission session."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    final_dot_at: float = 0.0
    """`perf_counter()` when the last message's final dot was written."""

    @classmethod
    async def connect(cls, host: str, port: int, context: ssl.SSLContext | None, source: str = "") -> Self:
        """Connect (from the IP address `source`), read the greeting, EHLO."""
        client = cls(*await asyncio.open_connection(host, port, ssl=context, local_addr=_local(source)))
        try:
            await client.expect("220")
            await client.command("EHLO [127.0.0.1]", "250")
        except BaseException:
            client.close()
            raise
        return client

    async def reply(self) -> str:
        """The next reply, all of its lines."""
        lines = []
        while True:
            line = (await self.reader.readline()).decode()
            if not line:
                raise ConnectionResetError("closed by the server")
            lines.append(line)
            if line[3:4] != "-":
                return "".join(lines)

    async def expect(self, code: str) -> str:
        """The next reply, which must begin with `code`."""
        reply = await self.reply()
        if not reply.startswith(code):
            raise UnexpectedReplyError(reply)
        return reply

    async def command(self, line: str, code: str) -> str:
        """Send one line, expect one reply."""
        self.writer.write(line.encode() + b"\r\n")
        return await self.expect(code)

    async def login(self, address: str, password: str) -> None:
        """AUTH PLAIN with initial response."""
        token = base64.b64encode(f"\0{address}\0{password}".encode()).decode()
        await self.command(f"AUTH PLAIN {token}", "235")

    async def send(self, mail_from: str, rcpt_tos: list[str], message: bytes) -> str:
        """One pipelined transaction; `message` is already dot-stuffed. Returns the reply to the final dot."""
        recipients = "".join(f"RCPT TO:<{address}>\r\n" for address in rcpt_tos)
        self.writer.write(f"MAIL FROM:<{mail_from}> BODY=8BITMIME\r\n{recipients}DATA\r\n".encode())
        for code in ("250", *("250" for _ in rcpt_tos), "354"):
            await self.expect(code)
        self.writer.write(message + b".\r\n")
        self.final_dot_at = perf_counter()
        return await self.expect("250")

    def close(self) -> None:
        """Drop the connection."""
        self.writer.transport.abort()


@dataclass(slots=True)
class ImapClient:
    """One IMAP session, one command at a time."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    tag: int = 0

    @classmethod
    async def connect(cls, host: str, port: int, context: ssl.SSLContext | None, source: str = "") -> Self:
        """Connect (from the IP address `source`) and read the greeting."""
        local_addr = _local(source)
        client = cls(*await asyncio.open_connection(host, port, ssl=context, limit=1 << 20, local_addr=local_addr))
        try:
            await client.line()
        except BaseException:
            client.close()
            raise
        return client

    async def line(self) -> bytes:
        """One line."""
        line = await self.reader.readline()
        if not line:
            raise ConnectionResetError("closed by the server")
        return line

    async def command(self, text: str) -> list[bytes]:
        """Send a command and return its untagged lines, each followed by its literals; NO and BAD raise."""
        self.tag += 1
        tag = f"A{self.tag:04}".encode()
        self.writer.write(tag + b" " + text.encode() + b"\r\n")
        parts: list[bytes] = []
        while True:
            line = await self.line()
            if line.startswith(tag + b" "):
                if not line.startswith(tag + b" OK"):
                    raise UnexpectedReplyError(line.decode())
                return parts
            parts.append(line)
            while literal := re.search(rb"\{(\d+)\}\r\n$", line):
                parts.append(await self.reader.readexactly(int(literal[1])))
                line = await self.line()
                parts.append(line)

    async def literals(self, text: str) -> list[bytes]:
        """The literals of what a command returns, whatever else the server has to say meanwhile."""
        parts = await self.command(text)
        return [after for before, after in pairwise(parts) if re.search(rb"\{\d+\}\r\n$", before)]

    async def login(self, address: str, password: str) -> None:
        """LOGIN with quoted strings."""
        await self.command(f'LOGIN "{address}" "{password}"')

    async def idle(self) -> None:
        """Begin IDLE."""
        self.tag += 1
        self.writer.write(f"A{self.tag:04} IDLE\r\n".encode())
        while not (await self.line()).startswith(b"+"):
            pass

    async def wait_exists(self) -> tuple[int, float]:
        """In IDLE: the number of the next EXISTS, and `perf_counter()` when it came."""
        while True:
            line = await self.line()
            at = perf_counter()
            if found := re.match(rb"\* (\d+) EXISTS", line):
                return int(found[1]), at

    async def done(self) -> None:
        """End IDLE."""
        tag = f"A{self.tag:04} ".encode()
        self.writer.write(b"DONE\r\n")
        while not (await self.line()).startswith(tag):
            pass

    def close(self) -> None:
        """Drop the connection, as the real client does."""
        self.writer.transport.abort()
