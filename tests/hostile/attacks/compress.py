"""COMPRESS=DEFLATE turned against the server: little that becomes much."""

import zlib

from tests.hostile.arena import Arena, Attack, Tally
from tests.hostile.wire import crowd, imap, read_to_the_end

MIB = 1 << 20


def _deflated(data: bytes, times: int = 1) -> bytes:
    """`data` so many times in a row, without ever having all of it."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    pieces = [compressor.compress(data) for _ in range(times)]
    return b"".join(pieces) + compressor.flush(zlib.Z_SYNC_FLUSH)


BOMBS = (
    _deflated(b"A SEARCH TEXT ") + _deflated(b"x" * MIB, 60),
    _deflated(b"A APPEND INBOX {31000000+}\r\n" + b"\0" * MIB, 31),
    _deflated(b"A NOOP\r\n" * 100_000),
    _deflated(b"A SEARCH TEXT {61000000+}\r\n") + _deflated(b"y" * MIB, 61),
    _deflated(b"\r\n" * MIB),
)


async def bombs(arena: Arena, tally: Tally) -> None:
    """Sixty kilobytes that are sixty megabytes, or a hundred thousand commands."""

    async def one(number: int) -> None:
        client = await imap(arena, number, select=True)
        try:
            await client.command("COMPRESS DEFLATE")
            bomb = BOMBS[number % len(BOMBS)]
            tally["bombs"] += 1
            tally["KiB sent"] += len(bomb) // 1024
            client.writer.write(bomb)
            await read_to_the_end(client.reader, tally)
        finally:
            client.close()

    await crowd(tally, arena.count(60), one)


ATTACKS = (
    Attack(
        "compress-bombs",
        "60 compressed sessions sending 60 KB that are 60 MB, or 100,000 commands",
        bombs,
        settings="[imap]\nimap_compress = true\n",
    ),
)
