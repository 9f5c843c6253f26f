"""The bytes of one IMAP connection: buffers, flow control, TLS and compression, between a transport and what is said.

Answers leave in one write per turn. A peer that does not take what it asked for stops its session (`drain`), not the
server; reading pauses while enough waits. `imap_connection` is what speaks over this.
"""

import asyncio
import socket
import ssl
from typing import Final, cast

from chatmail.imap.connection import Connection
from chatmail.imap.deflate import Deflate
from chatmail.services.imap_session_state import SessionEnd

MAX_UNSENT_PUSH_BYTES: Final = 1 << 20
"""What may wait for a client that idles and does not read."""
FULL_BYTES: Final = 64 * 1024
"""What a session collects before it waits for the peer; also what the transport holds before it says so."""
PROGRESS_BYTES: Final = 1024
"""A peer that sends less has not gone on: a byte now and then keeps nothing alive."""

_HANDSHAKE_SECONDS: Final = 15.0
_SHUTDOWN_SECONDS: Final = 5.0
_TCP_USER_TIMEOUT: Final = getattr(socket, "TCP_USER_TIMEOUT", 18)
_TCP_NOTSENT_LOWAT: Final = getattr(socket, "TCP_NOTSENT_LOWAT", 25)
_NOT_SENT_BYTES: Final = 256 * 1024
"""What the kernel keeps of one stream beyond what is on its way: with its own limit a closed window costs megabytes."""
_TCP_USER_TIMEOUT_MS: Final = 180_000
"""A peer that acknowledges nothing for so long is gone (RFC 5482)."""


