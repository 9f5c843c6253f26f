"""The encryption gate on whole messages."""

import pytest

from chatmail.mail.envelope import ENCRYPTION_NEEDED, Envelope
from chatmail.mail.message import HeaderBlock
from chatmail.policy.encryption import (
    MAX_EPILOGUE_BYTES,
    MAX_HANDSHAKE_BYTES,
    MAX_PROLOGUE_BYTES,
    MAX_SETUP_MESSAGE_BYTES,
    Direction,
    EncryptionGate,
)
from chatmail.policy.verdict import ACCEPT, Reject
from tests.support.corpus import MESSAGES, TO_ANOTHER, TO_ONESELF, judge, split
from tests.support.openpgp_samples import (
    BOUNDARY,
    CONTROL_PART,
    ENCRYPTED,
    ENCRYPTED_TYPE,
    MIXED_TYPE,
    armor,
    encrypted_body,
    encrypted_mail,
    handshake_mail,
    header,
    multipart,
    packet,
    part,
    payload_part,
    seipd_v2,
)

REFUSED = Reject(ENCRYPTION_NEEDED)

PASS = {
    *("encrypted-no-session-key", "encrypted-partial-lengths", "encrypted-pkesk3-seipd1", "encrypted-pkesk6-seipd2"),
    *("encrypted-skesk4-legacy-header", "encrypted-skesk6-only", "encrypted-without-checksum"),
    *("encrypted-without-checksum-padded", "real-gnupg-hidden-recipient", "real-gnupg-public-key"),
    *("real-gnupg-symmetric", "real-pgpy", "securejoin-vc", "securejoin-vg"),
}
PASS_INBOUND = {"encrypted-armor-comment", "encrypted-armor-version", "mailer-daemon"}
PASS_TO_ONESELF = {"asm"}


@pytest.mark.parametrize("name", MESSAGES)
def test_the_corpus_passes_as_its_names_say(name: str) -> None:
    def expect(passes: bool) -> object:
        return ACCEPT if passes else REFUSED

    message_bytes = MESSAGES[name]
    assert judge(message_bytes) == expect(name in PASS)
    assert judge(message_bytes, envelope=TO_ONESELF) == expect(name in PASS | PASS_TO_ONESELF)
    assert judge(message_bytes, Direction.INBOUND) == expect(name in PASS | PASS_INBOUND)
    assert judge(message_bytes, Direction.INBOUND, TO_ONESELF) == expect(name in PASS | PASS_INBOUND)


@pytest.mark.parametrize("name", MESSAGES)
def test_pieces_of_any_size_get_the_verdict_of_the_whole(name: str) -> None:
    for direction in Direction:
        whole = judge(MESSAGES[name], direction, TO_ONESELF)
        for piece_bytes in (1, 7, 66, 1000):
            assert judge(MESSAGES[name], direction, TO_ONESELF, piece_bytes=piece_bytes) == whole


def test_every_name_in_the_tables_is_in_the_corpus() -> None:
    assert set(MESSAGES) >= PASS | PASS_INBOUND | PASS_TO_ONESELF


def test_a_refusal_is_known_as_early_as_it_can_be() -> None:
    headers, _ = split(MESSAGES["plain"])
    assert EncryptionGate(headers, Direction.SUBMISSION, TO_ANOTHER).is_rejected
    headers, body = split(MESSAGES["fake-encrypted-literal-packet"])
    gate = EncryptionGate(headers, Direction.SUBMISSION, TO_ANOTHER)
    assert not gate.is_rejected
    gate.feed(body)
    assert gate.is_rejected


def test_an_empty_header_block_is_refused() -> None:
    assert judge(b"\r\nHello") == REFUSED
    assert EncryptionGate(HeaderBlock.parse(b"\r\n"), Direction.INBOUND, TO_ANOTHER).finish() == REFUSED


@pytest.mark.parametrize("preamble", [b"", b"\r\n", b"\r\n\r\n", b" \t\r\n"])
@pytest.mark.parametrize("epilogue", [b"", b"\r\n", b"\r\n \r\n"])
def test_empty_lines_around_the_parts_are_let_through(preamble: bytes, epilogue: bytes) -> None:
    assert judge(encrypted_mail(preamble=preamble, epilogue=epilogue)) == ACCEPT


