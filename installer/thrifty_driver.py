"""The terminal driver of both Apps: only what changes on the screen is written, so that slow lines carry it.

Textual paints whole lines and panels anew, and while a window finds its layout all of it several times: 20 to 80 KB, a
minute on a line of 9,600 bits a second. Here everything it writes passes through a `Picture` of the terminal's cells,
and what the terminal shows already is left out. The picture understands what Textual paints with: moves, colours, text.
Everything else passes as it is; what may change cells in another way makes the picture forget them.
"""

import re
from collections.abc import Iterator
from typing import Final

from rich.cells import cell_len, get_character_cell_size
from textual.drivers.linux_driver import LinuxDriver

Cell = tuple[str, str]
"""What is written into it, and the parameters of its colours (SGR); the right half of a wide character is empty."""

_TOKEN: Final = re.compile(
    r"\x1b\[(?P<row>\d+);(?P<column>\d+)H"
    r"|\x1b\[(?P<style>[\d;:]*)m"
    r"|(?P<line>\r?\n)"
    r"|(?P<text>[^\x00-\x1f\x7f]+)"
    r"|(?P<harmless>\x1b\[\?(?!1049|47|1047)[\d;]*(?:[hl]|\$p)|\x1b\[[<>=]\d*u|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\))"
    r"|(?P<other>\x1b\[[ -?]*[@-~]|\x1b.|[\x00-\x1f\x7f])",
    re.DOTALL,
)
_WORTH_JUMPING: Final = 8
"""Cells: to jump over fewer that have not changed costs more bytes than to write them again."""
_PLAIN: Final = ("", "0")
_BLANK: Final[Cell] = (" ", "")


class Picture:
    """What the terminal shows, as far as it was written through here."""

    def __init__(self) -> None:
        self._shown: dict[int, dict[int, Cell]] = {}
        self._wanted: dict[int, dict[int, Cell]] = {}
        self._row, self._column, self._style = 1, 1, ""
        self._left_at: tuple[int, int] | None = None

    def forget(self) -> None:
        """Nothing that is on the screen is known any more."""
        self._shown.clear()
        self._wanted.clear()
        self._left_at = None

    @property
    def lines(self) -> dict[int, dict[int, Cell]]:
        """The cells that are known, by row and column, counted from 1."""
        return self._shown

    def reduce(self, data: str) -> str:
        """What has to be written for `data` to be seen."""
        written: list[str] = []
        moved_last = False
        for token in _TOKEN.finditer(data):
            kind = token.lastgroup
            moved_last = kind == "column"
            if moved_last:
                self._row, self._column = int(token["row"]), int(token["column"])
            elif kind == "style":
                self._style = "" if token["style"] in _PLAIN else token["style"]
            elif kind == "line":
                self._row, self._column = self._row + 1, 1
            elif kind == "text":
                self._put(token["text"])
            else:
                written += [*self._changes(), token[0]]
                if kind == "other":
                    self.forget()
        written += self._changes()
        if moved_last and (written or self._left_at != (self._row, self._column)):
            self._left_at = (self._row, self._column)
            written.append(f"\x1b[{self._row};{self._column}H")
        return "".join(written)

    def _put(self, text: str) -> None:
        line = self._wanted.setdefault(self._row, {})
        column, style = self._column, self._style
        if text.isascii() or cell_len(text) == len(text):
            for character in text:
                line[column] = (character, style)
                column += 1
        else:
            for character in text:
                width = get_character_cell_size(character)
                if width:
                    line[column] = (character, style)
                    line.update({column + half: ("", style) for half in range(1, width)})
                elif column - 1 in line:
                    line[column - 1] = (line[column - 1][0] + character, style)
                column += width
        self._column = column

    def _changes(self) -> Iterator[str]:
        """Take what is wanted as shown; what makes it so."""
        style = ""
        for row, line in sorted(self._wanted.items()):
            shown = self._shown.setdefault(row, {})
            changed = sorted(column for column, cell in line.items() if shown.get(column) != cell)
            shown.update(line)
            for first, last in _runs(changed, shown):
                yield f"\x1b[{row};{first}H"
                for column in range(first, last + 1):
                    text, wanted = shown[column]
                    if wanted != style:
                        yield f"\x1b[0;{wanted}m" if style and wanted else f"\x1b[{wanted}m"
                        style = wanted
                    yield text
        if style:
            yield "\x1b[m"
        self._wanted.clear()


def _runs(columns: list[int], line: dict[int, Cell]) -> Iterator[tuple[int, int]]:
    """First and last column of what is written in one go: small gaps of cells that are known belong to it."""
    while columns:
        first = last = columns[0]
        while line.get(first, _BLANK)[0] == "" and first - 1 in line:
            first -= 1
        taken = 1
        for column in columns[1:]:
            gap = range(last + 1, column)
            if len(gap) >= _WORTH_JUMPING or any(between not in line for between in gap):
                break
            last, taken = column, taken + 1
        yield first, last
        columns = columns[taken:]


class ThriftyDriver(LinuxDriver):
    """Writes what changes."""

    _picture: Picture
    _size_of_picture: tuple[int, int]

    def write(self, data: str) -> None:
        """As little of it as is needed."""
        size = self._get_terminal_size()
        if getattr(self, "_size_of_picture", None) != size:
            # A terminal of another size has moved its cells about, each in its own way.
            self._picture, self._size_of_picture = Picture(), size
        if needed := self._picture.reduce(data):
            super().write(needed)

    def redraw(self) -> None:
        """Take nothing as shown from now on."""
        self._picture.forget()
