"""The root of the command line, what runs a server, and what looks at a configuration.

One function per subcommand, each importing what it needs when it runs; further groups have a file each in this package.
Data goes to stdout, everything else to stderr. Exit codes: 0 done, 1 a person has to mend something (one sentence says
what), 2 the command line itself is wrong. No traceback is ever shown.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import click

from chatmail import __version__
from chatmail.cli.administration import cert, queue
from chatmail.cli.context import config_option, json_option, read_config
from chatmail.cli.dns import dns_group
from chatmail.cli.installing import doctor, install, uninstall
from chatmail.cli.screens import Screens, open_first_screen
from chatmail.cli.status import status
from chatmail.cli.upkeep import account, completion, expire, log_group, push, registration
from chatmail.errors import OperatorError
from chatmail.log import LEVELS, Log, set_level

log_level_option = click.option(
    "--log-level", type=click.Choice(list(LEVELS)), help="What to log on stderr; overrides the configuration."
)


class _Program(click.Group):
    """Turns what a person can mend into one sentence and exit code 1, and a bug of ours into a line to report."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 — click's own signature
        try:
            return super().invoke(ctx)
        except OperatorError as error:
            raise click.ClickException(str(error)) from None
        except (click.ClickException, click.exceptions.Exit, click.Abort, OSError):
            raise
        except Exception as error:
            Log("cli").bug(error)
            raise click.ClickException("This is a bug; please report the line above.") from None


@click.group(
    cls=_Program,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="chatmail", message="%(prog)s %(version)s")
@click.pass_context
def program(context: click.Context) -> None:
    """A complete chatmail relay, the server behind Delta Chat, in one file."""
    if context.invoked_subcommand is None:
        open_first_screen(context)


for _command in (
    status,
    dns_group,
    cert,
    queue,
    doctor,
    install,
    uninstall,
    account,
    registration,
    expire,
    push,
    log_group,
    completion,
):
    program.add_command(_command)


def main(screens: Screens | None = None) -> None:
    """Run the command line of this process; without `screens` it never opens one."""
    program(prog_name="chatmail", obj=screens)


@program.command()
@config_option
@log_level_option
def serve(config_path: str, log_level: str | None) -> None:
    """Run the server in the foreground, as systemd does, until SIGTERM or Ctrl-C."""
    config = read_config(config_path)
    set_level(log_level or config.log.level)
    from chatmail.supervisor import run_server

    run_server(config)


@program.command("try")
@click.option("--host", metavar="IP", help="Address to listen on: 127.0.0.1, or this machine's in your network.")
@click.option("--port-base", type=int, metavar="N", help="Ports are N+25, N+80, N+143 and so on.  [default: 8000]")
@click.option("--data", "data", metavar="DIR", help="Folder for accounts and mail.")
@click.option("--log-level", type=click.Choice(list(LEVELS)), default="warning", help="What to log on stderr.")
def try_(host: str | None, port_base: int | None, data: str | None, log_level: str) -> None:
    """Run a private server for trying out: no root, no domain, until Ctrl-C."""
    from random import SystemRandom

    from chatmail import try_relay
    from chatmail.supervisor import run_server

    set_level(log_level)
    folder = Path(data).absolute() if data else try_relay.default_data_dir(os.environ)
    base = try_relay.DEFAULT_PORT_BASE if port_base is None else port_base
    config = try_relay.try_config(host or try_relay.DEFAULT_HOST, base, folder)
    try_relay.prepare_data_dir(folder)

    def on_ready() -> None:
        text = try_relay.welcome(config, SystemRandom(), encoding=sys.stdout.encoding, colored=sys.stdout.isatty())
        _print_while_serving(text)

    run_server(config, on_ready)
    click.echo("Stopped.", err=True)


def _print_while_serving(text: str) -> None:
    """Print, and go on serving if nobody reads it."""
    try:
        click.echo(text, nl=False)
    except BrokenPipeError:
        # What is still buffered must not be tried again at exit.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 — open until the process ends


@program.group("config")
def config_group() -> None:
    """Check and show the configuration."""


@config_group.command()
@config_option
@json_option
def check(config_path: str, as_json: bool) -> None:
    """Say whether the configuration can be used."""
    config = read_config(config_path)
    if config.tls.mode == "files":
        from chatmail.net.certificate_files import CertificateFiles, server_context

        server_context(CertificateFiles(Path(config.tls.cert_file), Path(config.tls.key_file)))
    if as_json:
        click.echo(json.dumps({"file": config_path, "mail_domain": config.mail_domain}, indent=2))
        return
    click.echo(f"{config_path} is a valid configuration for {config.mail_domain}.")


@config_group.command()
@config_option
@json_option
def show(config_path: str, as_json: bool) -> None:
    """Print every key with the value in effect; secrets are left out."""
    from chatmail.config_text import config_as_dict, config_as_toml

    config = read_config(config_path)
    text = json.dumps(config_as_dict(config), indent=2, ensure_ascii=False) if as_json else config_as_toml(config)
    click.echo(text.rstrip("\n"))
