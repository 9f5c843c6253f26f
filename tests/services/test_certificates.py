"""The certificate loop against a real authority: Pebble in strict mode, validating at real listeners."""

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from cryptography import x509

from chatmail.config import Config, parse_config
from chatmail.net.certificate_files import TlsContexts
from chatmail.net.challenges import ChallengeBoard
from chatmail.net.resolver import Resolver
from chatmail.net.self_signed import self_signed_certificate
from chatmail.services.certificates import CertificateFailureError, CertificateService
from chatmail.services.multiplexer import Multiplexer, Route
from tests.support.certificate_authority import Pebble
from tests.support.tools import require_root

AUTHORITY = "127.55.0.1"
RELAY = "127.55.0.2"
DOMAIN = "chat.example.org"


@pytest.fixture(scope="module")
def pebble(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pebble]:
    require_root()
    with Pebble(tmp_path_factory.mktemp("pebble"), AUTHORITY, RELAY) as running:
        running.set_address(f"www.{DOMAIN}", "127.55.0.9")
        yield running


def config_for(pebble: Pebble, data_dir: Path, tls: str = "", domain: str = DOMAIN) -> Config:
    return parse_config(
        f'mail_domain = "{domain}"\ndata_dir = "{data_dir}"\n[dns]\nresolvers = ["{AUTHORITY}:8053"]\n'
        f'[listen]\naddresses = ["{RELAY}"]\n'
        f'[tls]\nmode = "acme"\nacme_directory = "{pebble.directory}"\nacme_ca_file = "{pebble.ca_file}"\n{tls}\n'
    )


