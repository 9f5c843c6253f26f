"""Port 443 on real sockets with real TLS, in both event loops."""

import asyncio
import contextlib
import os
import resource
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import cast

import pytest

from chatmail.net.certificate_files import server_context
from chatmail.services.multiplexer import ANY_ALPN, Multiplexer, MultiplexerLimits, Route
from chatmail.tls_hello import fatal_alert
from tests.support.certificates import TestAuthority, issue
from tests.support.client_hello import alpn_extension, made_hello, real_hello
from tests.support.tools import lacking, require_tool

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])

DOMAIN = "chat.example.org"
CHALLENGED = "challenged.example.org"
NO_APPLICATION_PROTOCOL = fatal_alert(120)
DECODE_ERROR = fatal_alert(50)
Authorities = tuple[TestAuthority, TestAuthority]


class _Greeter(asyncio.Protocol):
    """Says who it is, and repeats what it hears."""

    def __init__(self, name: bytes) -> None:
        self._name = name
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        self._transport.write(self._name + b"\r\n")

    def data_received(self, data: bytes) -> None:
        self._transport.write(data)


def _greeter(name: str) -> Callable[[], asyncio.Protocol]:
    return lambda: _Greeter(name.encode())


@dataclass(frozen=True, slots=True)
class Port443:
    """A running multiplexer."""

    multiplexer: Multiplexer
    port: int
    authority: TestAuthority
    challenge: TestAuthority

    async def connect(
        self, *alpn: str, server_name: str = DOMAIN
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, str]:
        """A TLS connection: its streams and the greeting on it."""
        context = self.authority.trusting_context(*alpn)
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=context, server_hostname=server_name)
        return reader, writer, (await reader.readline()).decode().strip()

    async def raw(self, *pieces: bytes) -> bytes:
        """Everything the port says to `pieces`, sent one by one, until it closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            answer = await reader.read()
        writer.close()
        return answer


@contextlib.asynccontextmanager
async def _running(authorities: Authorities, limits: MultiplexerLimits) -> AsyncIterator[Port443]:
    authority, challenge = authorities
    routes = {}
    for name in ("http/1.1", "imap", "smtp"):
        context = server_context(authority.files, [name])
        routes[name] = Route(lambda context=context: context, _greeter(name))  # type: ignore[misc]
    challenge_context = server_context(challenge.files, ["acme-tls/1"])
    multiplexer = Multiplexer(
        routes,
        https_url=f"https://{DOMAIN}/",
        challenge={CHALLENGED: challenge_context}.get,
        limits=limits,
    )
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    stop = asyncio.Event()
    task = asyncio.create_task(multiplexer.run([listener], stop))
    await asyncio.sleep(0)
    try:
        yield Port443(multiplexer, listener.getsockname()[1], authority, challenge)
    finally:
        stop.set()
        await task
        assert multiplexer.waiting == 0


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> Authorities:
    """For the server's own certificate, and for that of the challenge."""
    return issue(tmp_path_factory.mktemp("own"), DOMAIN), issue(tmp_path_factory.mktemp("challenge"), CHALLENGED)


@pytest.fixture
async def port_443(authorities: Authorities) -> AsyncIterator[Port443]:
    async with _running(authorities, MultiplexerLimits()) as running:
        yield running


@pytest.mark.parametrize(
    ("offered", "spoken", "selected"),
    [
        ([], "http/1.1", None),
        (["http/1.1"], "http/1.1", "http/1.1"),
        (["h2", "http/1.1"], "http/1.1", "http/1.1"),
        (["imap"], "imap", "imap"),
        (["smtp"], "smtp", "smtp"),
        (["xmpp-client", "smtp"], "smtp", "smtp"),
        (["imap", "http/1.1"], "imap", "imap"),
    ],
)
async def test_alpn_chooses_the_protocol(
    port_443: Port443, offered: list[str], spoken: str, selected: str | None
) -> None:
    reader, writer, greeting = await port_443.connect(*offered)
    assert greeting == spoken
    assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == selected
    writer.write(b"and on\r\n")
    assert await reader.readline() == b"and on\r\n"
    writer.close()


