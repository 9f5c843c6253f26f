"""Plays every `tests/dialogues/*.imap` against the service, over TLS; the form is in `tests.support.dialogue`.

Comments prepare it: `# imap: KEY …` switches keys of `[imap]` on, `# mail: N` delivers N messages to alice,
`# corpus: NAME …` those files of `tests/corpus/imap`,
`# login: alice bob` logs clients in beforehand (in the order in which they first speak), and `# select: INBOX -` has
them select a mailbox. Alice exists.
"""

import re
from pathlib import Path

import pytest

from chatmail.config import ImapConfig
from chatmail.imap.parse_command import _COMMANDS, _UID_COMMANDS, command_name
from tests.support.dialogue import DIALOGUES, play
from tests.support.imap import ImapPeer, ImapServer, imap_server, plain_message

CORPUS = DIALOGUES.parent / "corpus" / "imap"
FILES = sorted(DIALOGUES.glob("*.imap"))


def directive(text: str, name: str) -> list[str]:
    found = re.search(rf"^# {name}: (.*)$", text, re.MULTILINE)
    return found[1].split() if found else []


async def prepare(server: ImapServer, text: str) -> list[ImapPeer]:
    """The clients that are logged in, in order."""
    (await server.logged_in("alice")).hang_up()
    for number in range(int((directive(text, "mail") or ["0"])[0])):
        await server.deliver(plain_message(f"message{number + 1}"))
    for name in directive(text, "corpus"):
        await server.deliver((CORPUS / f"{name}.eml").read_bytes())
    clients = [await server.logged_in(name) for name in directive(text, "login")]
    for client, mailbox in zip(clients, directive(text, "select"), strict=False):
        if mailbox != "-":
            await client.ok(f"SELECT {mailbox}")
    return clients


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
async def test_the_dialogue_goes_as_written(path: Path, tmp_path: Path) -> None:
    text = path.read_text()
    config = ImapConfig(**dict.fromkeys(directive(text, "imap"), True))
    async with imap_server(tmp_path / "data", imap=config) as server:
        clients = await prepare(server, text)

        async def connect() -> ImapPeer:
            return clients.pop(0) if clients else await server.connect()

        await play(path, connect)


def test_there_are_dialogues() -> None:
    assert FILES


def test_every_command_of_the_grammar_is_said_in_some_dialogue() -> None:
    lines = (line for path in FILES for line in path.read_text().splitlines() if line.startswith("C"))
    said = {command_name(line.partition(": ")[2].encode()) for line in lines}
    every = {*_COMMANDS, *(b"UID " + name for name in _UID_COMMANDS)}
    assert every - said == set()
