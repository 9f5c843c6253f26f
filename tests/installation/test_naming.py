"""The name of a server in the DNS, asked of a real name server."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from chatmail.config import Config, parse_config
from chatmail.errors import ConfigError
from chatmail.installation.naming import RecordRendering, check_records, dns_records, resolve_now
from tests.support.addresses import loopback_addresses
from tests.support.name_server import NameServer

DOMAIN = "chat.example.net"


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return parse_config(f'mail_domain = "{DOMAIN}"\ndata_dir = "{tmp_path}"')


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NameServer]:
    address = next(loopback_addresses())
    zone = f"chat IN A {address}\nempty IN TXT nothing\n"
    with NameServer(tmp_path_factory.mktemp("nsd"), address, {"example.net": zone}) as running:
        yield running


def test_what_a_name_leads_to_is_said_in_a_sentence(server: NameServer) -> None:
    here = resolve_now(DOMAIN, [server.address], [server.address])
    assert here.leads_here and here.addresses == (server.address,) and here.sentence.endswith("this machine.")
    assert resolve_now(DOMAIN, [server.address], ["192.0.2.1"]).leads_here is False
    assert "does not exist" in resolve_now("other.example.net", [server.address]).sentence
    assert "no address yet" in resolve_now("empty.example.net", [server.address]).sentence
    assert resolve_now("192.0.2.7", (), ["192.0.2.7"]).leads_here
    nobody = resolve_now(DOMAIN, ["127.0.0.1:1"])
    assert nobody.leads_here is None and "Nobody answered" in nobody.sentence


def test_the_records_come_in_three_renderings_with_the_same_key_each_time(config: Config) -> None:
    records = dns_records(config, ["192.0.2.7"])
    assert records == dns_records(config, ["192.0.2.7"])
    short, full, zone = (records.rendered(rendering) for rendering in RecordRendering)
    assert len(short) == len(full) == len(zone) == len(records.records)
    at = next(number for number, row in enumerate(short) if row.name == "_dmarc")
    assert full[at].name == f"_dmarc.{DOMAIN}" and zone[at].name == f"_dmarc.{DOMAIN}."
    assert zone[at].value == f'"{full[at].value}"'
    assert f"{DOMAIN}. 3600 IN A 192.0.2.7" in records.zone


def test_short_names_are_what_stands_before_the_zone_that_was_bought(config: Config, server: NameServer) -> None:
    asking = replace(config, dns=replace(config.dns, resolvers=(server.address,)))
    names = {row.name for row in dns_records(asking, ["192.0.2.7"]).rendered(RecordRendering.SHORT_NAMES)}
    assert {"chat", "_dmarc.chat", "www.chat"} <= names


def test_a_zone_turns_green_once_the_records_are_there(config: Config, server: NameServer) -> None:
    records = dns_records(config, [server.address])
    assert not check_records(records, [server.address]).ok
    server.zones["example.net"] = records.zone
    server.stop()
    server.start()
    assert check_records(records, [server.address]).ok


def test_what_is_no_address_is_refused(config: Config) -> None:
    with pytest.raises(ConfigError, match="is no IP address"):
        dns_records(config, ["chat"])


def test_a_server_known_by_its_address_needs_no_records(tmp_path: Path) -> None:
    found = dns_records(parse_config(f'mail_domain = "192.0.2.7"\ndata_dir = "{tmp_path}"'))
    assert found.records == () and "needs no DNS records" in found.note
