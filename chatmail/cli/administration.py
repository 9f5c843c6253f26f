"""What an operator has the running server do, through its control socket."""

import click

from chatmail.cli.context import command_server, config_option, json_option


@click.group("cert")
def cert() -> None:
    """The certificate."""


@cert.command("status")
@config_option
@json_option
def cert_status(config_path: str, as_json: bool) -> None:
    """Say how the running server's certificate stands."""
    command_server(config_path, "cert status", as_json)


@cert.command("renew")
@config_option
@json_option
def cert_renew(config_path: str, as_json: bool) -> None:
    """Have the running server obtain a new certificate now."""
    command_server(config_path, "cert renew", as_json)
