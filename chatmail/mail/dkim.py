"""What DKIM writes down: signatures in header fields and keys in the DNS, read strictly. RFC 6376 §3.2, §3.5, §3.6.1.

Doors: `parse_signature` (a DKIM-Signature field) and `parse_key` (a TXT record), both raising `DkimError`; for a whole
message `select_signatures` (those that could speak for a domain) and `signed_bytes` (what one of them signs).

Stricter than RFC 6376, on purpose: no `l=` (text could be appended), no SHA-1 (RFC 8301), no key below 1024 bits, and
only so many signatures of a message are looked at, so that a message of hundreds costs no more than one of a few.
More lenient in what real zones get wrong: white space anywhere in a key, and a missing `v=`.
"""

import re
from base64 import b64decode
from binascii import Error as Base64Error
from dataclasses import dataclass
from enum import Enum
from typing import Final

from chatmail.errors import ProtocolError
from chatmail.mail.canonical import Canonicalization, canonical_field
from chatmail.mail.message import HeaderBlock

MAX_TAG_LIST_BYTES: Final = 16 * 1024
"""A signature has some 700 bytes, a key of 4096 bits the same."""
MAX_TAGS: Final = 40
MAX_SIGNATURES_READ: Final = 20
"""DKIM-Signature fields of one message that are read, from the top: where the last signer put its own."""
MAX_SIGNATURES_TRIED: Final = 4
"""Of those, the ones by the wanted domain: an RSA and an Ed25519 one, and the same twice for a change of keys."""
MAX_SIGNED_FIELDS: Final = 200
"""Names in `h=`."""

_SIGNATURE_FIELD: Final = b"dkim-signature"
# tag-spec = [FWS] tag-name [FWS] "=" [FWS] tag-value [FWS] (RFC 6376 §3.2); values are checked where they are used.
_TAG: Final = re.compile(rb"([A-Za-z][A-Za-z0-9_]*+)[ \t\r\n]*+=([\t\r\n\x20-\x3a\x3c-\x7e\x80-\xff]*+)")
_FWS: Final = b" \t\r\n"
_DOMAIN: Final = re.compile(rb"_?[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?(?:\._?[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?)*")
_FIELD_NAME: Final = re.compile(rb"[!-9<-~]+")
_NUMBER: Final = re.compile(rb"[0-9]{1,12}")
_OWN_VALUE: Final = re.compile(rb"((?:^|;)[ \t\r\n]*b[ \t\r\n]*=)[^;]*")


class DkimError(ProtocolError):
    """No signature, or no key, that counts. `str(error)` is the reason."""


class KeyType(Enum):
    """The algorithms of RFC 6376 §3.3.2 and RFC 8463."""

    RSA = "rsa"
    ED25519 = "ed25519"


@dataclass(frozen=True, slots=True)
class Signature:
    """One DKIM-Signature field. Domains are in lower case; `signed_names` too, in the order of `h=`."""

    key_type: KeyType
    domain: str
    selector: str
    identity_domain: str
    header_form: Canonicalization
    body_form: Canonicalization
    signed_names: tuple[bytes, ...]
    body_hash: bytes
    value: bytes
    """What `b=` holds, decoded."""
    raw_field: bytes

    @property
    def key_name(self) -> str:
        """Where the key is in the DNS. RFC 6376 §3.6.2.1."""
        return f"{self.selector}._domainkey.{self.domain}"


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """One key as the DNS has it; `key_bytes` is DER for RSA, the 32 octets for Ed25519."""

    key_type: KeyType
    key_bytes: bytes
    exact_identity: bool
    """`t=s`: the identity's domain must be the signing domain itself."""


def parse_tags(text: bytes) -> dict[bytes, bytes]:
    """A tag-list (RFC 6376 §3.2): values without the white space around them. Raises `DkimError`."""
    if len(text) > MAX_TAG_LIST_BYTES:
        raise DkimError("too long")
    pieces = text.strip(_FWS).removesuffix(b";").split(b";", MAX_TAGS)
    if len(pieces) > MAX_TAGS:
        raise DkimError("too many tags")
    tags: dict[bytes, bytes] = {}
    for piece in pieces:
        match = _TAG.fullmatch(piece.strip(_FWS))
        if match is None or match[1] in tags:
            raise DkimError("a malformed tag, or one that occurs twice")
        tags[match[1]] = match[2].strip(_FWS)
    return tags


def parse_signature(raw_field: bytes, now_seconds: int) -> Signature:
    """A raw DKIM-Signature field at a moment (Unix seconds). Raises `DkimError` for one that does not count."""
    tags = parse_tags(raw_field.partition(b":")[2])
    if tags.get(b"v") != b"1" or b"l" in tags or b"dns/txt" not in _words(tags.get(b"q", b"dns/txt")):
        raise DkimError("of another version, of a part of the body only, or with a key that is not in the DNS")
    _check_times(tags, now_seconds)
    domain = _domain(tags.get(b"d", b""))
    header_form, body_form = _forms(tags.get(b"c", b"simple/simple"))
    return Signature(
        _algorithm(tags.get(b"a", b"")),
        domain,
        _domain(tags.get(b"s", b"")),
        _identity_domain(tags.get(b"i", b""), domain),
        header_form,
        body_form,
        _signed_names(tags.get(b"h", b"")),
        _base64(tags.get(b"bh", b"")),
        _base64(tags.get(b"b", b"")),
        raw_field,
    )


