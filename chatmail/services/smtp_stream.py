"""The bytes of one SMTP connection: buffered input with limits, replies joined into one write, deadlines, STARTTLS.

The protocol object hands in what its transport tells it (`connected`, `feed`, `feed_eof`, `lost`, `pause_writing`,
`resume_writing`); the conversation, which is one task, uses `read_line`, `read_chunk`, `push`, `flush`, `start_tls`
and `close`. RFC 5321 §2.3.8 (lines), §4.5.3 (limits); RFC 2920 (joined replies to a pipelined batch); RFC 3207 §5
(nothing sent in clear survives the handshake). It knows no command.

Replies wait in a list until the conversation has to wait for the peer, so a batch of commands is answered by one write.
Whatever ends the connection from outside (peer gone, deadline, shutdown) is raised out of the next wait, never out of
work in progress: a message that was read to its end is delivered even when its sender is gone.
"""

import asyncio
import ssl
from typing import Final

from chatmail.errors import ProtocolError
from chatmail.mail.envelope import SmtpReply
from chatmail.turns import Turn

MAX_LINE_BYTES: Final = 12 * 1024
"""No line is longer; RFC 4954 §4 asks for 12288 octets, and AUTH has the longest ones."""
_INPUT_HIGH_BYTES: Final = 256 * 1024
"""Reading pauses above this, until half of it is used."""
_MAX_WAITING_REPLIES: Final = 500
_HANDSHAKE_SECONDS: Final = 15.0
_LINGER_SECONDS: Final = 10.0
"""How long a closed connection may take to carry away its last bytes."""


class PeerGoneError(ProtocolError):
    """The peer closed the connection; there is nobody to answer."""


class ConnectionOverError(ProtocolError):
    """The connection has to end; `reply` is the last thing the peer is told."""

    def __init__(self, reply: SmtpReply) -> None:
        """Remember what to answer."""
        super().__init__(str(reply))
        self.reply: Final = reply


LINE_TOO_LONG: Final = SmtpReply(500, "Line too long", "5.5.6")
CROOKED_LINE: Final = SmtpReply(500, "Lines end with CR LF, and hold no other CR, LF or NUL", "5.5.2")
_TIMEOUT: Final = SmtpReply(421, "Too slow, closing the connection", "4.4.2")


