import asyncio
import dataclasses
from base64 import b64encode
from collections.abc import AsyncIterator, Coroutine
from typing import Any, Protocol

import pytest
import uvloop

from chatmail.mail.address import Address
from chatmail.mail.envelope import SmtpReply
from tests.support.smtp_peer import OPTIONS, RecordingHandler, SmtpPeer, serving

PLAIN = b64encode(b"\0alice\0secret").decode()
WRONG = b64encode(b"\0alice\0guess").decode()
OPEN = dataclasses.replace(OPTIONS, login_required=False)
BEGIN = b"MAIL FROM:<alice@example.org>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\n"


class Runner(Protocol):
    def __call__(self, main: Coroutine[Any, Any, None]) -> None: ...


@pytest.fixture
def handler() -> RecordingHandler:
    return RecordingHandler()


@pytest.fixture
async def peer(handler: RecordingHandler) -> AsyncIterator[SmtpPeer]:
    """On a server that wants no login."""
    async with serving(handler, OPEN) as door:
        yield await door.greeted()


@pytest.fixture
async def stranger(handler: RecordingHandler) -> AsyncIterator[SmtpPeer]:
    """On a server that wants a login, over TLS."""
    async with serving(handler, tls=True) as door:
        yield await door.greeted()


# --- EHLO, order of commands ------------------------------------------------------------------------------------------


async def test_ehlo_over_tls_names_the_extensions(stranger: SmtpPeer) -> None:
    assert (await stranger.say("EHLO [127.0.0.1]")).splitlines() == [
        "250-mx.example",
        "250-PIPELINING",
        "250-SIZE 100000",
        "250-8BITMIME",
        "250-ENHANCEDSTATUSCODES",
        "250-AUTH PLAIN LOGIN",
        "250 SMTPUTF8",
    ]


async def test_ehlo_in_clear_offers_starttls_and_no_login(handler: RecordingHandler) -> None:
    async with serving(handler, starttls=True) as door:
        peer = await door.greeted()
        keywords = await peer.say("EHLO laptop")
        assert "STARTTLS" in keywords
        assert "AUTH" not in keywords


@pytest.mark.parametrize(
    "command", ["MAIL FROM:<a@b.c>", "RCPT TO:<a@b.c>", "DATA", "VRFY alice", "EXPN all", "HELP", "HELP MAIL"]
)
async def test_nothing_goes_without_a_login(stranger: SmtpPeer, command: str) -> None:
    assert (await stranger.say(command)).startswith("530 5.7.0 Authentication required")


@pytest.mark.parametrize("command", ["MAIL FROM:<a@b.c>", f"AUTH PLAIN {PLAIN}", "AUTH LOGIN", "VRFY alice"])
async def test_nothing_goes_before_starttls(handler: RecordingHandler, command: str) -> None:
    async with serving(handler, starttls=True) as door:
        peer = await door.greeted()
        assert (await peer.say(command)).startswith("530 5.7.0 Must issue a STARTTLS command first")
    assert handler.logins == []


async def test_commands_come_in_their_order(peer: SmtpPeer) -> None:
    assert (await peer.say("RCPT TO:<bob@example.org>")).startswith("503 5.5.1")
    assert (await peer.say("DATA")).startswith("503 5.5.1")
    assert (await peer.say("MAIL FROM:<alice@example.org>")).startswith("250 2.1.0")
    assert (await peer.say("MAIL FROM:<alice@example.org>")).startswith("503 5.5.1")
    assert (await peer.say("DATA")).startswith("503 5.5.1")
    assert (await peer.say("RSET")).startswith("250 2.0.0")
    assert (await peer.say("RCPT TO:<bob@example.org>")).startswith("503 5.5.1")


async def test_mail_before_ehlo_is_refused(handler: RecordingHandler) -> None:
    async with serving(handler, OPEN) as door:
        peer = await door.connect()
        await peer.reply()
        assert (await peer.say("MAIL FROM:<alice@example.org>")).startswith("503 5.5.1")
        assert await peer.say("HELO laptop") == "250 mx.example"
        assert (await peer.say("MAIL FROM:<alice@example.org>")).startswith("250")


