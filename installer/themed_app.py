"""What the wizard's and the dashboard's App have in common: the two themes, and the key between them."""

from pathlib import Path
from typing import ClassVar

from textual.app import App
from textual.binding import Binding, BindingType

from installer.theme import THEMES, first_theme, other_theme


class ThemedApp(App[int]):
    """An App in our colours; it ends with an exit code."""

    ENABLE_COMMAND_PALETTE = False
    # Whole, since a subclass in another folder would look for it there.
    CSS_PATH = Path(__file__).with_name("shared.tcss")
    BINDINGS: ClassVar[list[BindingType]] = [Binding("f2", "switch_theme", "Light/dark")]

    def on_load(self) -> None:
        """Take the theme that suits the terminal, before anything is drawn."""
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = first_theme().name

    def action_switch_theme(self) -> None:
        """From light to dark and back."""
        self.theme = other_theme(self.theme).name
