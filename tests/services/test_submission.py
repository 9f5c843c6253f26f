import asyncio
import email
import email.policy
from collections.abc import AsyncIterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from chatmail.config import LimitsConfig, MailConfig
from chatmail.errors import StorageError, StorageFullError
from chatmail.routing import Router
from tests.support.messages import encrypted_message
from tests.support.submission import DOMAIN, PASSWORD, SubmissionServer, address, submission_server

ALICE, BOB, CAROL = address("alice"), address("bob"), address("carol")
SECUREJOIN = (
    f"From: <{ALICE}>\r\nTo: <{BOB}>\r\nSubject: Message from {ALICE}\r\nChat-Version: 1.0\r\n"
    "Secure-Join: vc-request\r\nSecure-Join-Invitenumber: 1234\r\nMIME-Version: 1.0\r\n"
    'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
    '--b\r\nContent-Type: text/plain; charset="utf-8"\r\n\r\nSecure-Join: vc-request\r\n--b--\r\n'
).encode()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[SubmissionServer]:
    async with submission_server(tmp_path / "data") as server:
        yield server


def parsed(message: bytes) -> EmailMessage:
    return email.message_from_bytes(message, policy=email.policy.default)


# --- the main thing ---------------------------------------------------------------------------------------------------


async def test_a_message_goes_from_one_account_into_the_inbox_of_another(server: SubmissionServer) -> None:
    await server.account("bob")
    alice = await server.logged_in("alice")
    message = encrypted_message(ALICE)
    assert [reply[:3] for reply in await alice.submit(ALICE, [BOB], message)] == ["250", "250", "354", "250"]
    assert await server.inbox("bob") == [message]
    assert await server.inbox("alice") == []


async def test_port_587_serves_after_starttls(server: SubmissionServer) -> None:
    await server.account("bob")
    alice = await server.starttls.greeted()
    assert (await alice.say("STARTTLS")).startswith("220")
    await alice.start_tls()
    await alice.say("EHLO [127.0.0.1]")
    await alice.log_in(ALICE, PASSWORD)
    assert (await alice.submit(ALICE, [BOB], encrypted_message(ALICE)))[-1].startswith("250")
    assert len(await server.inbox("bob")) == 1


async def test_a_group_gets_one_message_each_and_the_sender_her_copy(server: SubmissionServer) -> None:
    for name in ("bob", "carol"):
        await server.account(name)
    alice = await server.logged_in("alice")
    message = encrypted_message(ALICE)
    await alice.submit(ALICE, [BOB, CAROL, ALICE, BOB], message)
    assert [await server.inbox(name) for name in ("alice", "bob", "carol")] == [[message]] * 3


async def test_a_tag_behind_the_name_is_not_part_of_the_address(server: SubmissionServer) -> None:
    await server.account("bob")
    alice = await server.logged_in("alice")
    await alice.submit(ALICE, [BOB.replace("@", "+tag@"), BOB], encrypted_message(ALICE))
    assert len(await server.inbox("bob")) == 1
    assert await server.inbox("alice") == []


async def test_a_megabyte_passes_and_comes_out_as_it_went_in(server: SubmissionServer) -> None:
    await server.account("bob")
    alice = await server.logged_in("alice")
    message = encrypted_message(ALICE, size_bytes=1_400_000)
    assert (await alice.submit(ALICE, [BOB], message))[-1].startswith("250")
    assert await server.inbox("bob") == [message]


async def test_traces_of_the_client_are_taken_out_and_none_is_added(server: SubmissionServer) -> None:
    await server.account("bob")
    alice = await server.logged_in("alice")
    message = encrypted_message(ALICE)
    traces = b"Received: from [192.0.2.7]\r\nUser-Agent: Phone\r\nX-Mailer: x\r\nX-Originating-IP: 192.0.2.7\r\n"
    shown = message.replace(b"Subject: [...]", b"Subject: about the surprise party")
    await alice.submit(ALICE, [BOB], traces + shown)
    [received] = await server.inbox("bob")
    assert received == message
    assert b"127.0.0.1" not in received


async def test_the_first_step_of_a_handshake_passes_unencrypted(server: SubmissionServer) -> None:
    await server.account("bob")
    alice = await server.logged_in("alice")
    assert (await alice.submit(ALICE, [BOB], SECUREJOIN))[-1].startswith("250")
    [received] = await server.inbox("bob")
    assert b"Subject: [...]" in received


# --- refusals ---------------------------------------------------------------------------------------------------------