def test_a_message_of_half_a_megabyte_passes_in_pieces_as_they_come_from_the_network() -> None:
    message_bytes = encrypted_mail(armor(seipd_v2(400_000)))
    assert judge(message_bytes, piece_bytes=65536) == ACCEPT
    assert judge(message_bytes.replace(b"\r\n=", b"!\r\n="), piece_bytes=65536) == REFUSED


def encrypted_with(*, control: bytes = CONTROL_PART, payload: bytes | None = None, content_type: str = "") -> bytes:
    parts = multipart(control, payload_part(armor(ENCRYPTED)) if payload is None else payload)
    return header(content_type or ENCRYPTED_TYPE) + parts


@pytest.mark.parametrize("encoding", ["7bit", "8bit", "8BIT", "binary"])
def test_encodings_that_change_no_byte_are_let_through(encoding: str) -> None:
    assert judge(encrypted_with(payload=payload_part(armor(ENCRYPTED), encoding))) == ACCEPT


def test_parts_without_an_encoding_field_pass() -> None:
    control = b"Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1"
    payload = b"Content-Type: Application/Octet-Stream; name=x\r\n\r\n" + armor(ENCRYPTED)
    assert judge(encrypted_with(control=control, payload=payload)) == ACCEPT


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable", "x-own", ""])
def test_encodings_that_change_bytes_are_refused(encoding: str) -> None:
    assert judge(encrypted_with(payload=payload_part(armor(ENCRYPTED), encoding))) == REFUSED
    encoded = header(ENCRYPTED_TYPE, more=f"Content-Transfer-Encoding: {encoding}\r\n") + encrypted_body()
    assert judge(encoded) == REFUSED


@pytest.mark.parametrize(
    "content_type",
    [
        f"multipart/encrypted; boundary={BOUNDARY}",
        f'Multipart/ENCRYPTED; PROTOCOL="Application/PGP-Encrypted"; Boundary={BOUNDARY};',
    ],
)
def test_other_ways_to_write_the_type_of_the_container_pass(content_type: str) -> None:
    assert judge(encrypted_with(content_type=content_type)) == ACCEPT


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/encrypted",
        'multipart/encrypted; boundary=""',
        f'multipart/encrypted; boundary="{BOUNDARY} "',
        f"multipart/encrypted; boundary={'b' * 71}",
        f"multipart/encrypted; boundary={BOUNDARY}; boundary=other",
        f"multipart/encrypted; boundary*0={BOUNDARY}",
        f'multipart/encrypted; protocol="application/pkcs7-mime"; boundary={BOUNDARY}',
        f"multipart/encrypted (comment); boundary={BOUNDARY}",
        f"multipart/signed; boundary={BOUNDARY}",
    ],
)
def test_containers_of_another_or_a_malformed_type_are_refused(content_type: str) -> None:
    assert judge(encrypted_with(content_type=content_type)) == REFUSED


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (f"--{BOUNDARY}\r\n".encode(), f"--{BOUNDARY}x\r\n".encode()),
        (f"--{BOUNDARY}\r\n".encode(), f"--{BOUNDARY} text\r\n".encode()),
        (f"--{BOUNDARY}--".encode(), f"--{BOUNDARY}-- text".encode()),
        (f"--{BOUNDARY}--".encode(), f"--{BOUNDARY}".encode()),
        (f"\r\n\r\n--{BOUNDARY}--".encode(), f"--{BOUNDARY}--".encode()),
        (b"-----END PGP MESSAGE-----", b"-----END PGP MESSAGE----- text"),
        (b"-----BEGIN PGP MESSAGE-----", b"text -----BEGIN PGP MESSAGE-----"),
        (b"-----BEGIN PGP MESSAGE-----\r\n", b"-----BEGIN PGP MESSAGE-----\r\nX-Text: Hello\r\n"),
        (b"Version: 1\r\n", b"Version: 2\r\n"),
        (b"Version: 1\r\n", b""),
        (b"\r\nVersion: 1", b"Version: 1"),
    ],
)
def test_text_on_the_lines_of_the_structure_is_refused(old: bytes, new: bytes) -> None:
    headers, body = split(encrypted_mail())
    assert old in body
    for direction in Direction:
        assert judge(bytes(headers) + body.replace(old, new), direction) == REFUSED


