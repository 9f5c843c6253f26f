"""COMPRESS=DEFLATE: both directions of a compressed stream, with bounds on memory. RFC 4978, RFC 1951.

`Deflate.receive` takes what came, `read` gives it back in pieces of at most `PIECE_BYTES`, so that a small input which
means a large output (a "zip bomb") costs no more memory than any other: whoever reads stops when enough waits.
`compress` gives what to write, complete up to the last byte. The compressor's window is small: 32 KiB of state instead
of 256; the other direction must take what any client sends, and needs its 32 KiB of history.
"""

import zlib
from typing import Final

from chatmail.errors import ProtocolError

PIECE_BYTES: Final = 65536
"""Read at a time."""

_WINDOW_BITS: Final = -12
"""4 KiB; negative for a stream without zlib's own header (RFC 4978 §3 wants RFC 1951)."""
_MEMORY_LEVEL: Final = 5
_LEVEL: Final = 1
"""Nearly everything here is encrypted: more effort gains nothing."""


class DeflateError(ProtocolError):
    """The client's stream is no deflate stream, or has come to its end."""


class Deflate:
    """The one compressor and decompressor of a connection."""

    __slots__ = ("_compressor", "_decompressor", "_has_output", "_input")

    def __init__(self) -> None:
        """Begin both streams."""
        self._compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, _WINDOW_BITS, _MEMORY_LEVEL)
        self._decompressor = zlib.decompressobj(-zlib.MAX_WBITS)
        self._input = b""
        self._has_output = False

    def receive(self, data: bytes) -> None:
        """Keep what came; read it soon, for it is not limited here."""
        self._input = self._input + data if self._input else data

    @property
    def is_waiting(self) -> bool:
        """Whether `read` may give something."""
        return bool(self._input) or self._has_output

    def read(self) -> bytes:
        """The next octets, at most `PIECE_BYTES`. Raises `DeflateError`; then nothing more can be read."""
        try:
            piece = self._decompressor.decompress(self._input, PIECE_BYTES)
        except zlib.error:
            raise DeflateError("this is no deflate stream") from None
        if self._decompressor.eof:
            raise DeflateError("the deflate stream has ended")
        self._input = self._decompressor.unconsumed_tail
        self._has_output = len(piece) == PIECE_BYTES
        return piece

    def compress(self, data: bytes) -> bytes:
        """What to write for `data`, flushed, so that the client can read all of it (RFC 4978 §4)."""
        return self._compressor.compress(data) + self._compressor.flush(zlib.Z_SYNC_FLUSH)
