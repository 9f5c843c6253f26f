"""The compressed stream of RFC 4978, without a connection around it."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatmail.imap.deflate import PIECE_BYTES, Deflate, DeflateError


def deflated(*pieces: bytes) -> bytes:
    stream = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return b"".join(stream.compress(piece) + stream.flush(zlib.Z_SYNC_FLUSH) for piece in pieces)


def read_all(deflate: Deflate) -> bytes:
    pieces = []
    while deflate.is_waiting:
        pieces.append(deflate.read())
        assert len(pieces[-1]) <= PIECE_BYTES
    return b"".join(pieces)


@given(st.lists(st.binary(max_size=300), max_size=6), st.integers(1, 50))
def test_what_was_compressed_comes_out_in_whatever_pieces_it_came(pieces: list[bytes], size: int) -> None:
    deflate, stream, out = Deflate(), deflated(*pieces), b""
    for start in range(0, len(stream), size):
        deflate.receive(stream[start : start + size])
        out += read_all(deflate)
    assert out == b"".join(pieces)


@given(st.lists(st.binary(max_size=300), max_size=6))
def test_what_is_written_can_be_read_at_once(pieces: list[bytes]) -> None:
    deflate, client = Deflate(), zlib.decompressobj(-zlib.MAX_WBITS)
    for piece in pieces:
        assert client.decompress(deflate.compress(piece)) == piece


def test_an_explosion_comes_in_small_pieces() -> None:
    deflate = Deflate()
    deflate.receive(deflated(b"x" * 10_000_000))
    assert len(read_all(deflate)) == 10_000_000


def test_exactly_one_piece_leaves_nothing_behind() -> None:
    deflate = Deflate()
    deflate.receive(deflated(b"x" * PIECE_BYTES))
    assert read_all(deflate) == b"x" * PIECE_BYTES
    deflate.receive(deflated(b"y"))
    assert read_all(deflate) == b"y"


@pytest.mark.parametrize("data", [b"\xff" * 9, zlib.compress(b"with zlib's own header"), b"\x03\x00"])
def test_what_is_no_endless_deflate_stream_is_an_error(data: bytes) -> None:
    deflate = Deflate()
    deflate.receive(data)
    with pytest.raises(DeflateError):
        read_all(deflate)
