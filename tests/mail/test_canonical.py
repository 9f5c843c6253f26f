import hashlib

import pytest
from dkim.canonicalization import Relaxed, Simple  # type: ignore[import-untyped]

from chatmail.mail.canonical import BodyHash, Canonicalization, canonical_field

RELAXED, SIMPLE = Canonicalization.RELAXED, Canonicalization.SIMPLE


def body_digest(form: Canonicalization, *chunks: bytes) -> bytes:
    body_hash = BodyHash(form)
    for chunk in chunks:
        body_hash.feed(chunk)
    return body_hash.digest()


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def test_the_examples_of_the_rfc() -> None:  # RFC 6376 §3.4.5
    body = b" C \r\nD \t E\r\n\r\n\r\n"
    assert body_digest(RELAXED, body) == sha256(b" C\r\nD E\r\n")
    assert body_digest(SIMPLE, body) == sha256(b" C \r\nD \t E\r\n")
    assert canonical_field(b"A: X\r\n", RELAXED) == b"a:X\r\n"
    assert canonical_field(b"B : Y\t\r\n\tZ  \r\n", RELAXED) == b"b:Y Z\r\n"
    assert canonical_field(b"B : Y\t\r\n\tZ  \r\n", SIMPLE) == b"B : Y\t\r\n\tZ  \r\n"


@pytest.mark.parametrize("body", [b"", b"\r\n", b"\r\n\r\n \t\r\n", b" "])
def test_a_body_of_nothing_is_one_line_end_or_nothing_at_all(body: bytes) -> None:  # RFC 6376 §3.4.3, §3.4.4
    assert body_digest(RELAXED, body) == sha256(b"")
    assert body_digest(SIMPLE, b"") == body_digest(SIMPLE, b"\r\n\r\n") == sha256(b"\r\n")


def test_the_last_line_end_is_added_where_it_lacks() -> None:
    assert body_digest(SIMPLE, b"x") == body_digest(SIMPLE, b"x\r\n") == sha256(b"x\r\n")


@pytest.mark.parametrize("form", [RELAXED, SIMPLE])
def test_chunks_may_end_anywhere(form: Canonicalization) -> None:
    body = b"a \t b \r\n\r\n \r\nc\t\r\n \t \r\nd\r\n\r\n"
    whole = body_digest(form, body)
    for cut in range(len(body)):
        assert body_digest(form, body[:cut], body[cut:]) == whole
    assert body_digest(form, *(body[i : i + 1] for i in range(len(body)))) == whole


@pytest.mark.parametrize(("form", "reference"), [(RELAXED, Relaxed), (SIMPLE, Simple)])
def test_long_runs_give_what_another_implementation_gives(
    form: Canonicalization, reference: type[Relaxed] | type[Simple]
) -> None:
    for body in (b"\r\n" * 10_000 + b"x", b"y" + b" \t" * 10_000 + b"z\r\n", b"a  b\t\r\n" * 1000 + b"\r\n" * 5000):
        expected = sha256(reference.canonicalize_body(body))
        assert body_digest(form, *(body[i : i + 777] for i in range(0, len(body), 777))) == expected
