"""An honest client: sends messages at an even pace, waits for their EXISTS, and now and then logs in afresh."""

import asyncio
import random
import string
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from time import perf_counter
from typing import Final

from tests.support.mail_client import ImapClient, SmtpClient, UnexpectedReplyError, accept_any_certificate
from tests.support.messages import encrypted_message

PER_SECOND: Final = 30
PATIENCE_SECONDS: Final = 10.0
"""A message, or a login, that takes longer has failed."""
LOGIN_PAUSE_SECONDS: Final = 0.5
_FAILURES: Final = (OSError, asyncio.IncompleteReadError, UnexpectedReplyError)


@dataclass(frozen=True, slots=True)
class Relay:
    """Where the server is, and where the honest client comes from."""

    host: str
    port_base: int
    source: str

    async def imap(self) -> ImapClient:
        """A session, not logged in."""
        return await ImapClient.connect(self.host, self.port_base + 993, CONTEXT, self.source)

    async def smtp(self) -> SmtpClient:
        """A session, not logged in."""
        return await SmtpClient.connect(self.host, self.port_base + 465, CONTEXT, self.source)

    def fresh(self) -> tuple[str, str]:
        """Address and password of an account that is made by its first login."""
        name, password = ("".join(random.choices(string.ascii_lowercase, k=count)) for count in (9, 20))
        return f"{name}@[{self.host}]", password


CONTEXT: Final = accept_any_certificate()


@dataclass(slots=True)
class Seen:
    """What an honest client experienced in one phase, in seconds."""

    exists: list[float] = field(default_factory=list)
    logins: list[float] = field(default_factory=list)
    failures: int = 0
    failed_logins: int = 0


@dataclass(slots=True)
class Honest:
    """Two people, who chat as long as `run` runs. `seen` is replaced at the beginning of a phase."""

    relay: Relay
    seen: Seen = field(default_factory=Seen)
    _sender: tuple[str, str] = ("", "")
    _receiver: tuple[str, str] = ("", "")

    def phase(self) -> Seen:
        """Begin to count anew; what was counted until now."""
        before, self.seen = self.seen, Seen()
        return before

    async def prepare(self) -> None:
        """Make both accounts."""
        self._sender, self._receiver = self.relay.fresh(), self.relay.fresh()
        for account in (self._sender, self._receiver):
            client = await self.relay.imap()
            await client.login(*account)
            client.close()

    async def run(self) -> None:
        """Until it is cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._chat())
            tasks.create_task(self._log_in_again())

    async def first_login(self) -> float:
        """How long a new account takes, from the connection on."""
        began = perf_counter()
        client = await self.relay.imap()
        try:
            await client.login(*self.relay.fresh())
        finally:
            client.close()
        return perf_counter() - began

    async def _log_in_again(self) -> None:
        while True:
            began = perf_counter()
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    client = await self.relay.imap()
                    try:
                        await client.login(*self._receiver)
                    finally:
                        client.close()
                self.seen.logins.append(perf_counter() - began)
            except _FAILURES:
                self.seen.failed_logins += 1
            await asyncio.sleep(LOGIN_PAUSE_SECONDS)

    async def _chat(self) -> None:
        """One conversation after the other; whatever breaks it counts as a message that failed."""
        while True:
            try:
                await self._conversation()
            except _FAILURES:
                self.seen.failures += 1
                await asyncio.sleep(1 / PER_SECOND)

    async def _conversation(self) -> None:
        (sender, password), receiver = self._sender, self._receiver[0]
        smtp = imap = listening = None
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                smtp, imap = await self.relay.smtp(), await self.relay.imap()
                await smtp.login(sender, password)
                await imap.login(*self._receiver)
                known = _exists(await imap.command("SELECT INBOX"))
                await imap.idle()
            message = encrypted_message(sender)
            due = perf_counter()
            while True:
                listening = asyncio.ensure_future(imap.wait_exists())
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await smtp.send(sender, [receiver], message)
                    number, at = await listening
                    while number <= known:
                        number, at = await imap.wait_exists()
                known = number
                self.seen.exists.append(at - smtp.final_dot_at)
                due = max(due + 1 / PER_SECOND, perf_counter() - 1)
                await asyncio.sleep(max(0.0, due - perf_counter()))
        finally:
            if listening is not None:
                listening.cancel()
                with suppress(asyncio.CancelledError, *_FAILURES):
                    await listening
            for client in (smtp, imap):
                if client is not None:
                    client.close()


def _exists(lines: Sequence[bytes]) -> int:
    return next(int(line.split()[1]) for line in lines if line.endswith(b" EXISTS\r\n"))
