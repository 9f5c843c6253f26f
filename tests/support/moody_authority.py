"""A proxy in front of Pebble that has moods: what real authorities do now and then and Pebble does not.

It passes the Host header on, so that all URLs Pebble hands out lead through here. A mood is a function from a request
to an answer, or None to let it pass.
"""

import base64
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import ClientSession, TCPConnector, web

from tests.support.certificate_authority import Pebble

PORT = 14443
_HOP_BY_HOP = ("connection", "content-length", "content-encoding", "transfer-encoding", "keep-alive")
Mood = Callable[[str, dict[str, Any]], web.Response | None]


def problem(status: int, kind: str, detail: str, **headers: str) -> web.Response:
    """An ACME error (RFC 8555 §6.7)."""
    body = {"type": f"urn:ietf:params:acme:error:{kind}", "detail": detail, "status": status}
    return web.Response(
        status=status,
        body=json.dumps(body).encode(),
        content_type="application/problem+json",
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )


@dataclass(slots=True)
class MoodyAuthority:
    """The running proxy. `mood` is given path and payload; `directory_extra` is added to the directory.

    It is known by `host` (else the authority's address) and `port`; `path` is where the directory is.
    """

    pebble: Pebble
    host: str = ""
    port: int = PORT
    path: str = "/dir"
    mood: Mood | None = None
    directory_extra: dict[str, Any] = field(default_factory=dict)
    seen: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    rewrite: Callable[[str, Any], None] = lambda _path, _body: None
    """May change the JSON of an answer."""

    @property
    def directory(self) -> str:
        """The directory URL."""
        return f"https://{self.host or self.pebble.address}:{self.port}{self.path}"

    @asynccontextmanager
    async def running(self) -> AsyncIterator["MoodyAuthority"]:
        """Listen on the authority's address."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.pebble.folder / "cert.pem", self.pebble.folder / "key.pem")
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, self.pebble.address, self.port, ssl_context=context).start()
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        body = await request.read()
        payload = _payload(body)
        self.seen.append((request.path, payload))
        answer = self.mood(request.path, payload) if self.mood is not None else None
        if answer is None:
            answer = await self._pass_on(request, body)
        answer.force_close()
        return answer

    async def _pass_on(self, request: web.Request, body: bytes) -> web.Response:
        path = "/dir" if request.path == self.path else request.rel_url
        behind = f"https://{self.pebble.address}:14000{path}"
        context = ssl.create_default_context(cafile=str(self.pebble.ca_file))
        async with (
            ClientSession(connector=TCPConnector(ssl=context)) as session,
            session.request(request.method, behind, data=body or None, headers=request.headers) as found,
        ):
            content = await found.read()
            headers = [(name, value) for name, value in found.headers.items() if name.lower() not in _HOP_BY_HOP]
            content = self._changed(request.path, content)
            return web.Response(status=found.status, body=content, headers=headers)

    def _changed(self, path: str, content: bytes) -> bytes:
        try:
            document = json.loads(content)
        except ValueError:
            return content
        if path == self.path:
            extra = dict(self.directory_extra)
            document["meta"].update(extra.pop("meta", {}))
            document.update(extra)
        self.rewrite(path, document)
        return json.dumps(document).encode()


def _payload(body: bytes) -> dict[str, Any]:
    """What a signed request carries; empty for others."""
    try:
        encoded = json.loads(body)["payload"]
        decoded = json.loads(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
    except (ValueError, KeyError, TypeError):
        return {}
    return decoded if isinstance(decoded, dict) else {}
