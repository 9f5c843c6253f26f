"""The service on real sockets: TLS, STARTTLS, limits, deadlines, faults, and Python's own client from end to end."""

import asyncio
import imaplib
from collections.abc import Callable
from pathlib import Path

import pytest

from chatmail.config import LimitsConfig
from chatmail.errors import StorageError
from chatmail.mail.changes import MailboxId
from chatmail.services.imap_connection import (
    APPEND_SECONDS,
    INACTIVE_SECONDS,
    KEEPALIVE_SECONDS,
    LOGIN_SECONDS,
    STUCK_SECONDS,
)
from chatmail.storage.store import MailboxSnapshot, MailboxStore
from tests.support.imap import PASSWORD, ImapPeer, ImapServer, address, authority, imap_server, plain_message
from tests.support.messages import encrypted_message

both_loops = pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until it is so."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0)


async def later(server: ImapServer, seconds: float) -> None:
    """Let what is being answered come to its end, then look at all deadlines as if it were so much later."""
    for _ in range(30):
        await asyncio.sleep(0)
    server.service.connections.check_deadlines(asyncio.get_running_loop().time() + seconds)


# --- TLS --------------------------------------------------------------------------------------------------------


@both_loops
async def test_starttls_leads_to_a_login(tmp_path: Path) -> None:
    async with imap_server(tmp_path / "data") as server:
        peer = await server.connect(encrypted=False)
        greeting = await peer.line()
        assert b" STARTTLS LOGINDISABLED " in greeting
        assert b"AUTH=" not in greeting
        await peer.ok("STARTTLS")
        await peer.start_tls()
        assert b" AUTH=PLAIN " in (await peer.ok("CAPABILITY"))[0] + b" "
        await peer.ok(f'LOGIN {address("alice")} "{PASSWORD}"')
        assert (await peer.run("STARTTLS"))[-1].split()[1] == b"BAD"


@both_loops
async def test_what_comes_in_clear_behind_starttls_is_never_a_command(tmp_path: Path) -> None:
    async with imap_server(tmp_path / "data") as server:
        peer = await server.greeted(encrypted=False)
        await peer.send(b"A1 STARTTLS\r\nA2 CAPABILITY\r\n")
        assert (await peer.line()).startswith(b"A1 OK")
        await peer.start_tls()
        assert (await peer.run("NOOP")) == [b"T1 OK Noop completed"]


@pytest.mark.parametrize("command", [f"LOGIN {address('alice')} x", "AUTHENTICATE PLAIN AAAA", "AUTHENTICATE PLAIN"])
async def test_no_password_is_taken_in_clear(tmp_path: Path, command: str) -> None:
    async with imap_server(tmp_path / "data") as server:
        peer = await server.greeted(encrypted=False)
        assert b"NO [PRIVACYREQUIRED]" in (await peer.run(command))[-1]


async def test_a_broken_handshake_costs_its_own_connection(tmp_path: Path) -> None:
    async with imap_server(tmp_path / "data") as server:
        peer = await server.greeted(encrypted=False)
        await peer.ok("STARTTLS")
        await peer.send(b"A2 this is no ClientHello\r\n")
        peer.writer.write_eof()
        await until(lambda: len(server.service.connections) == 0)
        await server.logged_in()


# --- Python's client --------------------------------------------------------------------------------------------


def imaplib_session(port: int, deliver: Callable[[], None]) -> None:
    """From login to close with `imaplib`, in a thread."""
    client = imaplib.IMAP4_SSL("localhost", port, ssl_context=authority().trusting_context(), timeout=10)
    client.login(address("alice"), f'"{PASSWORD}"')
    assert client.select("INBOX") == ("OK", [b"0"])
    client.send(b"I1 IDLE\r\n")
    assert client.readline() == b"+ idling\r\n"
    deliver()
    assert client.readline() == b"* 1 EXISTS\r\n"
    client.send(b"DONE\r\n")
    assert client.readline() == b"I1 OK Idle completed\r\n"
    status, fetched = client.uid("FETCH", "1", "(RFC822.SIZE BODY.PEEK[])")
    assert status == "OK"
    assert isinstance(fetched[0], tuple)
    assert fetched[0][1] == plain_message()
    assert client.uid("SEARCH", "UNSEEN") == ("OK", [b"1"])
    assert client.uid("STORE", "1", "+FLAGS", "(\\Deleted)")[0] == "OK"
    assert client.close()[0] == "OK"
    assert client.select("INBOX") == ("OK", [b"0"])
    assert client.logout()[0] == "BYE"


async def test_imaplib_from_login_to_logout(tmp_path: Path) -> None:
    async with imap_server(tmp_path / "data") as server:
        loop = asyncio.get_running_loop()

        def deliver() -> None:
            asyncio.run_coroutine_threadsafe(server.deliver(plain_message()), loop).result(10)

        await asyncio.to_thread(imaplib_session, server.imaps_port, deliver)


# --- large bodies -----------------------------------------------------------------------------------------------


