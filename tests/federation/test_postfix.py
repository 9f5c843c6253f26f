"""Postfix with OpenDKIM, as Debian has them, and a relay from the built file: mail both ways, and what comes back.

Names, addresses and keys come from a real name server, for either side; certificates from one authority.
"""

import asyncio
import imaplib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from deltachat_rpc_client import DeltaChat

from tests.support.deltachat import Phone, card_of, running_core
from tests.support.federation import Federation, link_of, smtp_session
from tests.support.mail_client import accept_any_certificate
from tests.support.messages import encrypted_message
from tests.support.name_server import NameServer
from tests.support.postfix import RECIPIENT_LIMIT, Postfix
from tests.support.public_relay import PublicRelay
from tests.support.relay import Credentials

FOREIGN = "foreign.example"
ALICE, GONE = f"alice@{FOREIGN}", f"gone@{FOREIGN}"
OURS = "ours.example"


class World:
    """A name server, our relay with an account, and Postfix."""

    def __init__(self, relay: PublicRelay, postfix: Postfix) -> None:
        self.relay, self.postfix = relay, postfix
        self.bob = self.new_account()

    def new_account(self) -> Credentials:
        """One that exists: it has logged in."""
        account = self.relay.new_account()
        self._imap(account).logout()
        return account

    def _imap(self, account: Credentials) -> imaplib.IMAP4_SSL:
        client = imaplib.IMAP4_SSL(self.relay.host, 993, ssl_context=accept_any_certificate())
        client.login(account.address, account.password)
        return client

    def inbox(self, account: Credentials, count: int = 1) -> list[bytes]:
        """The messages in its INBOX, once there are `count`."""
        client = self._imap(account)
        client.select("INBOX", readonly=True)
        while len(numbers := client.search(None, "ALL")[1][0].split()) < count:
            client.noop()
        messages = [client.fetch(number.decode(), "(BODY[])")[1][0][1] for number in numbers]  # type: ignore[index]
        client.logout()
        return [bytes(message) for message in messages if isinstance(message, bytes)]

    def submit(self, *recipients: str) -> bytes:
        """Bob sends a message; its bytes."""
        message = encrypted_message(self.bob.address)

        async def send() -> None:
            client = await smtp_session(self.relay, self.bob)
            await client.send(self.bob.address, list(recipients), message)
            client.close()

        asyncio.run(send())
        return message


