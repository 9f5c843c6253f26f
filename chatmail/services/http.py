"""The web face on its sockets: an aiohttp shell around the pure `chatmail.web.site`.

Doors: `HttpService.tls_protocol()` speaks HTTP on a connection whose TLS is done (the multiplexer's to hand over), and
`run(sockets, stop)` serves port 80. RFC 9112 framing, strict parsing and pipelining are aiohttp's. Nothing is
logged per request, and no log line names a peer. HTTP/2 is not spoken.

Limits, each on purpose: see the constants. A request's body is never read here, only by those `handlers` that are there
for it; aiohttp drains a short one and closes on a long one.
"""

import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random, SystemRandom
from typing import Final, cast

from aiohttp import web

from chatmail.config import Config
from chatmail.errors import StorageError
from chatmail.log import Log
from chatmail.open_connections import OpenConnections
from chatmail.policy.peer_budget import peer_of
from chatmail.services.web_folder import WebFolder
from chatmail.turns import Turns
from chatmail.web import pages
from chatmail.web.messages import Registration, SiteState, WebRequest, WebResponse
from chatmail.web.site import OWN_PAGE_POLICY, Redeem, Site, security_headers

MAX_LINE_BYTES: Final = 4096
"""The request line. Our longest address has under 200 bytes."""
MAX_FIELD_BYTES: Final = 4096
"""One header field. Browsers without cookies for us send under 1 KB."""
MAX_HEADERS: Final = 256
"""A browser sends some fifteen; `/mxdeliv` has one for each recipient."""
MAX_HEAD_BYTES: Final = 64 * 1024
"""Request line and fields together: what a connection may make us keep before anybody looks at it."""
IDLE_SECONDS: Final = 15.0
"""From one answer (or the connection's start) to the next complete request head: also the limit for slow senders."""
LINGER_SECONDS: Final = 2.0
"""How long a body nobody wants is drained before the connection is closed."""
MAX_CONNECTION_SECONDS: Final = 600.0
"""Age at which a connection is cut, whatever it does: the limit for slow readers of large own files."""
MAX_CONNECTIONS: Final = 1000
"""Over TLS and in the clear together, a fifth of them from one address; beyond, a new one is closed at once."""
CLOSE_SECONDS: Final = 3.0
_LEAST_COST_SECONDS: Final = 0.0003
"""Of the event loop's time for one request, what aiohttp does for it included."""
_SERVER: Final = (("Server", "chatmail"),)

RequestHandler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

_log = Log("http")
_aiohttp_log = logging.getLogger("chatmail.services.http.aiohttp")
_aiohttp_log.addHandler(logging.NullHandler())
_aiohttp_log.propagate = False  # its lines name peers; what matters is said by us


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """The times a test shortens; in seconds, and a count."""

    idle_seconds: float = IDLE_SECONDS
    linger_seconds: float = LINGER_SECONDS
    connection_seconds: float = MAX_CONNECTION_SECONDS
    connections: int = MAX_CONNECTIONS


