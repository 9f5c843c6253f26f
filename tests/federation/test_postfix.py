"""Postfix with OpenDKIM, as Debian has them, sends to the built file; the keys come from a real name server."""

import imaplib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.mail_client import accept_any_certificate
from tests.support.messages import encrypted_message
from tests.support.name_server import NameServer
from tests.support.postfix import Postfix
from tests.support.relay import Credentials, ServedRelay

FOREIGN = "foreign.example"
ALICE = f"alice@{FOREIGN}"


class World:
    """A name server, our relay, and Postfix."""

    def __init__(self, relay: ServedRelay, postfix: Postfix) -> None:
        self.relay, self.postfix = relay, postfix
        self.bob: Credentials = relay.new_account()
        self._imap().logout()  # makes the account

    def _imap(self) -> imaplib.IMAP4_SSL:
        client = imaplib.IMAP4_SSL(self.relay.host, self.relay.port(993), ssl_context=accept_any_certificate())
        client.login(self.bob.address, self.bob.password)
        return client

    def inbox(self) -> list[bytes]:
        client = self._imap()
        client.select("INBOX", readonly=True)
        _, found = client.search(None, "ALL")
        messages = [client.fetch(number.decode(), "(BODY[])")[1][0][1] for number in found[0].split()]  # type: ignore[index]
        client.logout()
        return [bytes(message) for message in messages if isinstance(message, bytes)]


@pytest.fixture(scope="module")
def world(
    pyz: Path, loopback_address: str, _addresses: Iterator[str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    dns_address, relay_address = next(_addresses), next(_addresses)
    folder = tmp_path_factory.mktemp("postfix")
    (folder / "dns").mkdir()
    settings = f'[dns]\nresolvers = ["{dns_address}"]\n'
    relay = ServedRelay(pyz, relay_address, folder / "data", settings=settings)
    postfix = Postfix(FOREIGN, loopback_address, relay.host, relay.port(25))
    with postfix, NameServer(folder / "dns", dns_address, {FOREIGN: postfix.record}), relay:
        yield World(relay, postfix)


def test_what_postfix_sends_and_opendkim_signed_is_delivered_without_traces(world: World) -> None:
    message = encrypted_message(ALICE, message_id="from-postfix")
    world.postfix.send(ALICE, world.bob.address, message)
    assert "status=sent (250 2.0.0 Message accepted)" in world.postfix.wait_for("status=")
    assert "TLSv1.3" in world.postfix.wait_for("TLS connection established to")
    [stored] = world.inbox()
    head, _, body = stored.partition(b"\r\n\r\n")
    assert body == message.partition(b"\r\n\r\n")[2]
    for trace in (b"received:", b"dkim-signature:", b"authentication-results:"):
        assert trace not in head.lower()
    assert head.startswith(f"Return-Path: <{ALICE}>\r\n".encode())
    world.postfix.send(ALICE, world.bob.address, message)  # the same once more, as after a lost reply
    world.postfix.wait_for("status=sent")
    assert len(world.inbox()) == 1


def test_refusals_reach_postfix_with_our_words(world: World) -> None:
    plain = f"From: <{ALICE}>\r\nSubject: x\r\n\r\nin clear\r\n".encode()
    world.postfix.send(ALICE, world.bob.address, plain)
    assert "523 Encryption Needed" in world.postfix.wait_for("status=bounced")
    world.postfix.send(ALICE, f"nobodyxxx@[{world.relay.host}]", encrypted_message(ALICE))
    assert "550 5.1.1 This address does not exist here" in world.postfix.wait_for("550 5.1.1")
    other = "mallory@third.example"  # a domain the signer has no key for
    world.postfix.send(other, world.bob.address, encrypted_message(other))
    assert "status=bounced" in world.postfix.wait_for("No DKIM signature found")
