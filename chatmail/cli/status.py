"""How the server is: live on a terminal, as JSON, or as one line for those who watch many machines.

`--check` speaks as monitoring plugins do: one line, exit code 0 fine, 1 degraded, 2 broken.
"""

import click

from chatmail.cli.context import config_option
from chatmail.cli.screens import can_draw, open_dashboard, screens_of


@click.command()
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print all of it as one line of JSON.")
@click.option("--check", is_flag=True, help="Print one line; exit code 0 fine, 1 degraded, 2 broken.")
@click.pass_context
def status(context: click.Context, config_path: str, as_json: bool, check: bool) -> None:
    """Show how the server is: on a terminal live, elsewhere in a few lines.

    Root may act from there; members of the group chatmail-status may look.
    """
    if as_json and check:
        raise click.UsageError("Say either --json or --check.")
    screens = screens_of(context)
    if not as_json and not check and screens is not None and can_draw():
        open_dashboard(screens, config_path)
    context.exit(_print_json(config_path) if as_json else _print_check(config_path) if check else _print(config_path))


def _print_json(config_path: str) -> int:
    from chatmail import api

    server = api.find_server(config_path)
    try:
        line, code = api.read_status_json(server), 0
    except api.ServerDownError:
        line, code = api.encode_down(api.server_down_report(server)), 1
    click.echo(line)
    return code


def _print_check(config_path: str) -> int:
    """Whatever goes wrong here is not fine either, and no other line may come out."""
    from chatmail import api
    from chatmail.cli.status_text import LEVEL_CODES, check_line

    try:
        server = api.find_server(config_path)
        try:
            health, snapshot = (found := api.read_status(server)).health, found
        except api.ServerDownError:
            health, snapshot = api.server_down_report(server).health, None
    except api.OperatorError as error:
        click.echo(f"CHATMAIL BROKEN - {error}")
        return 2
    click.echo(check_line(health, snapshot))
    return LEVEL_CODES[health.level]


def _print(config_path: str) -> int:
    from chatmail import api
    from chatmail.cli.status_text import down_text, status_text

    server = api.find_server(config_path)
    try:
        click.echo(status_text(api.read_status(server)), nl=False)
    except api.ServerDownError:
        click.echo(down_text(api.server_down_report(server)), nl=False)
        return 1
    return 0