class _Connection(web.RequestHandler):
    """aiohttp's connection, with an end to its life and an error answer that says nothing about us or the peer."""

    __slots__ = ("_end", "_head_bytes", "_is_admitted", "_register", "_seconds", "turn")

    def __init__(
        self, server: web.Server, loop: asyncio.AbstractEventLoop, limits: HttpLimits, register: "_Register"
    ) -> None:
        super().__init__(
            server,
            loop=loop,
            keepalive_timeout=limits.idle_seconds,
            access_log=None,  # type: ignore[arg-type]  # aiohttp's own way to say: none
            logger=_aiohttp_log,
            max_line_size=MAX_LINE_BYTES,
            max_field_size=MAX_FIELD_BYTES,
            max_headers=MAX_HEADERS,
            lingering_time=limits.linger_seconds,
            auto_decompress=False,
        )
        self._seconds = limits.connection_seconds
        self._end: asyncio.TimerHandle | None = None
        self._register = register
        self._is_admitted = False
        self._head_bytes = 0
        self.turn = register.turns.turn(None)
        """Its part in the event loop."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        peer = transport.get_extra_info("peername")
        host = str(peer[0]) if isinstance(peer, tuple) else ""
        self._is_admitted = self._register.add(self, host)
        if not self._is_admitted:
            cast(asyncio.Transport, transport).abort()
            return
        self.turn.belongs_to(peer_of(host))
        super().connection_made(transport)
        self._end = self._loop.call_later(self._seconds, self.abort)

    def data_received(self, data: bytes) -> None:
        if not self._is_admitted:
            return
        # Before its first request, and while it waits for another, all that comes is the head of one.
        is_head = self._awaits_request
        super().data_received(data)
        self._head_bytes = self._head_bytes + len(data) if is_head and self._awaits_request else 0
        if self._head_bytes > MAX_HEAD_BYTES:
            self.abort()

    @property
    def _awaits_request(self) -> bool:
        if self._waiter is None:
            return self._request_count == 0
        return not self._waiter.done()

    def end(self, goodbye: None, /) -> None:
        """HTTP knows no goodbye."""
        self.abort()

    def abort(self) -> None:
        """Cut the connection off."""
        transport = self.transport
        self.force_close()
        if transport is not None:
            transport.abort()  # a plain close would wait for the peer to read what is buffered

    def connection_lost(self, exc: BaseException | None) -> None:
        self._register.lost(self)
        if self._end is not None:
            self._end.cancel()
        if self._is_admitted:
            super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer a request that cannot be parsed, or that hit a bug of ours."""
        if request.writer.output_size > 0:
            raise ConnectionError("part of an answer is out already")
        response = web.Response(status=status, text=f"{status}\n", headers=dict(_SERVER))
        response.force_close()
        return response


class _Register(OpenConnections[_Connection, None]):
    """All HTTP connections of the process."""

    def __init__(self, max_connections: int, turns: Turns) -> None:
        super().__init__(max_connections, count_this_machine=False)
        self.turns = turns


