"""SETMETADATA of tokens nobody should send: binary, huge, unknown, by the thousand. The connection lives on."""

from pathlib import Path

import pytest

from chatmail.policy.server_metadata import MAX_DEVICE_TOKEN_BYTES, MAX_DEVICE_TOKENS
from tests.support.imap import ImapPeer, imap_server

ENTRY = b"/private/devicetoken"


def set_token(value: bytes, *, mark: bytes = b"+") -> bytes:
    return b"SETMETADATA INBOX (%b {%d%b}\r\n%b)" % (ENTRY, len(value), mark, value)


async def tokens(peer: ImapPeer) -> list[bytes]:
    lines = await peer.ok("GETMETADATA INBOX /private/devicetoken")
    return lines[1].removesuffix(b")").split() if lines else []


@pytest.mark.parametrize(
    "value",
    [b"\x00", b"\xff\xfe\x80", b"token\x00hidden", b"two\r\nlines", b"t\xc3\xb6ken", b"", b" ", b"\x7f", bytes(256)],
    ids=repr,
)
async def test_a_token_with_binary_bytes_is_refused_and_nothing_is_kept(tmp_path: Path, value: bytes) -> None:
    async with imap_server(tmp_path / "data") as server:
        peer = await server.logged_in()
        answer = (await peer.run(set_token(value)))[-1]
        assert answer.split(b" ")[1] in (b"NO", b"BAD"), answer
        assert await tokens(peer) == []
        await peer.ok(set_token(b"good"))
        assert await tokens(peer) == [b"good"]


async def test_the_longest_token_is_kept_and_a_longer_one_is_told_the_limit(tmp_path: Path) -> None:
    async with imap_server(tmp_path / "data") as server:
        peer = await server.logged_in()
        longest = b"x" * MAX_DEVICE_TOKEN_BYTES
        await peer.ok(set_token(longest))
        answer = (await peer.run(set_token(longest + b"x")))[-1]
        assert b"NO [METADATA MAXSIZE %d]" % MAX_DEVICE_TOKEN_BYTES in answer
        assert await tokens(peer) == [longest]


async def test_a_huge_value_is_refused_before_it_comes(tmp_path: Path) -> None:
    async with imap_server(tmp_path / "data") as server:
        peer = await server.logged_in()
        await peer.send(b"T SETMETADATA INBOX (%b {100000000}\r\n" % ENTRY)
        assert (await peer.line()).split(b" ")[1] in (b"NO", b"BAD")
        assert await tokens(peer) == []


@pytest.mark.parametrize(
    "entry", ["/private/comment", "/shared/vendor/deltachat/turn", "/private/" + "x" * 5000, "/nowhere"]
)
async def test_unknown_entries_are_refused_together_with_their_neighbours(tmp_path: Path, entry: str) -> None:
    async with imap_server(tmp_path / "data") as server:
        peer = await server.logged_in()
        answer = (await peer.run(f'SETMETADATA INBOX ({entry} "x" /private/devicetoken "good")'))[-1]
        assert answer.split(b" ")[1] in (b"NO", b"BAD"), answer
        assert await tokens(peer) == []


async def test_of_a_thousand_tokens_an_account_keeps_the_newest_twenty(memory_path: Path) -> None:
    async with imap_server(memory_path / "data") as server:
        peer = await server.logged_in()
        commands = [b'X SETMETADATA INBOX (%b "token%d")\r\n' % (ENTRY, number) for number in range(1_000)]
        for first in range(0, len(commands), 500):
            await peer.send(b"".join(commands[first : first + 500]))
            assert {await peer.line() for _ in range(500)} == {b"X OK Setmetadata completed."}
        assert await tokens(peer) == [b"token%d" % number for number in range(980, 1_000)]


async def test_more_than_twenty_at_once_are_too_many(tmp_path: Path) -> None:
    async with imap_server(tmp_path / "data") as server:
        peer = await server.logged_in()
        many = " ".join(f'/private/devicetoken "token{number}"' for number in range(MAX_DEVICE_TOKENS + 1))
        assert b"NO [METADATA TOOMANY]" in (await peer.run(f"SETMETADATA INBOX ({many})"))[-1]
        assert await tokens(peer) == []