async def test_small_commands(peer: SmtpPeer) -> None:
    assert (await peer.say("NOOP whatever")).startswith("250 2.0.0")
    assert (await peer.say("noop")).startswith("250 2.0.0")
    assert (await peer.say("VRFY nobody")).startswith("252 2.0.0")
    assert (await peer.say("EXPN list")).startswith("502 5.5.1")
    assert (await peer.say("HELP")).startswith("250 Supported commands: ")
    assert (await peer.say("HELP RCPT")) == "250 Syntax: RCPT TO:<address>"
    assert (await peer.say("EHLO")).startswith("501 5.5.4")
    assert (await peer.say("BDAT 10")).startswith("500 5.5.1")
    assert (await peer.say("QUIT")).startswith("221 2.0.0")
    assert await peer.is_closed()


# --- AUTH -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mechanism", ["PLAIN", "plain"])
async def test_auth_plain_with_an_initial_response(stranger: SmtpPeer, mechanism: str) -> None:
    assert (await stranger.say(f"AUTH {mechanism} {PLAIN}")).startswith("235 2.7.0")
    assert (await stranger.say("MAIL FROM:<alice@example.org>")).startswith("250")
    assert (await stranger.say(f"AUTH PLAIN {PLAIN}")).startswith("503")


async def test_auth_plain_after_a_challenge(stranger: SmtpPeer) -> None:
    assert await stranger.say("AUTH PLAIN") == "334 "
    assert (await stranger.say(PLAIN)).startswith("235")


async def test_auth_login_asks_for_both(stranger: SmtpPeer) -> None:
    assert await stranger.say("AUTH LOGIN") == "334 VXNlcm5hbWU6"
    assert await stranger.say(b64encode(b"alice").decode()) == "334 UGFzc3dvcmQ6"
    assert (await stranger.say(b64encode(b"secret").decode())).startswith("235")


async def test_auth_login_with_the_name_in_the_command(stranger: SmtpPeer) -> None:
    assert await stranger.say(f"AUTH LOGIN {b64encode(b'alice').decode()}") == "334 UGFzc3dvcmQ6"
    assert (await stranger.say(b64encode(b"secret").decode())).startswith("235")


async def test_auth_can_be_cancelled_and_crooked_answers_are_told(
    stranger: SmtpPeer, handler: RecordingHandler
) -> None:
    await stranger.say("AUTH PLAIN")
    assert (await stranger.say("*")).startswith("501 5.7.0")
    await stranger.say("AUTH LOGIN")
    assert (await stranger.say("not base64!")).startswith("501 5.5.2")
    assert (await stranger.say("AUTH PLAIN not-base64!")).startswith("501 5.5.2")
    assert (await stranger.say(f"AUTH PLAIN {b64encode(b'alice').decode()}")).startswith("501 5.5.2")
    assert (await stranger.say("AUTH CRAM-MD5")).startswith("504 5.5.4")
    assert (await stranger.say("AUTH")).startswith("501 5.5.4")
    assert (await stranger.say("AUTH PLAIN a b")).startswith("501 5.5.4")
    assert handler.logins == []


async def test_the_third_wrong_password_ends_the_connection(stranger: SmtpPeer) -> None:
    for _ in range(3):
        assert (await stranger.say(f"AUTH PLAIN {WRONG}")).startswith("535 5.7.8")
    assert (await stranger.reply()).startswith("421 4.7.0")
    assert await stranger.is_closed()


# --- STARTTLS ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_starttls_then_login_and_message_on_both_event_loops(run: Runner, handler: RecordingHandler) -> None:
    async def main() -> None:
        async with serving(handler, starttls=True) as door:
            peer = await door.greeted()
            assert (await peer.say("STARTTLS")).startswith("220 2.0.0")
            await peer.start_tls()
            assert (await peer.say(f"AUTH PLAIN {PLAIN}")).startswith("503 5.5.1 Say EHLO first")
            assert "AUTH PLAIN LOGIN" in await peer.say("EHLO [127.0.0.1]")
            assert (await peer.say("STARTTLS")).startswith("503")
            assert (await peer.say(f"AUTH PLAIN {PLAIN}")).startswith("235")
            peer.send(BEGIN)
            assert await peer.codes(3) == [250, 250, 354]
            peer.send(b"Hello\r\n.\r\nQUIT\r\n")
            assert await peer.codes(2) == [250, 221]

    run(main())
    assert handler.messages == [b"Hello\r\n"]


