"""A notifier: HTTPS, with a certificate of a test's own authority, that answers as it is told."""

import asyncio
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from tests.support.certificates import issue

HANG, CLOSE = -1, -2
"""Instead of a status: never answer; hang up."""


@dataclass
class Notifier:
    """What came, and what to answer: `answer` gets a token and returns a status, `HANG` or `CLOSE`."""

    url: str = ""
    trusting: ssl.SSLContext | None = None
    answer: Callable[[str], int] = lambda _token: 200
    tokens: list[str] = field(default_factory=list)
    connections: Counter[str] = field(default_factory=Counter)
    came: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        token = (await request.read()).decode()
        self.tokens.append(token)
        self.came.set()
        status = self.answer(token)
        if status == HANG:
            await asyncio.Event().wait()
        if status == CLOSE:
            assert request.transport is not None
            request.transport.abort()
            status = 500
        return web.Response(status=status)

    async def wait_for(self, count: int) -> list[str]:
        """Wait until so many notifications came."""
        async with asyncio.timeout(20):
            while len(self.tokens) < count:
                self.came.clear()
                await self.came.wait()
        return self.tokens


@asynccontextmanager
async def running_notifier(folder: Path, host: str = "127.0.0.1") -> AsyncIterator[Notifier]:
    """Run one at a free port of `host`."""
    notifier = Notifier()
    authority = issue(folder, host)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(authority.files.cert_file, authority.files.key_file)
    application = web.Application()
    application.router.add_post("/notify", notifier.handle)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, host, 0, ssl_context=context)
    await site.start()
    port = runner.addresses[0][1]
    notifier.url, notifier.trusting = f"https://{host}:{port}/notify", authority.trusting_context()
    try:
        yield notifier
    finally:
        await runner.cleanup()
