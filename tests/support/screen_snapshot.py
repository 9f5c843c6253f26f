"""Snapshots of a Textual screen as text: the characters, then the styles in a compact form, so that a diff reads.

    async with app.run_test(size=(80, 24)) as pilot:
        snapshot = Snapshots(Path(__file__))
        await snapshot.check(pilot, "welcome_empty")

The files lie in `snapshots/` beside the test, one per moment and size. `UPDATE_SNAPSHOTS=1` writes them anew (read the
diff before you commit it), and `SCREEN_PICTURES=DIR` leaves an SVG and, by Chromium, a PNG of every moment there, to
look at. `still(app)` stops what moves by itself.
"""

import difflib
import os
import shutil
import subprocess
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from string import ascii_letters
from typing import Any, TypeVar

import pytest
from rich.segment import Segment
from rich.style import Style
from textual.app import App
from textual.pilot import Pilot
from textual.widgets import Input

_App = TypeVar("_App", bound=App[Any])


def still(app: _App) -> _App:
    """The app without animations; a cursor that blinks is always shown."""
    app.animation_level = "none"
    return app


class Snapshots:
    """Compares moments of an app with the files beside one test module."""

    def __init__(self, test_file: Path) -> None:
        self._folder = test_file.parent / "snapshots" / test_file.stem.removeprefix("test_")

    async def check(self, pilot: Pilot[Any], moment: str) -> None:
        """Fail with a diff unless the screen looks as it did when the snapshot was last accepted."""
        await settle(pilot)
        width, height = pilot.app.size
        path = self._folder / f"{moment}-{width}x{height}.txt"
        _take_picture(pilot.app, path)
        seen = screen_as_text(pilot.app)
        if os.environ.get("UPDATE_SNAPSHOTS"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(seen, encoding="utf-8")
            return
        if not path.exists():
            pytest.fail(f"{path} does not exist; UPDATE_SNAPSHOTS=1 writes it.\n{seen}", pytrace=False)
        accepted = path.read_text(encoding="utf-8")
        if accepted != seen:
            diff = difflib.unified_diff(accepted.splitlines(), seen.splitlines(), "accepted", "seen", lineterm="")
            pytest.fail(f"{path} differs; UPDATE_SNAPSHOTS=1 accepts what is seen.\n" + "\n".join(diff), pytrace=False)


async def settle(pilot: Pilot[Any]) -> None:
    """Wait until all messages are handled, and cursors are in their visible phase."""
    await pilot.pause()
    for widget in pilot.app.screen.query(Input):
        widget.cursor_blink = False
    await pilot.pause()


def screen_as_text(app: App[Any]) -> str:
    """The characters line by line, then for each line which styles it has, then what those are."""
    lines = [list(Segment.simplify(strip)) for strip in app.screen._compositor.render_strips(app.size)]
    text = ["".join(segment.text for segment in line).rstrip() for line in lines]
    letters: dict[str, str] = {}
    styles = [" ".join(_runs(line, letters)) for line in lines]
    legend = [f"{letter} {style}" for style, letter in letters.items()]
    return "\n".join([*text, "", "-- styles", *_grouped(styles), "", "-- legend", *legend]) + "\n"


def _runs(line: Iterable[Segment], letters: dict[str, str]) -> Iterable[str]:
    """`a3 b77`: so many cells of each style."""
    for name, run in groupby(line, key=lambda segment: _style_name(segment.style)):
        letter = letters.setdefault(name, ascii_letters[len(letters) % 52] * (1 + len(letters) // 52))
        yield f"{letter}{sum(segment.cell_length for segment in run)}"


def _style_name(style: Style | None) -> str:
    """Colours and attributes; not what a click does, which is an id that changes."""
    return str((style or Style.null()).clear_meta_and_links())


def _grouped(styles: list[str]) -> Iterable[str]:
    """Lines that look alike, said once: `3-7: a80`."""
    numbered = enumerate(styles, start=1)
    for style, run in groupby(numbered, key=lambda pair: pair[1]):
        numbers = [number for number, _style in run]
        yield f"{numbers[0]}-{numbers[-1]}: {style}" if len(numbers) > 1 else f"{numbers[0]}: {style}"


def _take_picture(app: App[Any], path: Path) -> None:
    folder = os.environ.get("SCREEN_PICTURES")
    if not folder:
        return
    svg = Path(folder).absolute() / path.parent.name / f"{path.stem}.svg"
    svg.parent.mkdir(parents=True, exist_ok=True)
    svg.write_text(app.export_screenshot(simplify=True), encoding="utf-8")
    if chromium := shutil.which("chromium"):
        width, height = (int(side) for side in path.stem.rpartition("-")[2].split("x"))
        size = f"--window-size={round(width * 12.2) + 24},{round(height * 24.4) + 80}"
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", size]
        command = [chromium, *flags, f"--screenshot={svg.with_suffix('.png')}", svg.as_uri()]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
