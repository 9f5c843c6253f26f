"""Ports that begin with TLS: 443 for HTTPS, IMAP, submission and ACME challenges by ALPN, 993 and 465 for one of them.

Doors: `Multiplexer.run(sockets, stop)`, and the `Route`s it is given. It looks at each connection's ClientHello without
taking it out of the socket (`MSG_PEEK`), chooses who speaks, and hands the socket over for an ordinary handshake. The
choice comes before the handshake because afterwards is too late to refuse: CPython's ssl goes on without ALPN when no
offered protocol is known, which is what cross-protocol attacks live on (RFC 7301 §3.2 wants a fatal alert).

A connection that has not sent its hello costs a socket and a few hundred bytes, no task and no buffer: all wait under
one timer, and `SO_RCVLOWAT` lets the kernel wake us only when the rest has arrived. Handshakes take turns: a signature
costs as much as fifty commands, and a thousand at once would keep everybody waiting. One address may have a fifth of
what waits and of the handshakes; addresses are forgotten with their connections. The server name never chooses a
certificate but for a challenge (RFC 8737): a name we do not know gets the usual one.
"""

import asyncio
import errno
import re
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

from chatmail.log import Log
from chatmail.open_connections import PROXIES
from chatmail.policy.peer_budget import peer_of
from chatmail.tls_hello import (
    DECODE_ERROR,
    MAX_HELLO_BYTES,
    NO_APPLICATION_PROTOCOL,
    BadClientHello,
    ClientHello,
    NeedMore,
    NotTls,
    fatal_alert,
    read_client_hello,
)
from chatmail.turns import Turn, Turns

ALPN_HTTP: Final = "http/1.1"
"""Also what a client without ALPN gets. HTTP/2 is not offered."""
ALPN_IMAP: Final = "imap"
ALPN_SMTP: Final = "smtp"
ALPN_CHALLENGE: Final = "acme-tls/1"
ANY_ALPN: Final = "*"
"""Stands for all of them, and none, on a port that speaks one protocol."""

HELLO_SECONDS: Final = 15.0
"""From the accept to the last byte of the ClientHello."""
HANDSHAKE_SECONDS: Final = 15.0
"""From there to the end of the handshake."""
SHUTDOWN_SECONDS: Final = 5.0
MAX_WAITING: Final = 4096
"""Connections without a hello; beyond, the one that waits longest is dropped. An honest one waits one round trip."""
MAX_HANDSHAKES: Final = 1024
"""Handshakes under way; beyond, a connection is dropped at its hello."""
_SHARE_OF_ONE_PEER: Final = 5
_HANDSHAKE_COST_SECONDS: Final = 0.001
"""Of the event loop's time, in the rounds after a handshake was begun."""
_ACCEPTS_PER_WAKE_UP: Final = 64
_ACCEPT_PAUSE_SECONDS: Final = 1.0
_OUT_OF_RESOURCES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_HTTP_REQUEST: Final = re.compile(rb"(?:GET|HEAD|POST|PUT|DELETE|OPTIONS|PATCH|TRACE|CONNECT) ")

_log = Log("multiplexer")


@dataclass(frozen=True, slots=True)
class Route:
    """Who speaks a protocol, and the TLS context for it; both are asked at every connection.

    The context should offer this one protocol alone (`set_alpn_protocols`).
    """

    context: Callable[[], ssl.SSLContext]
    protocol: Callable[[], asyncio.BaseProtocol]


@dataclass(frozen=True, slots=True)
class MultiplexerLimits:
    """Seconds and counts, as the constants of this module say."""

    hello_seconds: float = HELLO_SECONDS
    handshake_seconds: float = HANDSHAKE_SECONDS
    waiting: int = MAX_WAITING
    handshakes: int = MAX_HANDSHAKES


@dataclass(slots=True)
class _Waiting:
    """A connection whose ClientHello is not complete."""

    deadline: float
    peer: bytes
    peeked_bytes: int = 0