async def test_unencrypted_mail_gets_the_answer_clients_know(server: SubmissionServer) -> None:
    alice = await server.logged_in("alice")
    replies = await alice.submit(ALICE, [BOB], f"From: <{ALICE}>\r\nSubject: Hi\r\n\r\nHello\r\n".encode())
    assert replies[-1] == "523 Encryption Needed: Invalid Unencrypted Mail"
    replies = await alice.submit(ALICE, [BOB], encrypted_message(ALICE))
    assert replies[-1].startswith("250")


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        (encrypted_message(BOB), f"500 Invalid FROM <{BOB}> for <{ALICE}>"),
        (encrypted_message(ALICE).replace(b"From: ", b"X-From: "), "500 Invalid FROM header: there is none"),
        (b"no header\r\n", "500 Failed to parse message"),
        (b"X: " + b"x" * 200_000 + b"\r\n", "500 Failed to parse message"),
        (b"\r\n", "500 Invalid FROM header: there is none"),
        (b"", "500 Invalid FROM header: there is none"),
        (f"From: <{ALICE}>\r\n".encode(), "523 Encryption Needed: Invalid Unencrypted Mail"),
    ],
)
async def test_a_wrong_message_is_refused_and_the_next_one_taken(
    server: SubmissionServer, message: bytes, answer: str
) -> None:
    await server.account("bob")
    alice = await server.logged_in("alice")
    assert (await alice.submit(ALICE, [BOB], message))[-1] == answer
    assert (await alice.submit(ALICE, [BOB], encrypted_message(ALICE)))[-1].startswith("250")
    assert len(await server.inbox("bob")) == 1


async def test_a_foreign_sender_is_refused_at_rcpt(server: SubmissionServer) -> None:
    alice = await server.logged_in("alice")
    for sender in (BOB, "", "alicexxxx@example.org"):
        replies = await alice.submit(sender, [BOB, CAROL], b"")
        assert [reply[:3] for reply in replies] == ["250", "553", "553", "503"]
        await alice.say("RSET")


@pytest.mark.parametrize("what", ["blocked", "removed", "another password"])
async def test_a_login_ends_with_what_it_was_good_for(server: SubmissionServer, what: str) -> None:
    alice = await server.logged_in("alice")
    account_id = await server.account("alice")
    match what:
        case "blocked":
            await server.store.accounts.set_blocked(account_id, True)
        case "removed":
            await server.store.accounts.remove(account_id)
        case _:
            await server.store.accounts.set_password_hash(account_id, "another")
    replies = await alice.submit(ALICE, [BOB], encrypted_message(ALICE))
    assert [reply[:9] for reply in replies[1:]] == ["550 5.7.1", "503 5.5.1"]


async def test_a_wrong_password_is_refused_and_a_new_name_makes_an_account(server: SubmissionServer) -> None:
    await server.account("alice")
    stranger = await server.tls.greeted()
    with pytest.raises(AssertionError, match="535"):
        await stranger.log_in(ALICE, "not the password")
    with pytest.raises(AssertionError, match="535"):
        await stranger.log_in(f"bad name@{DOMAIN}", PASSWORD)
    await stranger.log_in(CAROL, PASSWORD)


async def test_bytes_that_are_no_text_are_a_wrong_password(server: SubmissionServer) -> None:
    stranger = await server.tls.greeted()
    assert (await stranger.say("AUTH PLAIN AP8A/w==")).startswith("535 5.7.8")


async def test_the_rate_is_told_at_rcpt_after_the_burst_and_once_per_message(tmp_path: Path) -> None:
    mail = MailConfig(max_user_send_per_minute=6, max_user_send_burst_size=3)
    async with submission_server(tmp_path / "data", mail) as server:
        await server.account("bob")
        alice = await server.logged_in("alice")
        for _ in range(3):
            assert (await alice.submit(ALICE, [BOB, CAROL, ALICE], encrypted_message(ALICE)))[-1].startswith("250")
        replies = await alice.submit(ALICE, [BOB, CAROL], encrypted_message(ALICE))
        assert [reply[:3] for reply in replies] == ["250", "450", "450", "503"]
        assert replies[1].startswith("450 4.7.1: Too much mail from")
        bob = await server.logged_in("bob")
        assert (await bob.submit(BOB, [ALICE], encrypted_message(BOB)))[-1].startswith("250")


async def test_too_many_recipients_are_told_so_and_the_others_served(tmp_path: Path) -> None:
    async with submission_server(tmp_path / "data", MailConfig(max_recipients=2)) as server:
        await server.account("bob")
        alice = await server.logged_in("alice")
        replies = await alice.submit(ALICE, [BOB, ALICE, CAROL], encrypted_message(ALICE))
        assert [reply[:3] for reply in replies] == ["250", "250", "250", "452", "354", "250"]
        assert replies[3].startswith("452 4.5.3")


# --- bounces ----------------------------------------------------------------------------------------------------------


