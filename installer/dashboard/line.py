"""A line of text in parts, each with a style of the theme: what panels are drawn with. Pure.

Plainer than Textual's Content on purpose: lines are compared and made into cells every second, and this costs a tenth.
"""

from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len, set_cell_size
from textual.content import Content

MUTED: Final = "$text-muted"
ELLIPSIS: Final = "…"


@dataclass(frozen=True, slots=True)
class Line:
    """Texts with their styles, such as `bold $primary`; an empty style is the panel's own."""

    parts: tuple[tuple[str, str], ...] = ()

    @property
    def plain(self) -> str:
        """Without the styles."""
        return "".join(text for text, _style in self.parts)

    @property
    def width(self) -> int:
        """In cells."""
        return sum(cell_len(text) for text, _style in self.parts)

    @property
    def content(self) -> Content:
        """For widgets of Textual's."""
        return Content.assemble(*((text, style) if style else text for text, style in self.parts))

    def fitted(self, width: int) -> "Line":
        """Exactly `width` cells wide: filled up with spaces, or cut off with an ellipsis."""
        room = width - self.width
        if room >= 0:
            return Line((*self.parts, (" " * room, ""))) if room else self
        kept: list[tuple[str, str]] = []
        left = max(0, width - 1)
        for text, style in self.parts:
            if (cells := cell_len(text)) >= left:
                kept.append((set_cell_size(text, left) + ELLIPSIS, style))
                break
            kept.append((text, style))
            left -= cells
        return Line(tuple(kept))


def line(*parts: "str | tuple[str, str] | Line") -> Line:
    """Of plain texts, styled texts and other lines."""
    flat: list[tuple[str, str]] = []
    for part in parts:
        if isinstance(part, Line):
            flat += part.parts
        else:
            flat.append((part, "") if isinstance(part, str) else part)
    return Line(tuple(flat))


def named(name: str, value: Line, name_width: int) -> Line:
    """A name in muted colour, and its value."""
    return line((name.ljust(name_width), MUTED), value)


def both_ends(left: Line, right: Line, width: int) -> Line:
    """`left` and `right` at the ends of the line; `right` is left out where both do not fit."""
    room = width - left.width - right.width
    return left if room < 1 else line(left, " " * room, right)
