"""A framed part of the overview, which draws the moment into the room it has and refreshes only lines that changed."""

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style as CellStyle
from textual.geometry import Region
from textual.strip import Strip
from textual.style import Style
from textual.widget import Widget

from installer.dashboard.line import Line
from installer.dashboard.moment import Moment


class Panel(Widget):
    """`draw` says what is in it. A change of the moment costs a comparison; a line is sent only if it differs."""

    DEFAULT_CSS = """
    Panel {
        border: round $border;
        border-title-color: $text-muted;
        padding: 0 1;
    }
    """
    ALLOW_SELECT = False

    title: ClassVar[str] = ""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.border_title = self.title or None
        self._moment: Moment | None = None
        self._lines: tuple[Line, ...] = ()
        self._cell_styles: dict[str, CellStyle] = {}

    def draw(self, moment: Moment, width: int, height: int) -> Sequence[Line]:
        """The lines, the weightiest first: those below `height` are not seen."""
        raise NotImplementedError

    def show(self, moment: Moment) -> None:
        """Draw it."""
        self._moment = moment
        self._redraw()

    def on_resize(self) -> None:
        """Draw it into the new room."""
        self._redraw()

    def notify_style_update(self) -> None:
        """Another theme has other colours."""
        self._cell_styles.clear()
        super().notify_style_update()

    def render_line(self, y: int) -> Strip:
        """One line of what was drawn last."""
        width = self.content_size.width
        shown = self._lines[y] if y < len(self._lines) else Line()
        return Strip([Segment(text, self._cell_style(style)) for text, style in shown.fitted(width).parts], width)

    def _cell_style(self, style: str) -> CellStyle:
        found = self._cell_styles.get(style)
        if found is None:
            own = self.visual_style
            found = (own + Style.parse(style, self.app.theme_variables) if style else own).rich_style
            self._cell_styles[style] = found
        return found

    def _redraw(self) -> None:
        width, height = self.content_size
        if self._moment is None or width <= 0 or height <= 0:
            return
        before, self._lines = self._lines, tuple(self.draw(self._moment, width, height)[:height])
        common = min(len(before), len(self._lines))
        changed = [y for y in range(common) if before[y] != self._lines[y]]
        changed += range(common, max(len(before), len(self._lines)))
        if changed:
            self.refresh(*(Region(0, y, width, 1) for y in changed))
