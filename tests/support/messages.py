"""Messages shaped as the client sends them, of any size, that pass the filter: structure real, contents random."""

import base64
import os
from uuid import uuid4

BOUNDARY = "7f4c1a-boundary"


def _new_packet(tag: int, body: bytes) -> bytes:
    """One OpenPGP packet with a new-format header and a five-octet length (RFC 9580 §4.2.1)."""
    return bytes([0xC0 | tag, 0xFF]) + len(body).to_bytes(4, "big") + body


def openpgp_message(payload_bytes: int) -> bytes:
    """PKESK v6 twice (recipient and sender), then one SEIPD v2 with `payload_bytes` of ciphertext."""
    pkesk = _new_packet(1, b"\x06\x00\x12" + os.urandom(68))
    seipd = _new_packet(18, b"\x02\x07\x02\x07" + os.urandom(32 + payload_bytes))
    return pkesk + pkesk + seipd


def encrypted_message(sender: str, *, size_bytes: int = 5000, message_id: str = "") -> bytes:
    """A whole message of about `size_bytes`, CRLF line ends, without any line that begins with a dot."""
    raw = openpgp_message(max(64, (size_bytes - 1100) * 48 // 66))
    encoded = base64.b64encode(raw)
    lines = b"\r\n".join(encoded[start : start + 64] for start in range(0, len(encoded), 64))
    head = (
        f"From: <{sender}>\r\n"
        "Date: Sun, 22 Nov 2026 20:42:23 +0000\r\n"
        f"Message-ID: <{message_id or uuid4()}@localhost>\r\n"
        "MIME-Version: 1.0\r\n"
        'To: "hidden-recipients": ;\r\n'
        "Subject: [...]\r\n"
        'Content-Type: multipart/encrypted; protocol="application/pgp-encrypted";\r\n'
        f' boundary="{BOUNDARY}"\r\n\r\n\r\n'
        f"--{BOUNDARY}\r\n"
        'Content-Type: application/pgp-encrypted; charset="utf-8"\r\n'
        "Content-Transfer-Encoding: 7bit\r\n\r\nVersion: 1\r\n\r\n"
        f"--{BOUNDARY}\r\n"
        'Content-Type: application/octet-stream; charset="utf-8"\r\n'
        "Content-Transfer-Encoding: 7bit\r\n\r\n-----BEGIN PGP MESSAGE-----\r\n\r\n"
    )
    return head.encode() + lines + f"\r\n-----END PGP MESSAGE-----\r\n\r\n--{BOUNDARY}--\r\n".encode()
