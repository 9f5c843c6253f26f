"""Literals that are announced and not sent, or sent up to the last octet."""

import asyncio

from tests.hostile.arena import Arena, Attack, Tally
from tests.hostile.wire import crowd, imap, read_to_the_end

CONNECTIONS = 2000
ANNOUNCED = (
    b"A LOGIN {4096}\r\n",
    b"A LOGIN u {4096+}\r\n" + b"x" * 4000,
    b"A LOGIN {99999999999}\r\n",
    b"A LOGIN {99999999999+}\r\n",
    b"A NOOP " + b"{0+}\r\n" * 900,
)
AFTER_LOGIN = (
    b"A APPEND INBOX {31000000}\r\n",
    b"A APPEND INBOX {31000000+}\r\n",
    b"A SEARCH TEXT {65000+}\r\n" + b"x" * 64_000 + b" TEXT {65000+}\r\n" + b"x" * 60_000,
    b"A APPEND INBOX {99999999999+}\r\n",
    b"A APPEND " + b"{0+}\r\n" * 900,
    b"A SEARCH TEXT {60000+}\r\n" + b"x" * 60_000 + b" " + b"x" * 60_000,
)


async def strangers(arena: Arena, tally: Tally) -> None:
    """Before any login."""

    async def one(number: int) -> None:
        client = await imap(arena, number, log_in=False)
        try:
            client.writer.write(ANNOUNCED[number % len(ANNOUNCED)])
            tally["announced"] += 1
            await read_to_the_end(client.reader, tally, "answers")
        finally:
            client.close()

    await crowd(tally, arena.count(CONNECTIONS), one)


async def accounts(arena: Arena, tally: Tally) -> None:
    """After a login, where more is allowed."""

    async def one(number: int) -> None:
        client = await imap(arena, number, select=True)
        try:
            client.writer.write(AFTER_LOGIN[number % len(AFTER_LOGIN)])
            tally["announced"] += 1
            await read_to_the_end(client.reader, tally, "answers")
        finally:
            client.close()

    await crowd(tally, arena.count(CONNECTIONS), one)


async def endless(arena: Arena, tally: Tally) -> None:
    """Lines and literals that go on for ever, as fast as the server reads them."""

    async def one(number: int) -> None:
        client = await imap(arena, number, select=True)
        reading = asyncio.ensure_future(read_to_the_end(client.reader, tally, "answers"))
        try:
            client.writer.write(b"A SEARCH TEXT " if number % 2 else b"A SEARCH TEXT {60000000+}\r\n")
            while not reading.done():
                client.writer.write(b"x" * 65536)
                await client.writer.drain()
                tally["KiB"] += 64
        finally:
            reading.cancel()
            client.close()

    await crowd(tally, arena.count(20, least=4), one)


ATTACKS = (
    Attack(
        "literals-strangers", "2,000 connections that announce literals and send none, or all but the end", strangers
    ),
    Attack("literals-accounts", "the same after a login: APPEND of 31 MB, SEARCH with 124 KB", accounts),
    Attack("endless-lines", "20 sessions sending lines and literals without an end", endless),
)
