"""Armor as a stream."""

import base64
import tracemalloc

import pytest

from chatmail.mail.armor import MAX_HEAD_BYTES, MAX_TAIL_BYTES, ArmoredMessage
from chatmail.mail.openpgp import OpenPgpError
from tests.support.openpgp_samples import ENCRYPTED, PKESK_V6, armor, noise, packet, partial_packet, seipd_v2


def read(armored: bytes, *, headers_allowed: bool = False, piece_bytes: int = 1 << 16) -> bytes:
    """What follows the armor."""
    message = ArmoredMessage(headers_allowed=headers_allowed)
    pieces = (armored[start : start + piece_bytes] for start in range(0, len(armored), piece_bytes))
    rest = b"".join(message.feed(piece) for piece in pieces)
    message.finish()
    return rest


@pytest.mark.parametrize("padding", [0, 1, 2])
@pytest.mark.parametrize("checksum", [True, False])
@pytest.mark.parametrize("columns", [64, 76, 4096])
@pytest.mark.parametrize("piece_bytes", [1, 13, 1 << 16])
def test_armor_passes_with_and_without_padding_and_checksum(
    padding: int, checksum: bool, columns: int, piece_bytes: int
) -> None:
    octets = next(octets for octets in map(seipd_v2, range(600, 603)) if -len(octets) % 3 == padding)
    armored = armor(octets, checksum=checksum, columns=columns)
    assert armored.count(b"=\r\n") == (padding > 0)
    assert read(armored + b"rest", piece_bytes=piece_bytes) == b"\r\nrest"


def test_blank_lines_are_let_through_around_the_lines_of_the_armor() -> None:
    armored = armor(ENCRYPTED)
    assert read(b" \r\n\r\n" + armored) == b"\r\n"
    assert read(armored.replace(b"\r\n=", b"\r\n\r\n=").replace(b"\r\n-----END", b"\r\n\r\n-----END")) == b"\r\n"


@pytest.mark.parametrize("name", ["Version", "Comment", "Charset", "Hash", "MessageID"])
def test_known_armor_headers_pass_where_they_are_allowed(name: str) -> None:
    armored = armor(ENCRYPTED, headers=f"{name}: x\r\n")
    read(armored, headers_allowed=True)
    with pytest.raises(OpenPgpError):
        read(armored)


@pytest.mark.parametrize(
    "headers",
    ["X-Text: Hello\r\n", "Comment:\r\n", "Comment: " + "x" * 201 + "\r\n", "Comment: x\r\n" * 9, "Hello\r\n"],
)
def test_other_armor_headers_never_pass(headers: str) -> None:
    with pytest.raises(OpenPgpError):
        read(armor(ENCRYPTED, headers=headers), headers_allowed=True)


ARMORED = armor(seipd_v2(601), checksum=False)
"""Of a length that needs one padding character."""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"BEGIN PGP MESSAGE", b"BEGIN PGP SIGNATURE"),
        (b"BEGIN PGP MESSAGE-----\r\n\r\n", b"BEGIN PGP MESSAGE-----\r\n"),
        (b"BEGIN PGP MESSAGE-----", b"BEGIN PGP MESSAGE----- "),
        (b"-----BEGIN", b"text\r\n-----BEGIN"),
        (b"END PGP MESSAGE", b"END PGP SIGNATURE"),
        (b"=\r\n", b"\r\n"),
        (b"=\r\n", b"==\r\n"),
        (b"=\r\n", b"=\r\nAAAA\r\n"),
        (b"=\r\n", b"=\r\n=AAA\r\n"),
        (b"=\r\n", b"=\r\n=AAAAA\r\n"),
        (b"=\r\n", b"=\r\n=AAAA\r\n=AAAA\r\n"),
        (b"=\r\n", b"==AAAA\r\n"),
        (b"=\r\n", b"="),
        (b"=\r\n", b"=\r\ntext\r\n"),
        (b"=\r\n", b"= \r\n"),
        (b"\r\n\r\n", b"\r\n\r\n "),
        (b"\r\n\r\n", b"\r\n\r\n=\r\n"),
        (b"\r\n\r\n", b"\r\n\r\nA"),
        (b"\r\n\r\n", b"\r\n\r\n\0"),
        (b"\r\n\r\n", b"\r\n\r\n\xc3\xa4"),
        (b"\r\n\r\n", b"\r\n\r\nHello, you\r\n"),
    ],
)
@pytest.mark.parametrize("piece_bytes", [1, 1 << 16])
def test_malformed_armor_is_refused(old: bytes, new: bytes, piece_bytes: int) -> None:
    assert ARMORED.count(old) == 1
    with pytest.raises(OpenPgpError):
        read(ARMORED.replace(old, new), piece_bytes=piece_bytes)


def test_every_byte_outside_of_the_alphabet_is_refused_wherever_it_stands() -> None:
    armored = armor(seipd_v2(30_000), checksum=False)
    alphabet = set(base64.b64encode(bytes(range(256)) * 3)) | set(b"\r\n+/0123456789")
    middle = len(armored) // 2
    for foreign in set(range(256)) - alphabet:
        with pytest.raises(OpenPgpError):
            read(armored[:middle] + bytes([foreign]) + armored[middle + 1 :])


def test_a_checksum_is_not_verified() -> None:
    read(armor(ENCRYPTED, checksum=False).replace(b"-----END", b"=AAAA\r\n-----END"))


def test_armor_that_holds_nothing_is_refused() -> None:
    with pytest.raises(OpenPgpError):
        read(armor(b"", checksum=False))


def test_head_and_tail_are_limited_alike_for_all_pieces() -> None:
    spaces = b"\r\n" * (MAX_HEAD_BYTES // 2)
    blank = b"\r\n" * (MAX_TAIL_BYTES // 2)
    for piece_bytes in (1, 100, 1 << 16):
        with pytest.raises(OpenPgpError):
            read(spaces + ARMORED, piece_bytes=piece_bytes)
        with pytest.raises(OpenPgpError):
            read(ARMORED.replace(b"=\r\n", b"=\r\n" + blank), piece_bytes=piece_bytes)


@pytest.mark.parametrize("piece_bytes", [1, 66, 4096])
def test_packet_headers_are_found_wherever_they_stand(piece_bytes: int) -> None:
    for length in range(0, 200, 7):
        octets = packet(1, noise(length)) + PKESK_V6 + partial_packet(18, [noise(1024), noise(512)], noise(length))
        read(armor(octets, checksum=False), piece_bytes=piece_bytes)
        with pytest.raises(OpenPgpError):
            read(armor(octets + b"\0", checksum=False), piece_bytes=piece_bytes)
        with pytest.raises(OpenPgpError):
            read(armor(octets[:-1], checksum=False), piece_bytes=piece_bytes)


def test_memory_does_not_grow_with_the_message() -> None:
    line = base64.b64encode(noise(48)) + b"\r\n"
    piece = line * 1000
    message = ArmoredMessage(headers_allowed=False)
    message.feed(b"-----BEGIN PGP MESSAGE-----\r\n\r\n")
    message.feed(base64.b64encode(b"\xd2\xff" + (1 << 24).to_bytes(4, "big")))
    tracemalloc.start()
    for _ in range(50):
        message.feed(piece)
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 10_000 and peak < 3 * len(piece)
