"""The server under measurement: where it listens, how to get accounts on it, what it costs the machine."""

import asyncio
import os
import random
import ssl
import string
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.mail_client import ImapClient, SmtpClient, accept_any_certificate

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
NAME_ALPHABET = string.ascii_lowercase + string.digits


@dataclass(frozen=True, slots=True)
class Login:
    """An account of the target."""

    address: str
    password: str


def _process_tree(pid: int) -> list[int]:
    """`pid` and all its descendants, so that servers of many processes are measured whole."""
    pids = [pid]
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found = children.read_text().split()
        except OSError:
            continue
        for child in found:
            pids += _process_tree(int(child))
    return pids


@dataclass(slots=True)
class Target:
    """A chatmail relay (ours or another) given by address, ports and process ids."""

    host: str
    domain: str
    submissions: int = 465
    imaps: int = 993
    pids: tuple[int, ...] = ()
    """Its processes, each with all its descendants; none if it runs elsewhere: then CPU and memory are 0."""
    context: ssl.SSLContext = field(default_factory=accept_any_certificate)
    given: list[Login] | None = None
    """Accounts that are there and were not used yet; None where a first login makes one."""
    restart: Callable[[], None] | None = None
    """Ends the server and starts it again, where that can be done; blocks until it serves."""

    def fresh_login(self) -> Login:
        """Credentials nobody used yet. Raises `IndexError` when the given ones are used up."""
        if self.given is not None:
            return self.given.pop()
        name = "".join(random.choices(NAME_ALPHABET, k=9))
        return Login(f"{name}@{self.domain}", "".join(random.choices(NAME_ALPHABET, k=22)))

    async def smtp(self, login: Login | None = None) -> SmtpClient:
        """A submission session, logged in if `login` is given."""
        client = await SmtpClient.connect(self.host, self.submissions, self.context)
        if login is not None:
            await client.login(login.address, login.password)
        return client

    async def imap(self, login: Login) -> ImapClient:
        """An IMAP session with INBOX selected."""
        client = await ImapClient.connect(self.host, self.imaps, self.context)
        await client.login(login.address, login.password)
        await client.command('SELECT "INBOX"')
        return client

    async def account(self) -> Login:
        """A new account."""
        login = self.fresh_login()
        (await self.imap(login)).close()
        return login

    async def accounts(self, count: int) -> list[Login]:
        """Several new accounts, a few at a time."""
        gate = asyncio.Semaphore(4)

        async def one() -> Login:
            async with gate:
                return await self.account()

        return list(await asyncio.gather(*(one() for _ in range(count))))

    def _processes(self) -> list[int]:
        return [one for pid in self.pids for one in _process_tree(pid)]

    def cpu_seconds(self) -> float:
        """User and system time its processes have used, those that ended meanwhile included (0 without a pid)."""
        total = 0
        for pid in self._processes():
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            total += sum(map(int, fields[11:15]))
        return total / TICKS_PER_SECOND

    def memory_bytes(self) -> int:
        """Memory its processes hold (proportional set size, so that shared pages count once)."""
        total = 0
        for pid in self._processes():
            try:
                lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            except OSError:
                continue
            total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024
        return total
