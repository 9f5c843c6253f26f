"""The figures: one coroutine each, all through the wire as a client would, each returning a `Figure`."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

from tests.bench.target import Login, Target
from tests.support.mail_client import ImapClient
from tests.support.messages import encrypted_message

HEADER_FIELDS = (
    "MESSAGE-ID DATE X-MICROSOFT-ORIGINAL-MESSAGE-ID FROM CONTENT-TYPE SECURE-JOIN CHAT-VERSION "
    "CHAT-IS-POST-MESSAGE AUTOCRYPT-SETUP-MESSAGE"
)
"""What the real client prefetches."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number: name, value, unit, and the goal as text if there is one."""

    name: str
    value: float
    unit: str
    goal: str = ""


def quantile(samples: Sequence[float], share: float) -> float:
    """The `share` quantile of `samples` (nearest rank)."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _latency_figures(name: str, seconds: Sequence[float], goal_p50: str = "", goal_p99: str = "") -> list[Figure]:
    return [
        Figure(f"{name} p50", quantile(seconds, 0.5) * 1000, "ms", goal_p50),
        Figure(f"{name} p99", quantile(seconds, 0.99) * 1000, "ms", goal_p99),
    ]


async def latency(target: Target, *, messages: int = 400) -> list[Figure]:
    """Final dot → 250, → EXISTS at an idling receiver, → body fetched; one message at a time."""
    sender, receiver = await target.accounts(2)
    smtp, imap = await target.smtp(sender), await target.imap(receiver)
    accepted, exists, fetched = [], [], []
    for number in range(messages):
        message = encrypted_message(sender.address)
        await imap.idle()
        pushed = asyncio.create_task(imap.wait_exists())
        await smtp.send(sender.address, [receiver.address], message)
        accepted.append(perf_counter() - smtp.final_dot_at)
        _, at = await pushed
        exists.append(at - smtp.final_dot_at)
        await imap.done()
        await imap.command(f"UID FETCH {number + 1} (FLAGS BODY.PEEK[])")
        fetched.append(perf_counter() - smtp.final_dot_at)
        await imap.command(f"UID STORE {number + 1} +FLAGS (\\Deleted)")
        await imap.command("CLOSE")
        await imap.command('SELECT "INBOX"')
    smtp.close()
    imap.close()
    return [
        *_latency_figures("final dot to 250", accepted),
        *_latency_figures("final dot to EXISTS", exists, "<= 2", "<= 8"),
        *_latency_figures("final dot to body fetched", fetched),
    ]


async def _count_arrivals(imap: ImapClient, expected: int) -> None:
    await imap.idle()
    while (await imap.wait_exists())[0] < expected:
        pass
    imap.close()


async def throughput(
    target: Target,
    *,
    messages: int,
    senders: int = 10,
    recipients: int = 1,
    size_bytes: int = 5000,
    goals: Sequence[str] = ("", ""),
) -> list[Figure]:
    """Messages per second accepted and delivered (every receiver has seen EXISTS), and the server's CPU for each."""
    logins = await target.accounts(senders)
    receivers = await target.accounts(max(recipients, senders))
    watchers = [await target.imap(login) for login in receivers]
    each = messages // senders
    per_receiver = each * senders if recipients > 1 else each
    expected = [per_receiver if recipients == 1 or index < recipients else 0 for index in range(len(receivers))]
    message = encrypted_message("x" * len(logins[0].address), size_bytes=size_bytes)

    async def send_all(index: int, login: Login) -> None:
        smtp = await target.smtp(login)
        own = message.replace(b"x" * len(login.address), login.address.encode())
        to = [login.address for login in receivers[:recipients]] if recipients > 1 else [receivers[index].address]
        for _ in range(each):
            await smtp.send(login.address, to, own)
        smtp.close()

    arrivals = [
        asyncio.create_task(_count_arrivals(imap, count))
        for imap, count in zip(watchers, expected, strict=True)
        if count
    ]
    began, cpu = perf_counter(), target.cpu_seconds()
    await asyncio.gather(*(send_all(index, login) for index, login in enumerate(logins)), *arrivals)
    seconds, cpu = perf_counter() - began, target.cpu_seconds() - cpu
    name = f"{size_bytes // 1000} KB to {recipients}"
    return [
        Figure(f"{name}: messages", each * senders / seconds, "/s", goals[0]),
        Figure(f"{name}: server CPU per message", cpu / (each * senders) * 1000, "ms", goals[1]),
    ]


async def logins(target: Target, *, first: int = 300, known: int = 1000, parallel: int = 16) -> list[Figure]:
    """New connections with login per second: accounts made by it, and accounts known already."""
    credentials = [target.fresh_login() for _ in range(first)]

    async def run(work: list[Login]) -> float:
        queue = list(work)

        async def worker() -> None:
            while queue:
                login = queue.pop()
                client = await ImapClient.connect(target.host, target.imaps, target.context)
                await client.login(login.address, login.password)
                client.close()

        began = perf_counter()
        await asyncio.gather(*(worker() for _ in range(parallel)))
        return len(work) / (perf_counter() - began)

    first_rate = await run(credentials)
    known_rate = await run([credentials[index % first] for index in range(known)])
    return [Figure("first logins", first_rate, "/s", ">= 200"), Figure("known logins", known_rate, "/s", ">= 600")]


async def idle_memory(target: Target, *, connections: int = 2000) -> list[Figure]:
    """Memory per idling IMAP connection, and of the server before."""
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
        Figure("memory before", before / 2**20, "MiB", "<= 60 (fresh)"),
        Figure(f"memory per idle connection of {connections}", (after - before) / connections / 1024, "KiB", "<= 30"),
    ]


async def fetches(target: Target, *, messages: int = 1000) -> list[Figure]:
    """Headers and whole bodies of a mailbox of `messages`, in one command each; best of three."""
    sender, receiver = await target.accounts(2)
    smtp = await target.smtp(sender)
    for _ in range(messages):
        await smtp.send(sender.address, [receiver.address], encrypted_message(sender.address))
    smtp.close()
    imap = await target.imap(receiver)

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


async def large_message(target: Target, *, megabytes: int) -> list[Figure]:
    """One large message: submitted to 250, then fetched whole; what the server's memory grew by."""
    sender, receiver = await target.accounts(2)
    smtp, imap = await target.smtp(sender), await target.imap(receiver)
    message = encrypted_message(sender.address, size_bytes=megabytes * 1_000_000)
    before, began = target.memory_bytes(), perf_counter()
    await smtp.send(sender.address, [receiver.address], message)
    sent = perf_counter() - began
    await imap.command("NOOP")
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