class SmtpStream:
    """One connection's input and output; owned by exactly one conversation task."""

    __slots__ = (
        "_closing",
        "_deadline",
        "_eof",
        "_input",
        "_loop",
        "_over",
        "_position",
        "_protocol",
        "_reading_paused",
        "_replies",
        "_timer",
        "_transport",
        "_turn",
        "_waiter",
        "_writing_paused",
    )

    def __init__(self, protocol: asyncio.Protocol, loop: asyncio.AbstractEventLoop, turn: Turn) -> None:
        """`protocol` is the one that hands in the transport's calls; what comes in is worked on in its `turn`."""
        self._turn = turn
        self._protocol = protocol
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._input = b""
        self._position = 0
        self._replies: list[str] = []
        self._closing = self._eof = self._reading_paused = self._writing_paused = False
        self._over: ProtocolError | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None

    # --- what the transport tells -----------------------------------------------------------------------------------

    def connected(self, transport: asyncio.Transport) -> None:
        """There is a connection now."""
        self._transport = transport

    def feed(self, chunk: bytes) -> None:
        """Bytes came in."""
        self._turn.read(len(chunk))
        self._input = self._input[self._position :] + chunk if self._input else chunk
        self._position = 0
        self._pause_if_full()
        self._wake()

    def feed_eof(self) -> None:
        """No more bytes will come in."""
        self._eof = True
        self._wake()

    def lost(self) -> None:
        """The connection is gone in both directions."""
        self._transport = None
        self._over = PeerGoneError("connection lost")
        if self._timer is not None:
            self._timer.cancel()
        self._wake()

    def pause_writing(self) -> None:
        """The peer does not read what it was sent."""
        self._writing_paused = True

    def resume_writing(self) -> None:
        """The peer reads again."""
        self._writing_paused = False
        self._wake()

    # --- deadlines and the end --------------------------------------------------------------------------------------

    def expire_in(self, seconds: float) -> None:
        """End the connection if it still waits for the peer then; replaces the deadline before."""
        now = self._loop.time()
        self._deadline = now + seconds
        if self._timer is None or self._timer.when() > self._deadline:
            self._arm(self._deadline)

    def end(self, reply: SmtpReply) -> None:
        """Raise `ConnectionOverError(reply)` out of the next wait, or the present one."""
        if self._over is None:
            self._over = ConnectionOverError(reply)
        self._wake()

    def _arm(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._on_timer)

    def _on_timer(self) -> None:
        now = self._loop.time()
        if self._closing:
            self.abort()
        elif now < self._deadline:
            self._arm(self._deadline)
        elif self._waiter is None:
            self._arm(now + 1.0)  # the server is at work, not the peer too slow
        else:
            self.end(_TIMEOUT)

    def close(self, last_words: SmtpReply | None = None) -> None:
        """Send what waits and `last_words`, then close; a peer that does not take it is cut off."""
        if self._transport is None:
            return
        if last_words is not None:
            self._replies.append(str(last_words))
        self._write(self._transport)
        self._transport.close()
        self._arm(self._loop.time() + _LINGER_SECONDS)
        self._closing = True

    def abort(self) -> None:
        """Cut the connection off, whatever waits to be sent."""
        if self._transport is not None:
            self._transport.abort()

    # --- what the conversation uses ---------------------------------------------------------------------------------

    @property
    def has_input(self) -> bool:
        """Whether bytes are here that were not read."""
        return bool(self._input)

    def discard_input(self) -> None:
        """Throw away what was not read."""
        self._input, self._position = b"", 0

    async def read_line(self, limit_bytes: int = MAX_LINE_BYTES) -> bytes:
        """The next line without its CR LF.

        Raises `ConnectionOverError` for a line that is longer than `limit_bytes` or has a bare CR or LF or a NUL
        (framing cannot be trusted any more), or at a deadline; `PeerGoneError`.
        """
        while (end := self._input.find(b"\n", self._position)) < 0:
            if len(self._input) - self._position > limit_bytes:
                raise ConnectionOverError(LINE_TOO_LONG)
            await self._more_input()
        line = self._input[self._position : end + 1]
        self._consume(end + 1)
        if not line.endswith(b"\r\n") or line.count(b"\r") != 1 or b"\0" in line:
            raise ConnectionOverError(CROOKED_LINE)
        if len(line) > limit_bytes:
            raise ConnectionOverError(LINE_TOO_LONG)
        return line[:-2]

    async def read_chunk(self) -> bytes:
        """All bytes that are here, at least one. Raises `ConnectionOverError` at a deadline, `PeerGoneError`."""
        if not self._input:
            await self._more_input()
        chunk = self._input[self._position :] if self._position else self._input
        self._consume(len(self._input))
        return chunk

    def unread(self, rest: bytes) -> None:
        """Put bytes back in front of the input."""
        self._input, self._position = rest + self._input[self._position :], 0
        self._pause_if_full()

    def _pause_if_full(self) -> None:
        if len(self._input) > _INPUT_HIGH_BYTES and not self._reading_paused and self._transport is not None:
            self._reading_paused = True
            self._transport.pause_reading()

    def _consume(self, position: int) -> None:
        if position >= len(self._input):
            self._input, self._position = b"", 0
        else:
            self._position = position
        if self._reading_paused and len(self._input) - self._position <= _INPUT_HIGH_BYTES // 2:
            self._reading_paused = False
            if self._transport is not None:
                self._transport.resume_reading()

    async def push(self, reply: str) -> None:
        """Add one reply line. Characters that could not stand in a line are replaced."""
        if not (reply.isascii() and reply.isprintable()):
            reply = "".join(char if char.isascii() and char.isprintable() else "?" for char in reply)
        self._replies.append(reply)
        if len(self._replies) >= _MAX_WAITING_REPLIES:
            await self.flush()

    async def flush(self) -> None:
        """Send all waiting replies; wait while the peer does not read."""
        if self._transport is not None and self._replies:
            self._write(self._transport)
        while self._writing_paused:
            await self._wait()

    def _write(self, transport: asyncio.Transport) -> None:
        if self._replies:
            self._replies.append("")
            transport.write("\r\n".join(self._replies).encode("ascii"))
            self._replies = []

    async def start_tls(self, context: ssl.SSLContext) -> asyncio.Transport:
        """Flush, forget everything the peer sent in clear, and shake hands. Raises `PeerGoneError`.

        The transport gets its TLS protocol before the loop turns again, so no byte in clear can come after the
        forgetting. RFC 3207 §5.
        """
        await self.flush()
        if self._transport is None:
            raise PeerGoneError("connection lost before the handshake")
        self.discard_input()
        try:
            secured = await self._loop.start_tls(
                self._transport,
                self._protocol,
                context,
                server_side=True,
                ssl_handshake_timeout=_HANDSHAKE_SECONDS,
            )
        except OSError as error:
            raise PeerGoneError("the TLS handshake failed") from error
        if secured is None:
            raise PeerGoneError("connection lost in the handshake")
        self._transport = secured
        return secured

    # --- waiting ----------------------------------------------------------------------------------------------------

    async def _more_input(self) -> None:
        await self.flush()
        self._input, self._position = self._input[self._position :], 0
        before = len(self._input)
        self._turn.end()
        while len(self._input) == before:
            if self._eof:
                raise PeerGoneError("end of input")
            await self._wait()
        await self._turn.begin()

    async def _wait(self) -> None:
        """Until anything happens. Raises what ended the connection."""
        if self._over is None:
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        if self._over is not None:
            raise self._over

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
