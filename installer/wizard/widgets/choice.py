"""One of a few: arrow keys or the mouse choose, and what is chosen counts at once. Enter stays free for “next”."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Static


class Option(Widget):
    """One of them, as `(•) title` and perhaps a sentence below."""

    def __init__(self, value: str, title: str, sentence: str, *, chosen: bool) -> None:
        super().__init__(classes="-chosen" if chosen else "")
        self.value, self._title, self._sentence = value, title, sentence

    def compose(self) -> ComposeResult:
        """Two lines, or one."""
        yield Static(self._line(), classes="title", markup=False)
        if self._sentence:
            yield Static(self._sentence, classes="sentence", markup=False)

    def _line(self) -> str:
        return f"{'(•)' if self.has_class('-chosen') else '( )'} {self._title}"

    def mark(self, chosen: bool) -> None:
        """Show whether it is the one."""
        self.set_class(chosen, "-chosen")
        self.query_one(".title", Static).update(self._line())

    def on_click(self, event: events.Click) -> None:
        """The mouse chooses, too."""
        event.stop()
        assert isinstance(self.parent, Choice)
        self.parent.focus()
        self.parent.value = self.value


class Choice(Widget, can_focus=True):
    """`options` are value, title and sentence (or empty) of each; in a row if `in_row`."""

    DEFAULT_CSS = """
    Choice { height: auto; }
    Choice > Option { height: auto; width: 100%; color: $text-muted; }
    Choice > Option > .title { height: 1; width: 100%; }
    Choice > Option > .sentence { padding-left: 4; height: auto; }
    Choice > Option.-chosen { color: $foreground; }
    Choice:focus > Option.-chosen > .title { color: $primary; text-style: bold; }
    Choice.-in-row > Option > .title { width: auto; }
    Choice.-in-row { layout: horizontal; height: 1; }
    Choice.-in-row > Option { width: auto; height: 1; margin-right: 3; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,left", "move(-1)", show=False),
        Binding("down,right,space", "move(1)", show=False),
    ]

    @dataclass
    class Changed(Message):
        """Another one was chosen."""

        choice: "Choice"
        value: str

        @property
        def control(self) -> "Choice":
            """Which choice."""
            return self.choice

    value: reactive[str] = reactive("", init=False)

    def __init__(
        self,
        options: Sequence[tuple[str, str, str]],
        value: str,
        *,
        in_row: bool = False,
        id: str | None = None,
    ) -> None:
        super().__init__(id=id, classes="-in-row" if in_row else "")
        self._options = options
        self.set_reactive(Choice.value, value)

    def compose(self) -> ComposeResult:
        """All of them."""
        for value, title, sentence in self._options:
            yield Option(value, title, sentence, chosen=value == self.value)

    def watch_value(self, value: str) -> None:
        """Show it, and tell."""
        for option in self.query(Option):
            option.mark(option.value == value)
        self.post_message(self.Changed(self, value))

    def action_move(self, by: int) -> None:
        """The next or previous one, around the ends."""
        values = [value for value, _title, _sentence in self._options]
        self.value = values[(values.index(self.value) + by) % len(values)] if self.value in values else values[0]
