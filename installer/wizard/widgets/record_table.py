"""The DNS records, a line each: how it stands, type, name and the beginning of its value."""

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import OptionList

from installer.wizard.records import RecordLine, cropped

_COLORS = {"good": "$success", "bad": "$error", "warn": "$warning", "busy": "$accent", "calm": "$text-muted"}
_MOVES = ("down", "up", "home", "end", "pagedown", "pageup")


class RecordTable(OptionList, inherit_bindings=False):
    """Arrow keys go through it; Enter stays free for “next”."""

    DEFAULT_CSS = """
    RecordTable { height: 1fr; min-height: 4; max-height: 16; border: none; padding: 0; background: $background; }
    RecordTable:focus { border: none; background-tint: transparent; }
    RecordTable > .option-list--option-highlighted, RecordTable:focus > .option-list--option-highlighted {
        background: $panel; color: $foreground; text-style: bold;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "cursor_down", show=False),
        Binding("up", "cursor_up", show=False),
        Binding("home", "first", show=False),
        Binding("end", "last", show=False),
        Binding("pagedown", "page_down", show=False),
        Binding("pageup", "page_up", show=False),
    ]

    def __init__(self) -> None:
        super().__init__(id="records", compact=True, markup=False)
        self._records: Sequence[RecordLine] = ()
        self._moved = False

    @property
    def line(self) -> RecordLine | None:
        """The one under the cursor."""
        return None if self.highlighted is None or not self._records else self._records[self.highlighted]

    def out_of_sight(self) -> tuple[int, int]:
        """How many records are above the window, and below it."""
        above = self.scroll_offset.y
        return above, max(0, self.option_count - above - self.scrollable_content_region.height)

    def point_at(self, number: int) -> None:
        """Put the cursor there, unless somebody has moved it."""
        if not self._moved:
            self.highlighted = number

    def on_key(self, event: events.Key) -> None:
        """By hand; the binding does the rest."""
        if event.key in _MOVES:
            self._moved = True

    def move(self, move: str) -> None:
        """By hand, while something else has the focus: `up`, `down`, `page_up` or `page_down`."""
        self._moved = True
        getattr(self, f"action_{move}" if move.startswith("page") else f"action_cursor_{move}")()

    def on_click(self) -> None:
        """By the mouse."""
        self._moved = True

    def show(self, lines: Sequence[RecordLine]) -> None:
        """Other states, another rendering, or the first ones."""
        fresh, self._records = len(lines) != len(self._records), lines
        if fresh:
            self.clear_options()
            self.add_options([self._prompt(line) for line in lines])
            self.highlighted = 0 if lines else None
        else:
            self._draw()

    def on_resize(self, event: events.Resize) -> None:
        """Columns follow the window."""
        self._draw()

    def watch_highlighted(self, highlighted: int | None) -> None:
        """The cursor is a character, too."""
        super().watch_highlighted(highlighted)
        self._draw()

    def _draw(self) -> None:
        if self.option_count != len(self._records):
            return
        for number, line in enumerate(self._records):
            self.replace_option_prompt_at_index(number, self._prompt(line, number == self.highlighted))

    def columns(self) -> tuple[int, int, int, int]:
        """Widths of mark, type, name and value."""
        width = max(20, self.size.width - 2)
        mark, kind = (14, 6) if width >= 56 else (4, 6)
        rest = width - mark - kind
        longest = max((len(line.rendered.name) for line in self._records), default=0) + 2
        name = min(longest, rest // 2) if width >= 56 else rest
        return mark, kind, name, rest - name

    def _prompt(self, line: RecordLine, is_current: bool = False) -> Content:
        mark, kind, name, value = self.columns()
        said = f"{line.mark.symbol} {line.mark.word}" if mark > 4 else line.mark.symbol
        cursor = "▸ " if is_current else "  "
        shown = cropped(line.rendered.value, value) if value > 0 else ""
        columns: list[str | tuple[str, str]] = [
            (f"{cursor}{said}".ljust(mark), _COLORS[line.mark.tone]),
            f"{line.rendered.type:<{kind}}",
            f"{cropped(line.rendered.name, name - 1):<{name}}",
            (shown, "$text-muted"),
        ]
        return Content.assemble(*columns)
