"""The dashboard of the built file where lines are slow and watchers are many.

The terminal is tmux, the line in between passes only so many bytes a second; screens and figures are left in
`CHATMAIL_CAPTURES`. How much a dashboard takes of a processor is measured by `python -m tests.bench.dashboard`.
"""

import asyncio
import os
import re
import shlex
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic, sleep

import pytest

from tests.bench.own_relay import own_relay, target_of
from tests.bench.target import Target
from tests.support.messages import encrypted_message
from tests.support.relay import ServedRelay
from tests.support.tmux import Tmux

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
WATCHERS = 5
MESSAGES = 20


@pytest.fixture(scope="module")
def relay(pyz: Path, loopback_address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedRelay]:
    """One that limits nobody."""
    with own_relay(pyz, loopback_address, tmp_path_factory.mktemp("relay") / "data") as running:
        yield running


class Watcher(Tmux):
    """A terminal with a dashboard in it, and the line between them."""

    def __init__(self, name: str, folder: Path) -> None:
        super().__init__(name, Path(os.environ.get("CHATMAIL_CAPTURES", folder / "captures")) / "dashboard-line")
        self._count_file = folder / f"{name}.count"

    def look(self, relay: ServedRelay, bytes_per_second: int = 0) -> None:
        """Open the dashboard, and wait for its first figures."""
        line = [sys.executable, "-m", "tests.support.slow_line", str(bytes_per_second), str(self._count_file)]
        dashboard = [relay.python, str(relay.pyz), "status", "--config", str(relay.config_path)]
        self.start(shlex.join([*line, *dashboard]))
        self.wait_for(r"Messages per minute(?s:.)*q Quit")

    @property
    def bytes_passed(self) -> int:
        """Since it was opened."""
        return int(self._count_file.read_text())

    def bytes_during(self, seconds: float) -> float:
        """How many a second pass from now on."""
        began, before = monotonic(), self.bytes_passed
        sleep(seconds)
        return (self.bytes_passed - before) / (monotonic() - began)

    def seconds_until(self, pattern: str) -> float:
        """How long it takes until that is on the screen."""
        began = monotonic()
        self.wait_for(pattern)
        return monotonic() - began

    def seconds_until_gone(self, pattern: str) -> float:
        """How long it takes until that is nowhere on it."""
        began = monotonic()
        self.wait_gone(pattern)
        return monotonic() - began


@contextmanager
def watching(relay: ServedRelay, folder: Path, name: str = "line", bytes_per_second: int = 0) -> Iterator[Watcher]:
    """A watcher who sees figures."""
    one = Watcher(f"{name}-{relay.host}", folder)
    try:
        one.look(relay, bytes_per_second)
        yield one
    finally:
        one.close()


async def new_accounts(relay: ServedRelay, count: int) -> None:
    for _number in range(count):
        await target_of(relay).account()


async def chat(target: Target, seconds: float) -> None:
    """A message in each tenth of a second."""
    sender, receiver = await target.accounts(2)
    smtp = await target.smtp(sender)
    for _number in range(int(seconds * 10)):
        await smtp.send(sender.address, [receiver.address], encrypted_message(sender.address))
        await asyncio.sleep(0.1)
    smtp.close()


def test_several_at_once_see_the_same_a_second_later(relay: ServedRelay, tmp_path: Path) -> None:
    with ExitStack() as stack:
        watchers = [stack.enter_context(watching(relay, tmp_path, f"many{number}")) for number in range(WATCHERS)]
        shown = re.search(r"│ Accounts +(\d+)", watchers[0].screen)
        assert shown, watchers[0].screen
        asyncio.run(new_accounts(relay, 7))
        expected = rf"│ Accounts +{int(shown[1]) + 7}\b"
        late = [round(watcher.seconds_until(expected), 1) for watcher in watchers]
        watchers[0].note("several", f"seconds until each of {WATCHERS} showed 7 new accounts: {late}")
        for watcher in watchers:
            watcher.press("q")


@pytest.mark.parametrize("bits", [9600, 38400])
def test_a_slow_line_stays_usable(relay: ServedRelay, tmp_path: Path, bits: int) -> None:
    noted, began = [], monotonic()
    with watching(relay, tmp_path, f"slow{bits}", bits // 10) as watcher:
        noted.append(f"{watcher.bytes_passed} bytes in {monotonic() - began:.1f} s until the first screen was whole")
        noted.append(f"{watcher.bytes_during(15):.0f} bytes/s while nothing happens")
        with asyncio.Runner() as runner:
            load = runner.get_loop().run_in_executor(None, lambda: asyncio.run(chat(target_of(relay), 20)))
            noted.append(f"{watcher.bytes_during(10):.0f} bytes/s while counters change")
            watcher.press("2")
            noted.append(f"{watcher.seconds_until_gone('per minute'):.1f} s until another page was there, under load")
            watcher.press("1")
            watcher.wait_for("per minute(?s:.)*q Quit")
            watcher.resize(120, 40)
            noted.append(f"{watcher.seconds_until('Other servers(?s:.)*q Quit'):.1f} s until a larger window was full")
            watcher.resize(80, 24)
            watcher.wait_gone("Other servers")
            runner.run(asyncio.wait_for(load, 60))
        watcher.keep(f"{bits}-bits")
        watcher.note(f"{bits}-bits-figures", "\n".join(noted))
        watcher.press("q")
        deadline = monotonic() + 30
        while watcher.is_open:
            assert monotonic() < deadline, watcher.screen
            sleep(0.1)  # tmux tells nobody that its session has ended