@both_loops
async def test_a_large_body_comes_whole_and_in_parts(tmp_path: Path) -> None:
    message = encrypted_message("bob@other.example", size_bytes=3_000_000)
    async with imap_server(tmp_path / "data") as server:
        peer = await server.selected()
        await server.deliver(message)
        await peer.ok("NOOP")
        assert await peer.fetched("UID FETCH 1 (FLAGS BODY.PEEK[])") == message
        assert await peer.fetched("UID FETCH 1 (BODY.PEEK[]<1000000.70>)") == message[1000000:1000070]
        second = await peer.fetched("UID FETCH 1 BODY.PEEK[2]")
        assert second.startswith(b"-----BEGIN PGP MESSAGE-----")
        assert second in message
        (structure,) = await peer.ok("FETCH 1 BODYSTRUCTURE")
        assert b'"octet-stream"' in structure
        assert b" %d " % len(second) in structure


@both_loops
async def test_a_reader_that_takes_nothing_holds_little_and_is_cut_off(tmp_path: Path) -> None:
    message = encrypted_message("bob@other.example", size_bytes=20_000_000)
    async with imap_server(tmp_path / "data") as server:
        slow = await server.selected()
        await server.deliver(message)
        await slow.ok("NOOP")
        slow.writer.transport.pause_reading()  # type: ignore[attr-defined]
        (connection,) = server.service.connections.all()
        for _ in range(20):
            await slow.send(b"A UID FETCH 1 BODY.PEEK[]\r\n")
        await until(lambda: connection.is_stuck)
        assert connection.unsent_bytes < 2_000_000
        honest = await server.selected()
        assert len(await honest.fetched("UID FETCH 1 BODY.PEEK[]")) == len(message)
        await later(server, STUCK_SECONDS + 1)
        await until(lambda: len(server.service.connections) == 1)


async def test_an_idling_reader_that_takes_nothing_holds_little_and_is_cut_off(tmp_path: Path) -> None:
    async with imap_server(tmp_path / "data") as server:
        slow, busy = await server.selected(), await server.selected()
        for _ in range(200):
            await server.deliver(plain_message())
        await busy.ok("NOOP")
        await slow.send(b"I IDLE\r\n")
        await slow.until(b"+")
        slow.writer.transport.pause_reading()  # type: ignore[attr-defined]
        connection, _ = server.service.connections.all()
        keywords, most = b" ".join(b"keyword-%d-%s" % (n, b"x" * 30) for n in range(20)), 0
        for number in range(100):
            await busy.ok(f"UID STORE 1:* {'+-'[number % 2]}FLAGS.SILENT ({keywords.decode()})")
            most = max(most, connection.unsent_bytes)
            if len(server.service.connections) == 1:
                break
        else:
            pytest.fail("it was never cut off")
        assert 128 * 1024 < most < 2_000_000
        await busy.ok("NOOP")


# --- limits -----------------------------------------------------------------------------------------------------


async def test_ten_thousand_pipelined_commands_are_all_answered_in_order(tmp_path: Path) -> None:
    async with imap_server(tmp_path / "data") as server:
        peer, other = await server.selected(), await server.selected()
        sending = asyncio.create_task(peer.send(b"".join(b"P%d NOOP\r\n" % n for n in range(10_000))))
        assert (await other.run("NOOP"))[-1].startswith(b"T3 OK")
        lines = await peer.until(b"P9999")
        await sending
        assert lines == [b"P%d OK Noop completed" % n for n in range(10_000)]


async def test_an_endless_line_ends_the_connection_or_is_refused(tmp_path: Path) -> None:
    async with imap_server(tmp_path / "data") as server:
        for peer in (await server.greeted(), await server.selected()):
            await peer.send(b"A1 NOOP " + b"x" * (1 << 20) + b"\r\n")
            answer = await peer.line()
            assert answer.startswith((b"* BYE", b"A1 BAD", b"* BAD")), answer
        await server.selected()


async def test_a_literal_over_the_limit_is_refused_before_it_comes(tmp_path: Path) -> None:
    async with imap_server(tmp_path / "data") as server:
        peer = await server.greeted()
        assert (await peer.run("LOGIN {999999999}"))[-1].startswith(b"T1 BAD")
        assert (await peer.run("NOOP"))[-1].startswith(b"T2 OK")


async def test_twenty_errors_are_enough(tmp_path: Path) -> None:
    async with imap_server(tmp_path / "data") as server:
        peer = await server.greeted()
        await peer.send(b"x y\r\n" * 30)
        lines = [await peer.line() for _ in range(21)]
        assert lines[-1].startswith(b"* BYE")
        assert await peer.is_closed()


async def test_there_are_only_so_many_connections(tmp_path: Path) -> None:
    async with imap_server(tmp_path / "data", limits=LimitsConfig(max_imap_connections=2)) as server:
        first, _second = await server.greeted(), await server.greeted()
        third = await server.connect()
        assert (await third.line()).startswith(b"* BYE [UNAVAILABLE] Too many")
        assert await third.is_closed()
        first.hang_up()
        await until(lambda: len(server.service.connections) == 1)
        await server.logged_in()


