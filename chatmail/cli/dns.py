"""`chatmail dns`: the records to create, in several renderings, and the check of them."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict

import click

from chatmail.cli.context import config_option, json_option, read_config
from chatmail.config import Config
from chatmail.dns.records import DnsRecord


@click.group("dns")
def dns_group() -> None:
    """The DNS records to create, and whether they are right."""


@dns_group.command()
@config_option
@json_option
def zone(config_path: str, as_json: bool) -> None:
    """Print the records as lines of a zone file."""
    from chatmail.dns.zone import render_zone

    _print_records(read_config(config_path), as_json, render_zone)


@dns_group.command()
@config_option
@json_option
def records(config_path: str, as_json: bool) -> None:
    """Print the records as the web forms of registrars want them."""
    from chatmail.dns.zone import render_forms
    from chatmail.installation.naming import form_zone

    config = read_config(config_path)
    _print_records(config, as_json, lambda records: render_forms(records, form_zone(config)))


def _print_records(config: Config, as_json: bool, render: Callable[[Sequence[DnsRecord]], str]) -> None:
    from chatmail.dns.records import required_records
    from chatmail.dns.zone import form_rows
    from chatmail.installation.naming import form_zone
    from chatmail.relay_facts import relay_facts

    facts = relay_facts(config)
    found = required_records(config, facts)
    if not facts.addresses and found:
        click.echo(
            "Note: this machine has no public address of its own; add A and AAAA records for the one it is reached at.",
            err=True,
        )
    if as_json:
        click.echo(json.dumps([asdict(row) for row in form_rows(found, form_zone(config))], indent=2))
    elif not found:
        click.echo("A server that is known by its IP address needs no DNS records.", err=True)
    else:
        click.echo(render(found), nl=False)


@dns_group.command("check")
@config_option
@json_option
def dns_check(config_path: str, as_json: bool) -> None:
    """Compare the records with the authoritative name servers; exit code 0 only if all required ones are right."""
    import asyncio

    from chatmail.dns.records import required_records
    from chatmail.dns.report import report_as_dict, report_as_text
    from chatmail.net.dns_check import check_dns
    from chatmail.net.resolver import Resolver
    from chatmail.relay_facts import relay_facts

    config = read_config(config_path)
    found = required_records(config, relay_facts(config))
    report = asyncio.run(check_dns(found, Resolver(config.dns.resolvers)))
    click.echo(json.dumps(report_as_dict(report), indent=2) if as_json else report_as_text(report).rstrip("\n"))
    if not report.ok:
        raise click.exceptions.Exit(1)