async def test_commands_sent_in_clear_behind_starttls_end_the_connection(handler: RecordingHandler) -> None:
    async with serving(handler, starttls=True) as door:
        peer = await door.greeted()
        peer.send(b"STARTTLS\r\nEHLO evil\r\nAUTH PLAIN " + PLAIN.encode() + b"\r\n")
        assert (await peer.reply()).startswith("501 5.5.1")
        assert await peer.is_closed()
    assert handler.logins == []


async def test_commands_sent_in_clear_instead_of_the_handshake_are_not_answered(handler: RecordingHandler) -> None:
    async with serving(handler, starttls=True) as door:
        peer = await door.greeted()
        assert (await peer.say("STARTTLS")).startswith("220")
        peer.send(b"AUTH PLAIN " + PLAIN.encode() + b"\r\n" + BEGIN)
        assert await peer.reader.read(3) not in (b"235", b"250", b"530")
    assert handler.logins == []


# --- transactions -----------------------------------------------------------------------------------------------------


async def test_a_pipelined_transaction_is_answered_by_one_write_each_time(
    peer: SmtpPeer, handler: RecordingHandler
) -> None:
    for _ in range(2):
        peer.send(BEGIN)
        assert await peer.codes(3) == [250, 250, 354]
        peer.send(b"Hello\r\n..dot\r\n.\r\n")
        assert await peer.reply() == "250 2.0.0 OK"
    assert handler.messages == [b"Hello\r\n.dot\r\n"] * 2
    assert handler.sinks[0].transaction.sender == Address("alice", "example.org")
    assert handler.sinks[0].transaction.recipients == [Address("bob", "example.org")]


async def test_a_message_in_the_same_write_as_data_is_message_and_what_follows_is_commands(
    peer: SmtpPeer, handler: RecordingHandler
) -> None:
    peer.send(BEGIN + b"MAIL FROM:<x@y.z>\r\n.\r\n" + BEGIN + b"two\r\n.\r\nNOOP\r\n")
    assert await peer.codes(9) == [250, 250, 354, 250, 250, 250, 354, 250, 250]
    assert handler.messages == [b"MAIL FROM:<x@y.z>\r\n", b"two\r\n"]


async def test_a_message_is_answered_before_those_behind_it_are_stored(
    peer: SmtpPeer, handler: RecordingHandler
) -> None:
    handler.may_finish.clear()
    peer.send(BEGIN + b"one\r\n.\r\n" + BEGIN + b"two\r\n.\r\n")
    assert await peer.codes(4) == [250, 250, 354, 250]
    assert handler.messages == [b"one\r\n"]
    handler.may_finish.set()
    assert await peer.codes(4) == [250, 250, 354, 250]


async def test_a_message_sent_behind_a_refused_data_is_never_read_as_commands(
    peer: SmtpPeer, handler: RecordingHandler
) -> None:
    peer.send(b"MAIL FROM:<alice@example.org>\r\nRCPT TO:<later@x.y>\r\nDATA\r\nMAIL FROM:<evil@x.y>\r\nNOOP\r\n.\r\n")
    assert await peer.codes(3) == [250, 450, 421]
    assert await peer.is_closed()


async def test_a_refused_recipient_does_not_hold_up_the_others(peer: SmtpPeer, handler: RecordingHandler) -> None:
    peer.send(b"MAIL FROM:<a@b.c>\r\nRCPT TO:<later@b.c>\r\nRCPT TO:<b c>\r\nRCPT TO:<bob@b.c>\r\nDATA\r\n")
    assert await peer.codes(5) == [250, 450, 501, 250, 354]
    peer.send(b".\r\n")
    assert await peer.codes(1) == [250]
    assert handler.sinks[0].transaction.recipients == [Address("bob", "b.c")]


