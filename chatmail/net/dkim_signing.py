"""DKIM signatures for what leaves this server. RFC 6376 (relaxed/relaxed), RFC 8301 (rsa-sha256).

Door: `DkimSigner.sign`. The From field is named once more than it occurs, so that nobody can add another
(RFC 6376 §8.15). The body is hashed in pieces as it is read.
"""

import asyncio
import base64
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from chatmail.mail.canonical import BodyHash, Canonicalization, canonical_field
from chatmail.mail.message import HeaderBlock

SIGNED_NAMES: Final = frozenset(
    {
        b"from",
        b"to",
        b"cc",
        b"reply-to",
        b"subject",
        b"date",
        b"message-id",
        b"in-reply-to",
        b"references",
        b"mime-version",
        b"content-type",
        b"content-transfer-encoding",
        b"auto-submitted",
        b"autocrypt",
    }
)
SIGNED_PREFIXES: Final = (b"chat-", b"secure-join")
"""Fields of the client, whatever they are called."""
_RELAXED: Final = Canonicalization.RELAXED
_LINE_OCTETS: Final = 76


class DkimSigner:
    """Signs for one domain with one key."""

    def __init__(self, key: rsa.RSAPrivateKey, domain: str, selector: str) -> None:
        """`domain` is that of our addresses, for which the public key lies in the DNS under `selector`."""
        self._key = key
        self._domain = domain
        self._selector = selector

    async def sign(self, header_bytes: bytes, body: AsyncIterator[bytes], now: datetime) -> bytes:
        """The DKIM-Signature field to put in front of the message, with its CR LF."""
        body_hash = BodyHash(_RELAXED)
        async for chunk in body:
            body_hash.feed(chunk)
        chosen = [field for field in reversed(HeaderBlock.parse(header_bytes).fields()) if _is_signed(field[0])]
        names = [name for name, _raw in chosen]
        unsigned = self._field([*names, b"from"], body_hash.digest(), now)
        signed = b"".join(canonical_field(raw, _RELAXED) for _name, raw in chosen)
        signed += canonical_field(unsigned + b"\r\n", _RELAXED).removesuffix(b"\r\n")
        # Most of what an outgoing message costs. OpenSSL works without the interpreter's lock, and the loop goes on.
        signature = await asyncio.to_thread(self._key.sign, signed, padding.PKCS1v15(), hashes.SHA256())
        return unsigned + _folded(base64.b64encode(signature)) + b"\r\n"

    def _field(self, names: list[bytes], body_hash: bytes, now: datetime) -> bytes:
        """The field up to its `b=`."""
        tags = (
            f"v=1; a=rsa-sha256; c=relaxed/relaxed; d={self._domain};",
            f" s={self._selector}; t={int(now.timestamp())};",
            f" bh={base64.b64encode(body_hash).decode()};",
        )
        listed = b" h=" + b":\r\n  ".join(b":".join(names[at : at + 4]) for at in range(0, len(names), 4)) + b";\r\n b="
        return b"DKIM-Signature: " + "\r\n".join(tags).encode() + b"\r\n" + listed


def _is_signed(name: bytes) -> bool:
    return name in SIGNED_NAMES or name.startswith(SIGNED_PREFIXES)


def _folded(value: bytes) -> bytes:
    return b"\r\n ".join(value[at : at + _LINE_OCTETS] for at in range(0, len(value), _LINE_OCTETS))
