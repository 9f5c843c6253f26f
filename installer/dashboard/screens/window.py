"""What the windows over a page have in common: a frame with a title, and the key that closes them."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widget import Widget

if TYPE_CHECKING:
    from installer.dashboard.app import Dashboard


class Window(ModalScreen[None]):
    """A frame around what `body` yields."""

    DEFAULT_CSS = """
    Window { align: center middle; background: $background 70%; }
    Window > Vertical {
        width: 76; max-width: 100%; height: auto; max-height: 100%; padding: 1 2;
        background: $surface; border: round $primary; border-title-color: $primary; border-subtitle-color: $text-muted;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q", "close", "Close")]

    def __init__(self, title: str, keys: str = "Esc closes") -> None:
        super().__init__()
        self._title, self._keys = title, keys

    @property
    def dashboard(self) -> "Dashboard":
        """The app this window is of."""
        return cast("Dashboard", self.app)

    def compose(self) -> ComposeResult:
        """The framed body."""
        with Vertical() as frame:
            frame.border_title, frame.border_subtitle = self._title, self._keys
            yield from self.body()

    def body(self) -> Iterable[Widget]:
        """What is in it."""
        raise NotImplementedError

    def command_done(self) -> None:
        """A command ended while this window was open."""

    def action_close(self) -> None:
        """Back to the page."""
        self.dismiss()
