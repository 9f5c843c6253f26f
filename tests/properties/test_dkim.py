from hypothesis import given
from hypothesis import strategies as st

from tests.support.dkim_oracles import check_body, check_signed_message, check_tags

TAGS = b"v=1 v=DKIM1 k=rsa k=ed25519 p= p=YWJj h=from:to h=sha256 t=s d=a.example i=@b.a.example l=1 x=1 c=relaxed"
PIECES = st.sampled_from([*TAGS.split(), b";", b"; ", b"=", b"\r\n ", b"\t", b"\x00", b"\xff"])
TEXTS = st.lists(PIECES | st.binary(max_size=4), max_size=30).map(b"".join)
LINES = st.sampled_from(
    [b"From: a@b\r\n", b"To:x\r\n", b" fold\r\n", b"X:\t \r\n", b"\r\n", b"DKIM-Signature: v=1\r\n"]
)
BODIES = st.lists(st.sampled_from([b" ", b"\t", b"\n", b"a", b"\n\n", b"  "]), max_size=60).map(b"".join)


@given(TEXTS)
def test_tags_signatures_and_keys_parse_or_raise(text: bytes) -> None:
    check_tags(text)


@given(st.lists(LINES | TEXTS, max_size=12).map(b"".join))
def test_any_header_block_can_be_verified(block: bytes) -> None:
    check_signed_message(block)


@given(BODIES)
def test_a_body_has_one_hash_however_it_comes(body: bytes) -> None:
    check_body(body)
