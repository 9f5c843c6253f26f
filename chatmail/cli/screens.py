"""When a command opens a screen instead of printing: the seam to the installer and the dashboard.

The command line does not import them; whoever starts it hands in a `Screens`.
"""

import os
import sys
from collections.abc import Mapping
from typing import NoReturn, Protocol

import click

from chatmail.config import DEFAULT_CONFIG_PATH


class Screens(Protocol):
    """The screens; each runs until the operator leaves it, and returns the exit code."""

    def run(self, preset: Mapping[str, object], *, outside: str | None, plain: bool) -> int:
        """The installer; `preset` are answers by name, `outside` as in `PreflightOptions` (None: its default)."""

    def run_dashboard(self, config_path: str) -> int:
        """The status of the server with this configuration, live."""


def on_terminal() -> bool:
    """Whether a person sits at both ends."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def can_draw() -> bool:
    """Whether that person's terminal can show more than lines of text."""
    return on_terminal() and os.environ.get("TERM", "dumb") not in ("", "dumb", "unknown")


def screens_of(context: click.Context) -> Screens | None:
    """What was handed in at the start; None where there are no screens."""
    found: Screens | None = context.find_root().obj
    return found


def open_first_screen(context: click.Context) -> None:
    """The installer where nothing is installed, else the dashboard; help where nobody could see either."""
    screens = screens_of(context)
    if screens is None or not on_terminal():
        return click.echo(context.get_help())
    from chatmail import api

    if api.installed_state().complete:
        _end(screens.run_dashboard(DEFAULT_CONFIG_PATH))
    _end(screens.run({}, outside=None, plain=not can_draw()))


def open_installer(screens: Screens, preset: Mapping[str, object], *, outside: str | None, plain: bool) -> NoReturn:
    """The installer, beginning with what was said on the command line; plain where the terminal can do no more."""
    _end(screens.run(preset, outside=outside, plain=plain or not can_draw()))


def open_dashboard(screens: Screens, config_path: str) -> NoReturn:
    """The status, live."""
    _end(screens.run_dashboard(config_path))


def _end(code: int) -> NoReturn:
    raise click.exceptions.Exit(code)
