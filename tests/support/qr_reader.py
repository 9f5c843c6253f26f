"""What a phone reads that is held before a screen: block characters as a picture, and that through `zbarimg`."""

import subprocess
from pathlib import Path
from typing import Final

from tests.support.tools import require_tool

_BLOCKS: Final = {"█": (1, 1), "▀": (1, 0), "▄": (0, 1)}
_PIXELS: Final = 8
"""A module of a code, in the picture that is scanned."""


def read_code(screen: str, folder: Path) -> str:
    """The text of the code on a screen, whose blocks are the light parts; `folder` keeps the picture."""
    picture = folder / "screen.pgm"
    picture.write_bytes(_as_picture(screen))
    command = [require_tool("zbarimg"), "--quiet", "--raw", str(picture)]
    found = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    assert found, f"no code on the screen:\n{screen}"
    return found


def _as_picture(screen: str) -> bytes:
    """A PGM picture; all that is no block is dark."""
    lines = screen.splitlines()
    width = max(map(len, lines))
    rows = []
    for line in lines:
        for half in (0, 1):
            shades = [255 * _BLOCKS.get(one, (0, 0))[half] for one in line.ljust(width)]
            rows += [b"".join(bytes([shade]) * _PIXELS for shade in shades)] * _PIXELS
    return f"P5 {width * _PIXELS} {len(rows)} 255\n".encode() + b"".join(rows)
