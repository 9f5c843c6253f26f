"""Driving the wizard in a test: begin at any page, wait for what is to be seen, and look at it in both sizes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

from rich.segment import Segment
from textual.app import App
from textual.pilot import Pilot

from chatmail import api
from installer.wizard.app import WizardApp
from installer.wizard.journey import Journey, Step
from tests.support.screen_snapshot import Snapshots, still
from tests.support.wizard_door import DOMAIN, FakeDoor

WAIT_SECONDS = 90.0
SMALL, LARGE, NARROW = (80, 24), (120, 40), (40, 24)


@asynccontextmanager
async def wizard_at(
    step: Step, door: FakeDoor, *, size: tuple[int, int] = SMALL, **answers: object
) -> AsyncIterator[tuple[WizardApp, Pilot[int]]]:
    """The wizard on the page of `step`, with the usual answers but for `answers`."""
    app = still(WizardApp(door=door, first_step=step))
    app.typing_pause_seconds = 0.01
    app.journey = Journey(api.changed_answers(api.Answers(DOMAIN), **answers))
    async with app.run_test(size=size, notifications=True) as pilot:
        await pilot.pause()
        yield app, pilot
        if app.bug is not None:
            raise app.bug


def seen(app: App[Any]) -> str:
    """All characters of the screen, line by line."""
    strips = app.screen._compositor.render_strips(app.size)
    return "\n".join("".join(segment.text for segment in Segment.simplify(strip)).rstrip() for strip in strips)


async def until(pilot: Pilot[Any], condition: Callable[[], bool]) -> None:
    """Wait for a condition; fails with the screen as it is."""
    deadline = monotonic() + WAIT_SECONDS
    while True:
        bug = getattr(pilot.app, "bug", None)
        if bug is not None:
            raise bug
        await pilot.pause()
        if condition():
            return
        assert monotonic() < deadline, seen(pilot.app)
        await asyncio.sleep(0.02)  # workers are threads: nothing else tells when they have posted


async def shows(pilot: Pilot[Any], *texts: str) -> None:
    """Wait until all of these are on the screen, whatever lines they are broken into."""

    def found() -> bool:
        whole = " ".join(seen(pilot.app).split())
        return all(" ".join(text.split()) in whole for text in texts)

    await until(pilot, found)


async def look(snapshots: Snapshots, pilot: Pilot[Any], moment: str, *sizes: tuple[int, int], focus: str = "") -> None:
    """Compare this moment in both sizes, or in these."""
    first = pilot.app.size
    for size in sizes or (SMALL, LARGE):
        if size != tuple(pilot.app.size):
            await pilot.resize_terminal(*size)
        await snapshots.check(pilot, moment)
    if first != pilot.app.size:
        await pilot.resize_terminal(*first)
