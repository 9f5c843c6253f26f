"""The self-signed certificate is made once, fits its names, and clients that pin it never see it change."""

import asyncio
import ipaddress
import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from chatmail.errors import OperatorError
from chatmail.net.certificate_files import CertificateFiles, expires_at, server_context
from chatmail.net.self_signed import VALIDITY, self_signed_certificate

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def make(folder: Path, domain: str = "_chat.test", now: datetime = NOW) -> CertificateFiles:
    return self_signed_certificate(domain, folder / "tls", now)


def read(files: CertificateFiles) -> x509.Certificate:
    return x509.load_pem_x509_certificate(files.cert_file.read_bytes())


def names_of(files: CertificateFiles) -> x509.SubjectAlternativeName:
    return read(files).extensions.get_extension_for_class(x509.SubjectAlternativeName).value


def test_it_is_p256_for_a_hundred_years_and_carries_all_three_names(tmp_path: Path) -> None:
    files = make(tmp_path)
    key = read(files).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)
    assert expires_at(files.cert_file) == NOW + VALIDITY
    assert names_of(files).get_values_for_type(x509.DNSName) == ["_chat.test", "www._chat.test", "mta-sts._chat.test"]


@pytest.mark.parametrize("address", ["127.0.0.1", "fd00::1"])
def test_an_ip_address_becomes_an_ip_name(tmp_path: Path, address: str) -> None:
    assert names_of(make(tmp_path, address)).get_values_for_type(x509.IPAddress) == [ipaddress.ip_address(address)]


def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    files = make(tmp_path)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (files.key_file, files.cert_file, files.key_file.parent)]
    assert modes == [0o600, 0o600, 0o700]
    files.key_file.chmod(0o644)
    make(tmp_path)
    assert stat.S_IMODE(files.key_file.stat().st_mode) == 0o600


def test_it_is_used_again_at_the_next_start(tmp_path: Path) -> None:
    before = make(tmp_path).cert_file.read_bytes()
    assert make(tmp_path, now=NOW + timedelta(days=9999)).cert_file.read_bytes() == before


def test_another_domain_gets_another_certificate_with_the_same_key(tmp_path: Path) -> None:
    before = read(make(tmp_path))
    after = read(make(tmp_path, "_other.test"))
    assert after.public_key() == before.public_key() and after.serial_number != before.serial_number


def test_a_torn_certificate_is_made_anew_and_a_torn_key_is_refused(tmp_path: Path) -> None:
    files = make(tmp_path)
    files.cert_file.write_bytes(files.cert_file.read_bytes()[:100])
    make(tmp_path)
    server_context(files)
    files.key_file.write_bytes(b"-----BEGIN NOTHING-----\n")
    with pytest.raises(OperatorError, match=r"is not an ECDSA key; restore it from a backup"):
        make(tmp_path)


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "tls").write_text("a file where the folder should be")
    with pytest.raises(OperatorError, match=r"cannot be read or written"):
        make(tmp_path)


def test_a_domain_longer_than_a_common_name_works(tmp_path: Path) -> None:
    domain = "a" * 60 + ".example.org"
    assert domain in names_of(make(tmp_path, domain)).get_values_for_type(x509.DNSName)


async def test_a_client_that_knows_the_certificate_connects_by_name_and_gets_a_ticket(tmp_path: Path) -> None:
    files = make(tmp_path)

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=server_context(files, ["imap"]))
    client_context = ssl.create_default_context(cafile=files.cert_file)
    client_context.set_alpn_protocols(["imap"])
    async with server:
        reader, writer = await asyncio.open_connection(
            *server.sockets[0].getsockname(), ssl=client_context, server_hostname="_chat.test"
        )
        assert await reader.read() == b"hello"
        connection = writer.get_extra_info("ssl_object")
        assert (connection.version(), connection.selected_alpn_protocol()) == ("TLSv1.3", "imap")
        assert connection.session.has_ticket
        writer.close()
        await writer.wait_closed()


def test_an_old_tls_version_is_not_offered(tmp_path: Path) -> None:
    assert server_context(make(tmp_path)).minimum_version == ssl.TLSVersion.TLSv1_2
