"""`python -m tests.bench.dashboard --pyz dist/chatmail.pyz`: what watching costs, of a processor and of a line.

A relay from the built file, two clients that idle, and dashboards on terminals of 80×24: first nobody does anything,
then a load generator sends. CPU is what the kernel accounts to the processes. It takes four times `--seconds`.
"""

import argparse
import asyncio
import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from time import perf_counter
from typing import Final

from tests.bench.figure import Figure
from tests.bench.own_relay import own_relay, target_of
from tests.bench.target import Login, Target
from tests.support.mail_client import ImapClient
from tests.support.messages import encrypted_message
from tests.support.relay import ServedRelay

GOAL: Final = "<= 1"
SEVERAL: Final = 5
PER_SECOND: Final = 20
SETTLE_SECONDS: Final = 5.0
READY: Final = b"Quit"


class Screen:
    """A dashboard on a terminal that somebody reads; counts what is written."""

    def __init__(self, relay: ServedRelay) -> None:
        self._reader, terminal = pty.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
        command = [relay.python, str(relay.pyz), "status", "--config", str(relay.config_path)]
        environment = {**os.environ, "TERM": "xterm-256color"}
        self.process = subprocess.Popen(
            command, stdin=terminal, stdout=terminal, stderr=terminal, env=environment, start_new_session=True
        )
        os.close(terminal)
        self.bytes_written = 0
        self._is_ready = False
        self._thread = Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with suppress(OSError):
            while chunk := os.read(self._reader, 65536):
                self.bytes_written += len(chunk)
                self._is_ready = self._is_ready or READY in chunk

    async def ready(self) -> None:
        """Until it has drawn all of itself."""
        while not self._is_ready:
            if self.process.poll() is not None:
                sys.exit(f"the dashboard ended by itself, with {self.process.returncode}")
            await asyncio.sleep(0.1)

    def close(self) -> None:
        """The reader leaves."""
        os.write(self._reader, b"q")
        self.process.wait(20)
        self._thread.join()
        os.close(self._reader)


@contextmanager
def screens(relay: ServedRelay, count: int) -> Iterator[list[Screen]]:
    """So many at once."""
    opened: list[Screen] = []
    try:
        opened.extend(Screen(relay) for _number in range(count))
        yield opened
    finally:
        for one in opened:
            one.close()


def cpu_seconds(pid: int) -> float:
    """Of one process, all its threads."""
    return Target("", "", pids=(pid,)).cpu_seconds()


class Bench:
    """One call of the command."""

    def __init__(self, relay: ServedRelay, seconds: float) -> None:
        self._relay, self._target, self._seconds = relay, target_of(relay), seconds

    async def run(self) -> None:
        """All of it."""
        clients = [await self._idler() for _number in range(2)]
        await self._measure("nobody looks", [])
        with screens(self._relay, 1) as opened:
            await self._measure("one dashboard", opened, goal=GOAL)
            senders, receivers = await self._target.accounts(2), await self._target.accounts(2)
            load = [
                asyncio.create_task(self._send(sender, receiver))
                for sender, receiver in zip(senders, receivers, strict=True)
            ]
            await self._measure(f"one dashboard, {PER_SECOND} messages/s", opened)
            for task in load:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        with screens(self._relay, SEVERAL) as opened:
            await self._measure(f"{SEVERAL} dashboards", opened)
        for client in clients:
            client.close()

    async def _idler(self) -> ImapClient:
        client = await self._target.imap(await self._target.account())
        await client.idle()
        return client

    async def _send(self, sender: Login, receiver: Login) -> None:
        smtp = await self._target.smtp(sender)
        due = perf_counter()
        while True:
            await smtp.send(sender.address, [receiver.address], encrypted_message(sender.address))
            due += 2 / PER_SECOND
            await asyncio.sleep(max(0.0, due - perf_counter()))

    async def _measure(self, name: str, opened: Sequence[Screen], *, goal: str = "") -> None:
        for screen in opened:
            await screen.ready()
        await asyncio.sleep(SETTLE_SECONDS)
        pids = [screen.process.pid for screen in opened]
        began, server, before = perf_counter(), cpu_seconds(self._relay.pid), list(map(cpu_seconds, pids))
        written = sum(screen.bytes_written for screen in opened)
        await asyncio.sleep(self._seconds)
        took = perf_counter() - began
        server = (cpu_seconds(self._relay.pid) - server) / took * 100
        shares = [(cpu_seconds(pid) - one) / took * 100 for pid, one in zip(pids, before, strict=True)]
        _say(Figure(f"{name}: server", server, "%"))
        if opened:
            _say(Figure(f"{name}: a dashboard", sum(shares) / len(shares), "%"))
            _say(Figure(f"{name}: server and dashboards", server + sum(shares), "%", goal))
            written = sum(screen.bytes_written for screen in opened) - written
            _say(Figure(f"{name}: written by one", written / took / len(opened), "B/s"))


def _say(figure: Figure) -> None:
    missed = "" if figure.is_met else "  MISSED"
    print(f"{figure.name:<52} {figure.value:>8.2f} {figure.unit:<4} {figure.goal}{missed}", flush=True)


def main() -> int:
    """Run."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.dashboard", description=__doc__)
    parser.add_argument("--pyz", type=Path, required=True, help="the built file")
    parser.add_argument("--host", default="127.0.0.1", help="an address for the relay (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each measurement (default: %(default)s)")
    options = parser.parse_args()
    print("percent are of one core")
    with ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory(prefix="chatmail-bench-"))
        relay = stack.enter_context(own_relay(options.pyz, options.host, Path(folder) / "data"))
        asyncio.run(Bench(relay, options.seconds).run())
    return 0


if __name__ == "__main__":
    sys.exit(main())
