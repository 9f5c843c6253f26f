"""What an operator does to a running server and to one that is stopped, with the command line of this source tree."""

import asyncio
import sqlite3

import pytest

from tests.support.command import chatmail
from tests.support.served import Server


async def test_deleting_an_account_ends_its_idle_session_politely(server: Server) -> None:
    with server.running():
        for command in ("delete", "block", "reset-password"):
            client = await server.imap("alice1234")
            await client.command("SELECT INBOX")
            await client.idle()
            words = ["account", command, f"alice1234@[{server.host}]"]
            done = await asyncio.to_thread(server.do, *words, *(["--yes"] if command != "block" else []))
            assert done.code == 0, done.err
            async with asyncio.timeout(10):
                lines = [line async for line in client.reader]
            assert any(line.startswith(b"* BYE") for line in lines), lines
            client.close()
            if command == "block":
                assert (await asyncio.to_thread(server.do, "account", "unblock", words[2])).code == 0


async def test_the_same_commands_work_with_and_without_the_server(server: Server) -> None:
    with server.running():
        (await server.imap("alice1234")).close()
        running = [
            await asyncio.to_thread(server.json, *words)
            for words in (["account", "list"], ["registration", "status"], ["expire", "--dry-run"], ["queue", "list"])
        ]
        assert (await asyncio.to_thread(server.do, "push", "status")).code == 0
    stopped = [
        server.json(*words)
        for words in (["account", "list"], ["registration", "status"], ["expire", "--dry-run"], ["queue", "list"])
    ]
    assert stopped == running
    assert "registration: closed" in server.do("registration", "close").out
    refused = server.do("push", "status")
    assert refused.code == 1 and "The server does not run" in refused.err
    with server.running() as process:
        assert (await asyncio.to_thread(server.do, "registration", "status")).out.startswith("registration: closed")
        process.kill()
    assert (server.folder / "data" / "control.sock").exists(), "a killed server leaves its socket"
    assert server.do("registration", "open").code == 0
    assert server.do("expire", "--yes").code == 0


async def test_two_administrators_at_once_get_an_answer_each(server: Server) -> None:
    address = f"alice1234@[{server.host}]"
    with server.running():
        (await server.imap("alice1234")).close()
        both = [["account", "delete", address, "--yes"], ["registration", "close"], ["expire", "--yes"]] * 2
        done = await asyncio.gather(*(asyncio.to_thread(server.do, *words) for words in both))
        for end in done:  # whoever comes second finds no account, or it is under way
            assert end.code == 0 or end.refusal().startswith(f"There is no account {address}")
        assert await asyncio.to_thread(server.json, "account", "list") == []
    stopped = await asyncio.gather(*(asyncio.to_thread(server.do, "account", "list") for _ in range(3)))
    for end in stopped:  # on the store directly one after the other, or told that somebody is at it
        assert (end.code, end.out) == (0, "none\n") or "in use" in end.refusal()
    assert any(end.code == 0 for end in stopped)


def test_what_cannot_be_undone_asks_first_and_the_exit_codes_tell(server: Server) -> None:
    assert "there is no data in" in server.do("account", "list").refusal()
    with server.running():
        for words in (
            *(["account", "delete", "a@b"], ["account", "reset-password", "a@b"], ["expire"]),
            *(["queue", "drop", "--all"], ["registration", "revoke", "a-token"]),
        ):
            unanswered = server.do(*words)
            assert unanswered.code == 1 and "Aborted" in unanswered.err
        assert server.do("account", "delete", f"nobody123@[{server.host}]", "--yes").refusal().startswith("There is no")
        assert server.do("account", "delete").code == server.do("queue", "drop").code == 2
        assert server.do("registration", "invite", "--expires", "soon").code == 2
        invited = server.do("registration", "invite", "--uses", "2", "--note", "for tests")
        assert invited.code == 0 and "note: for tests" in invited.out and "█" in invited.out
        debug = server.do("log", "debug", "--for", "1s")
        assert debug.code == 0
    log = server.log_file.read_text()
    assert "debug_begins" in log


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_the_commands(shell: str) -> None:
    done = chatmail("completion", shell)
    assert done.code == 0 and "_CHATMAIL_COMPLETE" in done.out
    completed = chatmail(_CHATMAIL_COMPLETE="bash_complete", COMP_WORDS="chatmail registration inv", COMP_CWORD="2")
    assert "invite-only" in completed.out


def test_a_store_of_the_first_days_is_rewritten_so_that_it_can_shrink(server: Server) -> None:
    with server.running():
        pass
    path = server.folder / "data" / "chatmail.sqlite"
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA auto_vacuum = NONE")
        database.execute("VACUUM")
    database.close()
    assert server.do("account", "list").code == 0
    with sqlite3.connect(path) as database:
        assert database.execute("PRAGMA auto_vacuum").fetchone() == (2,)
    database.close()