class Face:
    """What the authority sees of us: port 443 by ALPN, and port 80."""

    def __init__(self, config: Config, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.board = ChallengeBoard()
        (self._address,) = config.listen.addresses
        folder = Path(config.data_dir) / "tls"
        folder.parent.mkdir(exist_ok=True)
        self.contexts = TlsContexts(self_signed_certificate(config.mail_domain, folder, now()))
        resolver = Resolver(config.dns.resolvers)
        self.service = CertificateService(
            config, self.contexts, self.board, lambda: resolver, Random(1), look_seconds=0.05, now=now
        )
        self.https = True

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        stop = asyncio.Event()
        route = Route(lambda: self.contexts.http, asyncio.Protocol)
        multiplexer = Multiplexer({"http/1.1": route}, https_url=f"https://{DOMAIN}/", challenge=self.board.tls_context)
        listener = socket.create_server((self._address, 443 if self.https else 8443))
        plain = await asyncio.start_server(self._answer_plain, self._address, 80)
        running = asyncio.create_task(multiplexer.run([listener], stop))
        try:
            yield
        finally:
            stop.set()
            plain.close()
            await running

    async def _answer_plain(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
        answer = self.board.key_authorization(path.rpartition("/")[2]) or "no"
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(answer)}\r\nConnection: close\r\n\r\n{answer}".encode())
        writer.close()


def presented() -> x509.Certificate:
    """What a client gets on port 443."""
    context = ssl._create_unverified_context()
    with socket.create_connection((RELAY, 443)) as raw, context.wrap_socket(raw, server_hostname=DOMAIN) as tls:
        der = tls.getpeercert(binary_form=True)
    assert der is not None
    return x509.load_der_x509_certificate(der)


def names(certificate: x509.Certificate) -> set[str]:
    value = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {*value.get_values_for_type(x509.DNSName), *map(str, value.get_values_for_type(x509.IPAddress))}


@pytest.mark.parametrize("challenge", ["tls-alpn-01", "http-01", "auto"])
async def test_a_certificate_is_obtained_for_the_names_that_lead_here(
    pebble: Pebble, tmp_path: Path, challenge: str
) -> None:
    face = Face(config_for(pebble, tmp_path, f'acme_challenge = "{challenge}"'))
    steps: list[str] = []
    async with face.listening():
        before = await asyncio.to_thread(presented)
        await face.service.renew(on_step=lambda step: steps.append(step.name))
        after = await asyncio.to_thread(presented)
    assert steps == ["DIRECTORY", "ACCOUNT", "ORDER", "CHALLENGE", "FINALIZE"]
    # `www.` leads elsewhere, so it is left out and costs nothing.
    assert names(after) == {DOMAIN, f"mta-sts.{DOMAIN}"}
    assert "Pebble" in after.issuer.rfc4514_string()
    assert after.public_key() == before.public_key(), "clients remember the key"
    assert face.service.is_trusted
    for kept in ("acme.pem", "key.pem", "renewal.json", "acme-account.json"):
        assert (tmp_path / "tls" / kept).stat().st_mode & 0o777 == 0o600


async def test_auto_falls_back_to_http_where_tls_alpn_does_not_get_through(pebble: Pebble, tmp_path: Path) -> None:
    face = Face(config_for(pebble, tmp_path))
    face.https = False
    async with face.listening():
        await face.service.renew()
    assert face.service.status().names == (DOMAIN, f"mta-sts.{DOMAIN}")


async def test_an_ip_address_gets_a_certificate_by_either_challenge(pebble: Pebble, tmp_path: Path) -> None:
    for challenge in ("tls-alpn-01", "http-01"):
        face = Face(config_for(pebble, tmp_path / challenge, f'acme_challenge = "{challenge}"', RELAY))
        async with face.listening():
            await face.service.renew()
        assert face.service.status().names == (RELAY,)


async def test_the_account_is_made_once_and_found_again_after_a_restart(pebble: Pebble, tmp_path: Path) -> None:
    config = config_for(pebble, tmp_path)
    for _ in range(2):
        face = Face(config)
        async with face.listening():
            await face.service.renew()
        account = json.loads((tmp_path / "tls" / "acme-account.json").read_text())
        assert account["uri"].startswith(f"https://{AUTHORITY}:14000/my-account/")
    assert len({account["uri"]}) == 1


async def test_the_loop_obtains_at_the_first_start_and_renews_when_due(pebble: Pebble, tmp_path: Path) -> None:
    clock = [datetime.now(UTC)]
    face = Face(config_for(pebble, tmp_path), now=lambda: clock[0])
    stop = asyncio.Event()
    async with face.listening():
        loop = asyncio.create_task(face.service.run(stop))
        await until(lambda: face.service.is_trusted)
        first = await asyncio.to_thread(presented)
        due = face.service.status().renewal_due_at
        assert due is not None
        clock[0] = due + timedelta(seconds=1)
        while (second := await asyncio.to_thread(presented)) == first:
            await asyncio.sleep(0.05)
        stop.set()
        await loop
    assert second.serial_number != first.serial_number
    assert second.public_key() == first.public_key()


async def test_a_refused_name_says_which_why_and_what_to_do_and_the_old_certificate_stays(
    pebble: Pebble, tmp_path: Path
) -> None:
    face = Face(config_for(pebble, tmp_path))
    pebble.set_address("chat.example.org", "127.55.0.77")
    try:
        async with face.listening():
            before = await asyncio.to_thread(presented)
            with pytest.raises(
                CertificateFailureError, match=r"chat\.example\.org was not proved: .*; another server answers"
            ):
                await face.service.renew()
            assert (await asyncio.to_thread(presented)) == before
    finally:
        pebble.set_address("chat.example.org", RELAY)
    status = face.service.status()
    assert (status.failures, status.trusted) == (1, False)
    assert status.next_attempt_at is not None
    again = Face(config_for(pebble, tmp_path))
    assert again.service.status().last_error == status.last_error, "remembered over a restart"


async def test_an_authority_that_is_down_is_named_and_waited_for(tmp_path: Path, pebble: Pebble) -> None:
    config = config_for(pebble, tmp_path)
    down = parse_config(
        f'mail_domain = "{DOMAIN}"\ndata_dir = "{tmp_path}"\n[dns]\nresolvers = ["{AUTHORITY}:8053"]\n'
        f'[listen]\naddresses = ["{RELAY}"]\n'
        '[tls]\nmode = "acme"\nacme_directory = "https://127.55.0.3:14000/dir"\n'
    )
    face = Face(down)
    with pytest.raises(CertificateFailureError, match=r"https://127\.55\.0\.3:14000/dir could not be reached"):
        await face.service.renew()
    assert face.service.status().last_error
    assert config.tls.acme_directory != down.tls.acme_directory


async def test_external_account_binding_is_sent_where_it_is_required(tmp_path: Path) -> None:
    require_root()
    key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
    folder = tmp_path / "ca"
    folder.mkdir()
    with Pebble(folder, "127.55.0.5", RELAY, external_account={"kid-1": key}) as strict:
        binding = f'acme_eab_kid = "kid-1"\nacme_eab_hmac_key = "{key}"'
        for tls, fits in ((binding, True), ("", False)):
            face = Face(config_for(strict, tmp_path / str(fits), tls))
            async with face.listening():
                if fits:
                    await face.service.renew()
                    assert face.service.is_trusted
                else:
                    with pytest.raises(CertificateFailureError, match="externalAccountRequired"):
                        await face.service.renew()


async def test_nonces_the_authority_refuses_do_not_matter(tmp_path: Path) -> None:
    require_root()
    folder = tmp_path / "ca"
    folder.mkdir()
    environment = {"PEBBLE_WFE_NONCEREJECT": "30", "PEBBLE_VA_NOSLEEP": "1"}
    with Pebble(folder, "127.55.0.6", RELAY, environment=environment) as nervous:
        face = Face(config_for(nervous, tmp_path / "data"))
        async with face.listening():
            for _ in range(5):
                try:
                    await face.service.renew()
                    break
                except CertificateFailureError as error:
                    assert "badNonce" in str(error)
        assert face.service.is_trusted


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)
