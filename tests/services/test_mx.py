"""Port 25 as another server meets it."""

import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chatmail.config import LimitsConfig, MailConfig
from chatmail.errors import StorageError, StorageFullError
from chatmail.storage.store import LocalDelivery
from tests.support.dkim_samples import FOREIGN, record, rsa_key, sign
from tests.support.inbound import ALICE, BOB, CAROL, DOMAIN, InboundServer, address, inbound_server, signed_message
from tests.support.messages import encrypted_message
from tests.support.openpgp_samples import MIXED_TYPE

NOBODY = f"nobodyxxx@{DOMAIN}"
TRACES = (b"dkim-signature", b"authentication-results", b"received")


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[InboundServer]:
    async with inbound_server(tmp_path / "data") as server:
        yield server


def message(body_type: str, body: str, more: str = "", sender: str = ALICE) -> bytes:
    return (
        f"From: <{sender}>\r\nTo: <{BOB}>\r\nSubject: x\r\nMessage-ID: <1@x>\r\n{more}"
        f"MIME-Version: 1.0\r\nContent-Type: {body_type}\r\n\r\n{body}"
    ).encode()


BOUNCE = message(
    'multipart/report; report-type=delivery-status; boundary="b"',
    "--b\r\nContent-Type: text/plain\r\n\r\nmail delivery failed\r\n--b--\r\n",
    "Auto-Submitted: auto-replied\r\n",
    f"MAILER-DAEMON@{FOREIGN}",
)
HANDSHAKE = message(
    'multipart/mixed; boundary="b"',
    "--b\r\nContent-Type: text/plain\r\n\r\nSecure-Join: vc-request\r\n--b--\r\n",
    "Secure-Join: vc-request\r\nSecure-Join-Invitenumber: 1234\r\n",
)
PLAIN = message("text/plain", "Hello, in clear\r\n")


# --- what comes in --------------------------------------------------------------------------------------------------


async def test_a_signed_and_encrypted_message_is_delivered_without_its_traces(server: InboundServer) -> None:
    wire = signed_message()
    traced = b"Received: from [203.0.113.9] by mx.other.example\r\nAuthentication-Results: x; dkim=pass\r\n" + wire
    assert await server.send(traced) == "250 2.0.0 Message accepted"
    [stored] = await server.inbox(BOB)
    head, _, body = stored.partition(b"\r\n\r\n")
    assert body == wire.partition(b"\r\n\r\n")[2]
    assert not any(line.lower().startswith(TRACES) for line in head.split(b"\r\n"))
    assert head.startswith(f"Return-Path: <{ALICE}>\r\n".encode())
    assert b"203.0.113.9" not in stored


async def test_octets_beyond_ascii_stay_as_they_are(server: InboundServer) -> None:
    named = f'From: "J\u00fcrgen" <{ALICE}>'.encode()
    content = encrypted_message(ALICE).replace(f"From: <{ALICE}>".encode(), named + b"\r\nX-Raw: \xff\xfe\x80")
    assert (await server.send(sign(content))).startswith("250")
    [stored] = await server.inbox(BOB)
    assert stored.endswith(content)


async def test_the_envelope_sender_is_nobody_when_it_is_not_the_author(server: InboundServer) -> None:
    forged = sign(b"Return-Path: <bob@chat.example>\r\n" + encrypted_message(ALICE))
    await server.send(forged, mail_from="somebody@third.example")
    await server.send(signed_message(), mail_from="")
    for stored in await server.inbox(BOB):
        assert stored.startswith(b"Return-Path: <>\r\n")
        assert stored.lower().count(b"return-path") == 1


async def test_many_recipients_get_one_message_each_and_a_tag_is_dropped(server: InboundServer) -> None:
    assert (await server.send(signed_message(), BOB, CAROL, BOB.replace("@", "+tag@"), BOB.upper())).startswith("250")
    assert len(await server.inbox(BOB)) == len(await server.inbox(CAROL)) == 1


@pytest.mark.parametrize("content", [BOUNCE, HANDSHAKE])
async def test_bounces_and_first_handshakes_pass_in_clear_when_they_are_signed(
    server: InboundServer, content: bytes
) -> None:
    assert (await server.send(content, mail_from="")) == "554 5.7.1 No DKIM signature found"
    assert (await server.send(sign(content), mail_from="")).startswith("250")
    assert len(await server.inbox(BOB)) == 1


async def test_an_ip_literal_cannot_sign_and_need_not(server: InboundServer) -> None:
    for sender in ("user12345@[203.0.113.5]", "user12345@[IPv6:2001:db8::5]"):
        assert (await server.send(encrypted_message(sender), mail_from=sender)).startswith("250")
        assert (await server.send(PLAIN.replace(ALICE.encode(), sender.encode()))).startswith("523 ")
    assert len(await server.inbox(BOB)) == 2


