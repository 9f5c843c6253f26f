"""Connections that never become anything: TCP alone, half a ClientHello, TLS and then silence."""

from tests.hostile.arena import TLS_PORTS, Arena, Attack, Tally
from tests.hostile.wire import Stream, connect, crowd, read_to_the_end
from tests.support.client_hello import real_hello

CONNECTIONS = 2000
PORTS = (25, 465, 587, 143, 993, 443, 80)
ALPN = ("http/1.1", "imap", "smtp")


async def _hold(stream: Stream, tally: Tally, words: bytes = b"") -> None:
    """Say `words`, and keep the connection until the server ends it."""
    reader, writer = stream
    tally["opened"] += 1
    try:
        writer.write(words)
        await read_to_the_end(reader, tally)
    finally:
        writer.transport.abort()


async def tcp(arena: Arena, tally: Tally) -> None:
    """Connect, and say nothing."""

    async def one(number: int) -> None:
        await _hold(await connect(arena, PORTS[number % len(PORTS)], number, tls=False), tally)

    await crowd(tally, arena.count(CONNECTIONS), one, per_second=1000)


async def hello(arena: Arena, tally: Tally) -> None:
    """Half a ClientHello, on every port that begins with TLS."""
    whole = real_hello("chat.example", ["http/1.1"])

    async def one(number: int) -> None:
        stream = await connect(arena, TLS_PORTS[number % len(TLS_PORTS)], number, tls=False)
        await _hold(stream, tally, whole[: len(whole) // 2])

    await crowd(tally, arena.count(CONNECTIONS), one, per_second=1000)


async def handshake(arena: Arena, tally: Tally) -> None:
    """A whole ClientHello, and no answer to the server's: half a handshake, which has cost the server a signature."""
    whole = real_hello("chat.example")

    async def one(number: int) -> None:
        await _hold(await connect(arena, TLS_PORTS[number % len(TLS_PORTS)], number, tls=False), tally, whole)

    await crowd(tally, arena.count(CONNECTIONS), one)


async def tls(arena: Arena, tally: Tally) -> None:
    """A whole handshake, and silence; on 443 as each of its protocols."""

    async def one(number: int) -> None:
        port = TLS_PORTS[number % len(TLS_PORTS)]
        alpn = ALPN[number // len(TLS_PORTS) % len(ALPN)] if port == 443 else ""
        await _hold(await connect(arena, port, number, alpn=alpn), tally)

    await crowd(tally, arena.count(CONNECTIONS), one)


async def handshakes(arena: Arena, tally: Tally) -> None:
    """Connect, shake hands, go; over and over."""

    async def one(number: int) -> None:
        _, writer = await connect(arena, TLS_PORTS[number % len(TLS_PORTS)], number)
        tally["handshakes"] += 1
        writer.transport.abort()

    await crowd(tally, arena.count(400, least=100), one, per_second=200)


ATTACKS = (
    Attack("half-open-tcp", "2,000 connections over all ports that say nothing", tcp),
    Attack("half-open-hello", "2,000 that send half a ClientHello", hello),
    Attack("half-open-handshake", "2,000 that never finish their TLS handshake", handshake),
    Attack("half-open-tls", "2,000 with TLS that say nothing", tls),
    Attack("handshakes", "200 TLS handshakes a second and nothing else", handshakes),
)
