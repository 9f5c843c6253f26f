"""What the wizard's and the dashboard's App have in common: the two themes, and the key between them."""

from pathlib import Path
from typing import ClassVar

from textual.app import App
from textual.binding import Binding, BindingType
from textual.driver import Driver
from textual.drivers.linux_driver import LinuxDriver

from installer.theme import THEMES, first_theme, other_theme
from installer.thrifty_driver import ThriftyDriver


class ThemedApp(App[int]):
    """An App in our colours; it ends with an exit code."""

    ENABLE_COMMAND_PALETTE = False
    # Whole, since a subclass in another folder would look for it there.
    CSS_PATH = Path(__file__).with_name("shared.tcss")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f2", "switch_theme", "Light/dark"),
        Binding("ctrl+l", "redraw", show=False),
    ]

    def get_driver_class(self) -> type[Driver]:
        """On a terminal the one that spares the line."""
        usual = super().get_driver_class()
        return ThriftyDriver if usual is LinuxDriver else usual

    def on_load(self) -> None:
        """Take the theme that suits the terminal, before anything is drawn."""
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = first_theme().name

    def action_redraw(self) -> None:
        """All of it, after something else has written on the terminal."""
        if isinstance(self._driver, ThriftyDriver):
            self._driver.redraw()
        self.refresh(repaint=True, layout=True)

    def action_switch_theme(self) -> None:
        """From light to dark and back."""
        self.theme = other_theme(self.theme).name
