"""Drawings of numbers in characters: columns over time, and bars of what is used. Pure."""

from collections.abc import Sequence
from typing import Final

_EIGHTHS: Final = " ▁▂▃▄▅▆▇█"
_BAR_PARTS: Final = " ▏▎▍▌▋▊▉"


def columns(values: Sequence[float | None], width: int, height: int = 1) -> list[str]:
    """A chart `width` characters wide, in `height` lines from the top; a gap (None) is a dot on the ground line.

    A value above 0 is never drawn as nothing. Fewer values than `width` stand on the right, as the latest.
    """
    squeezed = squeeze(values, width)
    top = max((value for value in squeezed if value is not None), default=0.0)
    full = height * 8
    heights = [None if v is None else (max(1, round(v / top * full)) if v > 0 else 0) for v in squeezed]
    lines = []
    for row in range(height - 1, -1, -1):
        lines.append("".join(_cell(eighths, row) for eighths in heights))
    return [line.rjust(width) for line in lines]


def _cell(eighths: int | None, row: int) -> str:
    if eighths is None:
        return "·" if row == 0 else " "
    if eighths == 0:
        return "▁" if row == 0 else " "
    return _EIGHTHS[min(8, max(0, eighths - row * 8))]


def squeeze(values: Sequence[float | None], width: int) -> list[float | None]:
    """At most `width` values: neighbours become their mean, gaps only where all of them are."""
    if len(values) <= width or width <= 0:
        return list(values)[:width] if width <= 0 else list(values)
    squeezed: list[float | None] = []
    for column in range(width):
        start, end = column * len(values) // width, (column + 1) * len(values) // width
        known = [value for value in values[start:end] if value is not None]
        squeezed.append(sum(known) / len(known) if known else None)
    return squeezed


def bar(share: float, width: int) -> tuple[str, str]:
    """A bar of `width` characters filled to `share` (0 to 1): its full and its empty part."""
    eighths = round(min(1.0, max(0.0, share)) * width * 8)
    full, part = divmod(eighths, 8)
    filled = "█" * full + (_BAR_PARTS[part] if part else "")
    return filled, "░" * (width - len(filled))
