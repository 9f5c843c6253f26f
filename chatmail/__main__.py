"""The entry point of the built file and of `python -m chatmail`: the command line, and the screens it may open.

The one place that knows both; the screens are imported when one is opened, so that a server never loads them.
"""

from collections.abc import Mapping

from chatmail.cli import main as run_command_line


def main() -> None:
    """Run the command line of this process."""
    run_command_line(_Screens())


class _Screens:
    """What `chatmail.cli.screens.Screens` describes, from `installer`."""

    def run(self, preset: Mapping[str, object], *, outside: str | None, plain: bool) -> int:
        from installer import run

        return run(preset, outside=outside, plain=plain)

    def run_dashboard(self, config_path: str) -> int:
        from installer import run_dashboard

        return run_dashboard(config_path)


if __name__ == "__main__":
    main()
