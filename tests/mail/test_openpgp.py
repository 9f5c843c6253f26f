"""The packet walk, on octets."""

import pytest

from chatmail.mail.openpgp import MAX_PARTIAL_LENGTHS, MAX_SESSION_KEYS, OpenPgpError, PacketWalk
from tests.support.openpgp_samples import (
    ENCRYPTED,
    LITERAL,
    PKESK_V3,
    PKESK_V6,
    SKESK_V4,
    SKESK_V6,
    legacy_packet,
    noise,
    packet,
    partial_packet,
    seipd_v1,
    seipd_v2,
)


def walk(octets: bytes) -> None:
    steps = PacketWalk()
    steps.feed(octets)
    steps.finish()


@pytest.mark.parametrize(
    "octets",
    [
        ENCRYPTED,
        PKESK_V3 + PKESK_V3 + seipd_v1(),
        SKESK_V6 + seipd_v2(),
        SKESK_V4 + PKESK_V6 + PKESK_V3 + seipd_v2(),
        seipd_v2(),
        packet(18, b""),
        *(packet(1, noise(100), octets) + packet(18, noise(190), octets) for octets in (1, 5)),
        packet(1, noise(300), 2) + packet(18, noise(8383), 2),
        *(legacy_packet(1, noise(200), octets) + seipd_v1() for octets in (1, 2, 4)),
        PKESK_V6 + partial_packet(18, [noise(512)], b""),
        PKESK_V6 + partial_packet(18, [noise(8192), noise(1), noise(2), noise(16384)], noise(9000)),
    ],
)
def test_session_keys_and_then_encrypted_data_pass(octets: bytes) -> None:
    walk(octets)


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"Hello Bob",
        bytes(100),
        PKESK_V6,
        LITERAL,
        PKESK_V6 + LITERAL,
        PKESK_V6 + LITERAL + seipd_v2(),
        seipd_v2() + LITERAL,
        seipd_v2() + seipd_v2(),
        seipd_v2() + PKESK_V6,
        seipd_v2() + b"\0",
        PKESK_V3 + packet(9, noise(100)),
        PKESK_V3 + packet(20, noise(100)),
        packet(10, b"PGP") + ENCRYPTED,
        packet(21, noise(10)) + ENCRYPTED,
        ENCRYPTED + packet(21, noise(10)),
        packet(0, noise(10)) + ENCRYPTED,
        b"\x87" + noise(10) + seipd_v2(),
        b"\x8f" + noise(10) + seipd_v2(),
        legacy_packet(2, noise(10)) + seipd_v2(),
        partial_packet(1, [noise(512)], noise(3)) + seipd_v2(),
        partial_packet(3, [noise(512)], noise(3)) + seipd_v2(),
        partial_packet(18, [noise(256)], noise(3)),
        partial_packet(18, [noise(512)], noise(3)) + b"\0",
    ],
)
def test_anything_else_is_refused(octets: bytes) -> None:
    with pytest.raises(OpenPgpError):
        walk(octets)


@pytest.mark.parametrize(
    "octets",
    [
        packet(1, noise(5)) + legacy_packet(3, noise(4), 4) + packet(18, noise(200)),
        packet(18, noise(300), 5),
        partial_packet(18, [noise(512)], noise(200)),
    ],
)
def test_a_message_cut_short_anywhere_is_refused(octets: bytes) -> None:
    for length in range(len(octets)):
        with pytest.raises(OpenPgpError):
            walk(octets[:length])
    walk(octets)


def test_the_work_on_tiny_packets_is_limited() -> None:
    walk(packet(1, b"") * (MAX_SESSION_KEYS - 1) + seipd_v2())
    with pytest.raises(OpenPgpError):
        walk(packet(1, b"") * MAX_SESSION_KEYS + seipd_v2())


def test_the_work_on_tiny_partial_lengths_is_limited() -> None:
    tiny = b"\xe0x"
    walk(b"\xd2\xe9" + noise(512) + tiny * (MAX_PARTIAL_LENGTHS - 1) + b"\0")
    with pytest.raises(OpenPgpError):
        walk(b"\xd2\xe9" + noise(512) + tiny * MAX_PARTIAL_LENGTHS + b"\0")


def test_bodies_may_be_skipped_and_nothing_else() -> None:
    steps = PacketWalk()
    with pytest.raises(ValueError, match="body"):
        steps.skip(1)
    steps.feed(seipd_v2()[:3])
    assert steps.skippable == 604
    steps.skip(604)
    steps.finish()
