"""What an operator has the running server do, through its control socket."""

import json
from collections.abc import Callable

import click

from chatmail.cli.context import ask, command_server, config_option, confirm, json_option, yes_option
from chatmail.cli.tables import as_text


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


@click.group("queue")
def queue() -> None:
    """Mail that waits for other servers."""


_which_options = (
    click.argument("item", type=int, required=False),
    click.option("--domain", metavar="DOMAIN", help="All items for this domain."),
    click.option("--all", "all_items", is_flag=True, help="All items."),
)


def _with_which(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(_which_options):
        command = option(command)
    return command


@queue.command("list")
@config_option
@json_option
@click.option("--domain", metavar="DOMAIN", help="Only items for this domain.")
def queue_list(config_path: str, as_json: bool, domain: str | None) -> None:
    """List what waits: for whom, since when, until when, and why."""
    items = ask(config_path, "queue list", domain=domain)["items"]
    click.echo(json.dumps(items, indent=2, ensure_ascii=False) if as_json else as_text(items))


@queue.command("retry")
@config_option
@json_option
@_with_which
def queue_retry(config_path: str, as_json: bool, item: int | None, domain: str | None, all_items: bool) -> None:
    """Try an ITEM, or those for a domain, or all, now."""
    command_server(config_path, "queue retry", as_json, item=item, domain=domain, all=all_items)


@queue.command("drop")
@config_option
@json_option
@yes_option
@_with_which
def queue_drop(
    config_path: str, as_json: bool, yes: bool, item: int | None, domain: str | None, all_items: bool
) -> None:
    """Remove an ITEM, or those for a domain, or all; their senders are not told."""
    if item is None and domain is None and not all_items:
        raise click.UsageError("Say which items: a number, a domain with --domain, or --all.")
    which = f"item {item}" if item is not None else f"all mail for {domain}" if domain else "all mail"
    confirm(f"Drop {which} that waits for other servers? The senders are not told.", yes)
    command_server(config_path, "queue drop", as_json, item=item, domain=domain, all=all_items)
