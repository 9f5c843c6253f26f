"""Messages made to be expensive: to describe, to search, to take in."""

import asyncio

from tests.hostile.arena import Arena, Attack, Tally
from tests.hostile.hostile_mail import MESSAGES
from tests.hostile.wire import connect, crowd, imap, smtp

ASKED = (
    "FETCH {} (BODYSTRUCTURE)",
    "FETCH {} (ENVELOPE)",
    "FETCH {} (BODY.PEEK[1.1.1.1.1.1.HEADER.FIELDS (TO)])",
    "FETCH {} (BODY.PEEK[HEADER.FIELDS.NOT (X-NO)])",
    "FETCH {} (BINARY.SIZE[1.1])",
)


async def _drop(client_line: bytes, reader: asyncio.StreamReader, tally: Tally) -> None:
    """Read up to the tagged answer."""
    while not (line := await reader.readline()).startswith(client_line):
        if not line:
            raise ConnectionResetError("closed by the server")
    tally["answers"] += 1


async def describe(arena: Arena, tally: Tally) -> None:
    """Ask for the structure of each, again and again."""
    commands = b"".join(
        b"A%d %b\r\n" % (number, text.format(message).encode())
        for number, (text, message) in enumerate((t, m) for m in range(1, len(MESSAGES) + 1) for t in ASKED)
    )

    async def one(number: int) -> None:
        client = await imap(arena, number, select=True)
        try:
            while True:
                client.writer.write(commands + b"END NOOP\r\n")
                while not (line := await client.reader.readline()).startswith(b"END "):
                    if not line:
                        raise ConnectionResetError("closed by the server")
                tally["commands"] += len(MESSAGES) * len(ASKED)
        finally:
            client.close()

    await crowd(tally, arena.count(20, least=4), one)


async def search(arena: Arena, tally: Tally) -> None:
    """Look for a text in 30 MB, in many sessions at once."""

    async def one(number: int) -> None:
        client = await imap(arena, number, select=True)
        try:
            while True:
                await client.command("SEARCH OR TEXT nothing BODY nothing")
                tally["searches"] += 1
        finally:
            client.close()

    await crowd(tally, arena.count(50, least=4), one)


def _header_block(size_bytes: int) -> bytes:
    line = b"X-Hostile: " + b"y" * 100 + b"\r\n"
    return b"From: <SELF>\r\nContent-Type: multipart/encrypted; boundary=x\r\n" + line * (size_bytes // len(line))


HEADER_BLOCKS = (
    _header_block(100_000),
    _header_block(2_000_000),
    b"From: <SELF>\r\nTo: " + b"(" * 100_000 + b"\r\n",
    b"From: " + b'"' * 1999 + b"<SELF>\r\n",
    b"From: " + b"(a" * 600 + b"<SELF>\r\n",
    b"From: <SELF>\r\nContent-Type: multipart/encrypted" + b"; a=b" * 20_000 + b"\r\n",
    b"From: <SELF>\r\n" + b"To: a\r\n" * 15_000,
)


async def headers(arena: Arena, tally: Tally) -> None:
    """Submit messages that are all header, from sessions in both protocols."""

    async def submit(number: int) -> None:
        client = await smtp(arena, number)
        try:
            for block in HEADER_BLOCKS:
                own = block.replace(b"SELF", arena.address.encode())
                client.writer.write(f"MAIL FROM:<{arena.address}>\r\nRCPT TO:<{arena.address}>\r\nDATA\r\n".encode())
                replies = [await client.reply() for _ in range(3)]
                if not replies[2].startswith("354"):
                    tally["deferred"] += 1
                    return
                client.writer.write(own + b"\r\nbody\r\n.\r\n")
                tally["messages, answered " + (await client.reply())[:3]] += 1
        finally:
            client.close()

    async def append(number: int) -> None:
        client = await imap(arena, number)
        try:
            for block in HEADER_BLOCKS:
                own = block.replace(b"SELF", arena.address.encode()) + b"\r\nbody\r\n"
                client.writer.write(b"A APPEND INBOX {%d+}\r\n%b\r\n" % (len(own), own))
                await _drop(b"A ", client.reader, tally)
        finally:
            client.close()

    async def one(number: int) -> None:
        await (submit(number) if number % 2 else append(number))

    await crowd(tally, arena.count(40), one)


async def endless_lines(arena: Arena, tally: Tally) -> None:
    """Port 25: anybody may send a line without an end, and again."""

    async def one(number: int) -> None:
        reader, writer = await connect(arena, 25, number, tls=False)
        try:
            while not reader.at_eof():
                writer.write(b"y" * 4000)
                await writer.drain()
                tally["KiB"] += 4
                await asyncio.sleep(0.01)
        finally:
            writer.transport.abort()

    await crowd(tally, arena.count(100), one)


ATTACKS = (
    Attack(
        "deep-mime",
        "20 sessions asking for the structure of nested, endless and near-miss multiparts of up to 30 MB",
        describe,
        fills=True,
    ),
    Attack("search-large", "50 sessions searching texts in messages of 30 MB", search, fills=True),
    Attack("huge-headers", "40 sessions sending header blocks of 100 KB to 2 MB", headers),
    Attack("endless-clear-lines", "100 connections to port 25 that send lines without an end", endless_lines),
)