@pytest.mark.parametrize("offered", [["h2"], ["xmpp-client", "h2"], ["http/1.0"], ["acme-tls/1", "foo"]])
async def test_a_list_with_nothing_of_ours_gets_the_fatal_alert(port_443: Port443, offered: list[str]) -> None:
    with pytest.raises(ssl.SSLError, match=r"(?i)no.application.protocol"):
        await port_443.connect(*offered)


async def test_the_alert_is_the_last_word_on_the_wire(port_443: Port443) -> None:
    assert await port_443.raw(real_hello(DOMAIN, ["h2"])) == NO_APPLICATION_PROTOCOL


@pytest.mark.parametrize("server_name", ["unknown.example.net", "", None])
async def test_an_unknown_or_missing_name_gets_the_usual_certificate(
    port_443: Port443, server_name: str | None
) -> None:
    context = port_443.authority.trusting_context()
    context.check_hostname = False
    _reader, writer = await asyncio.open_connection(
        "127.0.0.1", port_443.port, ssl=context, server_hostname=server_name or ""
    )
    names = writer.get_extra_info("peercert")["subjectAltName"]
    assert names == (("DNS", DOMAIN),)
    writer.close()


async def test_a_challenge_is_answered_for_the_name_asked_and_then_closed(port_443: Port443) -> None:
    context = port_443.challenge.trusting_context("acme-tls/1")
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port_443.port, ssl=context, server_hostname=CHALLENGED.upper()
    )
    assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "acme-tls/1"
    assert writer.get_extra_info("peercert")["subjectAltName"] == (("DNS", CHALLENGED),)
    assert await reader.read() == b""
    writer.close()


async def test_a_challenge_for_another_name_is_refused(port_443: Port443) -> None:
    with pytest.raises(ssl.SSLError, match=r"(?i)no.application.protocol"):
        await port_443.connect("acme-tls/1", server_name=DOMAIN)


async def test_the_challenge_certificate_is_served_for_nothing_else(port_443: Port443) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        await port_443.connect("http/1.1", server_name=CHALLENGED)


@pytest.mark.parametrize(
    ("alpn", "expected"),
    [
        (None, "No ALPN negotiated"),
        ("http/1.1", "ALPN protocol: http/1.1"),
        ("h2,http/1.1", "ALPN protocol: http/1.1"),
        ("imap", "ALPN protocol: imap"),
        ("smtp", "ALPN protocol: smtp"),
        ("acme-tls/1", "alert no application protocol"),
        ("h2", "alert no application protocol"),
        ("nonsense", "alert no application protocol"),
    ],
)
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
async def test_openssl_sees_the_same(port_443: Port443, alpn: str | None, expected: str, version: str) -> None:
    command = [require_tool("openssl"), "s_client", "-connect", f"127.0.0.1:{port_443.port}"]
    command += ["-servername", DOMAIN, version, *(["-alpn", alpn] if alpn else [])]
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 20)
    assert expected in output.decode(errors="replace")


async def test_a_hello_that_comes_byte_by_byte_is_served(port_443: Port443) -> None:
    hello = made_hello(alpn_extension(b"h2"), fragment_bytes=30)
    assert await port_443.raw(*(bytes((octet,)) for octet in hello)) == NO_APPLICATION_PROTOCOL


async def test_a_handshake_in_small_pieces_succeeds(port_443: Port443) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = port_443.authority.trusting_context("imap").wrap_bio(incoming, outgoing, server_hostname=DOMAIN)
    reader, writer = await asyncio.open_connection("127.0.0.1", port_443.port)
    greeting = b""
    while not greeting.endswith(b"\r\n"):
        try:
            greeting += client.read(100)
        except ssl.SSLWantReadError:
            for octet in outgoing.read():
                writer.write(bytes((octet,)))
                await asyncio.sleep(0)
            incoming.write(await reader.read(10_000))
    assert greeting == b"imap\r\n"
    writer.close()


