"""One address that opens as many connections as it can; another must still get in."""

from tests.hostile.arena import Arena, Attack, Tally
from tests.hostile.wire import connect, crowd, read_to_the_end

PORTS = (465, 993, 443)
FULL_BYTES = b"GET / HTTP/1.1\r\n"


async def crowd_out(arena: Arena, tally: Tally) -> None:
    """As many as three services take, all from one address; each says just enough not to be idle."""

    async def one(number: int) -> None:
        port = PORTS[number % len(PORTS)]
        reader, writer = await connect(arena, port, 0)
        try:
            if port == 443:
                writer.write(FULL_BYTES)
                tally["HTTP opened"] += 1
            else:
                greeting = await reader.readuntil(b"\r\n")
                name = "SMTP" if port == 465 else "IMAP"
                is_in = greeting.startswith((b"220", b"* OK"))
                tally[f"{name} {'admitted' if is_in else 'refused'}"] += 1
            await read_to_the_end(reader, tally)
        finally:
            writer.transport.abort()

    await crowd(tally, arena.count(3000), one)


ATTACKS = (
    Attack(
        "crowding",
        "one address opening 3,000 connections over three services that take 1,000 each",
        crowd_out,
        limits="max_imap_connections = 1000\nmax_smtp_connections = 1000\n",
    ),
)
