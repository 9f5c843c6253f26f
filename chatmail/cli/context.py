"""What the subcommands share: options, reading the configuration, asking the running server."""

import json
from typing import Any

import click

from chatmail.config import DEFAULT_CONFIG_PATH
from chatmail.config_file import read_config

__all__ = ["ask", "command_server", "config_option", "json_option", "read_config"]

config_option = click.option(
    "--config",
    "config_path",
    metavar="FILE",
    default=DEFAULT_CONFIG_PATH,
    show_default=True,
    help="Configuration file.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
yes_option = click.option("--yes", is_flag=True, help="Do not ask.")


def confirm(question: str, yes: bool) -> None:
    """Ask before what cannot be undone; whoever cannot answer has to say --yes."""
    if not yes:
        click.confirm(question, abort=True, err=True)


def ask(config_path: str, command: str, **arguments: object) -> Any:  # noqa: ANN401 — JSON
    """Have the running server do something (or do it on the store), say how far it is; what it returns."""
    from chatmail.cli.direct import administer

    return administer(read_config(config_path), command, arguments)


def command_server(config_path: str, command: str, as_json: bool, **arguments: object) -> None:
    """Have the running server do something, say how far it is, and print what it returns."""
    result = ask(config_path, command, **arguments)
    if as_json:
        click.echo(json.dumps(result, indent=2, ensure_ascii=False))
        return
    for name, value in result.items():
        shown = ", ".join(map(str, value)) if isinstance(value, list) else value
        click.echo(f"{name.replace('_', ' ')}: {'-' if shown in (None, '') else shown}")
