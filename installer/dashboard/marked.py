"""Lines with a judgement in them: a state with its sign, a bar of what is used. Pure."""

from typing import Final

from installer.dashboard import charts
from installer.dashboard.judgement import Mark
from installer.dashboard.line import MUTED, Line, line

NOTE_WIDTH: Final = 14
"""Of what stands behind a bar, so that bars below each other are equally long."""


def state_line(mark: Mark, name: str, words: str, name_width: int) -> Line:
    """A sign, what it is of, and a few words, in colour where it is not fine."""
    return line(
        (mark.sign, f"bold {mark.color}"),
        " ",
        (name.ljust(name_width), MUTED),
        (words, "" if mark is Mark.FINE else mark.color),
    )


def bar_line(name: str, share: float, note: str, mark: Mark, width: int, name_width: int) -> Line:
    """A bar of what is used, with its name before and a note behind; the sign before the note if it is not fine."""
    marked_note = note if mark is Mark.FINE else f"{mark.sign} {note}"
    filled, empty = charts.bar(share, max(4, width - name_width - NOTE_WIDTH - 1))
    color = "$primary" if mark is Mark.FINE else mark.color
    return line(
        (name.ljust(name_width), MUTED),
        (filled, color),
        (empty, "$border"),
        (f" {marked_note.rjust(NOTE_WIDTH)}", "" if mark is Mark.FINE else color),
    )
