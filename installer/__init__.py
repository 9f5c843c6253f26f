"""The terminal installer and dashboard; of chatmail it may import `chatmail.api` and nothing else.

`run` and `run_dashboard` are the doors; both return the exit code. Nothing heavy is imported before one is opened.
"""

from collections.abc import Mapping


def run(preset: Mapping[str, object], *, outside: str | None, plain: bool) -> int:
    """Lead through an installation: on screens, or in lines of text where `plain`.

    `preset` are answers by the names of `api.Answers` that the operator gave already; `outside` is the host that shows
    whether connections get through ("" asks nobody, None the usual one).
    """
    if plain:
        from installer.wizard.plain import run_plain

        return run_plain(preset, outside=outside)
    from installer.wizard.app import run_wizard

    return run_wizard(preset, outside=outside)


def run_dashboard(config_path: str) -> int:
    """Show how the server with this configuration is doing, until the operator leaves."""
    from installer.dashboard.app import run_dashboard as run_app

    return run_app(config_path)
