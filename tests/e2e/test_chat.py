"""Two and more real Delta Chat clients chat through the built file."""

import imaplib
import os
import ssl
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from deltachat_rpc_client import DeltaChat

from tests.e2e.conftest import PhoneFactory
from tests.support.deltachat import Phone
from tests.support.relay import ServedRelay, TryRelay


def login_of(link: str) -> tuple[str, str]:
    parts = urlsplit(link)
    return parts.path, parse_qs(parts.query)["p"][0]


def imap_login(relay: TryRelay, address: str, password: str) -> imaplib.IMAP4_SSL:
    context = ssl._create_unverified_context()
    client = imaplib.IMAP4_SSL(relay.host, relay.port(993), ssl_context=context, timeout=20)
    client.login(address, password)
    return client


def messages_on_server(relay: TryRelay, link: str) -> int:
    with imap_login(relay, *login_of(link)) as client:
        return int((client.select("INBOX", readonly=True)[1][0] or b"0").decode())


def test_each_printed_link_makes_an_account_and_two_people_chat_both_ways(
    pyz: Path, free_loopback_address: str, tmp_path: Path, core: DeltaChat
) -> None:
    with TryRelay(pyz, free_loopback_address, tmp_path / "data") as relay:
        first = Phone(core, relay.printed_link)
        first.account.stop_io()
    # Another start prints another link; the first account is still there.
    with relay:
        second = Phone(core, relay.printed_link)
        first.bring_online()
        assert {phone.address.partition("@")[2] for phone in (first, second)} == {f"[{relay.host}]"}
        first.befriend(second).send_text("Are you there?")
        received = second.wait_message()
        assert (received.text, received.show_padlock) == ("Are you there?", True)
        received.chat.send_text("Yes, here.")
        answer = first.wait_message()
        assert (answer.text, answer.show_padlock) == ("Yes, here.", True)
        for phone in (first, second):
            phone.account.stop_io()


def test_a_group_of_four_sees_every_message(alice: Phone, bob: Phone, new_phone: PhoneFactory) -> None:
    others = [bob, new_phone("Carol"), new_phone("Dave")]
    for one in others:
        alice.befriend(one)
    for one in others:
        for two in others:
            if one is not two:
                one.befriend(two)
    group = alice.account.create_group("Four")
    for one in others:
        group.add_contact(one.account)
    group.send_text("hello all")
    snapshots = [one.wait_message() for one in others]
    assert [snapshot.text for snapshot in snapshots] == ["hello all"] * 3
    for snapshot in snapshots:
        snapshot.chat.accept()
    snapshots[0].chat.send_text("hello from the second")
    for one in [alice, *others[1:]]:
        assert one.wait_message().text == "hello from the second"


def test_securejoin_by_invite_link_verifies_both_sides(new_phone: PhoneFactory) -> None:
    inviter, joiner = new_phone("Inviter"), new_phone("Joiner")
    link = inviter.account.get_qr_code()
    assert "v=3" in link
    joiner.account.secure_join(link)
    inviter.wait_event("SecurejoinInviterProgress", lambda event: event["progress"] == 1000)
    joiner.wait_event("SecurejoinJoinerProgress", lambda event: event["progress"] == 1000)


def test_legacy_securejoin_begins_in_clear_and_passes_the_filter(new_phone: PhoneFactory) -> None:
    inviter, joiner = new_phone("Inviter"), new_phone("Joiner")
    link = inviter.account.get_qr_code().replace("&v=3", "").replace("v=3&", "")
    assert "v=3" not in link
    joiner.account.secure_join(link)
    inviter.wait_event("SecurejoinInviterProgress", lambda event: event["progress"] == 1000)
    joiner.wait_event("SecurejoinJoinerProgress", lambda event: event["progress"] == 1000)


