"""One IMAP connection: bytes between a transport, the core (`imap/connection`) and the session (`imap_session`).

It costs what its objects cost: there is no task and no timer while a client idles. A task exists from the first byte of
a command to its answer; answers leave in one write per turn. While a command is executed reading goes on only until
`wants_data` is false, and a peer that does not take what it asked for stops the session, not the server. Deadlines are
looked at by one timer for all connections (`ImapConnections`).
"""

import asyncio
import socket
import ssl
from contextlib import suppress
from typing import Final, Protocol, cast

from chatmail.imap import commands
from chatmail.imap.commands import TaggedCommand
from chatmail.imap.connection import Connection
from chatmail.imap.events import (
    AppendBegin,
    AppendData,
    AppendEnd,
    AppendNext,
    AuthenticateResponse,
    BadCommand,
    Event,
    IdleDone,
    LiteralAnnounced,
    Wait,
)
from chatmail.imap.fragments import Limits
from chatmail.imap.response_codes import SERVERBUG
from chatmail.imap.responses import Response, StatusResponse, bad, bye, ok
from chatmail.imap.states import State
from chatmail.log import new_connection_id
from chatmail.services.imap_session import ImapSession
from chatmail.services.imap_session_state import SessionContext, SessionEnd, log

LOGIN_SECONDS: Final = 60.0
"""From the connection to a successful login."""
INACTIVE_SECONDS: Final = 30 * 60.0
"""Without a byte from a client that does not idle (RFC 9051 §5.4 asks for at least 30 minutes)."""
APPEND_SECONDS: Final = 120.0
"""Without a byte in the middle of a message."""
STUCK_SECONDS: Final = 60.0
"""In which a peer takes what fits in the buffers; a 2G phone needs about 10."""
KEEPALIVE_SECONDS: Final = 240.0
"""`* OK Still here` in IDLE: below the life of common NAT mappings, and of the client's own 5 minutes."""
MAX_BAD_COMMANDS: Final = 20
"""On one connection."""
MAX_UNSENT_PUSH_BYTES: Final = 1 << 20
"""What may wait for a client that idles and does not read."""

_FULL_BYTES: Final = 128 * 1024
"""What a session collects before it waits for the peer; also what the transport holds before it says so."""
_EVENTS_PER_TURN: Final = 64
"""Commands of one client in a row before the others have their turn."""
_HANDSHAKE_SECONDS: Final = 15.0
_SHUTDOWN_SECONDS: Final = 5.0
_TCP_USER_TIMEOUT: Final = getattr(socket, "TCP_USER_TIMEOUT", 18)
_TCP_USER_TIMEOUT_MS: Final = 180_000
"""A peer that acknowledges nothing for so long is gone (RFC 5482)."""
_STILL_HERE: Final = b"* OK Still here\r\n"


class ConnectionOwner(Protocol):
    """Who knows all connections."""

    def opened(self, connection: "ImapConnection", peer_host: str) -> StatusResponse | None:
        """Count it. What it is told if it may not begin."""

    def spawn(self, connection: "ImapConnection") -> "asyncio.Task[None] | None":
        """Run `connection.converse()`, unless all is ending."""

    def lost(self, connection: "ImapConnection") -> None:
        """It is gone."""