@pytest.mark.parametrize(
    ("domain", "sender"),
    [("203.0.113.5", "user12345@[203.0.113.5]"), ("2001:db8::5", "user12345@[IPv6:2001:0db8:0::5]")],
)
async def test_nobody_outside_writes_as_an_account_of_a_server_without_a_name(
    tmp_path: Path, domain: str, sender: str
) -> None:
    async with inbound_server(tmp_path / "data", domain=domain) as server:
        bob = BOB.replace(DOMAIN, server.config.address_domain)
        reply = await server.send(encrypted_message(sender), bob, mail_from=sender)
        assert reply.startswith("554 5.7.1 Mail from this address")
        other = "user12345@[203.0.113.6]"
        assert (await server.send(encrypted_message(other), bob, mail_from=other)).startswith("250")


async def test_a_domain_with_an_underscore_signs_as_any_other(server: InboundServer) -> None:
    sender = "user12345@_test.example"
    assert await server.send(encrypted_message(sender)) == "554 5.7.1 No DKIM signature found"
    server.zone.publish(record(), domain="_test.example")
    assert (await server.send(sign(encrypted_message(sender), "_test.example"))).startswith("250")


# --- what does not --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wire", "reply"),
    [
        (encrypted_message(ALICE), "554 5.7.1 No DKIM signature found"),
        (PLAIN, "554 5.7.1 No DKIM signature found"),
        (sign(encrypted_message(ALICE), "third.example"), "554 5.7.1 No valid DKIM signature found"),
        (sign(encrypted_message(ALICE), key=rsa_key(1024)), "554 5.7.1 No valid DKIM signature found"),
        (signed_message() + b"more\r\n", "554 5.7.1 No valid DKIM signature found"),
        (sign(PLAIN) + b"more\r\n", "554 5.7.1 No valid DKIM signature found"),
        (sign(PLAIN), "523 Encryption Needed: Invalid Unencrypted Mail"),
        (sign(message(MIXED_TYPE, "--b\r\n\r\nx\r\n--b--\r\n")), "523 Encryption Needed: Invalid Unencrypted Mail"),
        (b"Subject: no author\r\n\r\nx\r\n", "500 Invalid FROM header: there is none"),
        (b"From: <a@b.example>\r\nFrom: <c@d.example>\r\n\r\nx\r\n", "500 Invalid FROM header: there is more than one"),
        (b"no header at all\r\n", "500 Failed to parse message"),
        (b"From: <a@b.example>\r\nX: " + b"x" * 200_000 + b"\r\n\r\n", "500 Failed to parse message"),
        (b"X: 1\r\n" * 2000 + b"From: <a@b.example>\r\n\r\n", "500 Failed to parse message"),
        (b"\r\n", "500 Invalid FROM header: there is none"),
    ],
)
async def test_what_is_refused_after_data_and_why(server: InboundServer, wire: bytes, reply: str) -> None:
    assert await server.send(wire) == reply
    assert await server.inbox(BOB) == []


async def test_a_dns_that_does_not_answer_is_no_refusal(server: InboundServer) -> None:
    server.zone.fails.add(f"sel._domainkey.{FOREIGN}")
    assert (await server.send(signed_message())).startswith("451 4.7.5")
    server.zone.fails.clear()
    assert (await server.send(signed_message())).startswith("250")


async def test_hundreds_of_signatures_are_refused_as_fast_as_a_few(server: InboundServer) -> None:
    field = sign(PLAIN).removesuffix(PLAIN)
    assert (await server.send(field * 150 + encrypted_message(ALICE))).startswith("554 5.7.1 No valid")
    assert server.zone.asked == []


async def test_blocked_domains_are_refused_at_mail_and_by_their_from(tmp_path: Path) -> None:
    async with inbound_server(tmp_path / "data", blocked_domains=[FOREIGN]) as server:
        peer = await server.peer()
        assert (await peer.say(f"MAIL FROM:<{ALICE}>")).startswith("550 5.7.1")
        assert (await server.send(signed_message(), mail_from="")).startswith("550 5.7.1")
        assert (await server.send(signed_message(), mail_from="x@third.example")).startswith("550 5.7.1")


