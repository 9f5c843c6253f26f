"""Whatever is wrong with the operator's certificate files is said in one sentence that names the file."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from chatmail.errors import OperatorError
from chatmail.net.certificate_files import CertificateFiles, server_context
from chatmail.net.self_signed import self_signed_certificate

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.fixture
def files(tmp_path: Path) -> CertificateFiles:
    return self_signed_certificate("chat.example.org", tmp_path / "tls", NOW)


def complaint(files: CertificateFiles) -> str:
    with pytest.raises(OperatorError) as caught:
        server_context(files)
    sentence = str(caught.value)
    assert sentence.endswith(".") and "\n" not in sentence
    return sentence


def test_a_file_that_is_not_there(files: CertificateFiles, tmp_path: Path) -> None:
    missing = tmp_path / "missing.pem"
    assert f"{missing} does not exist" in complaint(CertificateFiles(missing, files.key_file))


def test_a_folder_in_place_of_a_file(files: CertificateFiles, tmp_path: Path) -> None:
    assert "cannot be read" in complaint(CertificateFiles(tmp_path, files.key_file))


def test_a_file_that_may_not_be_read(files: CertificateFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)  # root, who may run the tests, can read everything
    assert "may not be read by this user; change its owner" in complaint(files)


def test_a_file_that_is_not_pem(files: CertificateFiles) -> None:
    files.cert_file.write_bytes(b"\x30\x82\x01\x01")
    assert f"{files.cert_file} is not PEM" in complaint(files)


def test_a_key_of_another_certificate(files: CertificateFiles, tmp_path: Path) -> None:
    other = self_signed_certificate("other.example.org", tmp_path / "other", NOW)
    assert "does not belong to the certificate" in complaint(CertificateFiles(files.cert_file, other.key_file))


def test_a_key_with_a_passphrase_is_not_asked_for_on_the_terminal(files: CertificateFiles) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    files.key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    assert "is protected by a passphrase" in complaint(files)


def test_a_torn_certificate(files: CertificateFiles) -> None:
    files.cert_file.write_bytes(files.cert_file.read_bytes()[:200])
    assert "cannot be used" in complaint(files)
