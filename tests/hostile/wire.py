"""How attackers connect: from an address of their choice, many at a time, again and again, at a bounded rate."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Final

from tests.hostile.arena import Arena, Tally
from tests.support.mail_client import ImapClient, SmtpClient, UnexpectedReplyError, accept_any_certificate

CONNECTS_PER_SECOND: Final = 250
"""More handshakes than these would make the attackers' own processor the measure."""
PAUSE_SECONDS: Final = 1.0
"""Before somebody who was turned away comes again."""
BUFFER_BYTES: Final = 1 << 20

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
ENDS: Final = (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, UnexpectedReplyError)
"""What the end of a connection looks like; `ssl.SSLError` and `ConnectionError` are OSErrors."""


async def connect(arena: Arena, port: int, number: int, *, tls: bool = True, alpn: str = "") -> Stream:
    """Connection `number`, from the source that is its turn."""
    context = _context(alpn) if tls else None
    return await asyncio.open_connection(
        arena.host, arena.port(port), ssl=context, local_addr=(arena.source(number), 0), limit=BUFFER_BYTES
    )


async def imap(arena: Arena, number: int, *, log_in: bool = True, select: bool = False) -> ImapClient:
    """An IMAP session."""
    client = ImapClient(*await connect(arena, 993, number))
    try:
        if not (await client.line()).startswith(b"* OK"):
            raise ConnectionRefusedError("turned away")
        if log_in:
            await client.login(arena.address, arena.password)
        if select:
            await client.command("SELECT INBOX")
    except BaseException:
        client.close()
        raise
    return client


async def smtp(arena: Arena, number: int, *, log_in: bool = True) -> SmtpClient:
    """A submission session."""
    client = SmtpClient(*await connect(arena, 465, number))
    try:
        await client.expect("220")
        await client.command("EHLO [127.0.0.1]", "250")
        if log_in:
            await client.login(arena.address, arena.password)
    except BaseException:
        client.close()
        raise
    return client


async def read_to_the_end(reader: asyncio.StreamReader, tally: Tally, counted: str = "") -> None:
    """Take all that comes; raises `ConnectionResetError` at the end. Lines are counted under `counted`."""
    while chunk := await reader.read(65536):
        if counted:
            tally[counted] += chunk.count(b"\n")
    raise ConnectionResetError("closed by the server")


async def crowd(tally: Tally, peers: int, attack: Callable[[int], Awaitable[None]], *, per_second: float = 0) -> None:
    """`peers` at once that do `attack(number)` and begin again when it ends, until all is cancelled."""
    gate = _Gate(per_second or CONNECTS_PER_SECOND)

    async def one(number: int) -> None:
        while True:
            await gate.pass_through()
            tally["tries"] += 1
            try:
                await attack(number)
            except ENDS:
                tally["ended by the server"] += 1
            await asyncio.sleep(PAUSE_SECONDS)

    async with asyncio.TaskGroup() as tasks:
        for number in range(peers):
            tasks.create_task(one(number))


@cache
def _context(alpn: str) -> ssl.SSLContext:
    context = accept_any_certificate()
    if alpn:
        context.set_alpn_protocols([alpn])
    return context


class _Gate:
    """Lets so many through in a second, evenly."""

    def __init__(self, per_second: float) -> None:
        self._step = 1 / per_second
        self._next = 0.0

    async def pass_through(self) -> None:
        now = asyncio.get_running_loop().time()
        self._next = max(self._next, now) + self._step
        await asyncio.sleep(self._next - now)
