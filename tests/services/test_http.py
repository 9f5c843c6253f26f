"""The web face on real sockets, behind the multiplexer and real TLS, in both event loops."""

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp
import pytest

from chatmail.config import Config, WebConfig
from chatmail.net.certificate_files import server_context
from chatmail.services.http import MAX_HEADERS, MAX_LINE_BYTES, HttpLimits, HttpService
from chatmail.services.multiplexer import ALPN_HTTP, Multiplexer, Route
from tests.support.certificates import TestAuthority, issue

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])

DOMAIN = "chat.example.org"
CONFIG = Config(DOMAIN)
REQUEST = b"GET /robots.txt HTTP/1.1\r\nHost: chat.example.org\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Web:
    """A running web face."""

    https_port: int
    http_port: int
    authority: TestAuthority

    async def raw(self, *pieces: bytes, tls: bool = False) -> bytes:
        """All that is answered to `pieces` until the server closes."""
        context = self.authority.trusting_context("http/1.1") if tls else None
        port = self.https_port if tls else self.http_port
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=context, server_hostname=DOMAIN if tls else None
        )
        answer = b""
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            answer = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        return answer

    @contextlib.asynccontextmanager
    async def browser(self) -> AsyncIterator[aiohttp.ClientSession]:
        """A client that finds every name here."""
        connector = aiohttp.TCPConnector(resolver=_Here(), ssl=self.authority.trusting_context())
        base = f"https://{DOMAIN}:{self.https_port}"
        async with aiohttp.ClientSession(base, connector=connector) as session:
            yield session


class _Here(aiohttp.abc.AbstractResolver):
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[aiohttp.abc.ResolveResult]:
        return [{"hostname": host, "host": "127.0.0.1", "port": port, "family": family, "proto": 0, "flags": 0}]

    async def close(self) -> None:
        """Nothing is open."""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> TestAuthority:
    return issue(tmp_path_factory.mktemp("web"), DOMAIN)


@contextlib.asynccontextmanager
async def _running(
    authority: TestAuthority, config: Config = CONFIG, limits: HttpLimits | None = None
) -> AsyncIterator[Web]:
    service = HttpService(
        config,
        certificate_is_trusted=lambda: True,
        registration=lambda: "open",
        key_authorization={"token": "token.key"}.get,
        limits=limits,
    )
    context = server_context(authority.files, [ALPN_HTTP])
    multiplexer = Multiplexer({ALPN_HTTP: Route(lambda: context, service.tls_protocol)}, https_url=f"https://{DOMAIN}/")
    https, http = (socket.create_server(("127.0.0.1", 0)) for _ in range(2))
    stop = asyncio.Event()
    tasks = [asyncio.create_task(multiplexer.run([https], stop)), asyncio.create_task(service.run([http], stop))]
    await asyncio.sleep(0)
    web = Web(https.getsockname()[1], http.getsockname()[1], authority)
    try:
        yield web
    finally:
        stop.set()
        await asyncio.gather(*tasks)


@pytest.fixture
async def web(authority: TestAuthority) -> AsyncIterator[Web]:
    async with _running(authority) as running:
        yield running


