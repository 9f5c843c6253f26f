"""Floods of small commands, pipelined, answered as fast as the server can: its processor is what is fought for."""

from tests.hostile.arena import Arena, Attack, Run, Tally
from tests.hostile.wire import Stream, crowd, imap, read_to_the_end, smtp
from tests.support.messages import encrypted_message

CONNECTIONS = 50
BATCH = 500
STORED_MESSAGES = 2000
IMAP_END = b"END NOOP\r\n"
SMTP_END = b"EHLO end\r\n"


async def _pipeline(stream: Stream, tally: Tally, commands: bytes, end: bytes) -> None:
    """Send `commands` over and over; `end` is how the last answer begins, after a line end."""
    reader, writer = stream
    number = commands.count(b"\n")
    while True:
        writer.write(commands)
        await reader.readuntil(b"\r\n" + end)
        await reader.readuntil(b"\r\n")
        tally["commands"] += number


def _imap_flood(*lines: bytes, log_in: bool, select: bool = False, batch: int = BATCH) -> Run:
    commands = b"".join(b"F%d %b\r\n" % (number, lines[number % len(lines)]) for number in range(batch))

    async def run(arena: Arena, tally: Tally) -> None:
        async def one(number: int) -> None:
            client = await imap(arena, number, log_in=log_in, select=select)
            try:
                await _pipeline((client.reader, client.writer), tally, commands + IMAP_END, b"END ")
            finally:
                client.close()

        await crowd(tally, arena.count(CONNECTIONS), one)

    return run


def _smtp_flood(*lines: bytes, log_in: bool, batch: int = BATCH) -> Run:
    commands = b"".join(lines[number % len(lines)] + b"\r\n" for number in range(batch))

    async def run(arena: Arena, tally: Tally) -> None:
        async def one(number: int) -> None:
            client = await smtp(arena, number, log_in=log_in)
            own = commands.replace(b"SELF", arena.address.encode())
            try:
                await _pipeline((client.reader, client.writer), tally, own + SMTP_END, b"250 SMTPUTF8")
            finally:
                client.close()

        await crowd(tally, arena.count(CONNECTIONS), one)

    return run


async def unknown(arena: Arena, tally: Tally) -> None:
    """Commands that do not exist, on both protocols; whoever is sent away comes again."""

    async def one(number: int) -> None:
        client = await (imap(arena, number, log_in=False) if number % 2 else smtp(arena, number, log_in=False))
        try:
            client.writer.write(b"xyzzy plugh\r\n" * BATCH)
            await read_to_the_end(client.reader, tally, "answers")
        finally:
            client.close()

    await crowd(tally, arena.count(CONNECTIONS), one, per_second=100)


async def fill_mailbox(arena: Arena) -> None:
    """2,000 small messages, by MULTIAPPEND."""
    client = await imap(arena, 0)
    message = encrypted_message(arena.address, size_bytes=1500)
    literal = b" {%d+}\r\n%b" % (len(message), message)
    for _ in range(max(1, arena.count(STORED_MESSAGES) // 100)):
        client.writer.write(b"A APPEND INBOX" + literal * 100 + b"\r\n")
        while not (line := await client.line()).startswith(b"A "):
            assert not line.startswith(b"* BYE"), line
        assert line.startswith(b"A OK"), line
    client.close()


async def handshakes_after_commands(arena: Arena, tally: Tally) -> None:
    """Log in, ask one thing, go; over and over."""

    async def one(number: int) -> None:
        client = await imap(arena, number, select=True)
        tally["sessions"] += 1
        client.close()

    await crowd(tally, arena.count(300, least=100), one, per_second=100)


ATTACKS = (
    Attack(
        "flood-imap-strangers",
        "50 connections pipelining NOOP and CAPABILITY before any login",
        _imap_flood(b"NOOP", b"CAPABILITY", log_in=False),
    ),
    Attack("flood-imap-noop", "the same with NOOP after the login", _imap_flood(b"NOOP", log_in=True, select=True)),
    Attack(
        "flood-smtp-strangers",
        "50 connections pipelining NOOP and RSET before any login",
        _smtp_flood(b"NOOP", b"RSET", log_in=False),
    ),
    Attack(
        "flood-smtp-mail",
        "the same with MAIL and RSET after the login",
        _smtp_flood(b"MAIL FROM:<SELF>", b"RSET", log_in=True),
    ),
    Attack("flood-unknown", "batches of 500 unknown commands on both, at most 100 connections a second", unknown),
    Attack(
        "flood-imap-select",
        "50 sessions pipelining SELECT and STATUS of 2,000 messages",
        _imap_flood(b"SELECT INBOX", b"STATUS INBOX (MESSAGES UNSEEN SIZE)", log_in=True, batch=50),
        fill_mailbox,
    ),
    Attack(
        "flood-imap-search",
        "50 sessions pipelining SEARCH in 2,000 messages",
        _imap_flood(
            b"SEARCH " + b"OR SEEN " * 100 + b"ALL",
            b"SEARCH SUBJECT nothing",
            b"SEARCH TEXT nothing",
            log_in=True,
            select=True,
            batch=6,
        ),
        fill_mailbox,
    ),
    Attack(
        "flood-imap-fetch",
        "50 sessions fetching headers and structures of 2,000 messages",
        _imap_flood(
            b"FETCH 1:* (FLAGS BODY.PEEK[HEADER])",
            b"FETCH 1:* (BODYSTRUCTURE ENVELOPE)",
            log_in=True,
            select=True,
            batch=4,
        ),
        fill_mailbox,
    ),
    Attack("sessions", "100 logins with SELECT a second, and gone", handshakes_after_commands),
)
