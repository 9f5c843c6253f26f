"""A message on its way to another server: what is put in front of it, and the stored bytes, read in pieces."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from chatmail.mail.address import Address
from chatmail.storage.store import StoredBody

PIECE_BYTES: Final = 256 * 1024
"""Read and sent at once; what is not larger lies in memory anyway."""


@dataclass(frozen=True, slots=True)
class OutboundMessage:
    """One message for one domain. `prefix` are header fields to go before the stored ones."""

    domain: str
    mail_from: Address | None
    prefix: bytes
    stored: StoredBody

    @property
    def size_bytes(self) -> int:
        """Of the whole, as it is sent."""
        return len(self.prefix) + self.stored.size_bytes

    async def pieces(self) -> AsyncIterator[bytes]:
        """All bytes, in order. Raises `StorageError`."""
        prefix = self.prefix
        async for piece in pieces_of(self.stored, 0):
            yield prefix + piece if prefix else piece
            prefix = b""

    @property
    def is_ascii(self) -> bool:
        """Whether its sender's address is; those of the recipients are looked at elsewhere."""
        return self.mail_from is None or str(self.mail_from).isascii()


async def pieces_of(stored: StoredBody, start: int) -> AsyncIterator[bytes]:
    """The bytes of a stored body from `start` on. Raises `StorageError`."""
    while start < stored.size_bytes:
        piece = await stored.read(start, PIECE_BYTES)
        start += len(piece)
        yield piece
