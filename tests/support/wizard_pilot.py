"""Driving the wizard in a test: waiting for what is to be seen, without sleeping blindly."""

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Any

from rich.segment import Segment
from textual.app import App
from textual.pilot import Pilot

WAIT_SECONDS = 20.0


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
        if condition():
            return
        assert monotonic() < deadline, seen(pilot.app)
        await pilot.pause()
        await asyncio.sleep(0.005)  # workers are threads: nothing else tells when they have posted


async def shows(pilot: Pilot[Any], text: str) -> None:
    """Wait until `text` is on the screen, whatever lines it is broken into."""
    wanted = text.split()

    def found() -> bool:
        return " ".join(wanted) in " ".join(seen(pilot.app).split())

    await until(pilot, found)