class _Challenge(asyncio.Protocol):
    """The end of an ACME challenge: the handshake was all there is to it (RFC 8737 §3)."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


class Multiplexer:
    """Accepts, reads hellos and hands over."""

    def __init__(
        self,
        routes: Mapping[str, Route],
        *,
        https_url: str = "",
        challenge: Callable[[str], ssl.SSLContext | None] = lambda server_name: None,
        limits: MultiplexerLimits | None = None,
        turns: Turns | None = None,
    ) -> None:
        """`routes` are by ALPN name; one without a route is refused. `ANY_ALPN` is the route of a port that has one.

        `challenge` has the context for the server name of an ACME challenge under way, or None. `https_url` is told to
        those who speak plain HTTP to this port. `turns` are those of the process.
        """
        self._routes = routes
        self._turns = turns or Turns()
        self._waiting_by_peer: Counter[bytes] = Counter()
        self._handshaking_by_peer: Counter[bytes] = Counter()
        self._challenge = challenge
        self._limits = limits or MultiplexerLimits()
        self._plaintext_answer = _plaintext_answer(https_url) if https_url else b""
        self._waiting: dict[socket.socket, _Waiting] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._handshaking: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop
        self._tasks: asyncio.TaskGroup

    @property
    def waiting(self) -> int:
        """Connections whose hello has not arrived."""
        return len(self._waiting)

    @property
    def handshakes(self) -> int:
        """Handshakes under way."""
        return len(self._handshaking)

    async def run(self, sockets: Sequence[socket.socket], stop: asyncio.Event) -> None:
        """Serve the listening `sockets` until `stop`, then close them; handed-over connections live on."""
        self._loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as self._tasks:
            for listener in sockets:
                listener.setblocking(False)
                self._loop.add_reader(listener, self._accept, listener)
            try:
                await stop.wait()
            finally:
                for listener in sockets:
                    self._loop.remove_reader(listener)
                    listener.close()
                for connection in list(self._waiting):
                    self._drop(connection)
                for task in self._handshaking:
                    task.cancel()
                self._set_timer()

    # --- accepting and waiting ----------------------------------------------------------------------------------

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(_ACCEPTS_PER_WAKE_UP):
            try:
                connection, address = listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in _OUT_OF_RESOURCES:
                    self._pause_accepting(listener, error)
                    return
                continue  # the peer has given up meanwhile
            self._begin(connection, str(address[0]))

    def _pause_accepting(self, listener: socket.socket, error: OSError) -> None:
        _log.error("accepting_paused", reason=error.strerror, remedy="allow more open files for this process")
        self._loop.remove_reader(listener)
        self._loop.call_later(_ACCEPT_PAUSE_SECONDS, self._resume_accepting, listener)

    def _resume_accepting(self, listener: socket.socket) -> None:
        if listener.fileno() >= 0:
            self._loop.add_reader(listener, self._accept, listener)

    def _begin(self, connection: socket.socket, host: str) -> None:
        connection.setblocking(False)
        peer = b"" if host in PROXIES else peer_of(host)
        if peer and self._waiting_by_peer[peer] >= self._limits.waiting // _SHARE_OF_ONE_PEER:
            connection.close()
            return
        if len(self._waiting) >= self._limits.waiting:
            self._drop(next(iter(self._waiting)))
        self._waiting[connection] = _Waiting(self._loop.time() + self._limits.hello_seconds, peer)
        self._waiting_by_peer[peer] += 1
        self._loop.add_reader(connection, self._look, connection)
        if self._timer is None:
            self._set_timer()

    def _set_timer(self) -> None:
        """Wake up for the first deadline: they expire in the order of the connections."""
        if self._timer is not None:
            self._timer.cancel()
        first = next(iter(self._waiting.values()), None)
        self._timer = None if first is None else self._loop.call_at(first.deadline, self._expire)

    def _expire(self) -> None:
        now = self._loop.time()
        while self._waiting:
            connection, waiting = next(iter(self._waiting.items()))
            if waiting.deadline > now:
                break
            self._drop(connection)
        self._set_timer()

    def _release(self, connection: socket.socket) -> None:
        """Stop waiting for this connection; it is the caller's again."""
        self._loop.remove_reader(connection)
        _take_one(self._waiting_by_peer, self._waiting.pop(connection).peer)

    def _drop(self, connection: socket.socket) -> None:
        self._release(connection)
        connection.close()

    # --- reading the hello --------------------------------------------------------------------------------------

    def _look(self, connection: socket.socket) -> None:
        waiting = self._waiting[connection]
        try:
            data = connection.recv(MAX_HELLO_BYTES, socket.MSG_PEEK)
            if len(data) <= waiting.peeked_bytes:
                self._drop(connection)  # woken without anything new: the peer has said its last
                return
            hello = read_client_hello(data)
            if isinstance(hello, NeedMore):
                waiting.peeked_bytes = len(data)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, hello.at_least_bytes)
                return
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._drop(connection)
            return
        except NotTls:
            self._refuse(connection, self._plaintext_answer if _HTTP_REQUEST.match(data) else b"")
            return
        except BadClientHello:
            self._refuse(connection, fatal_alert(DECODE_ERROR))
            return
        self._choose(connection, hello)

    def _choose(self, connection: socket.socket, hello: ClientHello) -> None:
        route = self._route(hello)
        if route is None:
            self._refuse(connection, fatal_alert(NO_APPLICATION_PROTOCOL))
        elif not self._may_shake_hands(self._waiting[connection].peer):
            self._drop(connection)
        else:
            peer = self._waiting[connection].peer
            self._release(connection)
            self._handshaking_by_peer[peer] += 1
            task = self._tasks.create_task(self._hand_over(connection, route, peer))
            self._handshaking.add(task)
            task.add_done_callback(self._handshaking.discard)

    def _may_shake_hands(self, peer: bytes) -> bool:
        of_one_peer = max(1, self._limits.handshakes // _SHARE_OF_ONE_PEER)
        if peer and self._handshaking_by_peer[peer] >= of_one_peer:
            return False
        return len(self._handshaking) < self._limits.handshakes

    def _route(self, hello: ClientHello) -> Route | None:
        if hello.alpn == (ALPN_CHALLENGE,):
            context = self._challenge(hello.server_name or "")
            return None if context is None else Route(lambda: context, _Challenge)
        if ANY_ALPN in self._routes:
            return self._routes[ANY_ALPN]
        for name in hello.alpn or (ALPN_HTTP,):
            if name in self._routes:
                return self._routes[name]
        return None

    def _refuse(self, connection: socket.socket, last_words: bytes) -> None:
        """Say `last_words` and close; what was sent is read first, or the kernel would take our words back."""
        self._release(connection)
        with connection:
            try:
                connection.recv(MAX_HELLO_BYTES)
                if last_words:
                    connection.send(last_words)
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # gone already

    async def _hand_over(self, connection: socket.socket, route: Route, peer: bytes) -> None:
        turn = self._turns.turn(peer)
        try:
            await self._wait_for(turn, connection)
            await self._loop.connect_accepted_socket(
                cast(Callable[[], asyncio.Protocol], route.protocol),
                connection,
                ssl=route.context(),
                ssl_handshake_timeout=self._limits.handshake_seconds,
                ssl_shutdown_timeout=SHUTDOWN_SECONDS,
            )
        except (OSError, EOFError) as error:  # ssl.SSLError and TimeoutError are OSErrors
            _log.debug("handshake_failed", error=error)
        except Exception as error:
            _log.bug(error)
        finally:
            _take_one(self._handshaking_by_peer, peer)

    async def _wait_for(self, turn: Turn, connection: socket.socket) -> None:
        try:
            await turn.begin()
        except asyncio.CancelledError:
            connection.close()
            raise
        turn.end(at_least=_HANDSHAKE_COST_SECONDS)


def _take_one(counts: Counter[bytes], peer: bytes) -> None:
    counts[peer] -= 1
    if not counts[peer]:
        del counts[peer]


def _plaintext_answer(https_url: str) -> bytes:
    text = f"This port speaks HTTPS: {https_url}\n"
    head = (
        "HTTP/1.1 400 Bad Request",
        "Content-Type: text/plain; charset=utf-8",
        f"Content-Length: {len(text.encode())}",
        "Connection: close",
    )
    return "\r\n".join((*head, "", text)).encode()
