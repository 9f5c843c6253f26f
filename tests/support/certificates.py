"""Certificates of a CA made for the test."""

import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme

from chatmail.net.certificate_files import CertificateFiles


@dataclass(frozen=True, slots=True)
class TestAuthority:
    """A CA, and the files of one certificate of it."""

    __test__ = False

    ca: trustme.CA
    files: CertificateFiles

    def trusting_context(self, *alpn: str) -> ssl.SSLContext:
        """A client context that trusts this CA and offers `alpn`."""
        context = ssl.create_default_context()
        self.ca.configure_trust(context)
        if alpn:
            context.set_alpn_protocols(list(alpn))
        return context


def issue(folder: Path, *names: str) -> TestAuthority:
    """A new CA and a certificate for `names`, written to `folder`."""
    ca = trustme.CA()
    certificate = ca.issue_cert(*names)
    files = CertificateFiles(folder / "cert.pem", folder / "key.pem")
    for path, blobs in (
        (files.cert_file, certificate.cert_chain_pems),
        (files.key_file, [certificate.private_key_pem]),
    ):
        path.write_bytes(b"".join(blob.bytes() for blob in blobs))
    return TestAuthority(ca, files)