async def test_pages_and_accounts_come_over_tls(web: Web) -> None:
    async with web.browser() as browser:
        async with browser.get("/", headers={"Accept-Language": "es"}) as page:
            assert page.status == 200
            assert "Abrir en Delta Chat" in await page.text()
            assert page.headers["Server"] == "chatmail"
            assert page.headers["Strict-Transport-Security"] == "max-age=31536000"
            assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")
        async with browser.post("/new") as answer:
            assert (await answer.json())["email"].endswith(f"@{DOMAIN}")
        async with browser.get("/new", allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (301, f"dcaccount:https://{DOMAIN}/new")
        async with browser.head("/info") as answer:
            assert (answer.status, await answer.read()) == (200, b"")
            assert int(answer.headers["Content-Length"]) > 1000


async def test_what_makes_pages_is_loaded_once_and_in_a_thread(
    authority: TestAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []
    monkeypatch.setattr("chatmail.web.pages.load_templates", lambda: threads.append(threading.current_thread()))
    async with _running(authority) as web, web.browser() as browser:
        async with browser.post("/new"), browser.get("/robots.txt"), browser.get("/style.css"):
            assert threads == []

        async def status(path: str) -> int:
            async with browser.get(path) as page:
                return page.status

        assert await asyncio.gather(*map(status, ("/", "/info", "/privacy", "/nothing"))) == [200, 200, 200, 404]
    assert len(threads) == 1 and threads[0] is not threading.main_thread()


async def test_the_clients_own_request_is_answered(web: Web) -> None:
    answer = await web.raw(b"POST /new HTTP/1.1\r\nhost: chat.example.org\r\nconnection: close\r\n\r\n", tls=True)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert json.loads(body).keys() == {"email", "password"}


async def test_port_80_redirects_and_answers_challenges(web: Web) -> None:
    close = b"Host: chat.example.org\r\nConnection: close\r\n\r\n"
    assert b"Location: https://chat.example.org/info\r\n" in await web.raw(b"GET /info HTTP/1.1\r\n" + close)
    answer = await web.raw(b"GET /.well-known/acme-challenge/token HTTP/1.1\r\n" + close)
    assert answer.endswith(b"\r\n\r\ntoken.key")


async def test_tls_to_port_80_is_closed(web: Web) -> None:
    answer = await web.raw(b"\x16\3\1\0\xfc\1\0\0\xf8\3\3" + bytes(200))
    assert answer == b"" or answer.startswith(b"HTTP/1.0 400")


@pytest.mark.parametrize(
    "smuggled",
    [
        b"POST /new HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /new HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhelloX",
        b"POST /new HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\nhello",
        b"POST /new HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"POST /new HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: b\rc: d\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: b\0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n continued: line\r\n\r\n",
        b"GET / HTTP/1.1\nHost: x\n\n\r\nGET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost x\r\n\r\n",
        b"G\xffT / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
async def test_ambiguous_requests_are_refused_and_cost_the_connection(web: Web, smuggled: bytes) -> None:
    answer = await web.raw(smuggled + REQUEST)
    assert b" 400 Bad Request\r\n" in answer
    assert b"Python" not in answer
    assert b"Disallow" not in answer


@pytest.mark.parametrize(
    "bomb",
    [
        b"GET /" + b"a" * (MAX_LINE_BYTES + 10) + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 10_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * (MAX_HEADERS + 1) + b"\r\n",
        b"GET / HTTP/1.1\r\n" + b"a" * 100_000,
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(b"a%d: b\r\n" % n for n in range(20_000)),
    ],
)
async def test_header_bombs_are_refused(web: Web, bomb: bytes) -> None:
    answer = await web.raw(bomb)
    assert answer == b"" or b" 400 Bad Request\r\n" in answer


async def test_a_long_body_is_not_waited_for(authority: TestAuthority) -> None:
    head = b"POST /new HTTP/1.1\r\nHost: chat.example.org\r\nContent-Length: 1000000000\r\n\r\n"
    async with _running(authority, limits=HttpLimits(linger_seconds=0.1)) as web:
        answer = await web.raw(head + bytes(100_000), tls=True)
    assert answer.count(b"HTTP/1.1 ") == 1


async def test_a_thousand_pipelined_requests_are_answered_in_order(web: Web) -> None:
    paths = [b"/robots.txt", b"/nothing"] * 500
    requests = b"".join(b"HEAD %s HTTP/1.1\r\nHost: chat.example.org\r\n\r\n" % path for path in paths)
    last = b"HEAD / HTTP/1.1\r\nHost: chat.example.org\r\nConnection: close\r\n\r\n"
    answer = await web.raw(requests + last, tls=True)
    statuses = [line.split()[1] for line in answer.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]
    assert statuses == [b"200", b"404"] * 500 + [b"200"]


async def test_a_request_that_never_ends_is_given_up(authority: TestAuthority) -> None:
    async with _running(authority, limits=HttpLimits(idle_seconds=0.2)) as web:
        assert await asyncio.wait_for(web.raw(b"GET / HTTP/1.1\r\nHos"), 5) == b""
        assert await asyncio.wait_for(web.raw(b"GET / HTTP/1.1\r\nHos", tls=True), 5) == b""
        answer = await asyncio.wait_for(web.raw(REQUEST + b"GET / HT", tls=True), 5)
        assert answer.count(b"HTTP/1.1 200") == 1


async def test_header_lines_that_trickle_in_do_not_buy_time(authority: TestAuthority) -> None:
    async with _running(authority, limits=HttpLimits(idle_seconds=0.3)) as web:
        reader, writer = await asyncio.open_connection("127.0.0.1", web.http_port)
        writer.write(b"GET / HTTP/1.1\r\n")
        ended = asyncio.create_task(reader.read())
        with contextlib.suppress(ConnectionError):
            while not ended.done():
                writer.write(b"a: b\r\n")
                await asyncio.sleep(0.02)
        with contextlib.suppress(ConnectionError):
            assert await ended == b""
        writer.close()


async def test_a_reader_that_never_reads_is_cut_off(authority: TestAuthority, tmp_path: Path) -> None:
    (tmp_path / "large.bin").write_bytes(bytes(50_000_000))
    config = replace(CONFIG, web=WebConfig(str(tmp_path)))
    async with _running(authority, config, HttpLimits(connection_seconds=0.2)) as web:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", web.https_port, ssl=authority.trusting_context(), server_hostname=DOMAIN, limit=1000
        )
        writer.write(b"GET /large.bin HTTP/1.1\r\nHost: chat.example.org\r\n\r\n")
        await asyncio.sleep(0.4)  # the cut cannot be seen from this side without reading
        received = 0
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(1_000_000):
                received += len(piece)
        assert received < 50_000_000
        writer.close()


async def test_connections_beyond_the_limit_are_closed(authority: TestAuthority) -> None:
    async with _running(authority, limits=HttpLimits(connections=1)) as web:
        reader, writer = await asyncio.open_connection("127.0.0.1", web.http_port)
        writer.write(REQUEST)
        assert (await reader.readline()).startswith(b"HTTP/1.1 301")
        assert await web.raw(REQUEST) == b""
        writer.close()


async def test_own_pages_take_the_place_of_the_built_in_ones(authority: TestAuthority, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<h1>ours</h1>")
    (tmp_path / "logo.svg").write_text("<svg/>")
    (tmp_path / "new").write_text("not to be had")
    async with _running(authority, replace(CONFIG, web=WebConfig(str(tmp_path)))) as web, web.browser() as browser:
        async with browser.get("/") as page:
            assert await page.text() == "<h1>ours</h1>"
            assert page.content_type == "text/html"
            assert page.headers["Content-Security-Policy"].startswith("default-src 'self'")
            assert page.headers["Server"] == "chatmail"
        async with browser.get("/logo.svg") as logo:
            assert logo.content_type == "image/svg+xml"
        async with browser.get("/privacy") as page:
            assert "has not entered a contact" in await page.text()
        async with browser.get("/new", allow_redirects=False) as answer:
            assert answer.status == 301
        async with browser.get("/", headers={"Host": f"www.{DOMAIN}"}, allow_redirects=False) as answer:
            assert answer.status == 301


@pytest.mark.parametrize(
    "path", [b"/%2e%2e/secret", b"/..%2fsecret", b"/%2e%2e%5csecret", b"/x/../../secret", b"//secret"]
)
async def test_nothing_outside_the_folder_is_served(authority: TestAuthority, tmp_path: Path, path: bytes) -> None:
    (tmp_path / "secret").write_text("the secret")
    (tmp_path / "pages").mkdir()
    async with _running(authority, replace(CONFIG, web=WebConfig(str(tmp_path / "pages")))) as web:
        answer = await web.raw(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", tls=True)
        assert b"the secret" not in answer
        assert answer.startswith((b"HTTP/1.1 404", b"HTTP/1.0 400"))


async def test_nothing_about_a_peer_is_logged(web: Web, capsys: pytest.CaptureFixture[str]) -> None:
    await web.raw(b"\xff\xfe garbage\r\n\r\n")
    await web.raw(REQUEST.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), tls=True)
    captured = capsys.readouterr()
    assert captured.err == captured.out == ""


async def test_a_stop_closes_what_is_open(authority: TestAuthority) -> None:
    async with _running(authority) as web:
        reader, writer = await asyncio.open_connection("127.0.0.1", web.http_port)
        writer.write(REQUEST)
        await reader.readline()
    with contextlib.suppress(ConnectionError):
        await asyncio.wait_for(reader.read(), 5)
    writer.close()


FIELDS = b"".join(b"X-%d: %b\r\n" % (number, b"y" * 4000) for number in range(40))


@pytest.mark.parametrize("tls", [True, False])
async def test_a_head_that_grows_and_does_not_end_costs_the_connection(web: Web, tls: bool) -> None:
    begun = REQUEST.removesuffix(b"\r\n") + FIELDS
    assert len(begun) < 200_000 and await web.raw(begun, tls=tls) == b""


async def test_so_does_one_behind_a_request_that_was_answered(web: Web) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", web.http_port)
    writer.write(REQUEST)
    await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    with contextlib.suppress(ConnectionError):
        for start in range(0, len(FIELDS), 5000):
            writer.write((REQUEST.removesuffix(b"\r\n") + FIELDS)[start : start + 5000])
            await writer.drain()
        await asyncio.wait_for(reader.read(), 10)
    writer.close()


async def test_a_head_may_be_long_and_a_body_longer(web: Web) -> None:
    fields = b"".join(b"X-%d: %b\r\n" % (number, b"y" * 4000) for number in range(12))
    asked = REQUEST.replace(b"GET", b"POST").removesuffix(b"\r\n") + fields
    body = b"Content-Length: 200000\r\nConnection: close\r\n\r\n" + b"z" * 200_000
    assert (await web.raw(asked + body, tls=True)).startswith(b"HTTP/1.1 ")


async def test_one_address_may_have_a_fifth_of_the_connections(authority: TestAuthority) -> None:
    async with _running(authority, limits=HttpLimits(connections=10)) as web:
        crowd = [await _hold(web, "127.0.0.3") for _ in range(2)]
        third, _ = third_connection = await _hold(web, "127.0.0.3")
        assert await asyncio.wait_for(third.read(), 10) == b""
        elsewhere = await _hold(web, "127.0.0.4")
        elsewhere[1].write(REQUEST)
        assert (await asyncio.wait_for(elsewhere[0].readline(), 10)).startswith(b"HTTP/1.1 ")
        for _, writer in (*crowd, third_connection, elsewhere):
            writer.close()


async def _hold(web: Web, source: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", web.http_port, local_addr=(source, 0))
