"""A terminal that is read as a person reads it: tmux; keys go in, and the screen comes out as text.

What was on the screen at the moments a test names is kept as text, in the folder the terminal was made with.
"""

import os
import re
import subprocess
from pathlib import Path
from time import monotonic, sleep
from typing import Final

from tests.support.qr_reader import read_code
from tests.support.tools import require_tool

PATIENCE_SECONDS: Final = 60.0
LOOKS: Final = 10
_COLOUR: Final = re.compile(r"(?<=;)(?:[34]8;2;\d+;\d+;\d+|[34]8;5;\d+|[349][1-6]|10[1-6])(?=;)")
"""What SGR sets to a colour (ECMA-48 §8.3.117, ISO 8613-6)."""
_GREYS: Final = {0, 7, 8, 15, 16, *range(231, 256)}


class Tmux:
    """One session of `columns` × `rows`, on a tmux server of its own, named `name`."""

    def __init__(self, name: str, kept: Path, *, columns: int = 80, rows: int = 24) -> None:
        self._socket, self._kept = f"chatmail-{name}", kept
        self._size = ("-x", str(columns), "-y", str(rows))
        kept.mkdir(parents=True, exist_ok=True)

    def _tmux(self, *words: str) -> str:
        command = [require_tool("tmux"), "-L", self._socket, "-f", "/dev/null", *words]
        # readline, which pytest loads, puts a size into the environment, and programs would never see another.
        environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
        return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout

    def start(self, command: str) -> None:
        """Run a command line in it; the session ends with it."""
        self._tmux("new-session", "-d", *self._size, command)

    @property
    def is_open(self) -> bool:
        """Whether what was started still runs."""
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
        """Keep what is on the screen, by the name of the moment, once it is drawn whole."""
        screen = self._whole_screen()
        (self._kept / f"{moment}.txt").write_text(screen + "\n")
        return screen

    def _whole_screen(self) -> str:
        """As it is once it stays as it is for a moment; some never do, and are taken as they are."""
        screen = self.screen
        for _look in range(LOOKS):
            sleep(0.15)  # a program draws in parts, and does not say which is the last
            before, screen = screen, self.screen
            if screen == before:
                break
        return screen

    def note(self, name: str, text: str) -> None:
        """Keep something else with them."""
        (self._kept / f"{name}.txt").write_text(text + "\n")

    def scan(self) -> str:
        """What a phone reads that is held before the screen."""
        return read_code(self.screen, self._kept)


def _is_grey(colour: str) -> bool:
    kind, *values = map(int, colour.split(";"))
    if kind not in (38, 48):
        return False
    return values[1] in _GREYS if values[0] == 5 else len(set(values[1:])) == 1
