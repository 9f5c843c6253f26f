"""A terminal an operator sits at: tmux, in which `ssh` logs in to a machine; keys go in, and the screen is read.

What was on the screen at the moments a test names is kept as text: below `CHATMAIL_CAPTURES`, if that is set.
"""

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Final

from tests.machines.machine import Machine, ssh_key
from tests.support.tools import require_tool

PATIENCE_SECONDS: Final = 60.0
_COLOUR: Final = re.compile(r"(?<=;)(?:[34]8;2;\d+;\d+;\d+|[34]8;5;\d+|[349][1-6]|10[1-6])(?=;)")
"""What SGR sets to a colour (ECMA-48 §8.3.117, ISO 8613-6)."""
_GREYS: Final = {0, 7, 8, 15, 16, *range(231, 256)}
PROMPT: Final = r"[#$] ?$"
_BLOCKS: Final = {"█": (1, 1), "▀": (1, 0), "▄": (0, 1)}
_PIXELS: Final = 8
"""A module of a code, in the picture that is scanned."""


class Terminal:
    """One session of `columns` × `rows`."""

    def __init__(self, machine: Machine, kept: Path, *, columns: int = 80, rows: int = 24) -> None:
        self._machine, self._kept = machine, kept
        self._socket = f"chatmail-{machine.network.name}"
        self._size = ("-x", str(columns), "-y", str(rows))
        kept.mkdir(parents=True, exist_ok=True)

    def _tmux(self, *words: str) -> str:
        command = [require_tool("tmux"), "-L", self._socket, "-f", "/dev/null", *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def open(self, user: str = "root", term: str = "", expect: str = PROMPT) -> None:
        """Log in, and wait for what is expected; `term` is what the terminal says it is."""
        environment = f"env TERM={term} " if term else ""
        options = "-q -t -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ServerAliveInterval=5"
        ssh = require_tool("ssh")
        login = f"{environment}{ssh} {options} -i {ssh_key()} {user}@{self._machine.address}"
        self._tmux("new-session", "-d", *self._size, login)
        self.wait_for(expect)

    @property
    def is_open(self) -> bool:
        """Whether somebody is logged in."""
        command = [require_tool("tmux"), "-L", self._socket, "has-session"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def close(self) -> None:
        """Hang up, whatever runs there."""
        subprocess.run([require_tool("tmux"), "-L", self._socket, "kill-server"], capture_output=True, check=False)

    def type(self, text: str) -> None:
        """Type a text as it is."""
        self._tmux("send-keys", "-l", text)

    def press(self, *keys: str) -> None:
        """Press keys, by tmux's names: Enter, Tab, C-c, Escape, Down …"""
        self._tmux("send-keys", *keys)

    def run(self, line: str) -> None:
        """Type a command line."""
        self.type(line)
        self.press("Enter")

    def resize(self, columns: int, rows: int) -> None:
        """Change the size of the window under what runs."""
        self._tmux("resize-window", "-x", str(columns), "-y", str(rows))

    @property
    def screen(self) -> str:
        """What is on the screen now, without trailing blanks."""
        return "\n".join(line.rstrip() for line in self._tmux("capture-pane", "-p").splitlines())

    @property
    def colours(self) -> set[str]:
        """The colours on the screen that are neither black, white nor grey, as the terminal was told them."""
        told = re.findall(r"\x1b\[([\d;]+)m", self._tmux("capture-pane", "-p", "-e"))
        return {one for sequence in told for one in _COLOUR.findall(f";{sequence};") if not _is_grey(one)}

    @property
    def modes(self) -> str:
        """What a program may leave behind: the other screen, a caught mouse, a hidden cursor (1 is on)."""
        return self._tmux(
            "display", "-p", "screen #{alternate_on}, mouse #{mouse_any_flag}, cursor #{cursor_flag}"
        ).strip()

    def wait_for(self, pattern: str, seconds: float = PATIENCE_SECONDS) -> str:
        """Wait until `pattern` is somewhere on the screen (`$` is the end of it), and return the screen."""
        deadline = monotonic() + seconds
        while True:
            screen = self._tmux("capture-pane", "-p").rstrip("\n")
            if re.search(pattern, screen):
                return screen
            assert monotonic() < deadline, f"no {pattern!r} on the screen:\n{screen}"
            sleep(0.1)  # a screen tells nobody that it has changed

    def wait_gone(self, pattern: str, seconds: float = PATIENCE_SECONDS) -> str:
        """Wait until `pattern` is nowhere on the screen any more."""
        return self.wait_for(rf"\A(?!(?s:.*{pattern}))", seconds)

    def keep(self, moment: str) -> str:
        """Keep what is on the screen now, by the name of the moment."""
        screen = self.screen
        (self._kept / f"{moment}.txt").write_text(screen + "\n")
        return screen

    def note(self, name: str, text: str) -> None:
        """Keep something else with them."""
        (self._kept / f"{name}.txt").write_text(text + "\n")

    def scan(self) -> str:
        """What a phone reads that is held before the screen."""
        picture = self._kept / "screen.pgm"
        for light in (255, 0):
            picture.write_bytes(_as_picture(self.screen, light))
            command = [require_tool("zbarimg"), "--quiet", "--raw", str(picture)]
            found = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
            if found:
                return found
        raise AssertionError(f"no code on the screen:\n{self.screen}")


def _is_grey(colour: str) -> bool:
    kind, *values = map(int, colour.split(";"))
    if kind not in (38, 48):
        return False
    return values[1] in _GREYS if values[0] == 5 else len(set(values[1:])) == 1


def _as_picture(screen: str, light: int) -> bytes:
    """The block characters of a screen as a PGM picture; all else is background."""
    lines = screen.splitlines()
    width = max(map(len, lines))
    rows = []
    for line in lines:
        for half in (0, 1):
            shades = [light if _BLOCKS.get(one, (0, 0))[half] else 255 - light for one in line.ljust(width)]
            row = b"".join(bytes([shade]) * _PIXELS for shade in shades)
            rows += [row] * _PIXELS
    return f"P5 {width * _PIXELS} {len(rows)} 255\n".encode() + b"".join(rows)


@contextmanager
def terminal(machine: Machine, name: str, folder: Path, *, columns: int = 80, rows: int = 24) -> Iterator[Terminal]:
    """A terminal whose kept screens are those of `name`; closed in the end, with its last screen kept."""
    kept = Path(os.environ.get("CHATMAIL_CAPTURES", folder / "captures")) / name
    one = Terminal(machine, kept, columns=columns, rows=rows)
    one.close()
    try:
        yield one
    finally:
        if one.is_open:
            one.keep("last")
        one.close()