@pytest.mark.parametrize("request_line", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"POST /new HTTP/1.1\r\n"])
async def test_plain_http_is_told_where_https_is(port_443: Port443, request_line: bytes) -> None:
    answer = await port_443.raw(request_line)
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert answer.endswith(b"\r\n\r\nThis port speaks HTTPS: https://chat.example.org/\n")


@pytest.mark.parametrize(
    "noise", [b"EHLO example.org\r\n", b"\0" * 100, b"\x80\x2e\x01\x00\x02", b"get / http/1.1\r\n"]
)
async def test_other_plaintext_is_closed_without_a_word(port_443: Port443, noise: bytes) -> None:
    assert await port_443.raw(noise) == b""


@pytest.mark.parametrize(
    "broken", [b"\x16\3\1\xff\xff", b"\x16\3\1\0\4\2\0\0\0", real_hello(DOMAIN)[:60] + b"\xff" * 2000]
)
async def test_a_broken_hello_gets_a_decode_error(port_443: Port443, broken: bytes) -> None:
    assert await port_443.raw(broken) == DECODE_ERROR


async def test_a_peer_that_ends_in_the_middle_is_closed(port_443: Port443) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port_443.port)
    writer.write(real_hello(DOMAIN)[:100])
    writer.write_eof()
    with contextlib.suppress(ConnectionResetError):
        assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()


async def test_a_hello_that_never_comes_is_given_up(authorities: Authorities) -> None:
    async with _running(authorities, MultiplexerLimits(hello_seconds=0.2)) as port:
        assert await asyncio.wait_for(port.raw(), 5) == b""
        assert await asyncio.wait_for(port.raw(real_hello(DOMAIN)[:50]), 5) == b""


async def test_a_handshake_that_stops_is_given_up(authorities: Authorities) -> None:
    async with _running(authorities, MultiplexerLimits(handshake_seconds=0.2)) as port:
        answer = await asyncio.wait_for(port.raw(real_hello(DOMAIN, ["imap"])), 5)
        assert answer.startswith(b"\x16\3\3")
        assert port.multiplexer.handshakes == 0


async def test_handshakes_beyond_the_limit_are_dropped(authorities: Authorities) -> None:
    async with _running(authorities, MultiplexerLimits(handshakes=1)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port.port)
        writer.write(real_hello(DOMAIN, ["imap"]))
        await reader.read(1)
        assert await port.raw(real_hello(DOMAIN, ["imap"])) == b""
        writer.close()


async def test_beyond_the_limit_the_longest_waiting_is_dropped(authorities: Authorities) -> None:
    async with _running(authorities, MultiplexerLimits(waiting=2)) as port:
        streams = [await asyncio.open_connection("127.0.0.1", port.port) for _ in range(3)]
        assert await asyncio.wait_for(streams[0][0].read(), 5) == b""
        assert port.multiplexer.waiting == 2
        _reader, writer, greeting = await port.connect("smtp")
        assert greeting == "smtp"
        writer.close()
        for _reader, writer in streams:
            writer.close()


async def test_one_address_may_have_a_fifth_of_what_waits_and_of_the_handshakes(authorities: Authorities) -> None:
    async with _running(authorities, MultiplexerLimits(waiting=10, handshakes=5)) as port:

        async def connect(source: str, *, hello: bool) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            reader, writer = await asyncio.open_connection("127.0.0.1", port.port, local_addr=(source, 0))
            writer.write(real_hello(DOMAIN, ["imap"]) if hello else b"")
            return reader, writer

        waiting = [await connect("127.0.0.3", hello=False) for _ in range(3)]
        assert await asyncio.wait_for(waiting[2][0].read(), 5) == b""
        shaking = [await connect("127.0.0.4", hello=True)]
        assert await asyncio.wait_for(shaking[0][0].read(1), 5) == b"\x16"
        shaking.append(await connect("127.0.0.4", hello=True))
        with contextlib.suppress(ConnectionResetError):
            assert await asyncio.wait_for(shaking[1][0].read(), 5) == b""
        elsewhere = await connect("127.0.0.5", hello=True)
        assert await asyncio.wait_for(elsewhere[0].read(1), 5) == b"\x16"
        for _, writer in (*waiting, *shaking, elsewhere):
            writer.close()


