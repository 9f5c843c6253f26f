"""Questions and answers in lines of text: for terminals that cannot draw, and for ears.

An answer of `<` goes back a page, and Ctrl-C or the end of the input leaves.
"""

import sys
from collections.abc import Callable, Sequence
from textwrap import fill

from installer.wizard.marks import Mark, Row

BACK = "<"
WIDTH = 78


class WentBackError(Exception):
    """The operator wants the page before."""


class Console:
    """`read` gets a prompt and returns a line (raises `EOFError` at the end); `write` gets a line."""

    def __init__(self, read: Callable[[str], str] = input, write: Callable[[str], object] = print) -> None:
        self._read, self._write = read, write

    def say(self, text: str = "") -> None:
        """A paragraph."""
        self._write(fill(text, WIDTH) if text else "")

    def say_line(self, text: str) -> None:
        """A line that must not be broken, to be copied."""
        self._write(text)

    def head(self, step: str, number: int, total: int, title: str, lead: str = "") -> None:
        """The beginning of a page."""
        self._write(f"\n--- Step {number} of {total}: {step} ---")
        self.say(title)
        if lead:
            self.say(lead)
        self._write("")

    def row(self, row: Row) -> None:
        """A line of a list: the word first, and no symbol: readers spell those out."""
        word, name = row.mark.word or "-", f"{row.name}: " if row.name else ""
        self._write(fill(f"{word}: {name}{row.sentence}", WIDTH, subsequent_indent="    "))
        if row.remedy and row.mark is not Mark.OK:
            self._write(fill(row.remedy, WIDTH, initial_indent="    ", subsequent_indent="    "))

    def ask(self, question: str, default: str = "") -> str:
        """A line; the default where nothing is typed. Raises `WentBackError`."""
        shown = f"{question} [{default}]: " if default else f"{question}: "
        typed = self._read(shown).strip()
        if typed == BACK:
            raise WentBackError
        return typed or default

    def confirm(self, question: str, *, default: bool = False) -> bool:
        """Yes or no."""
        while True:
            typed = self.ask(f"{question} {'[Y/n]' if default else '[y/N]'}").lower()
            if typed in ("", "y", "yes", "n", "no"):
                return default if not typed else typed.startswith("y")
            self.say("Type y or n.")

    def choose(self, question: str, options: Sequence[tuple[str, str, str]], default: str) -> str:
        """One of a few by its number; options are value, title and sentence (or empty)."""
        for number, (_value, title, sentence) in enumerate(options, start=1):
            self.say(f"{number}. {title}{': ' + sentence if sentence else ''}")
        values = [value for value, _title, _sentence in options]
        usual = str(values.index(default) + 1) if default in values else "1"
        while True:
            typed = self.ask(question, usual)
            if typed.isascii() and typed.isdigit() and 1 <= int(typed[:3]) <= len(values):
                return values[int(typed) - 1]
            self.say(f"Type a number from 1 to {len(values)}.")


def standard_console() -> Console:
    """The terminal this runs on; what it cannot show is replaced."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")
    return Console()
