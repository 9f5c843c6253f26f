"""Certificate and key as PEM files, and the TLS contexts made of them.

Only here are `ssl.SSLContext`s for listeners made, and given new certificates: TLS 1.2 at least, session tickets on.
RFC 8446, RFC 5246, RFC 7301.
What is wrong with the files is said in one sentence (`OperatorError`).
"""

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from chatmail.errors import OperatorError


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """Paths of a certificate chain (the server's own first) and of its key, both PEM."""

    cert_file: Path
    key_file: Path


def server_context(files: CertificateFiles, alpn: Sequence[str] = ()) -> ssl.SSLContext:
    """A context for listeners that present `files` and choose among the `alpn` protocols, if any are named.

    Raises `OperatorError` if the files cannot be read, are not PEM, or do not belong together.
    """
    for path in (files.cert_file, files.key_file):
        _check_readable(path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # A client picks a suite its hardware is good at; renegotiation is an old way to cost a server its CPU.
    context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    try:
        context.load_cert_chain(files.cert_file, files.key_file, password=_no_passphrase)
    except ssl.SSLError as error:
        raise OperatorError(_chain_problem(files, error)) from None
    if alpn:
        context.set_alpn_protocols(alpn)
    return context


def _no_passphrase() -> str:
    """Answers OpenSSL, which would otherwise ask on the terminal."""
    return ""


def _check_readable(path: Path) -> None:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise OperatorError(f"The file {path} does not exist; check cert_file and key_file in [tls].") from None
    except PermissionError:
        raise OperatorError(f"The file {path} may not be read by this user; change its owner or its mode.") from None
    except OSError as error:
        raise OperatorError(
            f"The file {path} cannot be read ({error.strerror}); check cert_file and key_file."
        ) from None
    if b"-----BEGIN " not in content:
        raise OperatorError(f"The file {path} is not PEM; it must hold a line that begins with -----BEGIN.")


def _chain_problem(files: CertificateFiles, error: ssl.SSLError) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"The key {files.key_file} does not belong to the certificate {files.cert_file}; name the matching pair."
    if b"ENCRYPTED" in files.key_file.read_bytes():
        return f"The key {files.key_file} is protected by a passphrase; store it without one."
    reason = (error.reason or "unknown reason").lower().replace("_", " ")
    return f"The pair {files.cert_file} and {files.key_file} cannot be used ({reason}); check that both are whole."


def expires_at(cert_file: Path) -> datetime:
    """When the certificate at the head of the file stops being valid (aware UTC)."""
    from cryptography import x509

    return x509.load_pem_x509_certificate(cert_file.read_bytes()).not_valid_after_utc.astimezone(UTC)


class TlsContexts:
    """The contexts of the listeners. On port 443 each protocol has its own, which offers that protocol alone."""

    def __init__(self, files: CertificateFiles) -> None:
        """Raises `OperatorError` if `files` cannot be used."""
        self.files = files
        self.mail = server_context(files)
        self.http = server_context(files, ["http/1.1"])
        self.imap = server_context(files, ["imap"])
        self.smtp = server_context(files, ["smtp"])

    def reload(self, files: CertificateFiles) -> None:
        """Present `files` at every handshake from now on; connections go on as they are.

        Raises `OperatorError` if they cannot be used, and goes on with those it has.
        """
        server_context(files)
        for context in (self.mail, self.http, self.imap, self.smtp):
            context.load_cert_chain(files.cert_file, files.key_file, password=_no_passphrase)
        self.files = files