async def test_one_recipient_too_many_is_refused_alone(peer: SmtpPeer) -> None:
    recipients = b"".join(b"RCPT TO:<bob%d@example.org>\r\n" % number for number in range(21))
    peer.send(b"MAIL FROM:<alice@example.org>\r\n" + recipients)
    assert await peer.codes(22) == [250] * 21 + [452]


async def test_a_declared_size_over_the_limit_is_refused_at_mail(peer: SmtpPeer) -> None:
    assert await peer.say("MAIL FROM:<a@b.c> SIZE=100001") == "552 Message exceeds maximum size"
    assert (await peer.say("MAIL FROM:<a@b.c> SIZE=100000")).startswith("250")


async def test_a_message_over_the_limit_is_read_to_its_end_and_then_refused(
    peer: SmtpPeer, handler: RecordingHandler
) -> None:
    peer.send(BEGIN)
    await peer.codes(3)
    peer.send((b"x" * 998 + b"\r\n") * 101 + b".\r\nNOOP\r\n")
    assert await peer.reply() == "552 Message exceeds maximum size"
    assert await peer.codes(1) == [250]
    assert [sink.state for sink in handler.sinks] == ["discarded"]


async def test_a_message_without_end_is_cut_off(peer: SmtpPeer, handler: RecordingHandler) -> None:
    peer.send(BEGIN)
    await peer.codes(3)
    peer.send(b"x" * 500_000)
    assert (await peer.reply()).startswith("552")
    assert await peer.is_closed()


async def test_a_message_whose_sender_goes_away_is_dropped(handler: RecordingHandler) -> None:
    async with serving(handler, OPEN) as door:
        peer = await door.greeted()
        peer.send(BEGIN + b"half of a mess")
        await peer.codes(3)
        peer.hang_up()
    assert [sink.state for sink in handler.sinks] == ["discarded"]


async def test_a_whole_message_is_taken_even_if_its_sender_says_no_more(handler: RecordingHandler) -> None:
    async with serving(handler, OPEN) as door:
        peer = await door.greeted()
        peer.send(BEGIN + b"Hello\r\n.\r\n")
        peer.writer.write_eof()
        assert await peer.codes(4) == [250, 250, 354, 250]
        assert await peer.is_closed()
    assert handler.messages == [b"Hello\r\n"]


async def test_a_refusal_after_data_leaves_the_connection_usable(peer: SmtpPeer, handler: RecordingHandler) -> None:
    handler.data_reply = SmtpReply(523, "Encryption Needed: Invalid Unencrypted Mail")
    peer.send(BEGIN + b"x\r\n.\r\n" + BEGIN + b"y\r\n.\r\n")
    assert await peer.codes(8) == [250, 250, 354, 523, 250, 250, 354, 523]


# --- smuggling --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "false_end", [b"\n.\n", b"\n.\r\n", b"\r.\r\n", b"\r.\r", b"\r\n.\n", b"\r\n.\r", b"\r\n\0.\r\n", b"\r\n.\0\r\n"]
)
async def test_a_false_end_of_data_smuggles_nothing(
    peer: SmtpPeer, handler: RecordingHandler, false_end: bytes
) -> None:
    peer.send(BEGIN + b"Hello" + false_end + BEGIN + b"smuggled\r\n.\r\nNOOP\r\n")
    assert await peer.codes(5) == [250, 250, 354, 554, 250]
    assert handler.messages == []
    assert [sink.state for sink in handler.sinks] == ["discarded"]


async def test_stuffed_dots_end_nothing(peer: SmtpPeer, handler: RecordingHandler) -> None:
    peer.send(BEGIN + b"a\r\n..\r\nRSET\r\n...\r\n.x\r\n.\r\n")
    assert await peer.codes(4) == [250, 250, 354, 250]
    assert handler.messages == [b"a\r\n.\r\nRSET\r\n..\r\nx\r\n"]


@pytest.mark.parametrize(
    "line", [b"NOOP\n", b"NOOP\nMAIL FROM:<a@b.c>\r\n", b"NOOP\rMAIL FROM:<a@b.c>\r\n", b"NO\0OP\r\n", b"\r\r\n"]
)
async def test_a_crooked_command_line_ends_the_connection(peer: SmtpPeer, line: bytes) -> None:
    peer.send(line + b"NOOP\r\n")
    assert (await peer.reply()).startswith("500 5.5.2")
    assert await peer.is_closed()