async def test_unreadable_recipients_are_refused_one_by_one(server: InboundServer) -> None:
    peer = await server.peer()
    await peer.say("MAIL FROM:<>")
    assert await peer.say(f"RCPT TO:<{NOBODY}>") == "550 5.1.1 This address does not exist here"
    for elsewhere in ("a@third.example", "a@[127.0.0.1]", f"a@sub.{DOMAIN}", "a%third.example@" + FOREIGN):
        assert (await peer.say(f"RCPT TO:<{elsewhere}>")).startswith("550 5.7.1")
    for crooked in ("postmaster", f"@third.example:{BOB}", f'"bob"@{DOMAIN}', f"a b@{DOMAIN}", ""):
        assert (await peer.say(f"RCPT TO:<{crooked}>")).startswith("501 5.")
    assert (await peer.say("DATA")).startswith("503 ")
    assert (await peer.say(f"RCPT TO:<{BOB}>")).startswith("250 ")


async def test_a_large_group_that_has_gone_does_not_end_the_connection(server: InboundServer) -> None:
    peer = await server.peer()
    await peer.say("MAIL FROM:<>")
    for number in range(150):
        assert (await peer.say(f"RCPT TO:<gone{number:05}@{DOMAIN}>")).startswith("550 5.1.1")
    assert (await peer.say(f"RCPT TO:<{BOB}>")).startswith("250 ")


async def test_thousands_of_recipients_are_told_to_come_in_turns(tmp_path: Path) -> None:
    async with inbound_server(tmp_path / "data", mail=MailConfig(max_recipients=100)) as server:
        peer = await server.peer()
        peer.send(b"MAIL FROM:<>\r\n" + f"RCPT TO:<{BOB}>\r\n".encode() * 3000)
        assert await peer.codes(1 + 3000) == [250] * 101 + [452] * 2900


async def test_a_full_mailbox_is_told_at_rcpt_and_only_to_its_own_sender(tmp_path: Path) -> None:
    mail = MailConfig(max_message_size=60_000, max_mailbox_size=60_000)
    async with inbound_server(tmp_path / "data", mail=mail) as server:
        assert (await server.send(signed_message(size_bytes=40_000))).startswith("250")
        peer = await server.peer()
        await peer.say(f"MAIL FROM:<{ALICE}> SIZE=40000")
        assert await peer.say(f"RCPT TO:<{BOB}>") == "552 5.2.2 The mailbox is full"
        assert (await peer.say(f"RCPT TO:<{CAROL}>")).startswith("250")
        await peer.say("RSET")
        wire = signed_message(size_bytes=40_000)
        # A peer that did not say how much it brings: who has room gets it, once; the others are sorted out by SIZE.
        for _ in range(2):
            assert (await server.send(wire, BOB, CAROL)).startswith("451 4.2.0")
            assert len(await server.inbox(CAROL)) == 1
        assert (await server.send(wire, BOB)) == "552 5.2.2 The mailbox is full"


async def test_a_mailbox_full_of_old_mail_makes_room(tmp_path: Path) -> None:
    mail = MailConfig(max_message_size=60_000, max_mailbox_size=60_000)
    async with inbound_server(tmp_path / "data", mail=mail) as server:
        old = server.store.stage(b"Subject: old\r\n\r\n")
        old.write(b"x" * 40_000)
        await server.store.deliver([LocalDelivery(old, (address(BOB),))], datetime.now(UTC) - timedelta(days=2))
        peer = await server.peer()
        await peer.say(f"MAIL FROM:<{ALICE}> SIZE=40000")
        assert (await peer.say(f"RCPT TO:<{BOB}>")).startswith("250")
        assert (await server.send(signed_message(size_bytes=40_000))).startswith("250")
        [stored] = await server.inbox(BOB)
        assert b"Subject: old" not in stored


async def test_mail_to_a_blocked_account_vanishes(server: InboundServer) -> None:
    await server.store.accounts.set_blocked((await server.account(BOB)).account_id, True)
    assert (await server.send(signed_message(), BOB, CAROL)).startswith("250")
    assert await server.inbox(BOB) == []
    assert len(await server.inbox(CAROL)) == 1


async def test_the_size_is_limited_at_mail_and_while_reading(tmp_path: Path) -> None:
    async with inbound_server(tmp_path / "data", mail=MailConfig(max_message_size=20_000)) as server:
        peer = await server.peer()
        assert (await peer.say(f"MAIL FROM:<{ALICE}> SIZE=20001")) == "552 Message exceeds maximum size"
        assert (await server.send(signed_message(size_bytes=30_000))) == "552 Message exceeds maximum size"
        assert (await server.send(signed_message(size_bytes=15_000))).startswith("250")


# --- the same again -------------------------------------------------------------------------------------------------


