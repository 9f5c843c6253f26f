"""`account`, `registration`, `expire`, `push`, `log` and `completion`: looking after a relay."""

import json
from collections.abc import Mapping
from typing import Any

import click

from chatmail.cli.context import command_server, config_option, confirm, json_option, read_config, yes_option
from chatmail.cli.direct import administer
from chatmail.cli.tables import as_text

_PAGE = 5000


def _run(config_path: str, command: str, as_json: bool, **arguments: object) -> Any:  # noqa: ANN401 — JSON
    answer = administer(read_config(config_path), command, arguments)
    _print(answer, as_json)
    return answer


def _print(answer: Any, as_json: bool) -> None:  # noqa: ANN401
    click.echo(json.dumps(answer, indent=2, ensure_ascii=False) if as_json else as_text(answer))


# --- account ----------------------------------------------------------------------------------------------------


@click.group("account")
def account() -> None:
    """The accounts of this server."""


@account.command("list")
@config_option
@json_option
def account_list(config_path: str, as_json: bool) -> None:
    """List all accounts."""
    config = read_config(config_path)
    rows: list[Mapping[str, Any]] = []
    while True:
        after = rows[-1]["address"] if rows else ""
        page = administer(config, "account list", {"after": after, "limit": _PAGE})
        rows += page
        if len(page) < _PAGE:
            return _print(rows, as_json)


@account.command("show")
@click.argument("address")
@config_option
@json_option
def account_show(address: str, config_path: str, as_json: bool) -> None:
    """Say what is known of one account."""
    _run(config_path, "account show", as_json, address=address)


@account.command("block")
@click.argument("address")
@config_option
@json_option
def account_block(address: str, config_path: str, as_json: bool) -> None:
    """No login and no mail for it any more; the name stays taken for ever."""
    _run(config_path, "account block", as_json, address=address)


@account.command("unblock")
@click.argument("address")
@config_option
@json_option
def account_unblock(address: str, config_path: str, as_json: bool) -> None:
    """Let a blocked account be used again."""
    _run(config_path, "account unblock", as_json, address=address)


@account.command("delete")
@click.argument("address")
@yes_option
@config_option
@json_option
def account_delete(address: str, yes: bool, config_path: str, as_json: bool) -> None:
    """Delete an account with all its mail."""
    confirm(f"Delete {address} with all its mail?", yes)
    _run(config_path, "account delete", as_json, address=address)


@account.command("reset-password")
@click.argument("address")
@yes_option
@config_option
@json_option
def account_reset_password(address: str, yes: bool, config_path: str, as_json: bool) -> None:
    """Give an account a new password, and print it."""
    confirm(f"Give {address} a new password? Its devices can no longer log in with the old one.", yes)
    _run(config_path, "account reset-password", as_json, address=address)


# --- registration -----------------------------------------------------------------------------------------------


@click.group("registration")
def registration() -> None:
    """Who may have an account; counts at once, and until you change it again here or in the configuration."""


@registration.command("status")
@config_option
@json_option
def registration_status(config_path: str, as_json: bool) -> None:
    """Say who may have an account now."""
    _run(config_path, "registration status", as_json)


@registration.command("open")
@config_option
@json_option
def registration_open(config_path: str, as_json: bool) -> None:
    """Everybody may have an account."""
    _run(config_path, "registration open", as_json)


@registration.command("close")
@config_option
@json_option
def registration_close(config_path: str, as_json: bool) -> None:
    """Nobody gets a new account; those that exist go on."""
    _run(config_path, "registration close", as_json)


@registration.command("invite-only")
@config_option
@json_option
def registration_invite_only(config_path: str, as_json: bool) -> None:
    """Only who has an invitation gets an account."""
    _run(config_path, "registration invite-only", as_json)


@registration.command("invite")
@click.option("--uses", type=click.IntRange(1, 1_000_000), default=1, show_default=True, help="Accounts it makes.")
@click.option("--expires", metavar="DURATION", help='When it ends, such as "7d"; never if not given.')
@click.option("--note", default="", help="For you, to tell it from others.")
@config_option
@json_option
def registration_invite(uses: int, expires: str | None, note: str, config_path: str, as_json: bool) -> None:
    """Make an invitation; print its link and QR code."""
    from chatmail.invite_link import qr_terminal

    config = read_config(config_path)
    arguments = {"uses": uses, "note": note, "expires_in_seconds": None if expires is None else _seconds(expires)}
    answer = administer(config, "registration invite", arguments)
    if not as_json:
        click.echo(qr_terminal(answer["link"]))
    _print(answer, as_json)
    if answer["registration"] == "closed":
        click.echo("Note: registration is closed; the invitation counts once it is open or invite-only.", err=True)


def _seconds(text: str) -> int:
    from chatmail.config_values import DAY, MINUTE, duration

    try:
        return int(str(duration(MINUTE, 36500 * DAY).parse(text)))
    except ValueError as error:
        raise click.BadParameter(f"must be {error}", param_hint="--expires") from None


@registration.command("invites")
@config_option
@json_option
def registration_invites(config_path: str, as_json: bool) -> None:
    """List the invitations."""
    _run(config_path, "registration invites", as_json)


@registration.command("revoke")
@click.argument("token")
@yes_option
@config_option
@json_option
def registration_revoke(token: str, yes: bool, config_path: str, as_json: bool) -> None:
    """End an invitation; accounts made with it stay."""
    confirm("End this invitation? Whoever has its link can no longer use it.", yes)
    _run(config_path, "registration revoke", as_json, token=token)


# --- expire, push, log ------------------------------------------------------------------------------------------


@click.command("expire")
@click.option("--dry-run", is_flag=True, help="Only count what would go.")
@yes_option
@config_option
@json_option
def expire(dry_run: bool, yes: bool, config_path: str, as_json: bool) -> None:
    """Remove old mail and unused accounts now; the server does so every hour by itself."""
    if not dry_run:
        confirm("Remove all mail and accounts that are over their time?", yes)
    _run(config_path, "expire", as_json, dry_run=dry_run)


@click.group("push")
def push() -> None:
    """Notifications for phones that sleep."""


@push.command("status")
@config_option
@json_option
def push_status(config_path: str, as_json: bool) -> None:
    """Say what the running server's notifier has done since its start, and what waits."""
    command_server(config_path, "push status", as_json)


@click.group("log")
def log_group() -> None:
    """What the running server logs."""


@log_group.command("debug")
@click.option("--for", "period", metavar="DURATION", default="10m", show_default=True, help="Up to a day.")
@config_option
@json_option
def log_debug(period: str, config_path: str, as_json: bool) -> None:
    """Log in detail for a while, with addresses; then as before."""
    from chatmail.config_values import DAY, duration

    try:
        seconds = duration(1, DAY).parse(period)
    except ValueError as error:
        raise click.BadParameter(f"must be {error}", param_hint="--for") from None
    command_server(config_path, "log debug", as_json, seconds=seconds)


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what makes a shell complete these commands, to be sourced by it."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(context.find_root().command, {}, "chatmail", "_CHATMAIL_COMPLETE").source())
