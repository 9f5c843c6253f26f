"""How many messages a server takes in and delivers, and what each costs it."""

import asyncio
from collections.abc import Sequence
from time import perf_counter

from tests.bench.figure import Figure, latency_figures
from tests.bench.lean_client import Sender, Watcher
from tests.bench.target import Login, Target
from tests.support.messages import encrypted_message


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
    accepted: list[float] = []

    async def send_all(index: int, login: Login) -> None:
        smtp = Sender(await target.smtp(login))
        own = message.replace(b"x" * len(login.address), login.address.encode())
        to = [login.address for login in receivers[:recipients]] if recipients > 1 else [receivers[index].address]
        for _ in range(each):
            await smtp.send(login.address, to, own)
            accepted.append(perf_counter() - smtp.final_dot_at)
        smtp.close()

    arrivals = []
    for imap, count in zip(watchers, expected, strict=True):
        if count:
            await imap.idle()
            arrivals.append(Watcher(imap, count).wait())
    began, cpu = perf_counter(), target.cpu_seconds()
    await asyncio.gather(*(send_all(index, login) for index, login in enumerate(logins)), *arrivals)
    seconds, cpu = perf_counter() - began, target.cpu_seconds() - cpu
    for imap, count in zip(watchers, expected, strict=True):
        if not count:
            imap.close()
    name = f"{size_bytes // 1000} KB to {recipients}"
    return [
        Figure(f"{name}: messages", each * senders / seconds, "/s", goals[0]),
        Figure(f"{name}: server CPU per message", cpu / (each * senders) * 1000, "ms", goals[1]),
        *latency_figures(f"{name}: final dot to 250 at full load", accepted),
    ]
