"""What fetching costs, what a large message costs, and what those cost who only wait."""

import asyncio
import re
from time import perf_counter

from tests.bench.figure import Figure
from tests.bench.target import Target
from tests.support.mail_client import ImapClient
from tests.support.messages import encrypted_message

HEADER_FIELDS = (
    "MESSAGE-ID DATE X-MICROSOFT-ORIGINAL-MESSAGE-ID FROM CONTENT-TYPE SECURE-JOIN CHAT-VERSION "
    "CHAT-IS-POST-MESSAGE AUTOCRYPT-SETUP-MESSAGE"
)
"""What the real client prefetches."""


async def fetches(target: Target, *, messages: int) -> list[Figure]:
    """Headers and whole bodies of a mailbox of `messages`, in one command each; best of three."""
    sender, receiver = await target.accounts(2)
    smtp = await target.smtp(sender)
    for _ in range(messages):
        await smtp.send(sender.address, [receiver.address], encrypted_message(sender.address))
    smtp.close()
    imap = await target.imap(receiver)
    while not await _has(imap, messages):
        await asyncio.sleep(0.1)

    async def best(command: str) -> float:
        times = []
        for _ in range(3):
            began = perf_counter()
            await imap.command(command)
            times.append(perf_counter() - began)
        return min(times) * 1000

    headers = await best(f"UID FETCH 1:{messages} (UID RFC822.SIZE BODY.PEEK[HEADER.FIELDS ({HEADER_FIELDS})])")
    bodies = await best(f"UID FETCH 1:{messages} (FLAGS BODY.PEEK[])")
    imap.close()
    return [
        Figure(f"headers of {messages}", headers, "ms", "<= 25"),
        Figure(f"bodies of {messages} (5 KB)", bodies, "ms"),
    ]


async def _has(imap: ImapClient, messages: int) -> bool:
    said = b"".join(await imap.command('STATUS "INBOX" (MESSAGES)'))
    found = re.search(rb"MESSAGES (\d+)", said)
    return found is not None and int(found[1]) >= messages


async def large_message(target: Target, *, megabytes: int) -> list[Figure]:
    """One large message: submitted to 250, then fetched whole; what the server's memory grew by."""
    sender, receiver = await target.accounts(2)
    smtp, imap = await target.smtp(sender), await target.imap(receiver)
    message = encrypted_message(sender.address, size_bytes=megabytes * 1_000_000)
    before, began = target.memory_bytes(), perf_counter()
    await smtp.send(sender.address, [receiver.address], message)
    sent = perf_counter() - began
    while not await _has(imap, 1):
        await asyncio.sleep(0.01)
    began = perf_counter()
    parts = await imap.command("UID FETCH 1 (FLAGS BODY.PEEK[])")
    fetched = perf_counter() - began
    assert max(map(len, parts)) > megabytes * 900_000
    grown = target.memory_bytes() - before
    smtp.close()
    imap.close()
    return [
        Figure(f"{megabytes} MB submitted", sent, "s"),
        Figure(f"{megabytes} MB fetched", fetched, "s"),
        Figure(f"{megabytes} MB submitted and fetched", sent + fetched, "s", "<= 0.25" if megabytes == 10 else ""),
        Figure(f"{megabytes} MB: memory grown by", grown / 2**20, "MiB"),
    ]


async def memory_at_rest(target: Target) -> list[Figure]:
    """Of a server that has done nothing yet, if it was just started."""
    return [Figure("memory of a fresh server", target.memory_bytes() / 2**20, "MiB", "<= 60")]


async def idle_memory(target: Target, *, connections: int) -> list[Figure]:
    """Memory per idling IMAP connection."""
    accounts = await target.accounts(20)
    before = target.memory_bytes()
    gate = asyncio.Semaphore(16)

    async def one(index: int) -> ImapClient:
        async with gate:
            client = await target.imap(accounts[index % len(accounts)])
            await client.idle()
            return client

    clients = await asyncio.gather(*(one(index) for index in range(connections)))
    after = target.memory_bytes()
    for client in clients:
        client.close()
    return [
        Figure("memory after the load", before / 2**20, "MiB"),
        Figure(f"memory per idle connection of {connections}", (after - before) / connections / 1024, "KiB", "<= 30"),
    ]
