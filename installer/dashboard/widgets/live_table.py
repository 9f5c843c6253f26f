"""A table that is told all its rows again and again, and changes only cells that differ."""

from collections.abc import Sequence
from dataclasses import dataclass

from textual.widgets import DataTable


@dataclass(frozen=True, slots=True)
class Row:
    """A row by its key, which stays the same when its cells change."""

    key: str
    cells: tuple[str, ...]


class LiveTable(DataTable[str]):
    """Rows keep their place and the cursor while their figures change."""

    DEFAULT_CSS = """
    LiveTable { height: 1fr; background: $background; scrollbar-size-vertical: 1; }
    LiveTable > .datatable--header { background: $background; color: $text-muted; text-style: none; }
    """

    def __init__(self, columns: Sequence[str], *, id: str | None = None) -> None:
        """Columns whose name begins with `>` are numbers: they stand on the right."""
        super().__init__(id=id, cursor_type="row", zebra_stripes=False)
        self._names = tuple(columns)
        self._shown: tuple[Row, ...] = ()

    def on_mount(self) -> None:
        """Columns come before rows."""
        for name in self._names:
            self.add_column(self._aligned(name, name.lstrip(">")), key=name)

    @property
    def chosen(self) -> str | None:
        """The key of the row under the cursor."""
        return self._shown[self.cursor_row].key if 0 <= self.cursor_row < len(self._shown) else None

    def show(self, rows: Sequence[Row]) -> None:
        """These, in this order."""
        before, self._shown = self._shown, tuple(rows)
        if [row.key for row in before] == [row.key for row in self._shown]:
            for old, new in zip(before, self._shown, strict=True):
                for name, was, now in zip(self._names, old.cells, new.cells, strict=True):
                    if was != now:
                        self.update_cell(new.key, name, self._aligned(name, now), update_width=True)
            return
        chosen = before[self.cursor_row].key if 0 <= self.cursor_row < len(before) else None
        self.clear()
        for row in self._shown:
            cells = (self._aligned(name, cell) for name, cell in zip(self._names, row.cells, strict=True))
            self.add_row(*cells, key=row.key)
        keys = [row.key for row in self._shown]
        if chosen in keys:
            self.move_cursor(row=keys.index(chosen))

    def _aligned(self, name: str, cell: str) -> str:
        """Right by spaces: cells of Textual's tables have no alignment of their own."""
        return cell.rjust(7) if name.startswith(">") else cell
