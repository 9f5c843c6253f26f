"""How long a message takes, from the final dot to 250, to EXISTS at an idling receiver, and to the body fetched."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from time import perf_counter

from tests.bench.figure import Figure, latency_figures
from tests.bench.target import Login, Target
from tests.support.mail_client import ImapClient, SmtpClient
from tests.support.messages import encrypted_message

BACKGROUND_SENDERS = 10


@dataclass(slots=True)
class Pair:
    """A sender and a receiver, who fetches, deletes and expunges what comes, as the real client does."""

    smtp: SmtpClient
    imap: ImapClient
    sender: Login
    receiver: Login
    accepted: list[float] = field(default_factory=list)
    exists: list[float] = field(default_factory=list)
    fetched: list[float] = field(default_factory=list)

    @classmethod
    async def of(cls, target: Target) -> "Pair":
        """Two new accounts, connected."""
        sender, receiver = await target.accounts(2)
        return cls(await target.smtp(sender), await target.imap(receiver), sender, receiver)

    async def chat(self) -> None:
        """One message, there and gone."""
        message = encrypted_message(self.sender.address)
        await self.imap.idle()
        pushed = asyncio.create_task(self.imap.wait_exists())
        await self.smtp.send(self.sender.address, [self.receiver.address], message)
        self.accepted.append(perf_counter() - self.smtp.final_dot_at)
        number, at = await pushed
        self.exists.append(at - self.smtp.final_dot_at)
        await self.imap.done()
        await self.imap.command(f"FETCH {number} (UID FLAGS BODY.PEEK[])")
        self.fetched.append(perf_counter() - self.smtp.final_dot_at)
        await self.imap.command(f"STORE {number} +FLAGS (\\Deleted)")
        await self.imap.command("CLOSE")
        await self.imap.command('SELECT "INBOX"')

    def close(self) -> None:
        """Drop both connections."""
        self.smtp.close()
        self.imap.close()

    def figures(self, circumstances: str = "", goal_p50: str = "", goal_p99: str = "") -> list[Figure]:
        """What was measured."""
        return [
            *latency_figures(f"final dot to 250{circumstances}", self.accepted),
            *latency_figures(f"final dot to EXISTS{circumstances}", self.exists, goal_p50, goal_p99),
            *latency_figures(f"final dot to body fetched{circumstances}", self.fetched),
        ]


async def latency(target: Target, *, messages: int) -> list[Figure]:
    """One message at a time, on a server that has nothing else to do."""
    pair = await Pair.of(target)
    for _ in range(messages):
        await pair.chat()
    pair.close()
    return pair.figures("", "<= 2", "<= 8")


async def latency_under_load(target: Target, *, messages: int, per_second: int) -> list[Figure]:
    """The same, while others send at a steady pace to receivers of their own who idle."""
    pair = await Pair.of(target)
    senders, receivers = await target.accounts(BACKGROUND_SENDERS), await target.accounts(BACKGROUND_SENDERS)
    background = [
        asyncio.create_task(work)
        for sender, receiver in zip(senders, receivers, strict=True)
        for work in (_keep_sending(target, sender, receiver, per_second), _keep_listening(target, receiver))
    ]
    try:
        for _ in range(messages):
            await pair.chat()
            for task in background:
                if task.done():
                    task.result()
    finally:
        for task in background:
            task.cancel()
        for task in background:
            with suppress(asyncio.CancelledError):
                await task
    pair.close()
    return pair.figures(f" at {per_second}/s")


async def _keep_sending(target: Target, sender: Login, receiver: Login, per_second: int) -> None:
    smtp = await target.smtp(sender)
    message = encrypted_message(sender.address)
    seconds = BACKGROUND_SENDERS / per_second
    due = perf_counter()
    while True:
        await smtp.send(sender.address, [receiver.address], message)
        due += seconds
        await asyncio.sleep(max(0.0, due - perf_counter()))


async def _keep_listening(target: Target, receiver: Login) -> None:
    imap = await target.imap(receiver)
    await imap.idle()
    while True:
        await imap.line()