class HttpService:
    """Serves the site. Make it inside the running loop."""

    def __init__(
        self,
        config: Config,
        *,
        certificate_is_trusted: Callable[[], bool],
        registration: Callable[[], Registration],
        key_authorization: Callable[[str], str | None] = lambda token: None,
        redeem: Redeem | None = None,
        handlers: Mapping[str, RequestHandler] | None = None,
        limits: HttpLimits | None = None,
        rng: Random | None = None,
        turns: Turns | None = None,
    ) -> None:
        """`key_authorization` answers ACME HTTP-01 tokens, `redeem` makes accounts for invitations.

        The other two are asked at every request. `handlers` answer by themselves, over TLS, at the paths they stand
        for, and read the bodies of their requests. `turns` are those of the process.
        """
        self._site = Site(config, rng or SystemRandom())
        self._folder = WebFolder(Path(config.web.folder)) if config.web.folder else None
        self._certificate_is_trusted = certificate_is_trusted
        self._registration = registration
        self._key_authorization = key_authorization
        self._redeem = redeem
        self._handlers = handlers or {}
        self._limits = limits or HttpLimits()
        self._register = _Register(self._limits.connections, turns or Turns())
        self._loop = asyncio.get_running_loop()
        self._templates: asyncio.Future[None] | None = None
        self._tls_server = web.Server(self._handle_tls)
        self._plain_server = web.Server(self._handle_plain)

    def tls_protocol(self) -> asyncio.Protocol:
        """A protocol for a connection on which HTTPS is spoken."""
        return self._protocol(self._tls_server)

    async def run(self, sockets: Sequence[socket.socket], stop: asyncio.Event) -> None:
        """Serve port 80 on the bound `sockets` (there may be none) until `stop`, then close every connection.

        Requests in work may end first; connections made by `tls_protocol` are closed with the others.
        """
        servers = [await self._loop.create_server(self._plain_protocol, sock=one) for one in sockets]
        try:
            await stop.wait()
        finally:
            for server in servers:
                server.close()
            for http in (self._tls_server, self._plain_server):
                http.pre_shutdown()  # ends the idle ones at once
            await asyncio.gather(self._tls_server.shutdown(CLOSE_SECONDS), self._plain_server.shutdown(CLOSE_SECONDS))

    def _plain_protocol(self) -> asyncio.Protocol:
        return self._protocol(self._plain_server)

    @property
    def connections(self) -> int:
        """How many are open now."""
        return len(self._register)

    def _protocol(self, server: web.Server) -> asyncio.Protocol:
        return _Connection(server, self._loop, self._limits, self._register)

    async def _handle_tls(self, request: web.BaseRequest) -> web.StreamResponse:
        async with _turn_of(request):
            return await self._respond(request)

    async def _respond(self, request: web.BaseRequest) -> web.StreamResponse:
        handler = self._handlers.get(request.path)
        if handler is not None:
            return await self._answer_by(handler, request)
        state, asked = SiteState(self._certificate_is_trusted(), self._registration()), _read(request)
        if self._redeem is not None and self._site.is_by_invitation(asked, state):
            return await self._answer_invited(asked, state, self._redeem)
        if self._site.shows_page(asked):
            await self._load_templates()
        return self._guarded(self._answer, request)

    async def _load_templates(self) -> None:
        """For the first page of all, in a thread; whoever asks meanwhile waits for the same."""
        if self._templates is None:
            self._templates = self._loop.run_in_executor(None, pages.load_templates)
        await asyncio.shield(self._templates)

    async def _answer_by(self, handler: RequestHandler, request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await handler(request)
        except Exception as error:
            _log.bug(error)
            return web.Response(status=500, text="500\n", headers=dict(_SERVER))

    async def _answer_invited(self, asked: WebRequest, state: SiteState, redeem: Redeem) -> web.StreamResponse:
        try:
            response = await self._site.new_account_by_invitation(asked, state, time.monotonic(), redeem)
        except StorageError as error:
            _log.error("store_failed", error=error)
            return web.Response(status=503, text="503\n", headers=dict(_SERVER))
        return _write(response, security_headers(state))

    async def _handle_plain(self, request: web.BaseRequest) -> web.StreamResponse:
        async with _turn_of(request):
            return self._guarded(self._answer_plain, request)

    def _guarded(
        self, answer: Callable[[web.BaseRequest], web.StreamResponse], request: web.BaseRequest
    ) -> web.StreamResponse:
        try:
            return answer(request)
        except Exception as error:
            _log.bug(error)
            return web.Response(status=500, text="500\n", headers=dict(_SERVER))

    def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        state = SiteState(self._certificate_is_trusted(), self._registration())
        asked = _read(request)
        if self._folder is not None and self._site.may_be_own_page(asked):
            own_file = self._folder.find(asked.path)
            if own_file is not None:
                return web.FileResponse(own_file, headers=dict(security_headers(state, OWN_PAGE_POLICY) + _SERVER))
        response = self._site.answer(asked, state, time.monotonic())
        return _write(response, security_headers(state))

    def _answer_plain(self, request: web.BaseRequest) -> web.StreamResponse:
        return _write(self._site.answer_plain(_read(request), self._key_authorization), ())


@asynccontextmanager
async def _turn_of(request: web.BaseRequest) -> AsyncIterator[None]:
    """The turn of the request's connection; a pipeline has one for each request."""
    connection = cast(_Connection, request.protocol)
    await connection.turn.next()
    try:
        yield
    finally:
        connection.turn.end(at_least=_LEAST_COST_SECONDS)


def _read(request: web.BaseRequest) -> WebRequest:
    return WebRequest(
        method=request.method,
        path=request.path,
        host=request.headers.get("Host", ""),
        query=request.query,
        accept_language=request.headers.get("Accept-Language", ""),
        peer=request.remote or "",
    )


def _write(response: WebResponse, more: tuple[tuple[str, str], ...]) -> web.Response:
    headers = (("Content-Type", response.content_type), *response.headers, *more, *_SERVER)
    return web.Response(status=response.status, body=response.body, headers=headers)
