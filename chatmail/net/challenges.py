"""What we show a certificate authority that checks whether a name is ours.

`ChallengeBoard` is filled by the ACME client in its thread and read by the listeners in theirs. HTTP-01: RFC 8555 §8.3;
TLS-ALPN-01: RFC 8737; for IP addresses: RFC 8738.
"""

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from chatmail.config_values import is_ip_address
from chatmail.net.self_signed import general_name

ALPN_PROTOCOL: Final = "acme-tls/1"
_ACME_IDENTIFIER: Final = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31")
_VALIDITY: Final = timedelta(days=1)


def server_name_of(identifier: str) -> str:
    """The server name a certificate authority asks for when it checks `identifier` (RFC 8738 §6 for addresses)."""
    return ipaddress.ip_address(identifier).reverse_pointer if is_ip_address(identifier) else identifier.lower()


class ChallengeBoard:
    """The challenges under way. Single operations on dictionaries, so that two threads may use it without a lock."""

    def __init__(self) -> None:
        """Empty."""
        self._http: dict[str, str] = {}
        self._contexts: dict[str, ssl.SSLContext] = {}

    def key_authorization(self, token: str) -> str | None:
        """The answer to an HTTP-01 request for `token`, if it is ours."""
        return self._http.get(token)

    def tls_context(self, server_name: str) -> ssl.SSLContext | None:
        """The context for a TLS-ALPN-01 handshake that asks for `server_name`, if that name is being checked."""
        return self._contexts.get(server_name.lower())

    def show_http(self, token: str, key_authorization: str) -> None:
        """Answer HTTP-01 for `token`."""
        self._http[token] = key_authorization

    def show_tls(self, identifier: str, key_authorization: str) -> None:
        """Answer TLS-ALPN-01 for `identifier` (a name or an IP address)."""
        self._contexts[server_name_of(identifier)] = challenge_context(identifier, key_authorization)

    def clear(self) -> None:
        """Answer nothing any more."""
        self._http.clear()
        self._contexts.clear()


def challenge_context(identifier: str, key_authorization: str) -> ssl.SSLContext:
    """A context whose certificate proves control of `identifier` and is good for nothing else (RFC 8737 §3)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ACME challenge")])
    now = datetime.now(UTC)
    # An OCTET STRING of 32 bytes inside the extension's own: tag 4, length 32.
    proof = b"\x04\x20" + sha256(key_authorization.encode()).digest()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _VALIDITY)
        .not_valid_after(now + _VALIDITY)
        .add_extension(x509.SubjectAlternativeName([general_name(identifier)]), critical=False)
        .add_extension(x509.UnrecognizedExtension(_ACME_IDENTIFIER, proof), critical=True)
        .sign(key, hashes.SHA256())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols([ALPN_PROTOCOL])
    # The ssl module takes certificates from files alone.
    with TemporaryDirectory() as folder:
        pem = Path(folder, "challenge.pem")
        pem.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context.load_cert_chain(pem)
    return context
