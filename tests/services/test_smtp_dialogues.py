r"""Runs every `tests/dialogues/*.smtp` against submission, or with `# port: 25` against the port for other servers.

`C:` lines that stand together are written in one piece, with CR LF behind each and `\n`, `\r`, `\0` read as escapes;
`S:` is one line of the server, where `…` stands for the rest of the reply; `TLS` is the handshake, `CLOSED` the end of
the connection, `RECONNECT` a new one. `# port:` names the standard port. The account of bobxxxxxx exists.
"""

import re
from itertools import groupby
from pathlib import Path

import pytest

from tests.support.inbound import inbound_server
from tests.support.smtp_peer import Door, SmtpPeer
from tests.support.submission import submission_server

DIALOGUES = sorted((Path(__file__).parents[1] / "dialogues").glob("*.smtp"))
ESCAPES = {b"\\n": b"\n", b"\\r": b"\r", b"\\0": b"\0"}


def wire(line: str) -> bytes:
    text = line.removeprefix("C:").removeprefix(" ").encode()
    return re.sub(rb"\\[nr0]", lambda match: ESCAPES[match[0]], text) + b"\r\n"


async def expect(peer: SmtpPeer, line: str) -> None:
    expected = line.removeprefix("S:").removeprefix(" ")
    received = await peer.line()
    if expected.endswith("…"):
        assert received.startswith(expected[:-1])
        while received[3:4] == "-":
            received = await peer.line()
    else:
        assert received == expected


@pytest.mark.parametrize("path", DIALOGUES, ids=lambda path: path.stem)
async def test_the_dialogue_goes_as_written(path: Path, tmp_path: Path) -> None:
    lines = path.read_text().splitlines()
    said = [line for line in lines if not line.startswith("#")]
    if "# port: 25" in lines:
        async with inbound_server(tmp_path / "data") as server:
            return await run(server.door, said)
    async with submission_server(tmp_path / "data") as server:
        await server.account("bob")
        await run(server.tls if "# port: 465" in lines else server.starttls, said)


async def run(door: Door, lines: list[str]) -> None:
    peer = await door.connect()
    for kind, group in groupby(lines, key=lambda line: line.partition(":")[0]):
        match kind:
            case "C":
                peer.send(b"".join(map(wire, group)))
            case "S":
                for line in group:
                    await expect(peer, line)
            case "TLS":
                await peer.start_tls()
            case "CLOSED":
                assert await peer.is_closed()
            case "RECONNECT":
                peer = await door.connect()
            case _:
                raise AssertionError(f"what is {kind!r}?")


def test_there_are_dialogues() -> None:
    assert DIALOGUES
