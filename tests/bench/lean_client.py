"""The two conversations of a load test on bare protocols, so that the load generator is not what is measured.

`Sender` and `Watcher` take over connections that `tests.support.mail_client` has opened and logged in. What goes over
the wire is the same as with those: one pipelined envelope, then the message, each awaited; but no stream, task or line
is handled one by one. A message costs the generator a quarter of what it costs with streams.
"""

import asyncio
import re
from time import perf_counter
from typing import Final, cast

from tests.support.mail_client import ImapClient, SmtpClient, UnexpectedReplyError

_EXISTS: Final = re.compile(rb"\* (\d+) EXISTS\r\n")


class _TakenOver(asyncio.Protocol):
    """A connection that was a stream's."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer  # which would close the transport if it were let go
        self.transport = cast(asyncio.Transport, writer.transport)
        self._waiter: asyncio.Future[None] | None = None
        self.transport.set_protocol(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(ConnectionResetError("closed by the server"))

    def close(self) -> None:
        """Drop it."""
        self.transport.abort()


class Sender(_TakenOver):
    """Sends one message after another."""

    def __init__(self, smtp: SmtpClient) -> None:
        super().__init__(smtp.writer)
        self._received = b""
        self._codes: list[bytes] = []
        self.final_dot_at = 0.0
        """`perf_counter()` when the last message's final dot was written."""

    async def send(self, mail_from: str, rcpt_tos: list[str], message: bytes) -> None:
        """One transaction; `message` is already dot-stuffed. Raises `UnexpectedReplyError` for any other answer."""
        recipients = "".join(f"RCPT TO:<{address}>\r\n" for address in rcpt_tos)
        envelope = f"MAIL FROM:<{mail_from}> BODY=8BITMIME\r\n{recipients}DATA\r\n".encode()
        await self._say(envelope, [b"250"] * (1 + len(rcpt_tos)) + [b"354"])
        self.final_dot_at = perf_counter()
        await self._say(message + b".\r\n", [b"250"])

    async def _say(self, text: bytes, codes: list[bytes]) -> None:
        self._codes, self._received = codes, b""
        self._waiter = asyncio.get_running_loop().create_future()
        self.transport.write(text)
        await self._waiter

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._waiter is None or self._waiter.done() or self._received.count(b"\n") < len(self._codes):
            return
        lines = self._received.splitlines()
        if [line[:3] for line in lines] == self._codes:
            self._waiter.set_result(None)
        else:
            self._waiter.set_exception(UnexpectedReplyError(self._received.decode()))


class Watcher(_TakenOver):
    """Waits in IDLE until there are so many messages."""

    def __init__(self, imap: ImapClient, expected: int) -> None:
        """`imap` idles."""
        self._expected = expected
        self._partial = b""
        super().__init__(imap.writer)
        self._waiter = asyncio.get_running_loop().create_future()

    async def wait(self) -> None:
        """Until the last of them has been told."""
        assert self._waiter is not None
        await self._waiter
        self.close()

    def data_received(self, data: bytes) -> None:
        data = self._partial + data
        end = data.rfind(b"\n") + 1
        self._partial = data[end:]
        found = _EXISTS.findall(data, 0, end)
        if found and int(found[-1]) >= self._expected and self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
