"""The runner of transcripts, against a server that answers by a script."""

from pathlib import Path

import pytest

from tests.support.dialogue import play, steps


class ScriptedPeer:
    """Says its lines in order and keeps what it is told."""

    def __init__(self, lines: list[bytes]) -> None:
        self.lines = lines
        self.told: list[bytes] = []

    async def send(self, data: bytes) -> None:
        self.told.append(data)

    async def line(self) -> bytes:
        return self.lines.pop(0) if self.lines else b""

    async def is_closed(self) -> bool:
        return not self.lines


async def played(tmp_path: Path, text: str, *peers: ScriptedPeer) -> None:
    path = tmp_path / "some.imap"
    path.write_text(text)
    waiting = list(peers)

    async def connect() -> ScriptedPeer:
        return waiting.pop(0)

    await play(path, connect)


async def test_client_lines_that_stand_together_are_one_write(tmp_path: Path) -> None:
    peer = ScriptedPeer([b"A2 OK done"])
    await played(tmp_path, "# two at once\nC: A1 NOOP\nC: A2 NOOP\nS: A2 OK …\nCLOSED\n", peer)
    assert peer.told == [b"A1 NOOP\r\nA2 NOOP\r\n"]


async def test_a_second_client_has_its_own_connection(tmp_path: Path) -> None:
    first, second = ScriptedPeer([b"* OK 1"]), ScriptedPeer([b"* OK 2"])
    await played(tmp_path, "S: * OK 1\nS2: * OK 2\nC2: B1 NOOP\nC: A1 NOOP\n", first, second)
    assert (first.told, second.told) == ([b"A1 NOOP\r\n"], [b"B1 NOOP\r\n"])


async def test_a_line_that_is_not_as_written_names_itself(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"some\.imap:2: expected '\* 1 EXISTS'"):
        await played(tmp_path, "# one\nS: * 1 EXISTS\n", ScriptedPeer([b"* 2 EXISTS"]))


def test_pictures_stand_for_octets_and_dots_for_any_text() -> None:
    crooked, open_end, heard = steps("C: A1 NOOP␊\nC: a␀b␍¬\nS: * 1 FETCH (…) …\n")
    assert (crooked.wire(), open_end.wire()) == (b"A1 NOOP\n", b"a\0b\r")
    assert heard.is_heard(rb"* 1 FETCH (FLAGS (\Seen)) x")
    assert not heard.is_heard(b"* 2 FETCH (FLAGS ()) x")
