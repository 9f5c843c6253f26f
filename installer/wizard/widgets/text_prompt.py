"""A question with one line of text as its answer, in front of everything else."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from installer.wizard.widgets.line_input import LineInput


class TextPrompt(ModalScreen[str | None]):
    """The text, or None if the operator thought better of it."""

    DEFAULT_CSS = """
    TextPrompt { align: center middle; background: $background 70%; }
    TextPrompt > Vertical {
        width: 64; max-width: 100%; height: auto; padding: 1 2;
        background: $surface; border: round $primary; border-title-color: $primary;
    }
    TextPrompt Input { margin: 1 0; }
    TextPrompt Horizontal { height: auto; align-horizontal: right; }
    TextPrompt Button { margin-left: 2; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", "Cancel", show=False)]

    def __init__(self, title: str, question: str, value: str) -> None:
        super().__init__()
        self._title, self._question, self._value = title, question, value

    def compose(self) -> ComposeResult:
        """Question, line, buttons."""
        with Vertical() as box:
            box.border_title = self._title
            yield Static(self._question, markup=False)
            yield LineInput(self._value, select_on_focus=False)
            with Horizontal():
                yield Button("OK", id="ok", variant="primary")
                yield Button("Cancel", id="cancel")

    @on(Input.Submitted)
    def _submitted(self) -> None:
        self.dismiss(self.query_one(Input).value.strip() or None)

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(self.query_one(Input).value.strip() or None if event.button.id == "ok" else None)

    def action_cancel(self) -> None:
        """By key."""
        self.dismiss(None)