# --- floods, silence, faults ------------------------------------------------------------------------------------------


async def test_ten_thousand_pipelined_commands_are_answered(peer: SmtpPeer) -> None:
    peer.send(b"NOOP\r\n" * 10_000)
    assert await peer.codes(10_000) == [250] * 10_000


async def test_a_flood_that_nobody_reads_the_answers_of_stops_being_read(peer: SmtpPeer) -> None:
    peer.writer.transport.set_write_buffer_limits(high=0)
    peer.reader._transport.pause_reading()  # type: ignore[attr-defined]  # the peer that never reads
    with pytest.raises(TimeoutError):
        for _ in range(1000):
            peer.send(b"HELP\r\n" * 10_000)
            async with asyncio.timeout(0.5):
                await peer.writer.drain()


async def test_garbage_ends_the_connection_after_some_errors(peer: SmtpPeer) -> None:
    peer.send(b"\xff\xfe garbage\r\n" * 30)
    assert await peer.codes(22) == [500] * 21 + [421]
    assert await peer.is_closed()


async def test_a_line_of_a_megabyte_ends_the_connection(peer: SmtpPeer) -> None:
    peer.send(b"A" * 1_000_000)
    assert (await peer.reply()).startswith("500 5.5.6")


async def test_a_command_over_four_kilobytes_is_refused_and_a_long_auth_is_not(
    stranger: SmtpPeer, handler: RecordingHandler
) -> None:
    assert (await stranger.say("NOOP " + "x" * 5000)).startswith("500 5.5.6")
    long_password = b64encode(b"\0alice\0" + b"x" * 8000).decode()
    assert (await stranger.say(f"AUTH PLAIN {long_password}")).startswith("535")


async def test_a_silent_stranger_is_sent_away(handler: RecordingHandler) -> None:
    async with serving(handler, dataclasses.replace(OPTIONS, login_seconds=0.05)) as door:
        peer = await door.connect()
        assert await peer.codes(2) == [220, 421]
        assert await peer.is_closed()


async def test_a_stranger_who_only_chats_is_sent_away_too(handler: RecordingHandler) -> None:
    async with serving(handler, dataclasses.replace(OPTIONS, login_seconds=0.1), tls=True) as door:
        peer = await door.greeted()
        while (answer := await peer.say("NOOP")).startswith("250"):
            await asyncio.sleep(0.01)
        assert answer.startswith("421 4.4.2")


async def test_an_idle_client_is_sent_away(handler: RecordingHandler) -> None:
    async with serving(handler, dataclasses.replace(OPEN, command_seconds=0.05)) as door:
        peer = await door.greeted()
        assert (await peer.reply()).startswith("421 4.4.2")
        assert await peer.is_closed()


async def test_a_message_that_does_not_come_on_is_given_up(handler: RecordingHandler) -> None:
    options = dataclasses.replace(OPEN, data_seconds=0.1, data_progress_bytes=100)
    async with serving(handler, options) as door:
        peer = await door.greeted()
        peer.send(BEGIN)
        await peer.codes(3)
        for _ in range(4):
            peer.send(b"x" * 100)
            await asyncio.sleep(0.04)
        peer.send(b"drip")
        assert (await peer.reply()).startswith("421 4.4.2")
    assert [sink.state for sink in handler.sinks] == ["discarded"]


async def test_a_bug_of_ours_costs_one_connection_and_shows_no_traceback(
    handler: RecordingHandler, capfd: pytest.CaptureFixture[str]
) -> None:
    handler.broken = True
    async with serving(handler, OPEN) as door:
        peer = await door.greeted()
        peer.send(BEGIN + b"x\r\n.\r\n")
        assert await peer.codes(3) == [250, 250, 354]
        assert (await peer.reply()).startswith("421 4.3.0 Something went wrong")
        assert await peer.is_closed()
        await door.greeted()
    assert [sink.state for sink in handler.sinks] == ["discarded"]
    lines = [line for line in capfd.readouterr().err.splitlines() if "smtp bug" in line]
    assert len(lines) == 1
    assert "RuntimeError" in lines[0]
