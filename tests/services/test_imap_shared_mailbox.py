"""What one session does to a mailbox, and when the others hear of it: named cases, beside the random ones."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chatmail.mail.changes import SEEN, MailboxChanges, Uid
from chatmail.services.imap_stream import ImapStream
from chatmail.storage.store import FlagsMode, Mailbox
from tests.support.imap import ImapPeer, ImapServer, imap_server, plain_message


async def mailbox_of(server: ImapServer, name: str = "INBOX") -> Mailbox:
    mailbox = await server.store.mailboxes.find(await server.account_id("alice"), name)
    assert mailbox is not None
    return mailbox


class Ticks:
    """Counts the turns of the event loop."""

    def __init__(self) -> None:
        self.now = 0
        self._loop = asyncio.get_running_loop()
        self._handle = self._loop.call_soon(self._tick)

    def _tick(self) -> None:
        self.now += 1
        self._handle = self._loop.call_soon(self._tick)

    def stop(self) -> None:
        self._handle.cancel()


@contextmanager
def pushes_recorded(ticks: Ticks, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """In which turn anything was written to a client."""
    found: list[int] = []
    push = ImapStream.push

    def recording(stream: ImapStream) -> None:
        if stream._output:
            found.append(ticks.now)
        push(stream)

    with monkeypatch.context() as patch:
        patch.setattr(ImapStream, "push", recording)
        yield found
    ticks.stop()


async def test_new_mail_and_flag_changes_leave_for_all_idling_sessions_in_the_tick_of_the_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with imap_server(tmp_path / "data") as server:
        await server.logged_in()
        await server.deliver(plain_message())
        idlers = [await server.selected() for _ in range(3)]
        for idler in idlers:
            await idler.idle()
        mailbox = await mailbox_of(server)
        ticks, committed = Ticks(), []

        def heard(changes: MailboxChanges) -> None:
            committed.append(ticks.now)

        server.store.broadcast.subscribe(mailbox.mailbox_id, heard)
        with pushes_recorded(ticks, monkeypatch) as pushed:
            await server.deliver(plain_message())
            seen = frozenset({SEEN})
            await server.store.mailboxes.store_flags(mailbox.mailbox_id, [Uid(1)], FlagsMode.ADD, seen)
            await server.store.mailboxes.expunge(mailbox.mailbox_id)
        assert pushed == [tick for tick in committed for _ in idlers]
        for idler in idlers:
            assert await idler.line() == b"* 2 EXISTS"
            assert await idler.line() == rb"* 1 FETCH (UID 1 FLAGS (\Seen))"


async def test_of_many_conditional_stores_with_one_modseq_exactly_one_wins(tmp_path: Path) -> None:
    """UNCHANGEDSINCE is judged in the transaction that writes (RFC 7162 §3.1.3)."""
    async with imap_server(tmp_path / "data") as server:
        await server.logged_in()
        await server.deliver(plain_message())
        clients = [await server.selected() for _ in range(8)]
        modseq = (await clients[0].ok("FETCH 1 MODSEQ"))[-1].split(b"(")[-1].rstrip(b")").decode()
        commands = [f"UID STORE 1 (UNCHANGEDSINCE {modseq}) FLAGS.SILENT ($by{number})" for number in range(8)]
        answers = await asyncio.gather(*map(ImapPeer.run, clients, commands))
        winners = [number for number, lines in enumerate(answers) if b"[MODIFIED 1]" not in lines[-1]]
        assert len(winners) == 1
        answer = (await clients[0].ok("UID FETCH 1 (FLAGS MODSEQ)"))[-1]
        assert answer == b"* 1 FETCH (UID 1 FLAGS ($by%d) MODSEQ (%d))" % (winners[0], int(modseq) + 1)


async def test_expunge_waits_in_every_session_until_it_is_allowed(tmp_path: Path) -> None:
    async with imap_server(tmp_path / "data") as server:
        await server.logged_in()
        for _ in range(3):
            await server.deliver(plain_message())
        one, other = await server.selected(), await server.selected()
        await one.ok("STORE 1:2 +FLAGS.SILENT (\\Deleted)")
        await one.ok("EXPUNGE")
        for command in ("FETCH 3 UID", "STORE 3 +FLAGS.SILENT (\\Seen)", "SEARCH ALL"):
            assert not any(line.endswith(b"EXPUNGE") for line in await other.ok(command)), command
        assert (await other.run("FETCH 1 UID"))[-1].split()[1:3] == [b"OK", b"[EXPUNGEISSUED]"]
        assert [line for line in await other.ok("NOOP") if line.endswith(b"EXPUNGE")] == [
            b"* 2 EXPUNGE",
            b"* 1 EXPUNGE",
        ]
        assert await other.ok("FETCH 1 UID") == [b"* 1 FETCH (UID 3)"]


@pytest.mark.parametrize("state", ["idling", "between commands"])
async def test_a_mailbox_deleted_under_a_session_ends_it_politely(tmp_path: Path, state: str) -> None:
    async with imap_server(tmp_path / "data") as server:
        one, other = await server.logged_in(), await server.logged_in()
        await one.ok("CREATE Shared")
        await other.ok("SELECT Shared")
        if state == "idling":
            await other.idle()
        await one.ok("DELETE Shared")
        assert await other.line() == b"* BYE [UNAVAILABLE] The selected mailbox was removed"
        assert await other.is_closed()
        await one.ok("NOOP")


async def test_a_mailbox_deleted_in_the_middle_of_a_fetch_ends_the_session_after_its_answer(tmp_path: Path) -> None:
    async with imap_server(tmp_path / "data") as server:
        one = await server.logged_in()
        await one.ok("CREATE Shared")
        await server.deliver(plain_message(body="x" * 400_000))
        await one.ok("SELECT INBOX")
        for _ in range(40):
            await one.ok("UID COPY 1 Shared")
        other = await server.selected(mailbox="Shared")
        other.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await other.send(b"A1 FETCH 1:* BODY.PEEK[]\r\n")
        await one.ok("DELETE Shared")
        other.writer.transport.resume_reading()  # type: ignore[attr-defined]
        heard = b""
        async with asyncio.timeout(20):
            while chunk := await other.reader.read(1 << 20):
                heard += chunk
        assert heard.endswith(b"\r\n* BYE [UNAVAILABLE] The selected mailbox was removed\r\n")


async def test_an_account_removed_under_its_sessions_ends_all_of_them_politely(tmp_path: Path) -> None:
    async with imap_server(tmp_path / "data") as server:
        idle, selected, appending = await server.selected(), await server.selected(), await server.logged_in()
        await idle.idle()
        await appending.send(b"A1 APPEND INBOX {300}\r\n")
        assert (await appending.line()).startswith(b"+ ")
        await server.store.accounts.remove(await server.account_id("alice"))
        for peer in (idle, selected):
            assert (await peer.line()).startswith(b"* BYE [UNAVAILABLE] ")
            assert await peer.is_closed()
        await appending.send(b"Subject: x\r\n\r\n" + b"y" * 286 + b"\r\n")
        assert (await appending.line()).startswith((b"A1 NO ", b"* BYE "))


async def test_a_renamed_mailbox_keeps_its_sessions(tmp_path: Path) -> None:
    async with imap_server(tmp_path / "data") as server:
        one, other = await server.logged_in(), await server.logged_in()
        await one.ok("CREATE Before")
        await other.ok("SELECT Before")
        await one.ok("RENAME Before After")
        await other.idle()
        mailbox = await mailbox_of(server, "After")
        await one.ok("SELECT INBOX")
        await server.deliver(plain_message())
        await one.ok("UID COPY 1 After")
        assert await other.line() == b"* 1 EXISTS"
        assert mailbox.name == "After"
