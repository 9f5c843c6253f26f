"""The commands that put this server on a machine and take it away; what they do is in `chatmail.cli.install_run`."""

from typing import Any

import click

from chatmail.cli.context import config_option, json_option, read_config
from chatmail.cli.screens import on_terminal, open_installer, screens_of

yes_option = click.option("--yes", is_flag=True, help="Do not ask.")


@click.command()
@click.option("--domain", metavar="NAME", help="The domain of this server; one with _ in front is for trying out.")
@click.option(
    "--ip-only", is_flag=True, help="No domain: be known by this machine's IP address, or the one in --domain."
)
@click.option("--email", metavar="ADDRESS", help="Where the certificate authority may write to.")
@click.option("--tls", type=click.Choice(["acme", "self-signed", "files"]), help="Where the certificate comes from.")
@click.option("--cert-file", metavar="FILE", help="Certificate chain (PEM), for --tls files.")
@click.option("--key-file", metavar="FILE", help="Private key (PEM), for --tls files.")
@click.option("--acme-directory", metavar="URL", help="Another certificate authority than Let's Encrypt.")
@click.option("--acme-ca-file", metavar="FILE", help="What to trust when talking to it.")
@click.option("--registration", type=click.Choice(["open", "invite", "closed"]), help="Who may have an account.")
@click.option("--delete-mails-after", type=click.IntRange(1, 36500), metavar="DAYS", help="How long messages are kept.")
@click.option("--max-mailbox-size", type=click.IntRange(1), metavar="MIB", help="How much an account may store.")
@click.option("--admin", metavar="CONTACT", help="How people reach you, such as mailto:admin@example.org.")
@click.option("--resolver", "resolvers", metavar="IP[:PORT]", multiple=True, help="DNS resolver; may be repeated.")
@click.option("--outside", metavar="HOST", help='Host to try outgoing connections with; "" asks nobody.')
@click.option("--plain", is_flag=True, help="Ask in lines of text instead of drawing screens.")
@click.option("--dry-run", is_flag=True, help="Look and print the plan; change nothing.")
@yes_option
@json_option
@click.pass_context
def install(context: click.Context, /, **options: Any) -> None:  # noqa: ANN401 — click's values
    """Put this server on the machine: check, plan, install, start. Run it again to repair or change settings.

    On a terminal it leads through the steps on screens; with --yes, --dry-run or --json it asks nothing.
    """
    from chatmail.cli.install_run import preset_answers, run_install

    screens = screens_of(context)
    silent = options["yes"] or options["dry_run"] or options["as_json"]
    if screens is not None and on_terminal() and not silent:
        open_installer(screens, preset_answers(options), outside=options["outside"], plain=options["plain"])
    run_install(options)


@click.command()
@click.option("--ca-file", metavar="FILE", default="", help="Further certificates (PEM) to trust.")
@config_option
@json_option
def doctor(config_path: str, ca_file: str, as_json: bool) -> None:
    """Check the running server from the outside in, with a message to itself; exit code 0 only if nothing failed."""
    from chatmail.cli.install_run import run_doctor

    run_doctor(read_config(config_path), ca_file, as_json)


@click.command()
@click.option("--keep-data", is_flag=True, help="Leave accounts, mail and keys where they are.")
@click.option("--remove-data", is_flag=True, help="Remove them too, for good.")
@yes_option
@json_option
def uninstall(keep_data: bool, remove_data: bool, yes: bool, as_json: bool) -> None:
    """Take this server off the machine, with all it made; the data only if you say so."""
    from chatmail.cli.install_run import run_uninstall

    run_uninstall(keep_data=keep_data, remove_data=remove_data, yes=yes, as_json=as_json)
