"""The pages in a real browser, at the sizes and in the colours people have."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from chatmail.config import Config, ListenConfig, TlsConfig
from chatmail.services.http import HttpService
from chatmail.web.languages import LANGUAGES
from tests.support.browser import Browser, Page

pytestmark = pytest.mark.asyncio(loop_scope="module")

PUBLIC = Config("chat.example.org")
SELF_SIGNED = Config("192.0.2.7", listen=ListenConfig(https=8443), tls=TlsConfig(mode="self-signed"))
CONTRAST = """
(() => {
  const numbers = text => text.match(/[\\d.]+/g).map(Number);
  const channel = value => (value /= 255) <= .03928 ? value / 12.92 : ((value + .055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => .2126 * channel(r) + .7152 * channel(g) + .0722 * channel(b);
  const ground = element => {
    for (let e = element; e; e = e.parentElement) {
      const colour = numbers(getComputedStyle(e).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  return [...document.querySelectorAll("body *")]
    .filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()) && !e.closest("svg"))
    .map(e => {
      const pair = [light(numbers(getComputedStyle(e).color)), light(ground(e))].sort((a, b) => b - a);
      return [(pair[0] + .05) / (pair[1] + .05), e.textContent.trim().slice(0, 30)];
    })
    .filter(([ratio]) => ratio < 4.5);
})()
"""
"""Texts whose contrast with their ground is under 4.5 (WCAG 2.2, 1.4.3)."""
TOO_WIDE = """
[...document.querySelectorAll("body *")].filter(e => {
  const box = e.getBoundingClientRect();
  return box.width && (box.right > innerWidth + .5 || box.left < -.5);
}).map(e => e.outerHTML.slice(0, 60))
"""
UNNAMED = """
[...document.querySelectorAll("a, img, [role=img]")]
  .filter(e => !(e.textContent.trim() || e.getAttribute("aria-label") || e.hasAttribute("alt")))
  .map(e => e.outerHTML.slice(0, 60))
"""


@contextlib.asynccontextmanager
async def _served(config: Config) -> AsyncIterator[str]:
    service = HttpService(config, certificate_is_trusted=lambda: False, registration=lambda: "open")
    stop = asyncio.Event()
    server = await asyncio.get_running_loop().create_server(service.tls_protocol, "127.0.0.1", 0)
    running = asyncio.create_task(service.run([], stop))
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        stop.set()
        await running


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Browser]:
    async with Browser.start(tmp_path_factory.mktemp("chromium")) as running:
        yield running


async def _check(page: Page, base: str) -> None:
    assert await page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert await page.evaluate(TOO_WIDE) == []
    assert await page.evaluate(UNNAMED) == []
    assert await page.evaluate("document.styleSheets.length") == 1
    assert page.complaints == []
    assert [url for url in page.requested if not url.startswith(base)] == []


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("config", [PUBLIC, SELF_SIGNED], ids=["public", "self-signed"])
async def test_every_page_fits_a_small_phone_and_nothing_is_blocked_or_foreign(
    browser: Browser, config: Config, language: str
) -> None:
    async with _served(config) as base, browser.page() as page:
        await page.look_like(width=320, height=600, language=language)
        for path in ("/", "/info", "/privacy"):
            await page.open(base + path)
            assert await page.evaluate("document.documentElement.lang") == language
            await _check(page, base)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(390, 844), (1280, 800)])
async def test_text_can_be_read_in_light_and_dark(browser: Browser, width: int, height: int, dark: bool) -> None:
    async with _served(SELF_SIGNED) as base, browser.page() as page:
        await page.look_like(width=width, height=height, dark=dark)
        for path in ("/", "/info", "/privacy", "/"):
            await page.open(base + path)
            await _check(page, base)
            assert await page.evaluate(CONTRAST) == []


async def test_the_button_is_in_sight_without_scrolling(browser: Browser) -> None:
    for width, height in ((390, 844), (1280, 800)):
        async with _served(PUBLIC) as base, browser.page() as page:
            await page.look_like(width=width, height=height)
            await page.open(base)
            assert await page.evaluate("document.querySelector('.button').getBoundingClientRect().bottom") < height


async def test_the_keyboard_reaches_content_and_button_in_order(browser: Browser) -> None:
    async with _served(PUBLIC) as base, browser.page() as page:
        await page.look_like(width=1280, height=800)
        await page.open(base)
        reached = []
        for _ in range(3):
            for kind in ("keyDown", "keyUp"):
                await page.call("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
            reached.append(await page.evaluate("document.activeElement.className"))
        assert reached == ["skip", "home", "button"]


async def test_pages_for_one_person_differ_at_every_load(browser: Browser) -> None:
    async with _served(SELF_SIGNED) as base, browser.page() as page:
        links: set[str] = set()
        for _ in range(2):
            await page.open(f"{base}/?{len(links)}")
            links.add(await page.evaluate("document.querySelector('.button').href"))
        assert len(links) == 2
        assert all(link.startswith("dclogin:") for link in links), json.dumps(sorted(links))
