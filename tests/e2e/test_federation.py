"""Relays exchange mail: two with names, one known by its address, one whose name proves nothing; and real clients."""

import asyncio
import json
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from deltachat_rpc_client import DeltaChat

from tests.support.deltachat import Phone, card_of, running_core
from tests.support.federation import Federation, link_of, smtp_session
from tests.support.mail_client import ImapClient, accept_any_certificate
from tests.support.messages import encrypted_message
from tests.support.name_server import NameServer
from tests.support.public_relay import PublicRelay
from tests.support.relay import Credentials
from tests.support.tools import require_root

PATIENCE_SECONDS = 20.0


@dataclass
class Net:
    """The relays by what they are."""

    one: PublicRelay
    two: PublicRelay
    literal: PublicRelay
    unproved: PublicRelay


@pytest.fixture(scope="module")
def net(pyz: Path, _addresses: Iterator[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Net]:
    require_root()
    folder = tmp_path_factory.mktemp("federation")
    federation = Federation(pyz, folder, next(_addresses))
    fourth = next(_addresses)
    relays = (
        federation.relay("one.example", next(_addresses)),
        federation.relay("two.example", next(_addresses)),
        federation.relay(fourth, fourth),
        federation.relay("_unproved.example", next(_addresses)),
    )
    (folder / "nsd").mkdir()
    zones = {relay.domain: federation.zone(relay) for relay in relays if relay.domain != relay.host}
    with ExitStack() as stack:
        stack.enter_context(NameServer(folder / "nsd", federation.dns, zones))
        for relay in relays:
            stack.enter_context(relay)
        yield Net(*relays)


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeltaChat]:
    with running_core(tmp_path_factory.mktemp("core") / "accounts") as running:
        yield running


def phone(core: DeltaChat, relay: PublicRelay, name: str) -> Phone:
    return Phone(core, link_of(relay, relay.new_account()), name)


async def fetched(relay: PublicRelay, account: Credentials) -> list[bytes]:
    """All messages of an INBOX."""
    client = await ImapClient.connect(relay.host, 993, accept_any_certificate())
    try:
        await client.login(account.address, account.password)
        await client.command('SELECT "INBOX"')
        return await client.literals("UID FETCH 1:* (BODY.PEEK[])")
    finally:
        client.close()


async def new_account(relay: PublicRelay) -> Credentials:
    """An account that has been logged in to, and so exists."""
    account = relay.new_account()
    await fetched(relay, account)
    return account


async def wait_for(relay: PublicRelay, account: Credentials, count: int) -> list[bytes]:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(messages := await fetched(relay, account)) < count:
        assert time.monotonic() < deadline, (messages, relay.log_path.read_text()[-3000:])
        await asyncio.sleep(0.05)
    return messages


async def send(relay: PublicRelay, sender: Credentials, *recipients: str, message: bytes = b"") -> None:
    client = await smtp_session(relay, sender)
    await client.send(sender.address, list(recipients), message or encrypted_message(sender.address))
    client.close()


PAIRS = [(a, b) for a in ("one", "two", "literal", "unproved") for b in ("one", "two", "literal", "unproved") if a != b]


@pytest.mark.parametrize(("from_", "to"), PAIRS, ids=[f"{a}-to-{b}" for a, b in PAIRS])
async def test_each_reaches_each_and_nothing_of_the_way_is_left(net: Net, from_: str, to: str) -> None:
    here, there = getattr(net, from_), getattr(net, to)
    sender, receiver = here.new_account(), await new_account(there)
    message = encrypted_message(sender.address)
    await send(here, sender, receiver.address, message=message)
    [received] = await wait_for(there, receiver, 1)
    assert received.endswith(message)
    head = received.partition(b"\r\n\r\n")[0].lower()
    for name in (b"dkim-signature:", b"authentication-results:", b"received:"):
        assert name not in head
    assert await fetched(here, sender) == []


async def test_many_recipients_go_in_one_or_two_requests(net: Net) -> None:
    sender, receiver = net.one.new_account(), await new_account(net.two)
    await send(net.one, sender, *(receiver.address.replace("@", f"+{number}@") for number in range(700)))

    def taken() -> list[int]:
        said = re.findall(r"inbound message_accepted .* recipients=(\d+)", net.two.log_path.read_text())
        return [int(count) for count in said if int(count) > 1]

    deadline = time.monotonic() + PATIENCE_SECONDS
    while sum(taken()) < 700:
        assert time.monotonic() < deadline, taken()
        await asyncio.sleep(0.05)
    assert sum(taken()) == 700 and len(taken()) <= 2
    assert len(await fetched(net.two, receiver)) == 1


