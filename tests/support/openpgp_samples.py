"""OpenPGP packets, armor and MIME containers built by hand, always the same bytes: real structure, hollow contents."""

import base64
from collections.abc import Iterable
from hashlib import shake_256

BOUNDARY = "sample-boundary"
SENDER = "alice1234@chat.example"
RECIPIENT = "bob567890@chat.example"


def noise(length: int, seed: str = "") -> bytes:
    """What ciphertext looks like, reproducibly."""
    return shake_256(b"noise" + seed.encode()).digest(length)


# --- packets, RFC 9580 §4.2 -------------------------------------------------------------------------------------


def new_length(length: int, octets: int = 0) -> bytes:
    """A definite new-format length in the fewest octets, or in as many as asked for (1, 2 or 5)."""
    octets = octets or (1 if length < 192 else 2 if length < 8384 else 5)
    if octets == 1:
        return bytes([length])
    if octets == 2:
        return bytes([(length - 192 >> 8) + 192, length - 192 & 0xFF])
    return b"\xff" + length.to_bytes(4, "big")


def packet(tag: int, body: bytes, octets: int = 0) -> bytes:
    """One packet with a new-format header."""
    return bytes([0xC0 | tag]) + new_length(len(body), octets) + body


def legacy_packet(tag: int, body: bytes, octets: int = 1) -> bytes:
    """One packet with a legacy header and a length of 1, 2 or 4 octets."""
    return bytes([0x80 | tag << 2 | {1: 0, 2: 1, 4: 2}[octets]]) + len(body).to_bytes(octets, "big") + body


def partial_packet(tag: int, pieces: Iterable[bytes], last: bytes) -> bytes:
    """One packet in partial lengths; each of `pieces` must be as long as a power of two."""
    chunks = b"".join(bytes([0xE0 | len(piece).bit_length() - 1]) + piece for piece in pieces)
    return bytes([0xC0 | tag]) + chunks + new_length(len(last)) + last


PKESK_V6 = packet(1, b"\x06\x00\x12" + noise(68, "pkesk6"))
PKESK_V3 = packet(1, b"\x03" + bytes(8) + b"\x12" + noise(84, "pkesk3"))
SKESK_V6 = packet(3, b"\x06" + noise(61, "skesk6"))
SKESK_V4 = packet(3, b"\x04\x09\x03\x08" + noise(9, "skesk4"))


def seipd_v2(length: int = 600) -> bytes:
    return packet(18, b"\x02\x07\x02\x07" + noise(length, "seipd2"))


def seipd_v1(length: int = 600) -> bytes:
    return packet(18, b"\x01" + noise(length, "seipd1"))


LITERAL = packet(11, b"b\x00\x00\x00\x00\x00This is not encrypted at all.")
ENCRYPTED = PKESK_V6 + PKESK_V6 + seipd_v2()
"""What today's clients send to one contact."""


# --- armor, RFC 9580 §6 -----------------------------------------------------------------------------------------


def crc24(octets: bytes) -> int:
    """RFC 9580 §6.1.1."""
    crc = 0xB704CE
    for octet in octets:
        crc ^= octet << 16
        for _ in range(8):
            crc = crc << 1 ^ (0x1864CFB if crc & 0x800000 else 0)
    return crc & 0xFFFFFF


def armor(octets: bytes, *, headers: str = "", checksum: bool = True, columns: int = 64) -> bytes:
    """ASCII armor; `headers` are whole lines with CRLF."""
    text = base64.b64encode(octets)
    lines = [text[start : start + columns] for start in range(0, len(text), columns)]
    if checksum:
        lines.append(b"=" + base64.b64encode(crc24(octets).to_bytes(3, "big")))
    head = f"-----BEGIN PGP MESSAGE-----\r\n{headers}\r\n".encode()
    return head + b"".join(line + b"\r\n" for line in lines) + b"-----END PGP MESSAGE-----\r\n"


# --- messages ---------------------------------------------------------------------------------------------------


def header(content_type: str, *, sender: str = f"<{SENDER}>", subject: str = "[...]", more: str = "") -> bytes:
    """A header block as clients write it; `more` are whole lines with CRLF."""
    return (
        f"From: {sender}\r\n"
        "Date: Sun, 22 Nov 2026 20:42:23 +0000\r\n"
        "Message-ID: <6f1e1c5a-0c55-4a43-9c1c-6a9c8d4b3f10@localhost>\r\n"
        "MIME-Version: 1.0\r\n"
        'To: "hidden-recipients": ;\r\n'
        f"Subject: {subject}\r\n"
        f"{more}"
        f"Content-Type: {content_type}\r\n"
        "\r\n"
    ).encode()


ENCRYPTED_TYPE = f'multipart/encrypted; protocol="application/pgp-encrypted";\r\n boundary="{BOUNDARY}"'
MIXED_TYPE = f'multipart/mixed; boundary="{BOUNDARY}"'


def part(content_type: str, content: bytes, encoding: str = "7bit") -> bytes:
    """One MIME part: header and content."""
    fields = f"Content-Type: {content_type}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    return fields.encode() + content


def multipart(*parts: bytes, preamble: bytes = b"\r\n", epilogue: bytes = b"") -> bytes:
    """A multipart body."""
    delimiter = f"--{BOUNDARY}".encode()
    inner = b"".join(delimiter + b"\r\n" + content + b"\r\n" for content in parts)
    return preamble + inner + delimiter + b"--\r\n" + epilogue


CONTROL_PART = part('application/pgp-encrypted; charset="utf-8"', b"Version: 1\r\n")


def payload_part(armored: bytes, encoding: str = "7bit") -> bytes:
    return part('application/octet-stream; charset="utf-8"', armored, encoding)


def encrypted_body(armored: bytes | None = None, *, preamble: bytes = b"\r\n", epilogue: bytes = b"") -> bytes:
    """The body of an encrypted message, as clients write it unless told otherwise."""
    armored = armor(ENCRYPTED) if armored is None else armored
    return multipart(CONTROL_PART, payload_part(armored), preamble=preamble, epilogue=epilogue)


def encrypted_mail(armored: bytes | None = None, **around: bytes) -> bytes:
    """A whole encrypted message."""
    return header(ENCRYPTED_TYPE) + encrypted_body(armored, **around)


def handshake_mail(step: str, *parts: bytes, more: str = "") -> bytes:
    """The first message of the legacy securejoin handshake; `parts` in place of the one that belongs there."""
    content = parts or (part('text/plain; charset="utf-8"', f"Secure-Join: {step}\r\n".encode()),)
    fields = f"Chat-Version: 1.0\r\nSecure-Join: {step}\r\nSecure-Join-Invitenumber: 3G2xG5Xc7rZ\r\n{more}"
    return header(MIXED_TYPE, subject=f"Message from {SENDER}", more=fields) + multipart(*content, preamble=b"")
