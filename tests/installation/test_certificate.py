"""The certificate before there is a server: listeners for the time of the order, and what is left on the disk."""

import socket
from pathlib import Path

import pytest

from chatmail.config import Config, parse_config
from chatmail.errors import OperatorError
from chatmail.installation.certificate import CertificateRefusedError, certificate_in_use, obtain_certificate
from tests.support.addresses import loopback_addresses
from tests.support.certificate_authority import Pebble

NAME = "chat.example.net"
HTTPS, HTTP = 8443, 8080


def config_for(address: str, folder: Path, tls: str, dns: str = "") -> Config:
    return parse_config(
        f'mail_domain = "{NAME}"\ndata_dir = "{folder / "data"}"\n'
        f'[listen]\naddresses = ["{address}"]\nhttps = {HTTPS}\nhttp = {HTTP}\n[tls]\n{tls}\n{dns}'
    )


def test_it_is_obtained_step_by_step_and_found_again(free_loopback_address: str, tmp_path: Path) -> None:
    address = next(loopback_addresses())
    with Pebble(tmp_path, address, free_loopback_address, http_port=HTTP, tls_port=HTTPS) as authority:
        tls = f'acme_directory = "{authority.directory}"\nacme_ca_file = "{authority.ca_file}"'
        config = config_for(free_loopback_address, tmp_path, tls, f'[dns]\nresolvers = ["{address}:8053"]')
        steps: list[str] = []
        found = obtain_certificate(config, steps.append)
        assert NAME in found.names and found.trusted and len(steps) == 5
        assert certificate_in_use(config) == found
    # Nothing listens any more.
    with socket.create_server((free_loopback_address, HTTPS)):
        pass


def test_a_refusal_knows_its_step(free_loopback_address: str, tmp_path: Path) -> None:
    config = config_for(free_loopback_address, tmp_path, f'acme_directory = "https://{free_loopback_address}:1/dir"')
    with pytest.raises(CertificateRefusedError, match="could not be reached") as caught:
        obtain_certificate(config, lambda _step: None)
    assert "directory" in caught.value.step
    assert not certificate_in_use(config).trusted


def test_a_taken_port_is_named(free_loopback_address: str, tmp_path: Path) -> None:
    config = config_for(free_loopback_address, tmp_path, f'acme_directory = "https://{free_loopback_address}:1/dir"')
    with socket.create_server((free_loopback_address, HTTPS)), pytest.raises(OperatorError, match=f"Port {HTTPS}"):
        obtain_certificate(config, lambda _step: None)


def test_a_self_signed_one_is_made_without_asking_anybody(free_loopback_address: str, tmp_path: Path) -> None:
    found = obtain_certificate(config_for(free_loopback_address, tmp_path, 'mode = "self-signed"'), lambda _step: None)
    assert NAME in found.names and not found.trusted