@pytest.fixture(scope="module")
def world(
    pyz: Path, loopback_address: str, _addresses: Iterator[str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("postfix")
    (folder / "nsd").mkdir()
    federation = Federation(pyz, folder, next(_addresses))
    relay = federation.relay(OURS, next(_addresses))
    postfix = Postfix(FOREIGN, loopback_address, federation.dns, federation.authority)
    zones = {FOREIGN: postfix.zone, OURS: federation.zone(relay)}
    with NameServer(folder / "nsd", federation.dns, zones), postfix, relay:
        yield World(relay, postfix)


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeltaChat]:
    with running_core(tmp_path_factory.mktemp("core") / "accounts") as running:
        yield running


def test_what_postfix_sends_and_opendkim_signed_is_delivered_without_traces(world: World) -> None:
    message = encrypted_message(ALICE, message_id="from-postfix")
    world.postfix.send(ALICE, world.bob.address, message)
    assert "status=sent (250 2.0.0 Message accepted)" in world.postfix.wait_for("status=")
    assert "TLSv1.3" in world.postfix.wait_for(f"Verified TLS connection established to {OURS}")
    [stored] = world.inbox(world.bob)
    head, _, body = stored.partition(b"\r\n\r\n")
    assert body == message.partition(b"\r\n\r\n")[2]
    for trace in (b"received:", b"dkim-signature:", b"authentication-results:"):
        assert trace not in head.lower()
    assert head.startswith(f"Return-Path: <{ALICE}>\r\n".encode())
    world.postfix.send(ALICE, world.bob.address, message)  # the same once more, as after a lost reply
    world.postfix.wait_for("status=sent")
    assert len(world.inbox(world.bob)) == 1


def test_refusals_reach_postfix_with_our_words(world: World) -> None:
    plain = f"From: <{ALICE}>\r\nSubject: x\r\n\r\nin clear\r\n".encode()
    world.postfix.send(ALICE, world.bob.address, plain)
    assert "523 Encryption Needed" in world.postfix.wait_for("status=bounced")
    world.postfix.send(ALICE, f"nobodyxxx@{OURS}", encrypted_message(ALICE))
    assert "550 5.1.1 This address does not exist here" in world.postfix.wait_for("550 5.1.1")
    other = "mallory@third.example"  # a domain the signer has no key for
    world.postfix.send(other, world.bob.address, encrypted_message(other))
    assert "status=bounced" in world.postfix.wait_for("No DKIM signature found")


def test_what_we_send_is_received_and_our_signature_verified(world: World) -> None:
    message = world.submit(f"carol@{FOREIGN}", f"many1@{FOREIGN}")
    [received], [same] = world.postfix.mailbox("carol"), world.postfix.mailbox("many")
    lines = message.replace(b"\r\n", b"\n")
    assert received.endswith(lines) and same.endswith(lines)
    head = received.removesuffix(lines).decode()
    assert re.search(
        rf"^Authentication-Results: mx.{FOREIGN};\s+dkim=pass \(2048-bit key.*\s+header.d={OURS}", head, re.M
    )
    assert f"Return-Path: <{world.bob.address}>" in head
    assert "TLSv1.3" in world.postfix.wait_for("TLS connection established from")
    assert world.postfix.wait_for(f"from=<{world.bob.address}>").endswith("nrcpt=2 (queue active)")


def test_many_recipients_go_in_as_few_transactions_as_postfix_takes(world: World) -> None:
    before = len(world.postfix.mailbox("many", 0))
    world.submit(*(f"many{number}@{FOREIGN}" for number in range(2 * RECIPIENT_LIMIT + 50)))
    world.postfix.mailbox("many", before + 2 * RECIPIENT_LIMIT + 50)
    counts = re.findall(r"nrcpt=(\d+) \(queue active\)", world.postfix.log)
    assert [int(count) for count in counts if int(count) > 2] == [RECIPIENT_LIMIT, RECIPIENT_LIMIT, 50]


def test_whom_postfix_does_not_know_is_told_by_us_and_whom_it_bounces_by_itself(world: World) -> None:
    sender = world.bob = world.new_account()
    world.submit(f"nobody@{FOREIGN}", ALICE)
    [ours] = world.inbox(sender)
    assert b"From: Mail Delivery System <MAILER-DAEMON@ours.example>" in ours
    assert b"Status: 5.1.1" in ours and f"nobody@{FOREIGN}".encode() in ours and ALICE.encode() not in ours
    world.submit(GONE)
    theirs = world.inbox(sender, 2)[1]
    assert theirs.startswith(b"Return-Path: <>\r\n") and b"<MAILER-DAEMON@foreign.example>" in theirs
    assert GONE.encode() in theirs and b"dkim-signature:" not in theirs.partition(b"\r\n\r\n")[0].lower()


def test_a_bounce_from_postfix_fails_the_message_in_the_real_client(world: World, core: DeltaChat) -> None:
    carol = Phone(core, link_of(world.relay, world.relay.new_account()))
    # As it comes, the client drops whatever is not encrypted, bounces too.
    carol.account.set_config("force_encryption", "0")
    [contact] = carol.account.import_vcard(card_of(GONE))
    sent = contact.create_chat().send_text("are you there?")
    carol.wait_event("MsgFailed", lambda event: event["msg_id"] == sent.id)
    assert GONE in sent.get_snapshot().error
    assert "postfix/pipe" in world.postfix.wait_for(f"to=<{GONE}>")
