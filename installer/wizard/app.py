"""The wizard's App, and the door to it."""

from collections.abc import Mapping

from installer.themed_app import ThemedApp


class WizardApp(ThemedApp):
    """Shows one screen a step."""


def run_wizard(preset: Mapping[str, object], *, outside: str | None) -> int:
    """Show the screens until the operator leaves; returns the exit code."""
    return WizardApp().run() or 0
