"""A list of things that were looked at or done: mark, name, one sentence, and what to do about it."""

from collections.abc import Iterable, Sequence

from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from installer.wizard.marks import Row


class CheckRow(Horizontal):
    """One line, more where the window is narrow."""

    def __init__(self, row: Row) -> None:
        super().__init__()
        self.row = row

    def compose(self) -> ComposeResult:
        """Three columns."""
        mark = self.row.mark
        yield Static(f"{mark.symbol} {mark.word}", classes=f"mark {mark.tone}", markup=False)
        yield Static(self.row.name, classes="name", markup=False)
        yield Static(_told(self.row), classes="told")

    def show(self, row: Row) -> None:
        """Another state of the same thing."""
        old, mark, self.row = self.row.mark, row.mark, row
        place = self.query_one(".mark", Static)
        place.remove_class(old.tone).add_class(mark.tone)
        place.update(f"{mark.symbol} {mark.word}")
        self.query_one(".name", Static).update(row.name)
        self.query_one(".told", Static).update(_told(row))


def _told(row: Row) -> Content:
    if not row.remedy:
        return Content(row.sentence)
    return Content.assemble(row.sentence, "\n", (row.remedy, "$text-muted"))


class CheckList(VerticalScroll):
    """Grows as things become known; `names` is False where rows have none."""

    DEFAULT_CSS = """
    CheckList { height: 1fr; scrollbar-size-vertical: 1; }
    CheckRow { height: auto; }
    CheckRow > .mark { width: 11; }
    CheckRow > .name { width: 17; color: $text-muted; }
    CheckRow > .told { width: 1fr; }
    CheckList.-nameless .name { display: none; }
    """

    def __init__(self, rows: Sequence[Row] = (), *, names: bool = True, id: str | None = None) -> None:
        super().__init__(id=id, classes="" if names else "-nameless")
        self._first = rows
        self.can_focus = True
        self._follows = False
        self._newest: CheckRow | None = None

    def compose(self) -> ComposeResult:
        """What is known from the beginning."""
        yield from map(CheckRow, self._first)

    @property
    def rows(self) -> list[Row]:
        """All that is shown."""
        return [one.row for one in self.query(CheckRow)]

    def out_of_sight(self) -> tuple[int, int]:
        """How many rows are not whole in the window: above, and below."""
        if not self.max_scroll_y:
            return 0, 0
        top, places = self.scroll_offset.y, [one.virtual_region for one in self.query(CheckRow)]
        bottom = top + self.scrollable_content_region.height
        return sum(place.y < top for place in places), sum(place.bottom > bottom for place in places)

    def add(self, row: Row) -> None:
        """One more at the end, in sight."""
        self.mount(CheckRow(row))
        self._follows = True
        self.call_after_refresh(self._follow)

    def _follow(self) -> None:
        # Scrolling to the end by itself would be put off, and undo what `replace` has asked for meanwhile.
        if self._follows:
            self.scroll_end(animate=False, immediate=True)

    def show(self, number: int, row: Row) -> None:
        """Another state of row `number`, counted from 0; it comes into sight."""
        found = self._newest = list(self.query(CheckRow))[number]
        found.show(row)
        found.scroll_visible(animate=False)

    def on_resize(self) -> None:
        """What has changed last stays in sight."""
        self._show_newest()

    def _show_newest(self) -> None:
        if self._newest is not None and self._newest.is_attached:
            self._newest.scroll_visible(animate=False)

    async def replace(self, rows: Iterable[Row], *, in_sight: int = -1) -> None:
        """Other rows, from the top; or so that row `in_sight` is among those that are seen."""
        self._follows = False
        made = [CheckRow(row) for row in rows]
        self._newest = made[in_sight] if 0 <= in_sight < len(made) else None
        with self.app.batch_update():
            await self.remove_children(CheckRow)
            await self.mount_all(made)
        if self._newest is None:
            self.call_after_refresh(self.scroll_home, animate=False, immediate=True)
        else:
            self.call_after_refresh(self._show_newest)
