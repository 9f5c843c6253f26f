"""What the subcommands share: options, reading the configuration, asking the running server."""

import json
from pathlib import Path
from typing import Any

import click

from chatmail.config import DEFAULT_CONFIG_PATH, Config, parse_config
from chatmail.errors import ConfigError

MAX_CONFIG_BYTES = 1_000_000

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


def read_config(path: str) -> Config:
    """Read and parse a configuration file. Raises `ConfigError` in one sentence that names the file."""
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_CONFIG_BYTES + 1)
        if len(content) > MAX_CONFIG_BYTES:
            raise ConfigError(f"{path} is larger than {MAX_CONFIG_BYTES} bytes; it cannot be a configuration file.")
        return parse_config(content.decode())
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist; create it, or name another file with --config.") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}); check its owner and mode.") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8 text; save it as UTF-8.") from None
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


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