def test_people_on_two_relays_chat_and_join_securely(net: Net, core: DeltaChat) -> None:
    alice, bob = phone(core, net.one, "Alice"), phone(core, net.two, "Bob")
    chat = bob.account.secure_join(alice.account.get_qr_code())
    bob.wait_event("SecurejoinJoinerProgress", lambda event: event["progress"] == 1000)
    chat.send_text("across")
    received = alice.wait_message()
    while received.text != "across":
        received = alice.wait_message()
    assert received.show_padlock
    received.chat.accept()
    received.chat.send_text("and back")
    answer = bob.wait_message()
    while answer.text != "and back":
        answer = bob.wait_message()
    assert answer.show_padlock


def test_people_see_that_a_recipient_is_unknown_to_the_other_relay(net: Net, core: DeltaChat) -> None:
    alice, unknown = phone(core, net.one, "Alice"), "nosuchone@two.example"
    # As it comes, the client drops whatever is not encrypted, bounces too.
    alice.account.set_config("force_encryption", "0")
    [contact] = alice.account.import_vcard(card_of(unknown))
    sent = contact.create_chat().send_text("are you there?")
    alice.wait_event("MsgFailed", lambda event: event["msg_id"] == sent.id)
    assert unknown in (error := sent.get_snapshot().error) and "does not exist" in error


async def test_an_unknown_recipient_comes_back_as_a_bounce_that_names_it(net: Net) -> None:
    sender, receiver = await new_account(net.one), await new_account(net.two)
    unknown = "nosuchone@two.example"
    await send(net.one, sender, receiver.address, unknown)
    await wait_for(net.two, receiver, 1)
    [bounce] = await wait_for(net.one, sender, 1)
    assert b"From: Mail Delivery System <MAILER-DAEMON@one.example>" in bounce
    assert unknown.encode() in bounce and b"Status: 5.1.1" in bounce and receiver.address.encode() not in bounce
    assert b"ndelivered" in bounce and b"Auto-Submitted: auto-replied" in bounce


@pytest.mark.parametrize(
    ("recipient", "status"),
    [("x@missing.one.example", "5.1.2"), ("x@one.example.invalid", None), ("x@[127.0.0.1]", None)],
)
async def test_a_domain_that_does_not_exist_is_told_at_once_and_others_wait(
    net: Net, recipient: str, status: str | None
) -> None:
    sender = await new_account(net.one)
    await send(net.one, sender, recipient)
    if status is not None:
        [bounce] = await wait_for(net.one, sender, 1)
        assert f"Status: {status}".encode() in bounce
        return
    deadline = time.monotonic() + PATIENCE_SECONDS
    domain = recipient.partition("@")[2]
    while not (items := [item for item in listed(net.one) if item["domain"] == domain and item["attempts"]]):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)
    assert items[0]["last_reply"].startswith("451 4.4.")
    dropped = net.one.command("queue", "drop", "--domain", domain, "--yes")
    assert (dropped.returncode, dropped.stdout.strip()) == (0, "dropped: 1")
    assert not [item for item in listed(net.one) if item["domain"] == domain]
    assert await fetched(net.one, sender) == []


def listed(relay: PublicRelay) -> list[dict[str, Any]]:
    answer = relay.command("queue", "list", "--json")
    assert answer.returncode == 0, answer.stderr
    items: list[dict[str, Any]] = json.loads(answer.stdout)
    return items


async def test_what_waits_for_a_relay_that_is_down_goes_when_the_operator_says_so(net: Net) -> None:
    sender, receiver = await new_account(net.one), await new_account(net.unproved)
    net.unproved.stop()
    try:
        await send(net.one, sender, receiver.address)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not any(item["attempts"] for item in listed(net.one)):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)
        shown = net.one.command("queue", "list")
        assert re.search(r"^\d+ +_unproved\.example +1 ", shown.stdout, re.M), shown
        without = net.one.command("queue", "retry")
        assert without.returncode == 1 and "--all" in without.stderr
    finally:
        net.unproved.start()
    deadline = time.monotonic() + 2 * PATIENCE_SECONDS
    while not await fetched(net.unproved, receiver):
        assert time.monotonic() < deadline
        assert net.one.command("queue", "retry", "--all", "--json").returncode == 0
        await asyncio.sleep(0.5)
    assert listed(net.one) == []
