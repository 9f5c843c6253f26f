"""A link as a QR code for phones; and the same in front of everything else, for windows where it has no room beside it.

Half a code is none: where the whole of it does not fit, there is a sentence on what would help.
"""

from typing import Final

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.geometry import Size
from textual.screen import ModalScreen
from textual.widgets import Static

from chatmail import api

TITLE: Final = "Scan with Delta Chat"
BACK: Final = "Any key goes back"
TOO_SMALL: Final = (
    "The code needs a window of {width} columns and {height} rows; this one has {columns} and {rows}. Make it larger, "
    "or its letters smaller. Or open this link on the phone:"
)
_FRAME: Final = Size(6, 2)
"""What border and padding take."""


class QrCode(Static):
    """Dark on light whatever the theme: cameras want it so. As large as its link makes it."""

    DEFAULT_CSS = """
    QrCode { width: auto; height: auto; text-wrap: nowrap; }
    """

    def __init__(self, link: str, *, id: str | None = None) -> None:
        super().__init__(Text.from_ansi(api.qr_code(link, colored=True), no_wrap=True), id=id)
        lines = api.qr_code(link).splitlines()
        self.needs = Size(max(map(len, lines)), len(lines))
        """Columns and rows, the light margin that belongs to it included."""


class QrScreen(ModalScreen[None]):
    """In a frame with the link below it, where that has room; else the code and nothing else."""

    DEFAULT_CSS = """
    QrScreen { align: center middle; background: $background 70%; }
    QrScreen > Vertical {
        width: auto; max-width: 100%; height: auto; max-height: 100%; padding: 0 2; align-horizontal: center;
        background: $surface; border: round $primary; border-title-color: $primary; border-subtitle-color: $text-muted;
    }
    QrScreen #too-small { display: none; width: auto; max-width: 100%; height: auto; margin-bottom: 1; }
    QrScreen #link { width: auto; max-width: 100%; height: auto; color: $text-muted; }
    QrScreen #back { display: none; width: auto; height: 1; color: $text-muted; }
    QrScreen.-alone.-spare #back { display: block; }
    QrScreen.-alone { background: $background; }
    QrScreen.-alone > Vertical { padding: 0; border: none; background: $background; }
    QrScreen.-alone #link { display: none; }
    QrScreen.-too-small QrCode { display: none; }
    QrScreen.-too-small #too-small { display: block; }
    """

    def __init__(self, link: str) -> None:
        super().__init__()
        self._link = link

    def compose(self) -> ComposeResult:
        """The code, the link, and what is said where neither fits."""
        with Vertical() as frame:
            frame.border_title, frame.border_subtitle = TITLE, BACK
            yield QrCode(self._link)
            yield Static("", id="too-small", markup=False)
            yield Static(self._link, id="link", markup=False)
            yield Static(BACK, id="back", markup=False)

    def on_resize(self, event: events.Resize) -> None:
        """Another window, another choice."""
        width, height = self.query_one(QrCode).needs
        columns, rows = event.size
        link_rows = -(-len(self._link) // max(1, columns - _FRAME.width))
        is_framed = columns >= width + _FRAME.width and rows >= height + _FRAME.height + link_rows
        fits = columns >= width and rows >= height
        self.set_class(fits and not is_framed, "-alone")
        self.set_class(rows > height, "-spare")
        self.set_class(not fits, "-too-small")
        said = TOO_SMALL.format(width=width, height=height, columns=columns, rows=rows)
        self.query_one("#too-small", Static).update(said)

    def on_key(self, event: events.Key) -> None:
        """Any of them leaves."""
        event.stop()
        self.dismiss()

    def on_click(self) -> None:
        """The mouse leaves, too."""
        self.dismiss()