async def test_who_cannot_be_reached_is_bounced_and_the_others_get_the_message(server: SubmissionServer) -> None:
    await server.account("bob")
    alice = await server.logged_in("alice")
    message = encrypted_message(ALICE)
    replies = await alice.submit(ALICE, [BOB, CAROL, "dave@elsewhere.example"], message)
    assert [reply[:3] for reply in replies] == ["250"] * 4 + ["354", "250"]
    assert await server.inbox("bob") == [message]
    [bounce] = await server.inbox("alice")
    report = parsed(bounce)
    assert report["Return-Path"] == "<>"
    assert report["From"] == f"Mail Delivery System <MAILER-DAEMON@{DOMAIN}>"
    assert report["Auto-Submitted"] == "auto-replied"
    assert report.get_content_type() == "multipart/report"
    explanation, status, original = report.iter_parts()
    text = explanation.get_content()
    assert f"{CAROL}: This address does not exist here" in text
    assert BOB not in text and "dave" not in text
    assert [part["Status"] for part in status.get_payload()[1:]] == ["5.1.1"]  # type: ignore[index]
    assert b"BEGIN PGP MESSAGE" not in bounce
    assert original.get_content_type() == "text/rfc822-headers"
    assert [item.domain for item in await server.store.queue.page(0, 10)] == ["elsewhere.example"]


async def test_a_message_that_nobody_can_get_is_accepted_and_bounced(server: SubmissionServer) -> None:
    alice = await server.logged_in("alice")
    assert (await alice.submit(ALICE, [CAROL], encrypted_message(ALICE)))[-1].startswith("250")
    [bounce] = await server.inbox("alice")
    assert b"5.1.1" in bounce


async def test_a_full_mailbox_is_bounced(tmp_path: Path) -> None:
    async with submission_server(tmp_path / "data", MailConfig(max_mailbox_size=12_000)) as server:
        await server.account("bob")
        alice = await server.logged_in("alice")
        for _ in range(3):
            assert (await alice.submit(ALICE, [BOB], encrypted_message(ALICE)))[-1].startswith("250")
        assert len(await server.inbox("bob")) == 2
        [bounce] = await server.inbox("alice")
        assert b"The mailbox is full" in bounce


async def test_mail_to_a_blocked_account_disappears_without_a_word(server: SubmissionServer) -> None:
    await server.store.accounts.set_blocked(await server.account("bob"), True)
    alice = await server.logged_in("alice")
    assert (await alice.submit(ALICE, [BOB], encrypted_message(ALICE)))[-1].startswith("250")
    assert await server.inbox("alice") == []


async def test_an_address_at_an_ip_is_local_where_the_server_is_that_ip(tmp_path: Path) -> None:
    async with submission_server(tmp_path / "data", domain="127.0.0.1") as server:
        alice, bob = "alicexxxx@[127.0.0.1]", "bobxxxxxx@[127.0.0.1]"
        for who in (bob, alice):
            peer = await server.tls.greeted()
            await peer.log_in(who, PASSWORD)
        assert (await peer.submit(alice, [bob], encrypted_message(alice)))[-1].startswith("250")
        replies = await peer.submit(alice, [bob], encrypted_message(alice))
        assert replies[-1].startswith("250")


# --- faults and limits ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "answer"), [(StorageFullError("full"), "452 4.3.1"), (StorageError("broken"), "451 4.3.0")]
)
async def test_a_store_that_cannot_store_is_told_as_temporary(
    server: SubmissionServer, monkeypatch: pytest.MonkeyPatch, error: StorageError, answer: str
) -> None:
    async def fail(*_: object) -> None:
        raise error

    alice = await server.logged_in("alice")
    monkeypatch.setattr(Router, "submit", fail)
    assert (await alice.submit(ALICE, [BOB], encrypted_message(ALICE)))[-1].startswith(answer)
    monkeypatch.undo()
    assert (await alice.submit(ALICE, [ALICE], encrypted_message(ALICE)))[-1].startswith("250")


async def test_one_address_gets_a_fifth_of_the_connections(tmp_path: Path) -> None:
    async with submission_server(tmp_path / "data", limits=LimitsConfig(max_smtp_connections=10)) as server:
        first, _second = await server.tls.greeted(), await server.tls.greeted()
        third = await server.tls.connect()
        assert (await third.reply()).startswith("421 4.7.0")
        assert await third.is_closed()
        first.hang_up()
        while not (await (await server.tls.connect()).reply()).startswith("220"):
            pass


async def test_a_stop_says_goodbye_to_the_idle(tmp_path: Path) -> None:
    async with submission_server(tmp_path / "data") as server:
        idle = await server.tls.greeted()
        goodbye = asyncio.create_task(idle.reply())
        server.stop.set()
        assert (await goodbye).startswith("421 4.3.2")
        assert await idle.is_closed()


async def test_the_log_names_no_address_and_no_message_id(
    server: SubmissionServer, capfd: pytest.CaptureFixture[str]
) -> None:
    alice = await server.logged_in("alice")
    await alice.submit(ALICE, [BOB], encrypted_message(ALICE, message_id="secret-id"))
    await alice.submit(ALICE, [BOB], b"unencrypted\r\n")
    log = capfd.readouterr().err
    assert "message_accepted" in log
    assert "message_refused" in log
    assert not any(word in log for word in ("alice", "bobxx", "127.0.0.1", "secret-id", PASSWORD))
