"""Authorities with moods, wrong clocks, full disks and broken files: what is said, what is kept, when it goes on."""

import asyncio
import contextlib
import json
import os
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from random import Random

import pytest
import pytest_asyncio
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from chatmail.config import Config, parse_config
from chatmail.net.certificate_files import TlsContexts
from chatmail.net.challenges import ChallengeBoard
from chatmail.net.resolver import Resolver
from chatmail.services.certificates import CertificateFailureError, CertificateService
from chatmail.supervisor import certificate_files
from tests.services.test_certificates import Face
from tests.support.certificate_authority import Pebble
from tests.support.certificates import issue
from tests.support.moody_authority import MoodyAuthority, problem
from tests.support.tools import require_root

AUTHORITY = "127.56.0.1"
RELAY = "127.56.0.2"
DOMAIN = "chat.example.org"
NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def pebble(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pebble]:
    require_root()
    with Pebble(tmp_path_factory.mktemp("pebble"), AUTHORITY, RELAY) as running:
        yield running


@pytest_asyncio.fixture
async def moody(pebble: Pebble) -> AsyncIterator[MoodyAuthority]:
    async with MoodyAuthority(pebble).running() as running:
        yield running


def config_for(moody: MoodyAuthority, data_dir: Path, domain: str = DOMAIN) -> Config:
    return parse_config(
        f'mail_domain = "{domain}"\ndata_dir = "{data_dir}"\n[dns]\nresolvers = ["{AUTHORITY}:8053"]\n'
        f'[listen]\naddresses = ["{RELAY}"]\n[tls]\n'
        f'mode = "acme"\nacme_directory = "{moody.directory}"\nacme_ca_file = "{moody.pebble.ca_file}"\n'
        'acme_challenge = "http-01"\n'
    )


async def refused(face: Face) -> str:
    with pytest.raises(CertificateFailureError) as caught:
        await face.service.renew()
    return str(caught.value)


async def test_an_authority_that_answers_5xx_is_said_to_be_out_of_order_and_the_next_attempt_succeeds(
    moody: MoodyAuthority, tmp_path: Path
) -> None:
    face = Face(config_for(moody, tmp_path))
    async with face.listening():
        for broken in ("/dir", "/sign-me-up", "/order-plz", "/finalize-order"):
            moody.mood = lambda path, _payload, at=broken: (
                web.Response(status=503, text="<h1>oops</h1>") if path.startswith(at) else None
            )
            assert await refused(face) == "The certificate authority is out of order (HTTP 503)."
        assert face.service.status().failures == 4
        moody.mood = None
        await face.service.renew()
    assert (face.service.status().failures, face.service.status().last_error) == (0, "")


@pytest.mark.parametrize("as_date", [False, True], ids=["seconds", "date"])
async def test_a_rate_limit_is_told_and_kept_even_when_a_person_asks(
    moody: MoodyAuthority, tmp_path: Path, as_date: bool
) -> None:
    clock = [datetime.now(UTC)]
    until = clock[0] + timedelta(days=2)
    moody.mood = lambda path, _payload: (
        problem(
            429,
            "rateLimited",
            "too many certificates already issued",
            Retry_After=format_datetime(until, usegmt=True) if as_date else "172800",
        )
        if path == "/order-plz"
        else None
    )
    face = Face(config_for(moody, tmp_path), now=lambda: clock[0])
    async with face.listening():
        assert "too many certificates already issued (rateLimited)" in await refused(face)
        status = face.service.status()
        assert status.next_attempt_at is not None
        assert abs(status.next_attempt_at - until) < timedelta(seconds=60)
        asked = len(moody.seen)
        assert "wants to be left alone until" in await refused(face)
        restarted = Face(config_for(moody, tmp_path), now=lambda: clock[0])
        assert "wants to be left alone until" in await refused(restarted)
        assert len(moody.seen) == asked, "nothing was asked meanwhile"
        assert face.service.status().last_error == status.last_error
        moody.mood = None
        clock[0] = until + timedelta(minutes=1)
        # The clock is not that of the authority any more; what counts is that it is asked again.
        await face.service.renew()
        assert len(moody.seen) > asked