class ImapStream(asyncio.Protocol):
    """One stream, both ways."""

    __slots__ = (
        "_core",
        "_deflate",
        "_drained",
        "_is_reading_paused",
        "_loop",
        "_output",
        "_output_bytes",
        "_progress_at",
        "_progress_bytes",
        "_read_buffer_bytes",
        "_received_at",
        "_stuck_since",
        "_transport",
        "_written_at",
    )

    def __init__(self, core: Connection) -> None:
        """What comes goes to `core`."""
        self._loop = asyncio.get_running_loop()
        self._core = core
        self._transport: asyncio.Transport | None = None
        self._deflate: Deflate | None = None
        self._output: list[bytes] = []
        self._output_bytes = 0
        self._drained: asyncio.Future[None] | None = None
        self._is_reading_paused = False
        self._received_at = self._progress_at = self._written_at = self._loop.time()
        self._progress_bytes = self._read_buffer_bytes = 0
        self._stuck_since = 0.0

    def attach(self, transport: asyncio.BaseTransport) -> None:
        """Speak over `transport`, which has just been connected."""
        self._use(cast(asyncio.Transport, transport))
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, _TCP_USER_TIMEOUT, _TCP_USER_TIMEOUT_MS)
            sock.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, _NOT_SENT_BYTES)

    def _use(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        transport.set_write_buffer_limits(high=FULL_BYTES)

    def detach(self) -> None:
        """The transport is gone."""
        self._transport = None
        if self._drained is not None:
            self._drained.cancel()

    # --- in ---------------------------------------------------------------------------------------------------------

    def take(self, data: bytes) -> None:
        """Hand what came to the core. Raises `DeflateError`."""
        self._received_at = self._loop.time()
        self._progress_bytes += len(data)
        self._read_buffer_bytes = max(self._read_buffer_bytes, len(data))
        if self._progress_bytes >= PROGRESS_BYTES:
            self._progress_at, self._progress_bytes = self._received_at, 0
        if self._deflate is None:
            self._core.receive_data(data)
        else:
            self._deflate.receive(data)
            while self.is_waiting and self._core.wants_data:
                self.inflate()

    def inflate(self) -> None:
        """Hand on one more piece of what is compressed. Raises `DeflateError`."""
        if self._deflate is not None:
            self._core.receive_data(self._deflate.read())

    @property
    def is_waiting(self) -> bool:
        """Whether compressed input has not been handed on yet."""
        return self._deflate is not None and self._deflate.is_waiting

    def pause_reading(self) -> None:
        """Enough waits."""
        if not self._is_reading_paused and self._transport is not None:
            self._is_reading_paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """More may come."""
        if self._is_reading_paused and self._transport is not None:
            self._is_reading_paused = False
            self._transport.resume_reading()

    # --- out --------------------------------------------------------------------------------------------------------

    def pause_writing(self) -> None:
        """The peer is slower than we are."""
        self._stuck_since = self._loop.time()
        if self._drained is None:
            self._drained = self._loop.create_future()

    def resume_writing(self) -> None:
        """It has caught up."""
        self._stuck_since = 0.0
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)

    @property
    def is_full(self) -> bool:
        """Whether the session should `drain`."""
        return self._output_bytes >= FULL_BYTES or self._drained is not None

    def write(self, data: bytes) -> None:
        """Add bytes of a response."""
        self._output.append(data)
        self._output_bytes += len(data)

    async def drain(self) -> None:
        """Send what waits, and wait as long as the peer does not read."""
        self.push()
        if self._drained is not None:
            await asyncio.shield(self._drained)
        if self._transport is None:
            raise SessionEnd(None)

    def push(self) -> None:
        """Send what waits now."""
        if not self._output:
            return
        output, self._output, self._output_bytes = self._output, [], 0
        if self._transport is None:
            return
        self._written_at = self._loop.time()
        data = output[0] if len(output) == 1 else b"".join(output)
        self._transport.write(data if self._deflate is None else self._deflate.compress(data))
        if self._drained is not None and self.unsent_bytes > MAX_UNSENT_PUSH_BYTES:
            self._transport.abort()

    def abort(self) -> None:
        """Cut the connection off."""
        if self._transport is not None:
            self._transport.abort()

    @property
    def is_stuck(self) -> bool:
        """Whether the peer does not take what was written."""
        return self._drained is not None

    @property
    def unsent_bytes(self) -> int:
        """What waits in memory for the peer."""
        waiting = 0 if self._transport is None else self._transport.get_write_buffer_size()
        return waiting + self._output_bytes

    @property
    def held_bytes(self) -> int:
        """What is in memory for the peer: what it has not taken, and what it has not brought to an end."""
        unfinished_bytes = self._core.held_bytes
        # What TLS read into stays as large as the largest piece that came.
        is_unfinished = unfinished_bytes > 0 or self._core.is_appending
        return self.unsent_bytes + unfinished_bytes + (self._read_buffer_bytes if is_unfinished else 0)

    def stalled_seconds(self, now: float) -> float:
        """For how long nothing has gone on at `now`, the loop's time."""
        return now - (self._stuck_since or self._progress_at)

    # --- TLS and compression ----------------------------------------------------------------------------------------

    async def secure(self, context: ssl.SSLContext) -> None:
        """The handshake after STARTTLS. Raises `SessionEnd` if it fails.

        `start_tls` takes the transport's bytes from us before it first waits: what comes from there on is decrypted
        already, and may come before the handshake's task is told of its end.
        """
        await self.drain()
        transport = self._transport
        if transport is None:
            raise SessionEnd(None)
        self._core.tls_started()
        self._is_reading_paused = True  # nobody pauses the transport under the handshake
        try:
            secured = await self._loop.start_tls(
                transport,
                self,
                context,
                server_side=True,
                ssl_handshake_timeout=_HANDSHAKE_SECONDS,
                ssl_shutdown_timeout=_SHUTDOWN_SECONDS,
            )
        except OSError:
            raise SessionEnd(None) from None
        if secured is None or self._transport is None:
            raise SessionEnd(None)
        self._use(secured)
        self._is_reading_paused = False

    def begin_compression(self) -> None:
        """From here on both sides compress; what was written before goes as it is (RFC 4978 §3)."""
        self.push()
        self._deflate = Deflate()
