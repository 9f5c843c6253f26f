"""A question that has to be answered before anything else goes on."""

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Static


class ConfirmationModal(ModalScreen[bool]):
    """Asks `question`; True if the answer was yes. Escape is no, and no has the focus unless `yes_first`."""

    DEFAULT_CSS = """
    ConfirmationModal {
        align: center middle;
        background: $background 70%;
    }
    ConfirmationModal > Vertical {
        width: 64;
        max-width: 100%;
        height: auto;
        max-height: 100%;
        padding: 1 2;
        background: $surface;
        border: round $primary;
        border-title-color: $primary;
    }
    ConfirmationModal Static { height: auto; margin-bottom: 1; }
    ConfirmationModal Horizontal { height: auto; align-horizontal: right; }
    ConfirmationModal Button { margin-left: 2; min-width: 8; }
    ConfirmationModal.-narrow > Vertical { padding: 1 1; }
    ConfirmationModal.-narrow Horizontal { layout: vertical; align-horizontal: left; }
    ConfirmationModal.-narrow Button { margin-left: 0; }
    """
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (64, "-medium")]  # noqa: RUF012 — as Textual has it

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "answer(False)", "No", show=False),
        Binding("y", "answer(True)", "Yes", show=False),
        Binding("n", "answer(False)", "No", show=False),
        Binding("left,up", "app.focus_previous", show=False),
        Binding("right,down", "app.focus_next", show=False),
    ]

    def __init__(
        self,
        title: str,
        question: str,
        *,
        yes: str = "Yes",
        no: str = "No",
        details: Sequence[str] = (),
        yes_first: bool = False,
    ) -> None:
        super().__init__()
        self._title, self._question, self._details = title, question, details
        self._yes, self._no, self._yes_first = yes, no, yes_first

    def compose(self) -> ComposeResult:
        """The question, what is worth knowing, and the two answers."""
        with Vertical() as box:
            box.border_title = self._title
            yield Static(self._question, markup=False)
            for line in self._details:
                yield Static(line, markup=False)
            with Horizontal():
                yield Button(self._yes, id="yes", variant="primary" if self._yes_first else "default")
                yield Button(self._no, id="no", variant="default" if self._yes_first else "primary")

    def on_mount(self) -> None:
        """The harmless answer is the one that Enter gives."""
        self.query_one("#yes" if self._yes_first else "#no").focus()

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")

    def action_answer(self, answer: bool) -> None:
        """By key."""
        self.dismiss(answer)
