"""The sign-up link as a QR code, to be scanned from the screen."""

from collections.abc import Iterable

from textual.widget import Widget
from textual.widgets import Static

from chatmail.api import qr_code
from installer.dashboard.line import MUTED, line
from installer.dashboard.screens.window import Window


class SignUpWindow(Window):
    """Black on white whatever the theme: what a camera reads best."""

    DEFAULT_CSS = """
    SignUpWindow > Vertical { width: auto; padding: 0 2; align-horizontal: center; }
    SignUpWindow Static { width: auto; height: auto; }
    SignUpWindow #code { color: #000000; background: #ffffff; }
    """

    def __init__(self, link: str) -> None:
        super().__init__("Scan with Delta Chat to get an account")
        self._link = link

    def body(self) -> Iterable[Widget]:
        """The code, and the link for those who cannot scan."""
        yield Static(qr_code(self._link), id="code", markup=False)
        yield Static(line((self._link, MUTED)).content)