async def test_a_port_with_one_protocol_asks_for_no_alpn(authorities: Authorities) -> None:
    authority, challenge = authorities
    context = server_context(authority.files)
    multiplexer = Multiplexer({ANY_ALPN: Route(lambda: context, _greeter("imap"))})
    listener = socket.create_server(("127.0.0.1", 0))
    stop = asyncio.Event()
    task = asyncio.create_task(multiplexer.run([listener], stop))
    port = Port443(multiplexer, listener.getsockname()[1], authority, challenge)
    for offered in ([], ["h2"], ["smtp"]):
        _reader, writer, greeting = await port.connect(*offered)
        assert greeting == "imap"
        writer.close()
    assert await asyncio.wait_for(port.raw(b"GET / HTTP/1.1\r\n\r\n"), 5) == b""
    stop.set()
    await task


def _open_sockets() -> int:
    count = 0
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the descriptor of the listing itself
            count += os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
    return count


def _allow_descriptors(wanted: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        lacking(f"a limit of {wanted} open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


async def test_two_thousand_half_open_connections_cost_no_task_and_keep_nobody_out(port_443: Port443) -> None:
    _allow_descriptors(5000)
    tasks_before = len(asyncio.all_tasks())
    half_open = [socket.create_connection(("127.0.0.1", port_443.port)) for _ in range(2000)]
    half_hello = real_hello(DOMAIN)[:60]
    for connection in half_open[::2]:
        connection.send(half_hello)
    while port_443.multiplexer.waiting < 2000:
        await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == tasks_before
    _reader, writer, greeting = await asyncio.wait_for(port_443.connect("imap"), 5)
    assert greeting == "imap"
    writer.close()
    for connection in half_open:
        connection.close()
    while port_443.multiplexer.waiting:
        await asyncio.sleep(0)


async def test_no_descriptor_is_left_behind(port_443: Port443) -> None:
    async def every_ending() -> None:
        for piece in (b"GET / HTTP/1.1\r\n", b"\0", real_hello(DOMAIN, ["h2"]), b"\x16\3\1\xff\xff"):
            await port_443.raw(piece)
        reader, writer = await asyncio.open_connection("127.0.0.1", port_443.port)
        writer.write(real_hello(DOMAIN) + b"no handshake at all")
        await reader.read()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    await every_ending()
    await asyncio.sleep(0.01)
    before = _open_sockets()
    for _ in range(5):
        await every_ending()
    for _ in range(100):
        if _open_sockets() <= before:
            return
        await asyncio.sleep(0.01)
    assert _open_sockets() <= before


async def test_a_stop_does_not_wait_for_handshakes(authorities: Authorities) -> None:
    before = _open_sockets()
    async with _running(authorities, MultiplexerLimits()) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port.port)
        writer.write(real_hello(DOMAIN, ["imap"]))
        await reader.read(1)
    async with asyncio.timeout(5):
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()
        while _open_sockets() > before:
            await asyncio.sleep(0.01)


async def test_connections_handed_over_live_on_after_the_stop(authorities: Authorities) -> None:
    async with _running(authorities, MultiplexerLimits()) as port:
        reader, writer, _greeting = await port.connect("imap")
    writer.write(b"still here\r\n")
    assert await reader.readline() == b"still here\r\n"
    writer.close()
