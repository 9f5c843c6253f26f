"""A QR code, always dark on light whatever the theme: cameras want it so. And the same alone on the screen."""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen
from textual.widgets import Static

from chatmail import api


class QrCode(Static):
    """As large as its link makes it."""

    DEFAULT_CSS = """
    QrCode { width: auto; height: auto; text-wrap: nowrap; }
    """

    def __init__(self, link: str, *, id: str | None = None) -> None:
        super().__init__(Text.from_ansi(api.qr_code(link, colored=True), no_wrap=True), id=id)


class QrScreen(ModalScreen[None]):
    """The code and nothing else, for windows where it has no room beside the rest."""

    DEFAULT_CSS = """
    QrScreen { align: center middle; background: $background; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,enter,q,space", "dismiss", show=False)]

    def __init__(self, link: str) -> None:
        super().__init__()
        self._link = link

    def compose(self) -> ComposeResult:
        """The code."""
        yield QrCode(self._link)

    def on_click(self) -> None:
        """The mouse leaves, too."""
        self.dismiss()
