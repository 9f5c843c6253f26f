"""Messages signed by an independent implementation (dkimpy), keys as zones publish them, and a resolver in memory."""

import subprocess
from base64 import b64encode
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import dkim  # type: ignore[import-untyped]
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from chatmail.net.dns_answers import DnsFailureError
from tests.support.tools import require_tool

SELECTOR = "sel"
FOREIGN = "other.example"


@cache
def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


def pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())


def record(key: rsa.RSAPrivateKey | None = None) -> bytes:
    """The TXT record of a key."""
    der = (key or rsa_key()).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return b"v=DKIM1; k=rsa; p=" + b64encode(der)


@cache
def short_key() -> rsa.RSAPrivateKey:
    """512 bits: openssl makes what our library refuses to make."""
    command = [require_tool("openssl"), "genrsa", "-traditional", "512"]
    made = subprocess.run(command, check=True, capture_output=True)
    key = load_pem_private_key(made.stdout, None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


def sign(
    message: bytes,
    domain: str = FOREIGN,
    *,
    key: rsa.RSAPrivateKey | None = None,
    canonical: str = "relaxed/relaxed",
    **options: Any,  # noqa: ANN401 — dkimpy's own
) -> bytes:
    """The message with a signature on top."""
    header, body = (form.encode() for form in canonical.split("/"))
    signature: bytes = dkim.sign(
        message, SELECTOR.encode(), domain.encode(), pem(key or rsa_key()), canonicalize=(header, body), **options
    )
    return signature + message


@dataclass
class Zone:
    """Answers as a resolver does: TXT records by name; `fails` are names whose servers do not answer."""

    texts_by_name: dict[str, tuple[bytes, ...]] = field(default_factory=dict)
    fails: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)

    async def texts(self, name: str, *, fresh: bool = False) -> tuple[bytes, ...]:
        self.asked.append(name)
        if name in self.fails:
            raise DnsFailureError("no answer")
        return self.texts_by_name.get(name, ())

    def publish(self, *records: bytes, domain: str = FOREIGN, selector: str = SELECTOR) -> None:
        self.texts_by_name[f"{selector}._domainkey.{domain}"] = records


# RFC 8463 appendix A: one message, signed with both algorithms.
RFC_DOMAIN = "football.example.com"
RFC_RECORDS = {
    "brisbane": b"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
    "test": b"v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQ"
    b"iY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT"
    b"+l/K4w3QIDAQAB",
}
RFC_MESSAGE = b"""DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :
 subject : date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus
 Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=test; t=1528637909; h=from : to : subject :
 date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3
 DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz
 dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=
From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game.  Are you hungry yet?

Joe.
""".replace(b"\n", b"\r\n")