# --- deadlines --------------------------------------------------------------------------------------------------


async def test_who_does_not_log_in_is_sent_away(tmp_path: Path) -> None:
    async with imap_server(tmp_path / "data") as server:
        peer, member = await server.greeted(), await server.logged_in()
        await later(server, LOGIN_SECONDS + 1)
        assert (await peer.line()).startswith(b"* BYE")
        assert await peer.is_closed()
        await member.ok("NOOP")


async def test_who_idles_is_kept_alive_and_who_is_silent_is_not(tmp_path: Path) -> None:
    async with imap_server(tmp_path / "data") as server:
        idle, silent = await server.selected(), await server.selected()
        await idle.idle()
        await later(server, KEEPALIVE_SECONDS + 1)
        assert await idle.line() == b"* OK Still here"
        await later(server, INACTIVE_SECONDS + 1)
        assert (await silent.line()).startswith(b"* BYE")
        assert await idle.line() == b"* OK Still here"
        assert await idle.done() == []


async def test_a_message_that_does_not_come_ends_the_connection(tmp_path: Path) -> None:
    async with imap_server(tmp_path / "data") as server:
        peer = await server.logged_in()
        await peer.send(b"A1 APPEND INBOX {1000}\r\n")
        assert (await peer.line()).startswith(b"+ ")
        await later(server, APPEND_SECONDS + 1)
        assert (await peer.line()).startswith(b"* BYE")


async def test_stopping_says_goodbye(tmp_path: Path) -> None:
    async with imap_server(tmp_path / "data") as server:
        idle, silent = await server.selected(), await server.logged_in()
        await idle.idle()
        server.stop.set()
        for peer in (idle, silent):
            assert (await peer.line()).startswith(b"* BYE [UNAVAILABLE] The server is shutting down")
            assert await peer.is_closed()


# --- accounts that change -----------------------------------------------------------------------------------------


async def test_a_removed_account_ends_its_sessions(tmp_path: Path) -> None:
    async with imap_server(tmp_path / "data") as server:
        idle, authenticated = await server.selected(), await server.logged_in()
        await idle.idle()
        account_id = await server.account_id("alice")
        await server.store.accounts.remove(account_id)
        assert (await idle.line()).startswith(b"* BYE")
        await authenticated.send(b"A1 SELECT INBOX\r\n")
        assert (await authenticated.line()).startswith(b"* BYE")


async def test_a_blocked_account_is_out_at_its_next_select(tmp_path: Path) -> None:
    async with imap_server(tmp_path / "data") as server:
        peer = await server.selected()
        await server.store.accounts.set_blocked(await server.account_id("alice"), True)
        await peer.send(b"A1 SELECT INBOX\r\n")
        assert (await peer.line()).startswith(b"* BYE")
        assert await peer.is_closed()


# --- faults -----------------------------------------------------------------------------------------------------


class FaultyMailboxes:
    """A mailbox store whose `snapshot` fails."""

    def __init__(self, mailboxes: MailboxStore, fault: Exception) -> None:
        self._mailboxes = mailboxes
        self._fault = fault

    def __getattr__(self, name: str) -> object:
        return getattr(self._mailboxes, name)

    async def snapshot(self, mailbox_id: MailboxId) -> MailboxSnapshot | None:
        raise self._fault


async def selecting_with(server: ImapServer, fault: Exception) -> tuple[ImapPeer, bytes]:
    peer = await server.logged_in()
    server.store.mailboxes = FaultyMailboxes(server.store.mailboxes, fault)  # type: ignore[assignment]
    await peer.send(b"A1 SELECT INBOX\r\n")
    return peer, await peer.line()


async def test_a_store_that_fails_is_a_no_and_the_session_goes_on(tmp_path: Path) -> None:
    async with imap_server(tmp_path / "data") as server:
        peer, answer = await selecting_with(server, StorageError("disk"))
        assert answer.startswith(b"A1 NO [UNAVAILABLE]")
        await peer.ok("NOOP")


async def test_a_bug_is_logged_once_and_ends_one_connection(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with imap_server(tmp_path / "data") as server:
        other = await server.logged_in()
        peer, answer = await selecting_with(server, ZeroDivisionError("secret"))
        assert answer.startswith(b"* BYE [SERVERBUG] Internal error")
        assert await peer.is_closed()
        await other.ok("NOOP")
        log = capsys.readouterr().err
        assert log.count(" bug ") == 1
        assert "connection=" in log
        assert "secret" not in log


async def test_a_peer_that_vanishes_in_the_middle_leaves_nothing_behind(tmp_path: Path) -> None:
    async with imap_server(tmp_path / "data") as server:
        for _ in range(3):
            peer = await server.selected()
            await peer.send(b"A1 APPEND INBOX {200000}\r\n")
            await peer.line()
            await peer.send(encrypted_message(address("alice"), size_bytes=100_000)[:50_000])
            peer.hang_up()
        await until(lambda: len(server.service.connections) == 0)
        assert not list((tmp_path / "data" / "tmp").iterdir())
