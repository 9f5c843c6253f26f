import time

import pytest

from chatmail.mail.dkim import (
    MAX_SIGNATURES_READ,
    MAX_SIGNATURES_TRIED,
    DkimError,
    KeyType,
    parse_key,
    parse_signature,
    parse_tags,
    select_signatures,
    signed_bytes,
)
from chatmail.mail.message import HeaderBlock

NOW = 1_800_000_000
FIELD = (
    b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/simple; d=Other.Example; s=Sel; i=@mail.other.example;\r\n"
    b" t=1700000000; x=1900000000; h=From : To:\r\n\tsubject; bh=YWJj\r\n ZGVm; b=Z2hp\r\n amts;\r\n"
)


def changed(old: bytes, new: bytes) -> bytes:
    assert old in FIELD
    return FIELD.replace(old, new)


def test_a_signature_is_read_with_white_space_and_case_as_they_come() -> None:
    signature = parse_signature(FIELD, NOW)
    assert (signature.domain, signature.selector) == ("other.example", "sel")
    assert signature.key_name == "sel._domainkey.other.example"
    assert signature.identity_domain == "mail.other.example"
    assert signature.signed_names == (b"from", b"to", b"subject")
    assert (signature.body_hash, signature.value) == (b"abcdef", b"ghijkl")
    assert (signature.header_form.value, signature.body_form.value) == ("relaxed", "simple")


@pytest.mark.parametrize(
    "field",
    [
        changed(b"v=1;", b""),
        changed(b"v=1", b"v=2"),
        changed(b"rsa-sha256", b"rsa-sha1"),
        changed(b"rsa-sha256", b"dsa"),
        changed(b"h=From", b"l=10; h=From"),
        changed(b"x=1900000000", b"x=1799999999"),
        changed(b"x=1900000000", b"x=1600000000"),
        changed(b"t=1700000000; x=1900000000", b"t=1900000001; x=1900000000"),
        changed(b"x=1900000000", b"x=soon"),
        changed(b"h=From :", b"h="),
        changed(b"h=From", b"h=From: su bject "),
        changed(b"h=From", b"h=" + b"a:" * 300 + b"from"),
        changed(b"d=Other.Example", b"d=.example"),
        changed(b"d=Other.Example", b"d=ot her"),
        changed(b"d=Other.Example; ", b""),
        changed(b"i=@mail.other.example", b"i=@another.example"),
        changed(b"i=@mail.other.example", b"i=@xother.example"),
        changed(b"i=@mail.other.example", b"i=other.example"),
        changed(b"bh=YWJj", b"bh=Y#Jj"),
        changed(b"bh=YWJj\r\n ZGVm", b"bh="),
        changed(b"c=relaxed/simple", b"c=nowsp"),
        changed(b"c=relaxed/simple", b"c=relaxed/simple; q=dns/other"),
        changed(b"v=1;", b"v=1; v=1;"),
        changed(b"v=1;", b"v=1; =3;"),
        changed(b"v=1;", b"v=1;" + b"".join(b"t%d=1;" % n for n in range(50))),
        changed(b"v=1;", b"v=1; z=" + b"z" * 20_000 + b";"),
        b"DKIM-Signature:\r\n",
    ],
)
def test_a_signature_that_does_not_count(field: bytes) -> None:
    with pytest.raises(DkimError):
        parse_signature(field, NOW)


def test_unknown_tags_and_a_clock_that_is_ahead_do_no_harm() -> None:
    assert parse_signature(changed(b"t=1700000000", b"t=1800000900; foo=bar; r = y"), NOW)


def test_the_body_is_simple_where_only_one_form_is_named() -> None:
    signature = parse_signature(changed(b"c=relaxed/simple", b"c=relaxed"), NOW)
    assert (signature.header_form.value, signature.body_form.value) == ("relaxed", "simple")


@pytest.mark.parametrize(
    "record",
    [
        b"v=DKIM1; k=rsa; p=YWJj",
        b"p=YWJj",
        b" v = DKIM1 ;\tk = rsa ; p = Y W\tJ j ; ",
        b"v=DKIM1; h=sha1:sha256; s=email:other; t=y:s; n=note; p=YWJj;",
        b"v=DKIM1;k=RSA;s=*;p=YWJj",
    ],
)
def test_keys_as_real_zones_write_them(record: bytes) -> None:
    key = parse_key(record)
    assert (key.key_type, key.key_bytes) == (KeyType.RSA, b"abc")
    assert key.exact_identity == (b"t=y:s" in record)


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b"v=spf1 -all",
        b"v=DKIM2; p=YWJj",
        b"v=DKIM1; k=rsa; p=",
        b"v=DKIM1; k=rsa",
        b"v=DKIM1; k=dsa; p=YWJj",
        b"v=DKIM1; h=sha1; p=YWJj",
        b"v=DKIM1; s=other; p=YWJj",
        b"v=DKIM1; p=YWJj; p=YWJj",
        b"v=DKIM1; p=Y\xffJj",
        b"v=DKIM1; p=" + b"A" * 20_000,
    ],
)
def test_records_that_are_no_key(record: bytes) -> None:
    with pytest.raises(DkimError):
        parse_key(record)


def test_tags_are_read_in_linear_time() -> None:
    began = time.perf_counter()
    for text in (b"a" * 16_000, b"a=" + b" " * 16_000 + b"\x00", b"=;" * 8000, b" " * 16_000):
        with pytest.raises(DkimError):
            parse_tags(text)
    assert time.perf_counter() - began < 0.2


def test_only_signatures_of_exactly_the_domain_are_tried() -> None:
    subdomain, parent = changed(b"Other.Example", b"a.other.example"), changed(b"Other.Example", b"example")
    block = HeaderBlock.parse(subdomain.replace(b"i=@mail.", b"i=@a.") + parent + FIELD + b"From: a@b\r\n\r\n")
    assert [found.raw_field for found in select_signatures(block, "other.example", NOW)] == [FIELD]


def test_of_hundreds_of_signatures_a_few_are_looked_at() -> None:
    assert len(select_signatures(HeaderBlock.parse(FIELD * 300 + b"\r\n"), "other.example", NOW)) == 4
    hidden = changed(b"v=1", b"v=2") * MAX_SIGNATURES_READ + FIELD
    assert not select_signatures(HeaderBlock.parse(hidden + b"\r\n"), "other.example", NOW)
    assert MAX_SIGNATURES_TRIED == 4


def test_fields_are_taken_from_the_bottom_up_and_the_signature_without_its_value() -> None:
    field = changed(b"h=From : To:\r\n\tsubject", b"h=from:to:to:from:none").replace(b"relaxed/", b"simple/")
    block = HeaderBlock.parse(b"To: 1\r\n" + field + b"To: 2\r\nFROM: x@y\r\n\r\n")
    [signature] = select_signatures(block, "other.example", NOW)
    own = field.replace(b"b=Z2hp\r\n amts;", b"b=;").removesuffix(b"\r\n")
    assert signed_bytes(signature, block) == b"FROM: x@y\r\nTo: 2\r\nTo: 1\r\n" + own
