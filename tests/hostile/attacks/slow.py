"""Peers that take nothing of what they asked for, or give what they announced a byte a second."""

import asyncio
import socket
from itertools import count

from tests.hostile.arena import Arena, Attack, Tally
from tests.hostile.wire import crowd, imap, smtp
from tests.support.messages import encrypted_message

LARGE_BYTES = 30_000_000
CUT_OFF_SECONDS = 72.0
"""The server waits a minute for a peer that takes nothing, and looks every five seconds."""
IN_MEMORY_BYTES = 250_000
"""Just below what the server keeps of a message before it goes to a file."""


async def store_large(arena: Arena) -> None:
    """Put one message of 30 MB into the attacker's mailbox."""
    client = await imap(arena, 0)
    message = encrypted_message(arena.address, size_bytes=LARGE_BYTES)
    client.writer.write(b"A APPEND INBOX {%d+}\r\n%b\r\n" % (len(message), message))
    while not (line := await client.line()).startswith(b"A "):
        pass
    assert line.startswith(b"A OK"), line
    client.close()


async def readers(arena: Arena, tally: Tally) -> None:
    """FETCH all of it, and read nothing: the window closes and stays closed."""

    async def one(number: int) -> None:
        client = await imap(arena, number, select=True)
        client.writer.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]  # typeshed's is the write half
        client.writer.write(b"B UID FETCH 1:* (FLAGS BODY.PEEK[])\r\n" * 3)
        tally["fetches of 30 MB"] += 1
        await asyncio.Event().wait()

    await crowd(tally, arena.count(300), one)


async def trickling_readers(arena: Arena, tally: Tally) -> None:
    """The same, but take a kilobyte now and then."""

    async def one(number: int) -> None:
        client = await imap(arena, number, select=True)
        transport = client.writer.transport
        client.writer.write(b"B UID FETCH 1:* (FLAGS BODY.PEEK[])\r\n" * 3)
        tally["fetches of 30 MB"] += 1
        for _ in count():
            tally["KiB taken"] += len(await client.reader.read(1024)) // 1024
            transport.pause_reading()  # type: ignore[attr-defined]
            await asyncio.sleep(1)
            transport.resume_reading()  # type: ignore[attr-defined]

    await crowd(tally, arena.count(300), one)


async def _trickle(writer: asyncio.StreamWriter, tally: Tally, data: bytes) -> None:
    """A byte a second."""
    for byte in data:
        writer.write(bytes((byte,)))
        await writer.drain()
        tally["bytes"] += 1
        await asyncio.sleep(1)


async def data_writers(arena: Arena, tally: Tally) -> None:
    """DATA, the first part of a message at once, and the rest a byte a second."""
    message = encrypted_message(arena.address, size_bytes=2 * IN_MEMORY_BYTES)

    async def one(number: int) -> None:
        client = await smtp(arena, number)
        client.writer.write(f"MAIL FROM:<{arena.address}>\r\nRCPT TO:<{arena.address}>\r\nDATA\r\n".encode())
        for code in ("250", "250", "354"):
            await client.expect(code)
        tally["messages begun"] += 1
        at_once = IN_MEMORY_BYTES if number % 2 else 0
        client.writer.write(message[:at_once])
        await _trickle(client.writer, tally, message[at_once:])

    await crowd(tally, arena.count(400), one)


async def append_writers(arena: Arena, tally: Tally) -> None:
    """The same with APPEND."""
    message = encrypted_message(arena.address, size_bytes=2 * IN_MEMORY_BYTES)

    async def one(number: int) -> None:
        client = await imap(arena, number)
        client.writer.write(b"A APPEND INBOX {%d}\r\n" % len(message))
        assert (await client.line()).startswith(b"+")
        tally["messages begun"] += 1
        at_once = IN_MEMORY_BYTES if number % 2 else 0
        client.writer.write(message[:at_once])
        await _trickle(client.writer, tally, message[at_once:])

    await crowd(tally, arena.count(1000), one)


ATTACKS = (
    Attack(
        "slow-readers",
        "300 sessions that fetch 30 MB three times and never read",
        readers,
        store_large,
        seconds=CUT_OFF_SECONDS,
        least_seconds=CUT_OFF_SECONDS,
    ),
    Attack("trickling-readers", "300 that take a kilobyte a second of it", trickling_readers, store_large),
    Attack("slow-writers-smtp", "400 that send DATA a byte a second, half of them after 250 KB", data_writers),
    Attack("slow-writers-append", "1,000 that APPEND a byte a second, half of them after 250 KB", append_writers),
)
