"""A dashboard in a test: its app over a fake source and clock, at a size, with what it shows."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Final

from textual.pilot import Pilot

from installer.dashboard.app import Dashboard
from tests.support.fake_source import FakeClock, FakeSource
from tests.support.screen_snapshot import settle, still

SMALL, LARGE, LARGEST = (80, 24), (120, 40), (180, 50)
DEADLINE_SECONDS: Final = 20.0


@dataclass
class Seen:
    """The running app, and ways to look at it."""

    app: Dashboard
    pilot: Pilot[int]
    source: FakeSource
    clock: FakeClock

    async def press(self, *keys: str) -> None:
        """Press keys, and wait for all that follows."""
        await self.pilot.press(*keys)
        await self.settle()

    async def pass_by(self, seconds: float = 1.0) -> None:
        """Let time pass, with one look at the server."""
        await asyncio.to_thread(self.clock.pass_by, seconds)
        await self.settle()

    async def settle(self) -> None:
        """Until every worker but the watch has ended, and its messages are handled."""
        for _round in range(3):
            if passing := [worker for worker in self.app.workers if worker.group != "watch"]:
                await self.app.workers.wait_for_complete(passing)
            await settle(self.pilot)

    async def shows(self, *texts: str) -> None:
        """Wait until the screen shows all of them; fails with the screen if it does not come to that."""
        deadline = monotonic() + DEADLINE_SECONDS
        while not all(text in self.text for text in texts):
            assert monotonic() < deadline, f"{texts} are not on the screen:\n{self.text}"
            await self.settle()

    @property
    def text(self) -> str:
        """The characters on the screen."""
        strips = self.app.screen._compositor.render_strips(self.app.size)
        return "\n".join("".join(segment.text for segment in strip) for strip in strips)


@asynccontextmanager
async def seen(source: FakeSource, size: tuple[int, int] = SMALL) -> AsyncIterator[Seen]:
    """Run a dashboard until the block ends; at its beginning the server has been looked at once."""
    clock = FakeClock()
    app = still(Dashboard(source, clock))
    async with app.run_test(size=size, notifications=True) as pilot:
        await asyncio.to_thread(clock.wait_until_asleep)
        shown = Seen(app, pilot, source, clock)
        await shown.settle()
        yield shown
