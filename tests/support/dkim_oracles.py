"""What must hold for DKIM's parsers and any bytes: the entry functions of the fuzz target, run by fast tests too."""

import hashlib

from dkim.canonicalization import Relaxed, Simple  # type: ignore[import-untyped]

from chatmail.mail.canonical import BodyHash, Canonicalization, canonical_field
from chatmail.mail.dkim import (
    MAX_SIGNATURES_TRIED,
    DkimError,
    parse_key,
    parse_signature,
    parse_tags,
    select_signatures,
    signed_bytes,
)
from chatmail.mail.message import HeaderBlock, MessageError
from chatmail.net.dkim import MAX_RSA_BITS, load_key

NOW = 1_800_000_000
SIGNATURE_HEAD = b"DKIM-Signature: v=1; a=rsa-sha256; d=a.example; s=s; h=from; bh=YWJj; b=YWJj; "
_REFERENCES = {Canonicalization.RELAXED: Relaxed, Canonicalization.SIMPLE: Simple}


def check_tags(data: bytes) -> None:
    """A tag-list, a signature and a key parse or raise `DkimError`; a usable key is within the limits."""
    for parse in (parse_tags, parse_key):
        try:
            parse(data)
        except DkimError:
            continue
    for field in (b"DKIM-Signature: " + data, SIGNATURE_HEAD + data):
        try:
            signature = parse_signature(field, NOW)
        except DkimError:
            continue
        assert b"from" in signature.signed_names and signature.body_hash and signature.value
        assert f".{signature.identity_domain}".endswith(f".{signature.domain}")
    try:
        key = load_key(data)
    except DkimError:
        return
    assert not hasattr(key.public_key, "key_size") or key.public_key.key_size <= MAX_RSA_BITS


def check_signed_message(data: bytes) -> None:
    """Any header block: few signatures are tried, and what each of them signs can be said."""
    try:
        headers = HeaderBlock.parse(SIGNATURE_HEAD + b"\r\n" + data)
    except MessageError:
        return
    found = select_signatures(headers, "a.example", NOW)
    assert len(found) <= MAX_SIGNATURES_TRIED
    for signature in found:
        assert signed_bytes(signature, headers).count(signature.raw_field.removesuffix(b"\r\n")) == 0
    for _name, raw in headers.fields():
        once = canonical_field(raw, Canonicalization.RELAXED)
        assert canonical_field(once, Canonicalization.RELAXED) == once
        assert b"\r\n" not in once[:-2]


def check_body(data: bytes) -> None:
    """Any body of proper lines: whole = bytewise = what another implementation says."""
    body = data.replace(b"\r", b"").replace(b"\n", b"\r\n")
    for form, reference in _REFERENCES.items():
        whole, bytewise = BodyHash(form), BodyHash(form)
        whole.feed(body)
        for position in range(len(body)):
            bytewise.feed(body[position : position + 1])
        digest = whole.digest()
        assert digest == bytewise.digest()
        if body.endswith(b"\r\n"):  # dkimpy adds no line end where it lacks
            assert digest == hashlib.sha256(reference.canonicalize_body(body)).digest()


def check_dkim(data: bytes) -> None:
    """All of them."""
    check_tags(data)
    check_signed_message(data)
    check_body(data[:500])