def parse_key(record: bytes) -> KeyRecord:
    """A TXT record with its strings joined. Raises `DkimError` for one that is no key, or one that is revoked."""
    tags = parse_tags(record)
    if tags.get(b"v", b"DKIM1") != b"DKIM1" or b"p" not in tags:
        raise DkimError("no DKIM key")
    if not {b"*", b"email"} & _words(tags.get(b"s", b"*")) or b"sha256" not in _words(tags.get(b"h", b"sha256")):
        raise DkimError("a key for something else")
    try:
        key_type = KeyType(tags.get(b"k", b"rsa").decode().lower())
    except ValueError:
        raise DkimError("a key of an unknown type") from None
    return KeyRecord(key_type, _base64(tags[b"p"]), b"s" in _words(tags.get(b"t", b"")))


def select_signatures(headers: HeaderBlock, domain: str, now_seconds: int) -> tuple[Signature, ...]:
    """The signatures worth trying: well-formed, in force, and by exactly `domain` (in lower case)."""
    fields = [raw for name, raw in headers.fields() if name == _SIGNATURE_FIELD]
    found: list[Signature] = []
    for raw in fields[:MAX_SIGNATURES_READ]:
        try:
            signature = parse_signature(raw, now_seconds)
        except DkimError:
            continue
        if signature.domain == domain and len(found) < MAX_SIGNATURES_TRIED:
            found.append(signature)
    return tuple(found)


def signed_bytes(signature: Signature, headers: HeaderBlock) -> bytes:
    """What was signed: the fields of `h=`, each name from the bottom up, then the signature without `b=`.

    RFC 6376 §3.7, §5.4.2.
    """
    by_name: dict[bytes, list[bytes]] = {}
    for name, raw in headers.fields():
        by_name.setdefault(name, []).append(raw)
    chosen = [by_name[name].pop() for name in signature.signed_names if by_name.get(name)]
    name, _, value = signature.raw_field.removesuffix(b"\r\n").partition(b":")
    own = name + b":" + _OWN_VALUE.sub(rb"\1", value, count=1) + b"\r\n"
    fields = [canonical_field(raw, signature.header_form) for raw in chosen]
    return b"".join(fields) + canonical_field(own, signature.header_form).removesuffix(b"\r\n")


def _words(value: bytes) -> set[bytes]:
    return {word.strip(_FWS) for word in value.split(b":")}


def _base64(value: bytes) -> bytes:
    try:
        decoded = b64decode(value.translate(None, _FWS), validate=True)
    except Base64Error:
        raise DkimError("malformed base64") from None
    if not decoded:
        raise DkimError("empty: no value, or a revoked key")
    return decoded


def _domain(value: bytes) -> str:
    lowered = value.lower()
    if len(lowered) > 253 or _DOMAIN.fullmatch(lowered) is None:
        raise DkimError("a malformed domain or selector")
    return lowered.decode()


def _identity_domain(value: bytes, domain: str) -> str:
    """`i=` is within `d=`. RFC 6376 §3.5."""
    if not value:
        return domain
    identity_domain = _domain(value.rpartition(b"@")[2].strip(_FWS))
    if b"@" not in value or not f".{identity_domain}".endswith(f".{domain}"):
        raise DkimError("an identity outside of the signing domain")
    return identity_domain


def _algorithm(value: bytes) -> KeyType:
    for key_type in KeyType:
        if value.lower() == f"{key_type.value}-sha256".encode():
            return key_type
    raise DkimError("an algorithm that is not accepted")


def _forms(value: bytes) -> tuple[Canonicalization, Canonicalization]:
    header_form, _, body_form = value.lower().partition(b"/")
    try:
        return Canonicalization(header_form.decode()), Canonicalization(body_form.decode() or "simple")
    except ValueError:
        raise DkimError("an unknown canonicalization") from None


def _signed_names(value: bytes) -> tuple[bytes, ...]:
    names = tuple(name.strip(_FWS).lower() for name in value.split(b":", MAX_SIGNED_FIELDS))
    if len(names) > MAX_SIGNED_FIELDS or any(_FIELD_NAME.fullmatch(name) is None for name in names):
        raise DkimError("too many or malformed field names")
    if b"from" not in names:
        raise DkimError("From is not signed")
    return names


def _check_times(tags: dict[bytes, bytes], now_seconds: int) -> None:
    """`x=` is in the future and after `t=`. A clock that is ahead of ours does no harm."""
    times = [tags[name] for name in (b"t", b"x") if name in tags]
    if any(_NUMBER.fullmatch(value) is None for value in times):
        raise DkimError("a malformed time")
    expires_at = int(tags.get(b"x", b"999999999999"))
    if expires_at <= max(now_seconds, int(tags.get(b"t", b"0"))):
        raise DkimError("expired")