def test_a_read_receipt_comes_back(alice: Phone, bob: Phone) -> None:
    sent = alice.befriend(bob).send_text("seen this?")
    received = bob.wait_message()
    bob.account.get_message_by_id(received.id).mark_seen()
    assert alice.wait_event("MsgRead", lambda event: event["msg_id"] == sent.id)


@pytest.mark.parametrize("megabytes", [1, 10])
def test_an_attachment_arrives_whole(alice: Phone, bob: Phone, tmp_path: Path, megabytes: int) -> None:
    attachment = tmp_path / f"{megabytes}.bin"
    attachment.write_bytes(os.urandom(megabytes * 1_000_000))
    alice.befriend(bob).send_file(str(attachment))
    received = bob.wait_message()
    if received.download_state != "Done":
        bob.wait_event(
            "MsgsChanged",
            lambda event: (
                event["msg_id"] == received.id
                and bob.account.get_message_by_id(received.id).get_snapshot().download_state == "Done"
            ),
        )
        received = bob.account.get_message_by_id(received.id).get_snapshot()
    assert Path(received.file).read_bytes() == attachment.read_bytes()


def test_a_message_sent_while_the_receiver_is_offline_waits_for_it(alice: Phone, bob: Phone) -> None:
    bob.account.stop_io()
    sent = alice.befriend(bob).send_text("for later")
    alice.wait_event("MsgDelivered", lambda event: event["msg_id"] == sent.id)
    bob.account.start_io()
    assert bob.wait_message().text == "for later"


def test_a_downloaded_message_is_deleted_from_the_server(
    relay: TryRelay, alice: Phone, new_phone: PhoneFactory
) -> None:
    link = relay.new_account().link
    receiver = new_phone(link=link)
    alice.befriend(receiver).send_text("take me away")
    assert receiver.wait_message().text == "take me away"
    receiver.wait_event("ImapInboxIdle")
    receiver.account.stop_io()
    assert messages_on_server(relay, link) == 0


def test_two_devices_on_one_account_both_get_the_message(alice: Phone, new_phone: PhoneFactory) -> None:
    first = new_phone("Two devices")
    first.account.set_config("bcc_self", "1")
    second = first.second_device()
    chat = alice.befriend(first)
    second.account.create_chat(alice.account)
    chat.send_text("to both of you")
    assert first.wait_message().text == "to both of you"
    assert second.wait_message().text == "to both of you"


def test_a_member_whose_account_is_gone_comes_back_as_a_bounce_and_the_others_get_the_message(
    pyz: Path, core: DeltaChat, free_loopback_address: str, tmp_path: Path
) -> None:
    with ServedRelay(pyz, free_loopback_address, tmp_path / "data") as relay:
        alice, bob, gone = (Phone(core, relay.new_account().link) for _ in range(3))
        # As it comes, the client drops whatever is not encrypted, bounces too; and in groups it says nothing of them.
        alice.account.set_config("force_encryption", "0")
        chat = alice.befriend(gone)
        group = alice.account.create_group("One is gone")
        for one in (bob, gone):
            alice.befriend(one)
            group.add_contact(one.account)
        gone.account.stop_io()
        delete: list[str | Path] = [
            sys.executable,
            pyz,
            "account",
            "delete",
            gone.address,
            "--yes",
            "--config",
            relay.config_path,
        ]
        subprocess.run(delete, check=True, capture_output=True)
        group.send_text("hello whoever is there")
        assert bob.wait_message().text == "hello whoever is there"
        sent = chat.send_text("are you there?")
        alice.wait_event("MsgFailed", lambda event: event["msg_id"] == sent.id)
        assert "does not exist" in sent.get_snapshot().error
        for phone in (alice, bob):
            phone.account.stop_io()


def test_ctrl_c_ends_the_relay_cleanly(pyz: Path, free_loopback_address: str, tmp_path: Path) -> None:
    relay = TryRelay(pyz, free_loopback_address, tmp_path / "data").start()
    assert relay.stop() == 0
