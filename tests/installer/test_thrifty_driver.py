"""Whatever is painted looks the same on a terminal that got only the changes, and costs far less."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import get_character_cell_size

from installer.thrifty_driver import Picture

RED, BLUE = "\x1b[31m", "\x1b[38;5;21;48;5;16m"


class Terminal:
    """What a terminal does with moves, colours and text, in the simplest way."""

    def __init__(self) -> None:
        self.cells: dict[tuple[int, int], tuple[str, str]] = {}
        self._row, self._column, self._style = 1, 1, ""

    def show(self, data: str) -> None:
        for sequence, character in re.findall(r"(\x1b\[[^A-Za-z]*[A-Za-z])|(.)", data, re.DOTALL):
            if sequence.endswith("H"):
                self._row, self._column = map(int, sequence[2:-1].split(";"))
            elif sequence.endswith("m"):
                added = sequence[2:-1].removeprefix("0;").strip("0")
                self._style = added
            elif character == "\n":
                self._row, self._column = self._row + 1, 1
            elif character:
                self._put(character)

    def _put(self, character: str) -> None:
        width = get_character_cell_size(character)
        if width == 0:
            text, style = self.cells[self._row, self._column - 1]
            self.cells[self._row, self._column - 1] = (text + character, style)
        for half in range(width):
            self.cells[self._row, self._column + half] = ("" if half else character, self._style)
        self._column += width


move = st.builds("\x1b[{};{}H".format, st.integers(1, 4), st.sampled_from([1, 3, 9, 20]))
run = st.builds(
    "{}{}\x1b[0m".format, st.sampled_from(["", RED, BLUE]), st.sampled_from(["a", "up 9 s", " " * 12, "▄█▀", "äö" * 8])
)
line = st.builds("{}{}".format, move, st.lists(run | st.just("\n"), min_size=1, max_size=3).map("".join))
writes = st.lists(st.lists(line, min_size=1, max_size=4).map("".join), min_size=1, max_size=6)


@settings(deadline=None)
@given(writes)
def test_the_changes_look_like_the_whole(painted: list[str]) -> None:
    picture, whole, changes = Picture(), Terminal(), Terminal()
    for data in painted:
        whole.show(data)
        changes.show(picture.reduce(data))
        assert changes.cells == whole.cells


@settings(deadline=None)
@given(writes)
def test_what_is_shown_already_is_not_written_again(painted: list[str]) -> None:
    picture = Picture()
    data = "\x1b[1;1H".join(painted) + "\x1b[1;1H"
    picture.reduce(data)
    assert picture.reduce(data) == ""


def test_one_character_costs_itself_and_the_way_there() -> None:
    picture = Picture()
    picture.reduce(f"\x1b[3;1H{BLUE}up 8 s · 0.1.0{' ' * 60}\x1b[0m\x1b[1;1H")
    changed = picture.reduce(f"\x1b[3;1H{BLUE}up 9 s · 0.1.0{' ' * 60}\x1b[0m\x1b[1;1H")
    assert changed == f"\x1b[3;4H{BLUE}9\x1b[m\x1b[1;1H"


def test_wide_characters_and_accents_keep_their_places() -> None:
    picture, terminal = Picture(), Terminal()
    for text in ("日本語 mail", "日本 e\u0301 mail", "x本語 mail", "日本語 mail"):
        terminal.show(picture.reduce(f"\x1b[1;1H{text}    "))
        shown = "".join(terminal.cells[1, column][0] for column in range(1, 12))
        assert shown.startswith(text.rstrip()), shown


def test_what_is_no_painting_passes_in_its_order_and_another_screen_is_painted_anew() -> None:
    picture = Picture()
    begin, end = "\x1b[?2026h", "\x1b[?2026l"
    assert picture.reduce(f"{begin}\x1b[1;1Habc{end}") == f"{begin}\x1b[1;1Habc{end}"
    assert picture.reduce(f"{begin}\x1b[1;1Habc{end}") == begin + end
    for sequence in ("\x1b[?25l", "\x1b]0;title\x07", "\x1b[>1u", "\x1b[?2026$p"):
        assert picture.reduce(sequence) == sequence
        assert picture.reduce("\x1b[1;1Habc") == ""
    for sequence in ("\x1b[?1049h", "\x1b[2J", "\x1b[3A", "\x1bc"):
        assert picture.reduce(sequence) == sequence
        assert picture.reduce("\x1b[1;1Habc") == "\x1b[1;1Habc"