async def test_an_order_that_turns_invalid_is_one_sentence(moody: MoodyAuthority, tmp_path: Path) -> None:
    def spoil(path: str, body: dict[str, object]) -> None:
        if path.startswith("/my-order/"):
            error = {"type": "urn:ietf:params:acme:error:serverInternal", "detail": "signing went wrong", "status": 500}
            body.update(status="invalid", error=error)

    moody.rewrite = spoil
    face = Face(config_for(moody, tmp_path))
    async with face.listening():
        said = await refused(face)
    assert said == "The certificate authority did not issue it: signing went wrong (serverInternal)."


async def test_an_answer_that_is_not_acme_is_one_sentence(moody: MoodyAuthority, tmp_path: Path) -> None:
    moody.mood = lambda _path, _payload: web.json_response({"hello": "world"})
    assert "not ACME" in await refused(Face(config_for(moody, tmp_path)))


async def test_renewal_follows_the_advice_of_the_authority(moody: MoodyAuthority, tmp_path: Path) -> None:
    start = datetime.now(UTC) - timedelta(hours=2)
    window = {"start": start.isoformat(), "end": (start + timedelta(minutes=1)).isoformat()}
    moody.directory_extra = {"renewalInfo": f"{moody.directory.removesuffix('/dir')}/renewal-info"}
    advised: list[str] = []

    def advise(path: str, _payload: dict[str, object]) -> web.Response | None:
        if not path.startswith("/renewal-info/"):
            return None
        advised.append(path)
        # Only the first certificate is to be replaced early.
        suggested = window if len(set(advised)) == 1 else {k: v.replace("20", "21", 1) for k, v in window.items()}
        return web.json_response({"suggestedWindow": suggested}, headers={"Retry-After": "21600"})

    moody.mood = advise
    face = Face(config_for(moody, tmp_path))
    stop = asyncio.Event()
    async with face.listening():
        await face.service.renew()
        first = (tmp_path / "tls" / "acme.pem").read_bytes()
        loop = asyncio.create_task(face.service.run(stop))
        async with asyncio.timeout(30):
            while len(set(advised)) < 2:
                await asyncio.sleep(0.02)
        stop.set()
        await loop
    assert (tmp_path / "tls" / "acme.pem").read_bytes() != first
    assert len(advised) == 2, "asked once for each certificate, not at every look"
    due, end = face.service.status().renewal_due_at, face.service.status().not_after
    assert due == end, "advice beyond the end counts as the end"


async def test_an_ip_address_is_ordered_in_the_short_lived_profile(moody: MoodyAuthority, tmp_path: Path) -> None:
    face = Face(config_for(moody, tmp_path, RELAY))
    async with face.listening():
        moody.directory_extra = {
            "meta": {"profiles": {"classic": "x", "shortlived": "six days"}, "caaIdentities": ["authority.example"]}
        }
        await face.service.renew()
        assert json.loads((tmp_path / "tls" / "acme-account.json").read_text())["caa"] == "authority.example"
        moody.directory_extra = {"meta": {"profiles": {"classic": "x"}}}
        await face.service.renew()
    orders = [payload for path, payload in moody.seen if path == "/order-plz"]
    assert [order.get("profile") for order in orders] == ["shortlived", None]
    assert orders[0]["identifiers"] == [{"type": "ip", "value": RELAY}]


