"""The real client reaches a relay of which only port 443 is open, by the link on its page."""

import re
import socket
import ssl
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from html import unescape
from pathlib import Path

import pytest
from deltachat_rpc_client import DeltaChat

from tests.support.deltachat import Phone, running_core
from tests.support.public_relay import PublicRelay
from tests.support.tools import require_root

CLOSED = (25, 80, 143, 465, 587, 993)


NAME = "_chat.example.org"
"""Of a name that begins with `_` clients accept a self-signed certificate."""


@pytest.fixture(scope="module")
def new_relay(pyz: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str, str], PublicRelay]]:
    """Starts relays of which only port 443 is open."""
    require_root()
    off = dict.fromkeys(("smtp", "submission", "submissions", "imap", "imaps", "http"), 0)
    with ExitStack() as running:

        def start(domain: str, host: str) -> PublicRelay:
            data_dir = tmp_path_factory.mktemp("only-443") / "data"
            return running.enter_context(PublicRelay(pyz, host, data_dir, port_base=0, domain=domain, ports=off))

        yield start


def link_on_the_page(relay: PublicRelay) -> str:
    context = ssl._create_unverified_context()
    with urllib.request.urlopen(f"https://{relay.host}/", context=context, timeout=20) as answer:
        page = answer.read().decode()
    found = re.search(r'class="button" href="([^"]+)"', page)
    assert found is not None, page
    return unescape(found[1])


def chat_both_ways(relay: PublicRelay, alice: Phone, bob: Phone) -> None:
    for port in CLOSED:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((relay.host, port), timeout=5)
    chat = alice.befriend(bob)
    chat.send_text("by port 443")
    received = bob.wait_message()
    assert (received.text, received.show_padlock) == ("by port 443", True)
    received.chat.send_text("and back")
    assert alice.wait_message().text == "and back"


def test_a_login_link_on_the_page_is_enough(
    new_relay: Callable[[str, str], PublicRelay], core: DeltaChat, free_loopback_address: str
) -> None:
    relay = new_relay(free_loopback_address, free_loopback_address)
    links = [link_on_the_page(relay) for _ in range(2)]
    assert all("ip=443&is=ssl" in link and "sp=443&ss=ssl" in link for link in links), links
    chat_both_ways(relay, Phone(core, links[0], "Alice"), Phone(core, links[1], "Bob"))


def test_the_link_for_everybody_on_the_page_is_enough(
    new_relay: Callable[[str, str], PublicRelay], free_loopback_address: str, tmp_path: Path
) -> None:
    relay = new_relay(NAME, free_loopback_address)
    link = link_on_the_page(relay)
    assert link == f"dcaccount:https://{NAME}/new"
    with running_core(tmp_path / "accounts", {NAME: relay.host}) as core:
        alice, bob = Phone(core, link, "Alice"), Phone(core, link, "Bob")
        assert alice.address.endswith(f"@{NAME}") and alice.address != bob.address
        chat_both_ways(relay, alice, bob)
