"""The checker against a real authoritative server that serves what `render_zone` prints, whole and then broken."""

from collections.abc import Iterator
from ipaddress import ip_address

import pytest

from chatmail.config import parse_config
from chatmail.dns.compare import CheckState, RecordCheck
from chatmail.dns.records import RelayFacts, required_records
from chatmail.dns.report import DnsReport, is_propagating
from chatmail.dns.zone import render_zone
from chatmail.net.dns_check import check_dns, published_addresses
from chatmail.net.resolver import Resolver
from tests.support.name_server import NameServer

SERVER = "127.53.0.1"
RELAY = "127.53.0.2"
ZONE = "example.org"
CONFIG = parse_config('mail_domain = "chat.example.org"')
RECORDS = required_records(
    CONFIG,
    RelayFacts((ip_address(RELAY),), b"\x30" * 294, "letsencrypt.org", "https://acme.example/acct/1"),
)
GOOD = render_zone(RECORDS)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NameServer]:
    reverse = "2.0.53.127.in-addr.arpa. IN PTR chat.example.org.\n"
    zones = {ZONE: GOOD, "53.127.in-addr.arpa": reverse}
    with NameServer(tmp_path_factory.mktemp("nsd"), SERVER, zones) as running:
        yield running


async def check() -> DnsReport:
    return await check_dns(RECORDS, Resolver([SERVER]))


def wrong(report: DnsReport) -> dict[str, RecordCheck]:
    return {
        f"{check.record.type} {check.record.name}": check for check in report.checks if check.state is not CheckState.OK
    }


async def test_the_printed_zone_is_loaded_by_a_real_server_and_found_right(server: NameServer) -> None:
    report = await check()
    assert wrong(report) == {}
    assert report.ok
    assert not any(is_propagating(one) for one in report.checks)
    [reverse] = report.reverse
    assert (reverse.names, reverse.confirmed, reverse.advice) == (("chat.example.org",), True, "")


async def test_the_addresses_at_the_source_are_told_whatever_a_cache_holds(server: NameServer) -> None:
    assert await published_addresses("chat.example.org", Resolver([SERVER])) == (RELAY,)


async def test_a_reverse_name_that_is_right_but_does_not_lead_back_yet_asks_for_patience(server: NameServer) -> None:
    server.replace(ZONE, spoil(" IN A ", "chat.example.org. IN A 127.53.0.9"))
    try:
        [reverse] = (await check()).reverse
    finally:
        server.replace(ZONE, GOOD)
    assert not reverse.confirmed
    assert (
        reverse.advice
        == f"{RELAY} is called chat.example.org, which does not lead back to it for everybody yet: wait up to an hour."
    )


def spoil(line_with: str, replacement: str) -> str:
    lines = [replacement if line_with in line and not line.startswith(";") else line for line in GOOD.splitlines()]
    assert replacement in lines
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("line_with", "replacement", "broken", "named"),
    [
        (" IN A ", "", "A chat.example.org", "Create this record"),
        (" IN A ", "chat.example.org. IN A 127.53.0.9", "A chat.example.org", "leads to 127.53.0.9"),
        (" IN MX ", "chat.example.org. IN MX 10 chat.example.org.example.org.", "MX chat.example.org", "second time"),
        (
            "_domainkey",
            'chatmail._domainkey.chat.example.org. IN TXT "v=DKIM1;k=rsa;p=MDAw"',
            "TXT chatmail._domainkey.chat.example.org",
            "cut off",
        ),
        (
            "_dmarc",
            '_dmarc.chat.example.org.example.org. IN TXT "v=DMARC1;p=reject;adkim=s;aspf=s"',
            "TXT _dmarc.chat.example.org",
            "It was created at _dmarc.chat.example.org.example.org",
        ),
        ("_mta-sts", "", "TXT _mta-sts.chat.example.org", "Create this record"),
        ("www.", "www IN A 127.53.0.9", "CNAME www.chat.example.org", "Create this record"),
        (
            " IN CAA ",
            'chat.example.org. IN CAA 0 issue "other.example"',
            "CAA chat.example.org",
            "forbids letsencrypt.org",
        ),
    ],
)
async def test_each_broken_record_is_named(
    server: NameServer, line_with: str, replacement: str, broken: str, named: str
) -> None:
    server.replace(ZONE, spoil(line_with, replacement))
    report = await check()
    found = wrong(report)
    assert broken in found, found
    assert named in found[broken].advice
    assert report.ok == (not found[broken].record.required)


async def test_addresses_that_equal_those_of_the_target_stand_for_a_cname(server: NameServer) -> None:
    server.replace(ZONE, spoil("www.", f"www.chat.example.org. IN A {RELAY}"))
    assert wrong(await check()) == {}


async def test_behind_a_nat_the_domain_must_lead_somewhere(server: NameServer) -> None:
    behind_nat = [record for record in RECORDS if record.type != "A"]
    server.replace(ZONE, GOOD)
    report = await check_dns(behind_nat, Resolver([SERVER]))
    assert report.ok and report.checks[0].found == (RELAY,) and "to compare" in report.checks[0].advice
    server.replace(ZONE, spoil(" IN A ", ""))
    report = await check_dns(behind_nat, Resolver([SERVER]))
    assert (
        not report.ok
        and "no public address of its own; create an A record" in wrong(report)["A chat.example.org"].advice
    )


async def test_servers_that_do_not_answer_are_told_from_missing_records(server: NameServer) -> None:
    server.stop()
    report = await check_dns(RECORDS[:1], Resolver([SERVER], lifetime_seconds=0.5))
    assert [one.state for one in report.checks] == [CheckState.UNREACHABLE]
    assert "Try again later" in report.checks[0].advice
    server.start()