@pytest.mark.parametrize(
    ("off", "sentence"),
    [
        (timedelta(days=1), "This machine's clock is 24.0 hours ahead of the certificate authority's; set it"),
        (timedelta(days=-1), "This machine's clock is 24.0 hours behind the certificate authority's; set it"),
    ],
)
async def test_a_clock_that_is_off_by_a_day_is_said_in_one_sentence(
    moody: MoodyAuthority, tmp_path: Path, off: timedelta, sentence: str
) -> None:
    face = Face(config_for(moody, tmp_path), now=lambda: datetime.now(UTC) + off)
    async with face.listening():
        await face.service.renew()
        assert face.service.status().clock.startswith(sentence)
        moody.mood = lambda path, _payload: problem(400, "malformed", "no") if path == "/order-plz" else None
        assert sentence in await refused(face)


async def test_a_right_clock_is_not_mentioned(moody: MoodyAuthority, tmp_path: Path) -> None:
    face = Face(config_for(moody, tmp_path))
    async with face.listening():
        await face.service.renew()
    assert face.service.status().clock == ""


async def test_a_full_disk_costs_no_order_and_the_old_certificate_stays(moody: MoodyAuthority, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)], check=True)
    try:
        face = Face(config_for(moody, disk / "data"))
        async with face.listening():
            await face.service.renew()
            kept = (disk / "data" / "tls" / "acme.pem").read_bytes()
            asked = len(moody.seen)
            with (disk / "ballast").open("wb") as ballast, pytest.raises(OSError):
                while True:
                    os.write(ballast.fileno(), bytes(65536))
            assert (
                await refused(face)
                == f"The disk of {disk / 'data' / 'tls'} is full; make some space for a certificate."
            )
            assert len(moody.seen) == asked
            assert (disk / "data" / "tls" / "acme.pem").read_bytes() == kept
            assert "is full" in face.service.status().last_error
            (disk / "ballast").unlink()
            await face.service.renew()
            assert face.service.status().last_error == ""
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def pair(folder: Path) -> tuple[bytes, bytes]:
    """Chain and key of a certificate of its own."""
    folder.mkdir()
    files = issue(folder, DOMAIN).files
    return files.cert_file.read_bytes(), files.key_file.read_bytes()


def head(chain: bytes) -> bytes:
    """The first certificate of a chain, as DER."""
    return x509.load_pem_x509_certificates(chain)[0].public_bytes(Encoding.DER)


async def presented(contexts: TlsContexts) -> bytes:
    """What a new handshake gets, as DER."""
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0, ssl=contexts.http)
    async with server:
        context = ssl._create_unverified_context()
        _reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname(), ssl=context)
        certificate: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    return certificate


async def test_watched_files_are_taken_when_they_fit_and_left_when_they_do_not(tmp_path: Path) -> None:
    cert_file, key_file = tmp_path / "fullchain.pem", tmp_path / "privkey.pem"

    def put(certificate: bytes, key: bytes = b"") -> None:
        for path, content in ((cert_file, certificate), (key_file, key)):
            if content:
                path.with_suffix(".new").write_bytes(content)
                path.with_suffix(".new").rename(path)

    first, second = (pair(tmp_path / name) for name in ("first", "second"))
    put(*first)
    config = parse_config(
        f'mail_domain = "{DOMAIN}"\ndata_dir = "{tmp_path}"\n'
        f'[tls]\nmode = "files"\ncert_file = "{cert_file}"\nkey_file = "{key_file}"\n'
    )
    contexts = TlsContexts(certificate_files(config, NOW))
    service = CertificateService(
        config, contexts, ChallengeBoard(), lambda: Resolver(["127.0.0.1"]), Random(1), look_seconds=0.01
    )
    stop = asyncio.Event()
    loop = asyncio.create_task(service.run(stop))
    async with asyncio.timeout(20):
        put(second[0])
        while "does not belong to the certificate" not in service.status().last_error:
            await asyncio.sleep(0.01)
        assert await presented(contexts) == head(first[0])
        put(b"", second[1])
        while service.status().last_error:
            await asyncio.sleep(0.01)
        assert await presented(contexts) == head(second[0])
    stop.set()
    await loop