class ImapConnection(asyncio.Protocol):
    """One connection; its session's `Output`."""

    __slots__ = (
        "_bad_commands",
        "_closing_at",
        "_core",
        "_drained",
        "_is_ending",
        "_is_reading_paused",
        "_loop",
        "_opened_at",
        "_output",
        "_output_bytes",
        "_owner",
        "_received_at",
        "_session",
        "_starttls_context",
        "_stuck_since",
        "_task",
        "_transport",
        "_written_at",
        "connection_id",
    )

    def __init__(
        self,
        context: SessionContext,
        owner: ConnectionOwner,
        *,
        starttls_context: ssl.SSLContext | None,
    ) -> None:
        """`starttls_context` is for a connection that begins in clear; None says that TLS is on already."""
        self._loop = asyncio.get_running_loop()
        self._owner = owner
        self._starttls_context = starttls_context
        self.connection_id = new_connection_id()
        self._core = Connection(Limits.after_login(context.config.mail.max_message_size))
        self._session = ImapSession(context, self, self.connection_id, is_encrypted=starttls_context is None)
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self._output: list[bytes] = []
        self._output_bytes = 0
        self._drained: asyncio.Future[None] | None = None
        self._is_reading_paused = False
        self._is_ending: StatusResponse | None = None
        self._bad_commands = 0
        self._opened_at = self._received_at = self._written_at = self._loop.time()
        self._stuck_since = 0.0
        self._closing_at = 0.0

    # --- the transport's side ---------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet, or say why not."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=_FULL_BYTES)
        self._set_user_timeout()
        peer = transport.get_extra_info("peername")
        self._session.state.peer = peer[0] if isinstance(peer, tuple) else ""
        refusal = self._owner.opened(self, self._session.state.peer)
        if refusal is not None:
            self._close(refusal)
            return
        self._session.greet()
        self.push()

    def _set_user_timeout(self) -> None:
        assert self._transport is not None
        sock = self._transport.get_extra_info("socket")
        if sock is not None and sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, _TCP_USER_TIMEOUT, _TCP_USER_TIMEOUT_MS)

    def data_received(self, data: bytes) -> None:
        """Begin to answer, or keep it for when the command in hand is answered."""
        self._received_at = self._loop.time()
        if self._closing_at:
            return
        self._core.receive_data(data)
        if self._task is None:
            self._task = self._owner.spawn(self)
        elif not self._is_reading_paused and not self._core.wants_data and self._transport is not None:
            self._is_reading_paused = True
            self._transport.pause_reading()

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

    def connection_lost(self, exc: BaseException | None) -> None:
        """End whatever is going on; also called for a connection that may not begin."""
        self._transport = None
        if self._task is not None:
            self._task.cancel()
        if self._drained is not None:
            self._drained.cancel()
        self._session.end()
        self._owner.lost(self)

    # --- the session's side (`Output`) ------------------------------------------------------------------------------

    @property
    def is_full(self) -> bool:
        """Whether the session should `drain`."""
        return self._output_bytes >= _FULL_BYTES or self._drained is not None

    def send(self, response: Response) -> None:
        """Add a response; a tagged one ends the command in hand."""
        self.write(self._core.send(response))

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
        self._transport.write(output[0] if len(output) == 1 else b"".join(output))
        if self._drained is not None and self.unsent_bytes > MAX_UNSENT_PUSH_BYTES:
            self._transport.abort()

    def end(self, response: StatusResponse) -> None:
        """Say BYE and close: now, or when the command in hand is answered."""
        if self._task is None:
            self._close(response)
        else:
            self._is_ending = response

    def abort(self) -> None:
        """Cut the connection off."""
        if self._transport is not None:
            self._transport.abort()

    def _close(self, response: StatusResponse | None) -> None:
        """Say `response` and close; without one the stream is broken in the middle, and is cut."""
        if self._transport is None or self._closing_at:
            return
        self._closing_at = self._loop.time()
        if response is None:
            self._output = []
            self._transport.abort()
            return
        self.send(response)
        self.push()
        if self._transport is not None:
            self._transport.close()

    @property
    def is_stuck(self) -> bool:
        """Whether the peer does not take what was written."""
        return self._drained is not None

    @property
    def unsent_bytes(self) -> int:
        """What waits in memory for the peer."""
        waiting = 0 if self._transport is None else self._transport.get_write_buffer_size()
        return waiting + self._output_bytes

    # --- the conversation -------------------------------------------------------------------------------------------

    async def converse(self) -> None:
        """Answer what has come, until more is needed. Never raises but `CancelledError`."""
        try:
            await self._answer_all()
            if self._is_ending is not None:
                self._close(self._is_ending)
        except SessionEnd as end:
            self._close(end.response)
        except Exception as error:
            log.bug(error, connection=self.connection_id)
            with suppress(Exception):
                self._close(bye("Internal error", SERVERBUG))
        finally:
            self._task = None
            self._resume_reading()

    async def _answer_all(self) -> None:
        answered = 0
        while self._transport is not None and self._is_ending is None:
            event = self._core.next_event()
            if isinstance(event, Wait):
                break
            await self._answer(event)
            if self._core.state is State.LOGOUT:
                self._finish_logout()
                return
            if self._output_bytes >= _FULL_BYTES:
                await self.drain()
            answered += 1
            if answered % _EVENTS_PER_TURN == 0:
                self.push()
                await asyncio.sleep(0)
            if self._is_reading_paused and self._core.wants_data:
                self._resume_reading()
        self.push()

    def _resume_reading(self) -> None:
        if self._is_reading_paused and self._transport is not None and not self._closing_at:
            self._is_reading_paused = False
            self._transport.resume_reading()

    def _finish_logout(self) -> None:
        self.push()
        self._closing_at = self._loop.time()
        if self._transport is not None:
            self._transport.close()

    async def _answer(self, event: Event) -> None:
        match event:
            case TaggedCommand(tag=tag, command=commands.StartTls()):
                await self._start_tls(tag)
            case TaggedCommand(tag=tag, command=command):
                await self._session.execute(tag, command)
                self._tell_core()
            case IdleDone(tag=tag):
                self._session.idle_done(tag)
            case AppendData(data=data):
                self._session.append_data(data)
            case AppendBegin(tag=tag, mailbox=mailbox, message=message):
                if await self._session.append_begin(tag, mailbox, message):
                    self.write(self._core.accept_literal())
            case AppendNext():
                self._session.append_next()
            case AppendEnd(tag=tag):
                await self._session.append_end(tag)
            case LiteralAnnounced():
                self.write(self._core.accept_literal())
            case AuthenticateResponse(data=answer):
                await self._session.authenticate(answer)
            case BadCommand():
                self._answer_bad(event)

    def _tell_core(self) -> None:
        """A session may lose its mailbox without a command that says so (DELETE of the selected one)."""
        if self._core.state is State.SELECTED and self._session.state.selected is None:
            self._core.deselect()

    def _answer_bad(self, event: BadCommand) -> None:
        self._session.discard_append()
        self._session.state.set_idling(False)
        if event.is_fatal:
            raise SessionEnd(event.response)
        self.send(event.response)
        self._bad_commands += 1
        if self._bad_commands >= MAX_BAD_COMMANDS:
            raise SessionEnd(bye("Too many errors"))

    async def _start_tls(self, tag: str) -> None:
        """STARTTLS: what the client sent in clear after it never becomes a command.

        `start_tls` takes the transport's bytes from us before it first waits: what `data_received` gets from there on
        is decrypted already, and may come before the handshake's task is told of its end.
        """
        context = self._starttls_context
        if context is None or self._session.state.is_encrypted:
            self.send(bad(tag, "TLS is already on"))
            return
        self.send(ok(tag, "Begin TLS now"))
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
        self._transport = secured
        self._transport.set_write_buffer_limits(high=_FULL_BYTES)
        self._is_reading_paused = False
        self._session.state.is_encrypted = True

    # --- deadlines --------------------------------------------------------------------------------------------------

    def check_deadlines(self, now: float) -> None:
        """Called every few seconds for all connections."""
        if self._closing_at:
            if now - self._closing_at > STUCK_SECONDS:
                self.abort()
        elif self._stuck_since and now - self._stuck_since > STUCK_SECONDS:
            log.info("slow_reader_cut_off", connection=self.connection_id)
            self.abort()
        elif self._core.state is State.NOT_AUTHENTICATED:
            if now - self._opened_at > LOGIN_SECONDS:
                self.end(bye("Nobody logged in for too long"))
        elif self._session.is_appending:
            if now - self._received_at > APPEND_SECONDS and self._task is None:
                self.end(bye("The message does not come"))
        elif self._core.is_idling:
            if now - self._written_at > KEEPALIVE_SECONDS and self._task is None:
                self.write(_STILL_HERE)
                self.push()
        elif now - self._received_at > INACTIVE_SECONDS and self._task is None:
            self.end(bye("Nothing was said for too long"))
