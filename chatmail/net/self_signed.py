"""The self-signed certificate: made once, kept in the data folder, used again at every start.

ECDSA P-256, because its handshakes are the cheapest; valid for a hundred years, because clients pin the key and nobody
renews. The key is kept even when the names change. RFC 5280.
"""

import ipaddress
import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from chatmail.config_values import is_ip_address
from chatmail.errors import OperatorError
from chatmail.net.certificate_files import CertificateFiles
from chatmail.storage.atomic import write_durably

VALIDITY: Final = timedelta(days=36500)
CLOCK_SKEW: Final = timedelta(days=1)
"""How far behind a client's clock may be."""
_MAX_COMMON_NAME: Final = 64
_PRIVATE_FILE: Final = 0o600
_PRIVATE_FOLDER: Final = 0o700


def self_signed_certificate(domain: str, folder: Path, now: datetime) -> CertificateFiles:
    """The certificate for `domain` and its `www.` and `mta-sts.`, or for an IP address, made if it is not there yet.

    `folder` is made with mode 700, the files have mode 600. Raises `OperatorError` if they cannot be read or written.
    """
    files = CertificateFiles(folder / "self-signed.pem", folder / "key.pem")
    try:
        folder.mkdir(mode=_PRIVATE_FOLDER, exist_ok=True)
        key = _load_or_make_key(files.key_file)
        if not _serves(files.cert_file, domain, key, now):
            pem = _make_certificate(domain, key, now).public_bytes(serialization.Encoding.PEM)
            write_durably(files.cert_file, pem)
    except OSError as error:
        place = error.filename or folder
        raise OperatorError(
            f"The certificate in {folder} cannot be read or written ({place}: {error.strerror}); check owner, mode and "
            "free space of the folder."
        ) from None
    return files


def _load_or_make_key(path: Path) -> ec.EllipticCurvePrivateKey:
    if path.exists():
        return _load_key(path)
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    write_durably(path, pem)
    return key


def _load_key(path: Path) -> ec.EllipticCurvePrivateKey:
    os.chmod(path, _PRIVATE_FILE)
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise OperatorError(
            f"The file {path} is not an ECDSA key; restore it from a backup, or remove it for a new one."
        )
    return key


def subject_alternative_names(domain: str) -> list[x509.GeneralName]:
    """The names a certificate of this server carries."""
    names = (domain,) if is_ip_address(domain) else (domain, f"www.{domain}", f"mta-sts.{domain}")
    return [general_name(name) for name in names]


def general_name(name: str) -> x509.GeneralName:
    """A domain or an IP address as a certificate names it."""
    return x509.IPAddress(ipaddress.ip_address(name)) if is_ip_address(name) else x509.DNSName(name)


def _serves(path: Path, domain: str, key: ec.EllipticCurvePrivateKey, now: datetime) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (FileNotFoundError, ValueError, x509.ExtensionNotFound):
        return False
    return (
        list(names) == subject_alternative_names(domain)
        and certificate.public_key() == key.public_key()
        and certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc
    )


def _make_certificate(domain: str, key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    common_name = domain if len(domain) <= _MAX_COMMON_NAME else "chatmail server"
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + VALIDITY)
        .add_extension(x509.SubjectAlternativeName(subject_alternative_names(domain)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
