"""COMPRESS=DEFLATE against the service: the exchange of RFC 4978 §3, its bounds, and what breaks it."""

import asyncio
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from chatmail.config import ImapConfig
from tests.support.imap import ImapPeer, ImapServer, imap_server, plain_message

ON = ImapConfig(imap_compress=True)


class DeflatePeer(ImapPeer):
    """A client that compresses once the server has agreed."""

    def __init__(self, peer: ImapPeer) -> None:
        super().__init__(asyncio.StreamReader(limit=1 << 26), peer.writer)
        self._raw = peer.reader
        self._deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        self.received_bytes = 0
        self._task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        while data := await self._raw.read(65536):
            self.received_bytes += len(data)
            self.reader.feed_data(self._inflate.decompress(data))
        self.reader.feed_eof()

    def compressed(self, data: bytes) -> bytes:
        return self._deflate.compress(data) + self._deflate.flush(zlib.Z_SYNC_FLUSH)

    async def send(self, data: bytes) -> None:
        await super().send(self.compressed(data))


@asynccontextmanager
async def compressing(data_dir: Path) -> AsyncIterator[tuple[ImapServer, DeflatePeer]]:
    """A server that offers it, and a client that has accepted."""
    async with imap_server(data_dir, imap=ON) as server:
        peer = await server.logged_in()
        assert b" COMPRESS=DEFLATE " in (await peer.ok("CAPABILITY"))[0]
        assert await peer.run("COMPRESS LZMA") == [b"T3 NO [CANNOT] This compression is not offered"]
        await peer.ok("COMPRESS DEFLATE")
        yield server, DeflatePeer(peer)


async def test_everything_behind_the_ok_is_compressed_in_both_directions(tmp_path: Path) -> None:
    async with compressing(tmp_path / "data") as (server, peer):
        assert await peer.ok("SELECT INBOX")
        await server.deliver(plain_message(body="the same again\r\n" * 20_000))
        assert b"* 1 EXISTS" in await peer.ok("NOOP")
        before = peer.received_bytes
        body = await peer.fetched("UID FETCH 1 BODY.PEEK[TEXT]")
        assert body == b"the same again\r\n" * 20_000
        assert peer.received_bytes - before < len(body) // 20


async def test_a_second_compression_is_refused_and_no_longer_offered(tmp_path: Path) -> None:
    async with compressing(tmp_path / "data") as (_server, peer):
        assert b"COMPRESS" not in (await peer.ok("CAPABILITY"))[0]
        assert b" NO [COMPRESSIONACTIVE] " in (await peer.run("COMPRESS DEFLATE"))[-1]


async def test_new_mail_reaches_a_compressing_client_in_idle(tmp_path: Path) -> None:
    async with compressing(tmp_path / "data") as (server, peer):
        await peer.ok("SELECT INBOX")
        await peer.idle()
        await server.deliver(plain_message())
        assert await peer.line() == b"* 1 EXISTS"
        assert await peer.done() == []


async def test_a_stream_that_explodes_costs_no_memory(tmp_path: Path) -> None:
    """100 MB of one letter come as 100 KB: the line is too long, and the connection ends long before its end."""
    async with compressing(tmp_path / "data") as (server, peer):
        bomb = peer.compressed(b"x" * 100_000_000)
        assert len(bomb) < 200_000
        peer.writer.write(bomb)
        assert (await peer.line()).startswith(b"* BYE [TOOBIG] ")
        assert await peer.is_closed()
        assert await (await server.logged_in("bob")).ok("NOOP") == []


async def test_ten_thousand_compressed_commands_are_all_answered_in_order(tmp_path: Path) -> None:
    async with compressing(tmp_path / "data") as (_server, peer):
        await peer.send(b"".join(b"%d NOOP\r\n" % number for number in range(10_000)))
        for number in range(10_000):
            assert (await peer.line()).startswith(b"%d OK " % number)


@pytest.mark.parametrize("ending", [b"\xff\xff\xff\xff", None], ids=["garbage", "the end of the stream"])
async def test_a_broken_stream_ends_its_own_connection(tmp_path: Path, ending: bytes | None) -> None:
    async with compressing(tmp_path / "data") as (server, peer):
        await peer.ok("NOOP")
        peer.writer.write(peer._deflate.flush(zlib.Z_FINISH) if ending is None else ending)
        assert await peer.line() == b"* BYE The compressed stream is broken"
        assert await peer.is_closed()
        assert await (await server.logged_in("bob")).ok("NOOP") == []
