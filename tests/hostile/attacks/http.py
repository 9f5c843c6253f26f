"""The web face: heads that never end, heads as large as may be, and requests without a pause."""

import asyncio

from tests.hostile.arena import Arena, Attack, Tally
from tests.hostile.wire import BUFFER_BYTES, connect, crowd, read_to_the_end

CONNECTIONS = 1000
HEAD = b"GET / HTTP/1.1\r\nHost: chat.example\r\n"
FIELDS = b"".join(b"X-%d: %b\r\n" % (number, b"y" * 4080) for number in range(250))
REQUESTS = (HEAD + b"\r\n") * 100


async def slowloris(arena: Arena, tally: Tally) -> None:
    """A head, a byte a second."""

    async def one(number: int) -> None:
        reader, writer = await connect(arena, 443 if number % 2 else 80, number, tls=bool(number % 2))
        reading = asyncio.ensure_future(read_to_the_end(reader, tally))
        tally["opened"] += 1
        try:
            for byte in HEAD * 10:
                writer.write(bytes((byte,)))
                await asyncio.wait({reading}, timeout=1)
                if reading.done():
                    reading.result()
        finally:
            reading.cancel()
            writer.transport.abort()

    await crowd(tally, arena.count(CONNECTIONS), one)


async def heads(arena: Arena, tally: Tally) -> None:
    """A megabyte of header fields on each connection, and never the empty line."""

    async def one(number: int) -> None:
        reader, writer = await connect(arena, 443 if number % 2 else 80, number, tls=bool(number % 2))
        tally["opened"] += 1
        try:
            writer.write(HEAD + FIELDS)
            await read_to_the_end(reader, tally)
        finally:
            writer.transport.abort()

    await crowd(tally, arena.count(CONNECTIONS), one)


async def first_page(arena: Arena) -> None:
    """The first page of a server loads what makes pages, a second's work once in its life."""
    reader, writer = await connect(arena, 443, 0)
    writer.write(HEAD + b"Connection: close\r\n\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 200")
    writer.close()


async def requests(arena: Arena, tally: Tally) -> None:
    """Pipelined requests for the page."""

    async def one(number: int) -> None:
        reader, writer = await connect(arena, 443 if number % 2 else 80, number, tls=bool(number % 2))

        async def ask() -> None:
            while True:
                writer.write(REQUESTS)
                await writer.drain()

        asking = asyncio.ensure_future(ask())
        try:
            while chunk := await reader.read(BUFFER_BYTES):
                tally["answers"] += chunk.count(b"HTTP/1.1 ")
        finally:
            asking.cancel()
            writer.transport.abort()

    await crowd(tally, arena.count(50), one)


async def bodies(arena: Arena, tally: Tally) -> None:
    """Bodies that nobody wants, and that /mxdeliv wants."""

    async def one(number: int) -> None:
        reader, writer = await connect(arena, 443, number)
        tally["opened"] += 1
        try:
            path = b"/mxdeliv" if number % 2 else b"/"
            fields = b"X-MAIL-FROM: a@example.org\r\nX-MAIL-TO: %b\r\n" % arena.address.encode()
            writer.write(b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: 30000000\r\n%b\r\n" % (path, fields))
            for _ in range(100):
                writer.write(b"X-Header: 1\r\n" * 20_000)
                await asyncio.wait_for(writer.drain(), 10)
            await read_to_the_end(reader, tally)
        finally:
            writer.transport.abort()

    await crowd(tally, arena.count(60), one)


ATTACKS = (
    Attack("slowloris", "1,000 HTTP connections sending a head a byte a second", slowloris),
    Attack("http-heads", "1,000 that send a megabyte of header fields and no end", heads),
    Attack("http-requests", "50 that pipeline requests for the page", requests, first_page),
    Attack(
        "http-bodies",
        "60 that post 26 MB, where a message may come and where none may",
        bodies,
        first_page,
    ),
)