def test_delimiter_lines_may_end_in_blanks() -> None:
    headers, body = split(encrypted_mail())
    padded = body.replace(f"--{BOUNDARY}\r\n".encode(), f"--{BOUNDARY} \t\r\n".encode())
    assert judge(bytes(headers) + padded) == ACCEPT


def test_what_surrounds_the_armor_is_limited() -> None:
    blank_lines = b"\r\n" * (MAX_PROLOGUE_BYTES // 2)
    assert judge(encrypted_mail(preamble=blank_lines)) == REFUSED
    assert judge(encrypted_mail(epilogue=b"\r\n" * (MAX_EPILOGUE_BYTES // 2))) == REFUSED
    long_field = part("application/octet-stream; name=" + "x" * MAX_PROLOGUE_BYTES, armor(ENCRYPTED))
    assert judge(encrypted_with(payload=long_field)) == REFUSED


def test_a_message_that_stops_anywhere_is_refused() -> None:
    headers, body = split(encrypted_mail(armor(packet(18, b"\x02"))))
    enough = body.rindex(b"--") + 2
    for length in range(enough):
        assert judge(bytes(headers) + body[:length]) == REFUSED


# --- securejoin -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [b"secure-join: vc-request", b"\r\nSecure-Join: vc-request\r\n\r\n"])
def test_a_handshake_passes_in_any_case_and_between_blank_lines(text: bytes) -> None:
    assert judge(handshake_mail("vc-request", part("text/plain", text))) == ACCEPT


@pytest.mark.parametrize(
    "message_bytes",
    [
        handshake_mail("vc-request", part("text/plain", b"Secure-Join: vg-request")),
        handshake_mail("vc-request", part("text/plain", b"U2VjdXJlLUpvaW46IHZjLXJlcXVlc3Q=", "base64")),
        handshake_mail("vc-request", more="Secure-Join: vc-request\r\n"),
        handshake_mail("VC-Request"),
        handshake_mail("vc-request") + b"text",
        handshake_mail("vc-request") + b"\r\n" * MAX_HANDSHAKE_BYTES,
        header("text/plain", more="Secure-Join: vc-request\r\n") + b"Secure-Join: vc-request\r\n",
        header(MIXED_TYPE, more="Secure-Join: vc-request\r\n") + b"Secure-Join: vc-request\r\n",
        header(MIXED_TYPE, more="Secure-Join: vc-request\r\n"),
    ],
)
def test_what_only_resembles_a_handshake_is_refused(message_bytes: bytes) -> None:
    for direction in Direction:
        assert judge(message_bytes, direction) == REFUSED


# --- Autocrypt Setup Message and bounces ------------------------------------------------------------------------


def test_a_setup_message_goes_to_nobody_else() -> None:
    assert TO_ONESELF.mail_from is not None
    to_both = Envelope(TO_ONESELF.mail_from, TO_ONESELF.rcpt_tos + TO_ANOTHER.rcpt_tos)
    assert judge(MESSAGES["asm"], envelope=TO_ONESELF) == ACCEPT
    assert judge(MESSAGES["asm"], envelope=to_both) == REFUSED
    assert judge(MESSAGES["asm"], envelope=Envelope(None, ())) == REFUSED


def test_a_setup_message_has_its_size() -> None:
    assert judge(MESSAGES["asm"] + b"x" * MAX_SETUP_MESSAGE_BYTES, envelope=TO_ONESELF) == REFUSED


def test_a_bounce_passes_with_any_automatic_submission_and_in_any_case() -> None:
    bounce = MESSAGES["mailer-daemon"]
    assert judge(bounce.replace(b"auto-replied", b"auto-generated"), Direction.INBOUND) == ACCEPT
    assert judge(bounce.replace(b"MAILER-DAEMON", b"Mailer-Daemon"), Direction.INBOUND) == ACCEPT
    assert judge(bounce.replace(b"auto-replied", b""), Direction.INBOUND) == REFUSED
    assert judge(bounce.replace(b"From: ", b"From: <x@y.example>\r\nFrom: "), Direction.INBOUND) == REFUSED
