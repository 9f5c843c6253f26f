"""The line above the buttons: what goes on, or what is wrong. Says it with a symbol, too."""

from textual.widgets import Static

from installer.wizard.marks import Mark

TONES = ("good", "warn", "bad", "busy", "calm")


class StatusLine(Static):
    """Empty until something is said."""

    DEFAULT_CSS = """
    StatusLine { height: auto; max-height: 4; min-height: 1; padding: 0 2; }
    """

    def __init__(self) -> None:
        super().__init__("", id="status", markup=False)

    def say(self, mark: Mark | None, text: str = "") -> None:
        """Replace what is said; None clears it."""
        self.set_classes(mark.tone if mark else "")
        self.update(f"{mark.symbol} {text}" if mark else "")