async def test_every_refusal_is_counted_by_its_reason_whichever_way_it_came(tmp_path: Path) -> None:
    mail = MailConfig(max_message_size=50_000, max_recipients=1)
    async with inbound_server(tmp_path / "data", mail=mail, blocked_domains=["bad.example"]) as server:
        unknown, large = f"nobodyxxx@{DOMAIN}", signed_message(size_bytes=100_000)
        for send in (server.send, server.post):
            for wire, to in (
                (signed_message(), BOB),
                (signed_message(), unknown),
                (signed_message(), "bob@elsewhere.example"),
                (encrypted_message(ALICE), BOB),
                (signed_message() + b"more\r\n", BOB),
                (sign(PLAIN), BOB),
                (b"no header\r\n", BOB),
                (large, BOB),
                (signed_message("eve@bad.example"), BOB),
            ):
                await send(wire, to)
        peer = await server.peer()
        assert (await peer.say(f"MAIL FROM:<{ALICE}> SIZE=60000")).startswith("552")
        await peer.submit(ALICE, (BOB, CAROL), signed_message())
        assert server.meters.inbound == 3
        assert server.meters.refusals == {
            "no_such_recipient": 2,
            "not_relayed": 2,
            "not_signed": 2,
            "signature_invalid": 2,
            "not_encrypted": 2,
            "malformed": 2,
            "too_big": 3,
            "domain_blocked": 2,
            "other": 1,  # one recipient too many
        }


async def test_a_message_that_comes_in_twice_is_delivered_once_to_each(server: InboundServer) -> None:
    wire = signed_message(message_id="one")
    assert (await server.send(wire, BOB)).startswith("250")
    assert (await server.send(wire, BOB, CAROL)).startswith("250")
    again = sign(b"X-Way: another\r\n" + wire.partition(b"\r\nFrom:")[1].lstrip() + wire.partition(b"\r\nFrom:")[2])
    assert (await server.send(again, BOB)).startswith("250")
    assert (await server.post(wire, BOB))[0] == 200
    assert len(await server.inbox(BOB)) == len(await server.inbox(CAROL)) == 1


async def test_somebody_elses_message_of_the_same_id_is_another_message(server: InboundServer) -> None:
    await server.send(signed_message(f"mallory@{FOREIGN}", message_id="same"))
    await server.send(signed_message(ALICE, message_id="same"))
    assert len(await server.inbox(BOB)) == 2


async def test_messages_without_an_id_are_never_the_same(server: InboundServer) -> None:
    bare = sign(encrypted_message(ALICE).replace(b"Message-ID", b"X-Other-Id"))
    await server.send(bare)
    await server.send(bare)
    assert len(await server.inbox(BOB)) == 2


# --- the connection -------------------------------------------------------------------------------------------------


async def test_tls_below_1_2_is_not_spoken(server: InboundServer) -> None:
    # The server under test takes its context from the supervisor; see test_certificate_files for that one.
    peer = await server.peer()
    session = peer.writer.get_extra_info("ssl_object")
    assert isinstance(session, ssl.SSLObject)
    assert session.version() in ("TLSv1.2", "TLSv1.3")


async def test_one_address_gets_a_fifth_of_all_connections(tmp_path: Path) -> None:
    async with inbound_server(tmp_path / "data", limits=LimitsConfig(max_smtp_connections=10)) as server:
        for _ in range(2):
            await server.door.greeted()
        third = await server.door.connect()
        assert (await third.reply()).startswith("421 4.7.0 Too many connections")


@pytest.mark.parametrize(("error", "code"), [(StorageFullError("full"), "452"), (StorageError("broken"), "451")])
async def test_a_store_that_cannot_serve_is_a_temporary_failure(
    server: InboundServer, monkeypatch: pytest.MonkeyPatch, error: StorageError, code: str
) -> None:
    async def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(server.store, "deliver", fail)
    assert (await server.send(signed_message())).startswith(code)
    monkeypatch.setattr(server.store.accounts, "find", fail)
    peer = await server.peer()
    await peer.say("MAIL FROM:<>")
    assert (await peer.say(f"RCPT TO:<{BOB}>")).startswith(code)


async def test_a_peer_that_leaves_in_the_middle_leaves_nothing_behind(server: InboundServer, tmp_path: Path) -> None:
    peer = await server.peer()
    peer.send(f"MAIL FROM:<{ALICE}>\r\nRCPT TO:<{BOB}>\r\nDATA\r\n".encode())
    assert await peer.codes(3) == [250, 250, 354]
    peer.send(signed_message(size_bytes=2_000_000)[:1_000_000])
    await peer.writer.drain()
    peer.hang_up()
    assert (await server.send(signed_message())).startswith("250")
    assert len(await server.inbox(BOB)) == 1
