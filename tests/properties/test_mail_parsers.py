"""Messages of any bytes: the oracles of the fuzz targets on the corpus, on its mutations and on invented bytes."""

import base64

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chatmail.mail.message import HeaderBlock
from chatmail.policy.encryption import Direction, EncryptionGate
from chatmail.policy.verdict import ACCEPT
from tests.support.corpus import MESSAGES, TO_ANOTHER, judge, split
from tests.support.openpgp_samples import (
    LITERAL,
    PKESK_V6,
    SKESK_V4,
    armor,
    encrypted_body,
    encrypted_mail,
    legacy_packet,
    packet,
    partial_packet,
)
from tests.support.parser_oracles import check_armor, check_gate, check_message, check_packets, is_armored, is_walkable

SMALL = sorted(name for name, message_bytes in MESSAGES.items() if len(message_bytes) < 4000)

LINE_NOISE = st.lists(
    st.one_of(
        st.sampled_from(
            [b"\r\n", b"From: ", b"a@b.example", b"<", b">", b'"', b"(", b")", b"\\", b",", b" ", b"\t", b";"]
        ),
        st.sampled_from([b"Content-Type: ", b"multipart/mixed", b"=", b"boundary", b"/", b"\r", b"\n", b"\0", b":"]),
        st.binary(max_size=4),
    ),
    max_size=30,
).map(b"".join)

ARMOR_NOISE = st.lists(
    st.one_of(
        st.sampled_from(
            [b"-----BEGIN PGP MESSAGE-----", b"-----END PGP MESSAGE-----", b"\r\n", b"\r\n\r\n", b"=", b"-"]
        ),
        st.sampled_from([b"Version: x\r\n", b"\r\n--sample-boundary", b"\r\n--sample-boundary--", b"=AAAA", b"A"]),
        st.sampled_from(
            [b"Version: 1", b"Content-Type: application/pgp-encrypted\r\n\r\n", b"secure-join: vc-request"]
        ),
        st.binary(max_size=9).map(base64.b64encode),
    ),
    max_size=20,
).map(b"".join)

BODY = st.binary(max_size=70)
PACKET = st.one_of(
    st.builds(packet, st.sampled_from([1, 3, 18]), BODY, st.sampled_from([0, 1, 5])),
    st.builds(legacy_packet, st.sampled_from([1, 3]), BODY, st.sampled_from([1, 2, 4])),
    st.builds(
        partial_packet, st.just(18), st.lists(st.sampled_from([bytes(512), b"x", bytes(1024)]), max_size=3), BODY
    ),
    st.sampled_from([PKESK_V6, SKESK_V4, LITERAL]),
    st.binary(max_size=3),
)
PACKETS = st.lists(PACKET, max_size=6).map(b"".join)


@pytest.mark.parametrize("name", SMALL)
def test_the_corpus_meets_every_oracle(name: str) -> None:
    message_bytes = MESSAGES[name]
    check_message(message_bytes)
    check_gate(message_bytes)
    check_gate(split(message_bytes)[1])
    check_armor(message_bytes)


@given(LINE_NOISE)
@example(b"From: a@b.example")
def test_header_blocks_parse_or_raise_and_come_out_as_they_went_in(data: bytes) -> None:
    for block in (data, data + b"\r\n\r\n", b"From: " + data + b"\r\n\r\n", b"Content-Type: " + data + b"\r\n\r\n"):
        check_message(block)


@given(PACKETS)
def test_packets_whole_bytewise_and_skipped_are_the_same(octets: bytes) -> None:
    check_packets(octets)


@given(PACKETS, st.booleans())
def test_armored_packets_pass_exactly_if_the_packets_do(octets: bytes, checksum: bool) -> None:
    armored = armor(octets, checksum=checksum)
    assert is_armored(armored) == is_walkable(octets)
    check_armor(armored)
    check_armor(armored[: len(armored) // 2])


@given(ARMOR_NOISE)
def test_armor_and_gate_answer_on_lines_in_any_order(data: bytes) -> None:
    check_armor(data)
    check_gate(data)
    check_gate(encrypted_body(data))


@settings(max_examples=200)
@given(st.sampled_from(SMALL), st.integers(0, 4000), st.integers(0, 60), st.binary(max_size=6))
def test_changed_messages_get_the_same_verdict_in_all_pieces(name: str, start: int, length: int, new: bytes) -> None:
    message_bytes = MESSAGES[name]
    start %= len(message_bytes)
    check_gate(message_bytes[:start] + new + message_bytes[start + length :])


@given(st.integers(0, 3000), st.binary(min_size=1, max_size=3))
def test_no_insertion_of_foreign_bytes_into_the_body_passes(start: int, new: bytes) -> None:
    """Text cannot be added anywhere to a message that passes, but for blanks and base64 characters."""
    headers, body = split(encrypted_mail())
    start %= len(body)
    changed = bytes(headers) + body[:start] + b"#" + new + body[start:]
    within_part_headers = start < body.index(b"-----BEGIN")
    assert within_part_headers or judge(changed) != ACCEPT


@given(st.lists(st.integers(1, 400), max_size=20))
def test_pieces_of_random_size_make_no_difference(sizes: list[int]) -> None:
    headers, body = split(encrypted_mail())
    gate = EncryptionGate(headers, Direction.SUBMISSION, TO_ANOTHER)
    for size in sizes:
        gate.feed(body[:size])
        body = body[size:]
    gate.feed(body)
    assert gate.finish() == ACCEPT


@given(st.lists(st.tuples(st.sampled_from(["A", "b", "Subject", "X-1"]), st.text("xyz \t:;", max_size=9)), max_size=8))
def test_fields_written_are_the_fields_read(fields: list[tuple[str, str]]) -> None:
    block = "".join(f"{name}: {value}\r\n" for name, value in fields) + "\r\n"
    headers = HeaderBlock.parse(block.encode())
    for name in ("a", "b", "subject", "x-1"):
        values = [value.strip(" \t").encode() for known, value in fields if known.lower() == name]
        assert headers.all(name.encode()) == values
