"""Answers for people: a table for a list, a line for each value of one thing."""

from collections.abc import Mapping, Sequence
from typing import Any

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
_TITLES = {
    "message_bytes": "size of the messages",
    "account_bytes": "size of the accounts",
    "database_bytes_before": "size of the database before",
    "database_bytes": "size of the database now",
}
"""Where the name of a value without its unit would not say that it is a size."""


def as_text(answer: Any) -> str:  # noqa: ANN401 — JSON
    """Render what a command returned."""
    if isinstance(answer, list):
        return table(answer) if answer else "none"
    return "\n".join(f"{_title(name)}: {_shown(name, value)}" for name, value in answer.items())


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows with the same keys, in columns under their names."""
    names = list(rows[0])
    cells = [[_title(name) for name in names], *([_shown(name, row[name]) for name in names] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(names))]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in cells)


def _title(name: str) -> str:
    return _TITLES.get(name) or name.removesuffix("_bytes").replace("_", " ")


def _shown(name: str, value: object) -> str:
    if value in (None, "", [], ()):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return size_text(value) if "bytes" in name.split("_") and isinstance(value, int) else _printable(str(value))


def _printable(text: str) -> str:
    """What another server said cannot command the operator's terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)


def size_text(size_bytes: int) -> str:
    """A size with three digits and a unit."""
    size, unit = float(size_bytes), 0
    while size >= 1024 and unit < len(_UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{size_bytes} B" if unit == 0 else f"{size:.3g} {_UNITS[unit]}"
