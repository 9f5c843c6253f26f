"""One IMAP connection: the core (`imap/connection`), the session (`imap_session`) and the stream (`imap_stream`).

It costs what its objects cost: there is no task and no timer while a client idles. A task exists from the first byte of
a command to its answer. Deadlines are looked at by one timer for all connections (`ImapConnections`).
"""

import asyncio
import ssl
from contextlib import suppress
from typing import Final, Protocol

from chatmail.imap import commands
from chatmail.imap.commands import TaggedCommand
from chatmail.imap.connection import Connection
from chatmail.imap.deflate import DeflateError
from chatmail.imap.events import (
    NEED_DATA,
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
from chatmail.imap.response_codes import CANNOT, COMPRESSIONACTIVE, SERVERBUG
from chatmail.imap.responses import Response, StatusResponse, bad, bye, no, ok
from chatmail.imap.states import State
from chatmail.log import new_connection_id
from chatmail.policy.peer_budget import peer_of
from chatmail.services.imap_session import ImapSession
from chatmail.services.imap_session_state import SessionContext, SessionEnd, log
from chatmail.services.imap_stream import FULL_BYTES, ImapStream

LOGIN_SECONDS: Final = 60.0
"""From the connection to a successful login."""
INACTIVE_SECONDS: Final = 30 * 60.0
"""Without a byte from a client that does not idle (RFC 9051 §5.4 asks for at least 30 minutes)."""
APPEND_SECONDS: Final = 120.0
"""Without `PROGRESS_BYTES` in the middle of a message."""
STUCK_SECONDS: Final = 60.0
"""In which a peer takes what fits in the buffers; a 2G phone needs about 10."""
KEEPALIVE_SECONDS: Final = 240.0
"""`* OK Still here` in IDLE: below the life of common NAT mappings, and of the client's own 5 minutes."""
MAX_BAD_COMMANDS: Final = 20
"""On one connection."""

_STILL_HERE: Final = b"* OK Still here\r\n"
_BROKEN_STREAM: Final = bye("The compressed stream is broken")


class ConnectionOwner(Protocol):
    """Who knows all connections."""

    def opened(self, connection: "ImapConnection", peer_host: str) -> StatusResponse | None:
        """Count it. What it is told if it may not begin."""

    def spawn(self, connection: "ImapConnection") -> "asyncio.Task[None] | None":
        """Run `connection.converse()`, unless all is ending."""

    def lost(self, connection: "ImapConnection") -> None:
        """It is gone."""


class ImapConnection(ImapStream):
    """One connection; its session's `Output`."""

    __slots__ = (
        "_bad_commands",
        "_closing_at",
        "_is_ending",
        "_is_known",
        "_may_compress",
        "_opened_at",
        "_owner",
        "_session",
        "_starttls_context",
        "_task",
        "_turn",
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
        super().__init__(Connection(Limits.after_login(context.config.mail.max_message_size)))
        self._owner = owner
        self._starttls_context = starttls_context
        self._may_compress = context.config.imap.imap_compress
        self.connection_id = new_connection_id()
        self._session = ImapSession(context, self, self.connection_id, is_encrypted=starttls_context is None)
        self._turn = self._session.state.turn
        self._task: asyncio.Task[None] | None = None
        self._is_ending: StatusResponse | None = None
        self._bad_commands = 0
        self._is_known = False
        self._opened_at = self._received_at
        self._closing_at = 0.0

    # --- the transport's side ---------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet, or say why not."""
        self.attach(transport)
        peer = transport.get_extra_info("peername")
        self._session.state.peer = peer[0] if isinstance(peer, tuple) else ""
        self._turn.belongs_to(peer_of(self._session.state.peer))
        refusal = self._owner.opened(self, self._session.state.peer)
        if refusal is not None:
            self._close(refusal)
            return
        self._session.greet()
        self.push()

    def data_received(self, data: bytes) -> None:
        """Begin to answer, or keep it for when the command in hand is answered."""
        if self._closing_at:
            return
        self._turn.read(len(data))
        try:
            self.take(data)
        except DeflateError:
            self.end(_BROKEN_STREAM)
            return
        if self._task is None:
            self._task = self._owner.spawn(self)
        elif not self._core.wants_data:
            self.pause_reading()

    def connection_lost(self, exc: BaseException | None) -> None:
        """End whatever is going on; also called for a connection that may not begin."""
        if self._task is not None:
            self._task.cancel()
        self.detach()
        self._session.end()
        self._owner.lost(self)

    # --- the session's side (`Output`) ------------------------------------------------------------------------------

    def send(self, response: Response) -> None:
        """Add a response; a tagged one ends the command in hand."""
        self.write(self._core.send(response))

    def end(self, response: StatusResponse) -> None:
        """Say BYE and close: now, or when the command in hand is answered."""
        if self._task is None:
            self._close(response)
        else:
            self._is_ending = response

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

    # --- the conversation -------------------------------------------------------------------------------------------

    async def converse(self) -> None:
        """Answer what has come, until more is needed. Never raises but `CancelledError`."""
        try:
            await self._turn.begin()
            await self._answer_all()
            if self._is_ending is not None:
                self._close(self._is_ending)
        except SessionEnd as end:
            self._close(end.response)
        except DeflateError:
            self._close(_BROKEN_STREAM)
        except Exception as error:
            log.bug(error, connection=self.connection_id)
            with suppress(Exception):
                self._close(bye("Internal error", SERVERBUG))
        finally:
            self._turn.end()
            self._task = None
            self._listen_again()

    async def _answer_all(self) -> None:
        while self._transport is not None and self._is_ending is None:
            if self._turn.is_over:
                self.push()
                await self._turn.next()
            event = self._core.next_event()
            if event is NEED_DATA and self.is_waiting:
                self.inflate()
                continue
            if isinstance(event, Wait):
                break
            await self._answer(event)
            if self._core.state is State.LOGOUT:
                self._finish_logout()
                return
            if self._output_bytes >= FULL_BYTES:
                await self.drain()
            if self._is_reading_paused and self._core.wants_data:
                self._listen_again()
        self.push()

    def _listen_again(self) -> None:
        if not self._closing_at and not self.is_waiting:
            self.resume_reading()

    def _finish_logout(self) -> None:
        self.push()
        self._closing_at = self._loop.time()
        if self._transport is not None:
            self._transport.close()

    async def _answer(self, event: Event) -> None:
        match event:
            case TaggedCommand(tag=tag, command=commands.StartTls()):
                await self._start_tls(tag)
            case TaggedCommand(tag=tag, command=commands.Compress(algorithm=algorithm)):
                self._compress(tag, algorithm)
            case TaggedCommand(tag=tag, command=command):
                await self._session.execute(tag, command)
                self._note_login()
                self._tell_core()
            case IdleDone(tag=tag):
                self._session.idle_done(tag)
            case AppendData(data=data):
                self._session.append_data(data)
            case AppendBegin(tag=tag, mailbox=mailbox, message=message):
                if await self._session.append_begin(tag, mailbox, message):
                    self.write(self._core.accept_literal())
            case AppendNext(message=message):
                if self._session.append_next(message):
                    self.write(self._core.accept_literal())
            case AppendEnd(tag=tag):
                await self._session.append_end(tag)
            case LiteralAnnounced():
                self.write(self._core.accept_literal())
            case AuthenticateResponse(data=answer):
                await self._session.authenticate(answer)
                self._note_login()
            case BadCommand():
                self._answer_bad(event)

    def _note_login(self) -> None:
        account = self._session.state.account
        if account is not None and not self._is_known:
            self._is_known = True
            self._turn.belongs_to(account.address)

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
        """STARTTLS: what the client sent in clear after it never becomes a command."""
        context = self._starttls_context
        if context is None or self._session.state.is_encrypted:
            self.send(bad(tag, "TLS is already on"))
            return
        self.send(ok(tag, "Begin TLS now"))
        await self.secure(context)
        self._session.state.is_encrypted = True

    def _compress(self, tag: str, algorithm: str) -> None:
        """COMPRESS. RFC 4978 §3."""
        if self._session.state.is_compressed:
            self.send(no(tag, "Compression is already on", COMPRESSIONACTIVE))
        elif not self._may_compress or algorithm != "DEFLATE":
            self.send(no(tag, "This compression is not offered", CANNOT))
        else:
            self.send(ok(tag, "Compression begins"))
            self.begin_compression()
            self._session.state.is_compressed = True

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
            if now - self._progress_at > APPEND_SECONDS and self._task is None:
                self.end(bye("The message does not come"))
        elif self._core.is_idling:
            if now - self._written_at > KEEPALIVE_SECONDS and self._task is None:
                self.write(_STILL_HERE)
                self.push()
        elif now - self._received_at > INACTIVE_SECONDS and self._task is None:
            self.end(bye("Nothing was said for too long"))
