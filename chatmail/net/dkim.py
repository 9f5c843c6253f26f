"""DKIM verification with keys from the DNS. RFC 6376 §6.1, RFC 8301, RFC 8463.

Doors: `DkimVerifier.begin` makes a `DkimCheck` from a message's header block; it is fed the body and asked once, at the
end. The rule is stricter than RFC 6376: only a signature whose `d=` is exactly the domain in question counts.

Keys are kept parsed, and asked for anew when a signature does not fit one that was not fetched just now, so a change
of keys costs nobody a message. Work is bounded: four signatures and two body hashes a message, two keys a name, and a
question to the DNS only for a signature whose body hash is right.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from chatmail.mail.canonical import BodyHash, Canonicalization
from chatmail.mail.dkim import (
    DkimError,
    KeyRecord,
    KeyType,
    Signature,
    parse_key,
    select_signatures,
    signed_bytes,
)
from chatmail.mail.message import HeaderBlock
from chatmail.net.dns_answers import DnsFailureError, NoSuchDomainError
from chatmail.policy.inbound import DkimResult

MAX_CACHED_NAMES: Final = 1000
MAX_KEY_AGE_SECONDS: Final = 3600.0
"""A key that was taken out of the DNS counts no longer than this (the resolver's TTL comes on top)."""
FRESH_SECONDS: Final = 5.0
"""A key fetched within these is the present one; asking again would only double the questions."""
MAX_KEYS_OF_A_NAME: Final = 2
MIN_RSA_BITS: Final = 1024
"""RFC 8301 §3.2."""
MAX_RSA_BITS: Final = 4096
_MAX_EXPONENT_BITS: Final = 32

PublicKey = rsa.RSAPublicKey | ed25519.Ed25519PublicKey


class TextResolver(Protocol):
    """Who answers questions for TXT records."""

    async def texts(self, name: str, *, fresh: bool = False) -> tuple[bytes, ...]:
        """The records; raises `DnsFailureError` or `NoSuchDomainError`."""


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A key ready for use."""

    record: KeyRecord
    public_key: PublicKey

    def fits(self, signature: Signature, signed: bytes) -> bool:
        """Whether it made the signature over `signed`."""
        if self.record.exact_identity and signature.identity_domain != signature.domain:
            return False
        try:
            match signature.key_type, self.public_key:
                case KeyType.RSA, rsa.RSAPublicKey() as key:
                    key.verify(signature.value, signed, padding.PKCS1v15(), hashes.SHA256())
                case KeyType.ED25519, ed25519.Ed25519PublicKey() as key:
                    digest = hashes.Hash(hashes.SHA256())
                    digest.update(signed)
                    key.verify(signature.value, digest.finalize())
                case _:
                    return False
        except InvalidSignature:
            return False
        return True


def load_key(text: bytes) -> VerificationKey:
    """The key in a TXT record. Raises `DkimError` for one that may not be used."""
    record = parse_key(text)
    try:
        return VerificationKey(record, _public_key(record))
    except (ValueError, UnsupportedAlgorithm):
        raise DkimError("malformed") from None


def _public_key(record: KeyRecord) -> PublicKey:
    if record.key_type is KeyType.ED25519:
        return ed25519.Ed25519PublicKey.from_public_bytes(record.key_bytes)
    key = load_der_public_key(record.key_bytes)
    if not isinstance(key, rsa.RSAPublicKey):
        raise DkimError("not an RSA key")
    if not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
        raise DkimError("a key of a length that is not accepted")
    if key.public_numbers().e.bit_length() > _MAX_EXPONENT_BITS:
        raise DkimError("a key made to be slow")
    return key


def load_keys(texts: Sequence[bytes]) -> tuple[VerificationKey, ...]:
    """The usable ones among the TXT records of a name, of bounded number; other records may stand beside them."""
    keys = []
    for text in texts[: 4 * MAX_KEYS_OF_A_NAME]:
        try:
            keys.append(load_key(text))
        except DkimError:
            continue
    return tuple(keys[:MAX_KEYS_OF_A_NAME])


@dataclass(frozen=True, slots=True)
class _Fetched:
    keys: tuple[VerificationKey, ...]
    at: float


class KeyCache:
    """The keys of names, least recently used ones forgotten first; simultaneous questions for a name are one."""

    def __init__(self, resolver: Callable[[], TextResolver], clock: Callable[[], float] = time.monotonic) -> None:
        """`resolver` is asked for when it is needed first; it may raise `DnsFailureError`."""
        self._resolver = resolver
        self._clock = clock
        self._cached: OrderedDict[str, _Fetched] = OrderedDict()
        self._asking: dict[str, asyncio.Task[_Fetched]] = {}

    def __len__(self) -> int:
        """How many names are cached."""
        return len(self._cached)

    async def keys(self, name: str) -> tuple[VerificationKey, ...]:
        """The keys of `name`, cached or not; none if there are none. Raises `DnsFailureError`."""
        cached = self._cached.get(name)
        if cached is None or self._clock() - cached.at > MAX_KEY_AGE_SECONDS:
            return (await self._fetch(name)).keys
        self._cached.move_to_end(name)
        return cached.keys

    async def fresh_keys(self, name: str) -> tuple[VerificationKey, ...] | None:
        """What the DNS says now; None if the cached ones are as fresh as that. Raises `DnsFailureError`."""
        cached = self._cached.get(name)
        if cached is not None and self._clock() - cached.at <= FRESH_SECONDS:
            return None
        return (await self._fetch(name)).keys

    async def _fetch(self, name: str) -> _Fetched:
        task = self._asking.get(name)
        if task is None:
            task = self._asking[name] = asyncio.create_task(self._ask(name))
            task.add_done_callback(lambda _task: self._asking.pop(name, None))
        return await asyncio.shield(task)

    async def _ask(self, name: str) -> _Fetched:
        try:
            texts = await self._resolver().texts(name, fresh=True)
        except NoSuchDomainError:
            texts = ()
        fetched = _Fetched(load_keys(texts), self._clock())
        self._cached[name] = fetched
        self._cached.move_to_end(name)
        if len(self._cached) > MAX_CACHED_NAMES:
            self._cached.popitem(last=False)
        return fetched


class DkimVerifier:
    """Verifies messages, with one cache of keys for all of them."""

    def __init__(self, keys: KeyCache) -> None:
        """`keys` may be shared."""
        self._keys = keys

    def begin(self, headers: HeaderBlock, domain: str, now_seconds: int) -> "DkimCheck":
        """Is the message of these (received, untouched) headers signed by `domain`? The body is to come."""
        return DkimCheck(headers, select_signatures(headers, domain, now_seconds), self._keys)


class DkimCheck:
    """One message being verified."""

    __slots__ = ("_body_hashes", "_headers", "_keys", "_signatures")

    def __init__(self, headers: HeaderBlock, signatures: Sequence[Signature], keys: KeyCache) -> None:
        """Use `DkimVerifier.begin`."""
        self._headers = headers
        self._signatures = signatures
        self._keys = keys
        forms = {signature.body_form for signature in signatures}
        self._body_hashes: dict[Canonicalization, BodyHash] = {form: BodyHash(form) for form in forms}

    @property
    def early_result(self) -> DkimResult | None:
        """What is known before the body: it fails when no signature is worth trying."""
        if self._signatures:
            return None
        return DkimResult.INVALID if b"dkim-signature" in self._headers else DkimResult.UNSIGNED

    def feed(self, chunk: bytes) -> None:
        """The next bytes of the body."""
        for body_hash in self._body_hashes.values():
            body_hash.feed(chunk)

    async def finish(self) -> DkimResult:
        """The body has ended: is one of the signatures valid? May wait for the DNS."""
        if (early := self.early_result) is not None:
            return early
        digests = {form: body_hash.digest() for form, body_hash in self._body_hashes.items()}
        result = DkimResult.INVALID
        for signature in self._signatures:
            if digests[signature.body_form] != signature.body_hash:
                continue
            try:
                if await self._is_valid(signature):
                    return DkimResult.VALID
            except DnsFailureError:
                result = DkimResult.UNKNOWN
        return result

    async def _is_valid(self, signature: Signature) -> bool:
        signed = signed_bytes(signature, self._headers)
        if _fits_any(await self._keys.keys(signature.key_name), signature, signed):
            return True
        fresh = await self._keys.fresh_keys(signature.key_name)
        return fresh is not None and _fits_any(fresh, signature, signed)


def _fits_any(keys: Sequence[VerificationKey], signature: Signature, signed: bytes) -> bool:
    return any(key.fits(signature, signed) for key in keys)
