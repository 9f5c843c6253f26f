"""Headless Chromium, driven over its DevTools WebSocket: enough to open a page, look at it, and hear it complain."""

import asyncio
import base64
import contextlib
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import aiohttp

from tests.support.tools import require_tool

START_SECONDS = 30.0
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--ignore-certificate-errors",
    "--remote-debugging-port=0",
)


@dataclass(slots=True)
class Page:
    """One tab. `complaints` are console messages, exceptions and what the Content-Security-Policy blocked."""

    socket: aiohttp.ClientWebSocketResponse
    complaints: list[str] = field(default_factory=list)
    requested: list[str] = field(default_factory=list)
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    async def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """One DevTools command; events that come meanwhile are noted."""
        number = next(self._numbers)
        await self.socket.send_json({"id": number, "method": method, "params": parameters})
        while True:
            message = await self.socket.receive_json(timeout=START_SECONDS)
            if message.get("id") == number:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result
            self._note(message)

    def _note(self, event: dict[str, Any]) -> None:
        parameters = event.get("params", {})
        match event.get("method"):
            case "Runtime.consoleAPICalled" | "Runtime.exceptionThrown" | "Audits.issueAdded":
                self.complaints.append(str(parameters))
            case "Log.entryAdded":
                self.complaints.append(parameters["entry"]["text"])
            case "Network.requestWillBeSent":
                self.requested.append(parameters["request"]["url"])

    async def look_like(self, *, width: int, height: int, dark: bool = False, language: str = "en") -> None:
        """Screen size in CSS pixels, colour scheme and Accept-Language."""
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[scheme])
        await self.call("Network.setExtraHTTPHeaders", headers={"Accept-Language": language})

    async def open(self, url: str) -> None:
        """Load, and wait for the load event."""
        await self.call("Page.navigate", url=url)
        while await self.evaluate("document.readyState") != "complete":
            await asyncio.sleep(0.01)

    async def evaluate(self, expression: str) -> Any:  # noqa: ANN401 - whatever the script says
        """The value of a JavaScript expression on the page."""
        answer = await self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        return answer["result"].get("value")

    async def screenshot(self, path: Path) -> None:
        """A PNG of the whole page."""
        answer = await self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(answer["data"]))


@dataclass(slots=True)
class Browser:
    """A running Chromium with a profile of its own."""

    process: asyncio.subprocess.Process
    session: aiohttp.ClientSession
    port: int

    @classmethod
    @contextlib.asynccontextmanager
    async def start(cls, profile: Path) -> AsyncIterator[Self]:
        """Start; skipped (failed in CI) where Chromium is missing."""
        process = await asyncio.create_subprocess_exec(
            require_tool("chromium"),
            *_FLAGS,
            f"--user-data-dir={profile}",
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            port = await asyncio.wait_for(_debugging_port(profile), START_SECONDS)
            async with aiohttp.ClientSession() as session:
                yield cls(process, session, port)
        finally:
            process.terminate()
            await process.wait()

    @contextlib.asynccontextmanager
    async def page(self) -> AsyncIterator[Page]:
        """A new tab."""
        async with self.session.put(f"http://127.0.0.1:{self.port}/json/new?about:blank") as answer:
            target = await answer.json()
        async with self.session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0) as socket:
            page = Page(socket)
            for domain in ("Page", "Runtime", "Log", "Network", "Audits"):
                await page.call(f"{domain}.enable")
            yield page
            await page.call("Page.close")


async def _debugging_port(profile: Path) -> int:
    """Chromium writes the port it chose into its profile."""
    file = profile / "DevToolsActivePort"
    while not (file.exists() and file.read_text().strip()):
        await asyncio.sleep(0.02)
    return int(file.read_text().split()[0])
