"""`POST /mxdeliv`: mail over HTTPS to servers that take it there, in one round trip over a connection that stays open.

Door: `MxdelivClient.post`. It says whether the server took the message; the reasons for anything else are found out
over SMTP, which names them for each recipient. Hosts without the door are remembered once SMTP has worked for them, and
so are hosts that say in an answer how many recipients they take at once (`X-MAIL-TO-LIMIT`, in lists with commas).
"""

import asyncio
import socket
import ssl
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from enum import Enum
from typing import Final, TypeVar

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from chatmail.mail.address import Address
from chatmail.net.mail_routes import MailHost
from chatmail.net.outbound_message import OutboundMessage

POST_RECIPIENTS: Final = 50
"""Of one request to a server that has not said how many it takes: a field each, of which a hundred are common."""
LIMIT_FIELD: Final = "X-MAIL-TO-LIMIT"
"""In an answer: so many recipients are taken in one request, as lists with commas in fields of up to 4 KB."""
MAX_LIST_RECIPIENTS: Final = 1000
_MAX_LIST_CHARACTERS: Final = 3500
CONNECT_SECONDS: Final = 10.0
ANSWER_SECONDS: Final = 60.0
IDLE_SECONDS: Final = 60.0
ABSENT_SECONDS: Final = 30 * 60.0
MAX_KNOWN: Final = 10_000
MAX_IDLE_HOSTS: Final = 64
"""Hosts whose connections are kept for the next message; while there are so many, others are asked to close theirs."""
"""Hosts of which something is remembered."""
_MAX_ANSWER_BYTES: Final = 4096
_REFUSALS: Final = (400, 413, 500, 503, 507)
"""Statuses of a server that knows the door, and does not want this message or not now."""

T = TypeVar("T")


class MxdelivAnswer(Enum):
    """What a server made of a request."""

    TAKEN = "taken"
    REFUSED = "refused"
    NOT_THERE = "not there"


class _PinnedResolver(AbstractResolver):
    """Leads a host to the addresses its mail route has, and nowhere else."""

    def __init__(self) -> None:
        self.addresses: OrderedDict[str, tuple[str, ...]] = OrderedDict()

    def pin(self, host: MailHost) -> None:
        _remember(self.addresses, host.name, host.addresses)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in self.addresses.get(host, ())
        ]

    async def close(self) -> None:
        self.addresses.clear()


class MxdelivClient:
    """Posts messages. Made in the event loop; `close` it."""

    def __init__(self, port: int, contexts: Callable[[bool], ssl.SSLContext], now: Callable[[], float]) -> None:
        """`contexts` gives the TLS context, told whether the host must prove its name; `now` only goes forward."""
        self._port = port
        self._contexts = contexts
        self._now = now
        self._resolver = _PinnedResolver()
        self._absent: OrderedDict[str, float] = OrderedDict()
        self._limits: OrderedDict[str, int] = OrderedDict()
        self._kept_until: OrderedDict[str, float] = OrderedDict()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0, resolver=self._resolver, use_dns_cache=False, keepalive_timeout=IDLE_SECONDS
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=CONNECT_SECONDS, connect=2 * CONNECT_SECONDS, sock_read=ANSWER_SECONDS
            ),
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
            auto_decompress=False,
        )

    def is_absent(self, host: MailHost) -> bool:
        """Whether `host` is known to have no such door."""
        return self._absent.get(host.name, 0.0) > self._now()

    def remember_absent(self, host: MailHost) -> None:
        """SMTP worked where this did not: go there directly for a while."""
        _remember(self._absent, host.name, self._now() + ABSENT_SECONDS)

    def limit(self, host: MailHost) -> int:
        """How many recipients `host` takes in one request."""
        return self._limits.get(host.name, POST_RECIPIENTS)

    async def post(self, host: MailHost, message: OutboundMessage, recipients: Sequence[Address]) -> MxdelivAnswer:
        """Bring one message for up to `limit(host)` recipients. Raises `StorageError`."""
        self._resolver.pin(host)
        name = f"[{host.name}]" if ":" in host.name else host.name
        lines = _lists(recipients) if host.name in self._limits else map(str, recipients)
        headers = [("X-MAIL-TO", line) for line in lines]
        if message.mail_from is not None:
            headers.append(("X-MAIL-FROM", str(message.mail_from)))
        headers += [("Content-Type", "message/rfc822"), ("Content-Length", str(message.size_bytes))]
        if not self._may_keep(host):
            headers.append(("Connection", "close"))
        with suppress(aiohttp.ClientError, OSError, TimeoutError, ValueError, asyncio.LimitOverrunError):
            async with self._session.post(
                f"https://{name}:{self._port}/mxdeliv",
                data=message.pieces(),
                headers=headers,
                ssl=self._contexts(host.is_verified),
                allow_redirects=False,
            ) as answer:
                await answer.content.read(_MAX_ANSWER_BYTES)
                if answer.status == 200:
                    self._learn_limit(host, answer.headers.get(LIMIT_FIELD, ""))
                    return MxdelivAnswer.TAKEN
                return MxdelivAnswer.REFUSED if answer.status in _REFUSALS else MxdelivAnswer.NOT_THERE
        return MxdelivAnswer.NOT_THERE

    def _may_keep(self, host: MailHost) -> bool:
        """Whether the connection shall stay open behind this message."""
        now = self._now()
        while self._kept_until and next(iter(self._kept_until.values())) <= now:
            self._kept_until.popitem(last=False)
        if len(self._kept_until) >= MAX_IDLE_HOSTS and host.name not in self._kept_until:
            return False
        _remember(self._kept_until, host.name, now + IDLE_SECONDS)
        return True

    def _learn_limit(self, host: MailHost, said: str) -> None:
        if said.isascii() and said.isdigit() and int(said[:9]) >= POST_RECIPIENTS:
            _remember(self._limits, host.name, min(int(said[:9]), MAX_LIST_RECIPIENTS))
        else:
            self._limits.pop(host.name, None)

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()


def _lists(recipients: Sequence[Address]) -> Iterator[str]:
    """Addresses joined by commas, as many as a field may hold."""
    line = ""
    for address in map(str, recipients):
        if len(line) + len(address) >= _MAX_LIST_CHARACTERS:
            yield line
            line = ""
        line = f"{line},{address}" if line else address
    yield line


def _remember(known: OrderedDict[str, T], name: str, value: T) -> None:
    """Forgets what was learnt longest ago."""
    known[name] = value
    known.move_to_end(name)
    if len(known) > MAX_KNOWN:
        known.popitem(last=False)
