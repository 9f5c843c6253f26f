"""The built file with a domain, the usual ports and a certificate authority: its face to the world."""

import asyncio
import json
import re
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

import pytest
from cryptography import x509

from tests.support.browser import Browser
from tests.support.certificate_authority import Pebble
from tests.support.mail_client import ImapClient, SmtpClient
from tests.support.messages import encrypted_message
from tests.support.name_server import NameServer
from tests.support.public_relay import PublicRelay
from tests.support.tools import require_root, require_tool

DOMAIN = "chat.example.org"
ZONE = "example.org"
LINK = f"dcaccount:https://{DOMAIN}/new"
SETTINGS = """
[tls]
mode = "acme"
acme_directory = "{directory}"
acme_ca_file = "{ca_file}"
[dns]
resolvers = ["{resolver}"]
[mail]
delete_mails_after = 33
max_user_send_per_minute = 6000
max_user_send_burst_size = 6000
[privacy]
mail = "privacy@chat.example.org"
"""
IDLING = 20


@pytest.fixture(scope="module")
def pebble(
    _addresses: Iterator[str], loopback_address: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pebble]:
    require_root()
    with Pebble(tmp_path_factory.mktemp("pebble"), next(_addresses), loopback_address) as running:
        yield running


def settings_for(pebble: Pebble, resolver: str) -> str:
    return SETTINGS.format(directory=pebble.directory, ca_file=pebble.ca_file, resolver=resolver)


@pytest.fixture(scope="module")
def relay(
    pyz: Path, pebble: Pebble, loopback_address: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PublicRelay]:
    """A relay that has obtained its certificate at its first start."""
    data_dir = tmp_path_factory.mktemp("public") / "data"
    settings = settings_for(pebble, f"{pebble.address}:8053")
    with PublicRelay(pyz, loopback_address, data_dir, port_base=0, settings=settings) as running:
        running.wait_for_certificate()
        yield running


@pytest.fixture(scope="module")
def authority_file(pebble: Pebble, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root that a client trusts."""
    path = tmp_path_factory.mktemp("root") / "root.pem"
    path.write_bytes(pebble.root_certificate())
    return path


@pytest.fixture(scope="module")
def trusting(authority_file: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(authority_file))


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes


def ask(
    relay: PublicRelay,
    path: str,
    *,
    trusting: ssl.SSLContext | None = None,
    host: str = DOMAIN,
    method: str = "GET",
    language: str = "en",
) -> Answer:
    """One request: over TLS, the certificate checked for the domain, if `trusting` is given; else on port 80."""
    raw = socket.create_connection((relay.host, 443 if trusting else 80), timeout=20)
    connection = HTTPConnection(host)
    connection.sock = trusting.wrap_socket(raw, server_hostname=DOMAIN) if trusting else raw
    with closing(connection):
        connection.request(method, path, headers={"Host": host, "Accept-Language": language})
        found = connection.getresponse()
        return Answer(found.status, dict(found.getheaders()), found.read())


def presented(relay: PublicRelay) -> x509.Certificate:
    context = ssl._create_unverified_context()
    with (
        socket.create_connection((relay.host, 443), timeout=20) as raw,
        context.wrap_socket(raw, server_hostname=DOMAIN) as tls,
    ):
        der = tls.getpeercert(binary_form=True)
    assert der is not None
    return x509.load_der_x509_certificate(der)


def test_the_certificate_is_there_after_the_first_start(relay: PublicRelay) -> None:
    status = relay.certificate()
    assert (status["mode"], status["trusted"], status["failures"], status["last_error"]) == ("acme", True, 0, "")
    assert status["names"] == [DOMAIN, f"mta-sts.{DOMAIN}", f"www.{DOMAIN}"]
    shown = relay.command("cert", "status").stdout
    assert "trusted: True" in shown and "renewal due at: 20" in shown, shown


@pytest.mark.parametrize(
    ("port", "alpn", "chosen", "says"),
    [
        (443, "imap", "imap", "* OK"),
        (443, "smtp", "smtp", "220 "),
        (443, "h2,imap", "imap", "* OK"),
        (443, "http/1.1", "http/1.1", "HTTP/1.1 200"),
        (443, "h2,http/1.1", "http/1.1", "HTTP/1.1 200"),
        (443, None, None, "HTTP/1.1 200"),
        (993, None, None, "* OK"),
        (993, "imap", None, "* OK"),
        (465, None, None, "220 "),
        (465, "smtp", None, "220 "),
    ],
)
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_openssl_gets_what_it_offers(
    relay: PublicRelay, authority_file: Path, port: int, alpn: str | None, chosen: str | None, says: str, version: str
) -> None:
    seen = openssl(relay, port, version, *(["-alpn", alpn] if alpn else []), authority_file=authority_file)
    if chosen is not None or alpn is None:
        assert (f"ALPN protocol: {chosen}" if chosen else "No ALPN negotiated") in seen, seen
    assert "Verify return code: 0 (ok)" in seen and says in seen, seen


@pytest.mark.parametrize("alpn", ["h2", "xmpp-client", "h2,h3", "acme-tls/1"])
def test_openssl_gets_an_alert_for_what_is_not_ours(relay: PublicRelay, authority_file: Path, alpn: str) -> None:
    seen = openssl(relay, 443, "-alpn", alpn, authority_file=authority_file)
    assert "no application protocol" in seen and "Verify return code: 0" not in seen.partition("SSL handshake")[0], seen


def test_an_unknown_name_gets_the_usual_certificate(relay: PublicRelay, authority_file: Path) -> None:
    seen = openssl(relay, 443, "-servername", "elsewhere.example", authority_file=authority_file, name=None)
    assert "Verify return code: 0 (ok)" in seen and "HTTP/1.1 200" in seen, seen


def openssl(relay: PublicRelay, port: int, *options: str, authority_file: Path, name: str | None = DOMAIN) -> str:
    """All that `openssl s_client` says; it asks for the page, which ends the mail protocols too."""
    command = [require_tool("openssl"), "s_client", "-connect", f"{relay.host}:{port}", "-CAfile", str(authority_file)]
    command += [*(["-servername", name] if name else []), "-ign_eof", *options]
    request = f"GET / HTTP/1.1\r\nHost: {DOMAIN}\r\nConnection: close\r\n\r\n"
    request = {"imap": "a LOGOUT\r\n", "smtp": "QUIT\r\n"}.get(_spoken(port, options), request)
    done = subprocess.run(command, input=request.encode(), capture_output=True, timeout=30)
    return (done.stdout + done.stderr).decode(errors="replace")


def _spoken(port: int, options: tuple[str, ...]) -> str:
    offered = options[options.index("-alpn") + 1] if "-alpn" in options else ""
    return {993: "imap", 465: "smtp"}.get(port) or offered.rpartition(",")[2]


async def test_a_renewal_drops_no_connection_and_new_handshakes_see_the_new_certificate(
    relay: PublicRelay, trusting: ssl.SSLContext
) -> None:
    account = json.loads((await asyncio.to_thread(ask, relay, "/new", trusting=trusting, method="POST")).body)
    address, password = account["email"], account["password"]
    before = await asyncio.to_thread(presented, relay)
    with ExitStack() as opened:
        watchers = [await watcher(relay, trusting, port, address, password) for port in [443, 993] * (IDLING // 2)]
        smtp = await SmtpClient.connect(relay.host, 465, mail_context(trusting))
        opened.callback(smtp.close)
        for imap in watchers:
            opened.callback(imap.close)
        await smtp.login(address, password)
        # Mail flows before, while and after; every one of the old connections sees every message.
        renewal = asyncio.create_task(asyncio.to_thread(relay.command, "cert", "renew", "--json"))
        sent, after = 0, 3
        while after:
            await smtp.send(address, [address], encrypted_message(address))
            sent += 1
            for one in watchers:
                assert (await asyncio.wait_for(one.wait_exists(), 30))[0] == sent
            after -= renewal.done()
        done = await renewal
        for one in watchers:
            await one.done()
            await one.command("NOOP")
    assert done.returncode == 0, done.stderr
    assert "prove that the name is ours" in done.stderr, "progress is told"
    assert sent > 3, "mail went through while the order was under way"
    renewed = await asyncio.to_thread(presented, relay)
    assert renewed.serial_number != before.serial_number
    assert renewed.public_key() == before.public_key()


def mail_context(trusting: ssl.SSLContext) -> ssl.SSLContext:
    """For connections by address."""
    trusting = ssl.create_default_context(cadata="".join(map(ssl.DER_cert_to_PEM_cert, trusting.get_ca_certs(True))))
    trusting.check_hostname = False
    return trusting


async def watcher(relay: PublicRelay, trusting: ssl.SSLContext, port: int, address: str, password: str) -> ImapClient:
    context = mail_context(trusting)
    context.set_alpn_protocols(["imap"])
    client = await ImapClient.connect(relay.host, port, context)
    await client.login(address, password)
    await client.command("SELECT INBOX")
    await client.idle()
    return client


def test_pages_and_files_are_where_clients_look(relay: PublicRelay, trusting: ssl.SSLContext) -> None:
    page = ask(relay, "/", trusting=trusting)
    assert page.status == 200 and f'href="{LINK}"'.encode() in page.body
    assert page.headers["Strict-Transport-Security"].startswith("max-age=")
    assert "script-src" not in page.headers["Content-Security-Policy"].replace("default-src 'none'", "")
    assert page.headers["X-Content-Type-Options"] == "nosniff" and page.headers["Referrer-Policy"] == "no-referrer"
    assert b'dir="rtl"' in ask(relay, "/", trusting=trusting, language="fa").body
    privacy = ask(relay, "/privacy", trusting=trusting).body.decode()
    assert "33 days" in privacy and "privacy@chat.example.org" in privacy
    for path in ("/new", "/cgi-bin/newemail.py"):
        account = json.loads(ask(relay, path, trusting=trusting, method="POST").body)
        assert account["email"].endswith(f"@{DOMAIN}") and len(account["password"]) >= 12
        assert ask(relay, path, trusting=trusting).headers["Location"] == LINK
    for host, path in (
        (DOMAIN, "/.well-known/autoconfig/mail/config-v1.1.xml"),
        (f"autoconfig.{DOMAIN}", "/mail/config-v1.1.xml"),
    ):
        found = ask(relay, path, trusting=trusting, host=host).body.decode()
        assert re.findall(r"<port>(\d+)</port>", found) == ["993", "143", "443", "465", "587", "443"], found
    policy = ask(relay, "/.well-known/mta-sts.txt", trusting=trusting, host=f"mta-sts.{DOMAIN}").body
    assert b"mode: enforce" in policy and f"mx: {DOMAIN}".encode() in policy
    assert ask(relay, "/robots.txt", trusting=trusting).body == b"User-agent: *\nDisallow: /\n"
    www = ask(relay, "/info", trusting=trusting, host=f"www.{DOMAIN}")
    assert (www.status, www.headers["Location"]) == (301, f"https://{DOMAIN}/info")
    plain = ask(relay, "/privacy")
    assert (plain.status, plain.headers["Location"]) == (301, f"https://{DOMAIN}/privacy")
    assert "Strict-Transport-Security" not in plain.headers


async def test_codes_can_be_read_from_the_picture_and_from_the_screen(
    relay: PublicRelay, trusting: ssl.SSLContext, tmp_path: Path
) -> None:
    picture = tmp_path / "qr.png"
    picture.write_bytes((await asyncio.to_thread(ask, relay, "/qr.png", trusting=trusting)).body)
    assert await asyncio.to_thread(read_code, picture) == LINK
    async with Browser.start(tmp_path / "chromium") as browser, browser.page() as page:
        for dark in (False, True):
            await page.look_like(width=390, height=844, dark=dark)
            await page.open(f"https://{relay.host}/")
            await page.screenshot(picture)
            assert await asyncio.to_thread(read_code, picture) == LINK
        await page.open(f"https://{relay.host}/qr.svg")
        await page.screenshot(picture)
        assert await asyncio.to_thread(read_code, picture) == LINK


def read_code(picture: Path) -> str:
    command = [require_tool("zbarimg"), "--quiet", "--raw", str(picture)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30).stdout.strip()


def test_the_printed_zone_is_loaded_and_checked_and_what_is_broken_is_named(
    relay: PublicRelay, pebble: Pebble, _addresses: Iterator[str], tmp_path: Path
) -> None:
    server = next(_addresses)
    config = tmp_path / "with-name-server.toml"
    config.write_text(relay.config_path.read_text().replace(f"{pebble.address}:8053", server))
    account_file = relay.data_dir / "tls" / "acme-account.json"
    account = json.loads(account_file.read_text())
    # Pebble does not say in its directory what it is called in CAA records; others do.
    account_file.write_text(json.dumps({**account, "caa": "pebble.example"}))
    zone = relay.command("dns", "zone", config=config).stdout
    assert f'IN CAA 0 issue "pebble.example; accounturi={account["uri"]}"' in zone, zone
    # This machine has no public address, so that there is no A record to print.
    zone += "" if " IN A " in zone else f"{DOMAIN}. 3600 IN A {relay.host}\n"
    with NameServer(tmp_path, server, {ZONE: zone}) as running:
        good = relay.command("dns", "check", config=config)
        assert good.returncode == 0, good.stdout
        assert "All records are right." in good.stdout, good.stdout
        for line_with, broken in ((" IN MX ", "MX"), ("_domainkey", "TXT"), (" IN A ", "A")):
            running.replace(ZONE, "".join(line for line in zone.splitlines(True) if line_with not in line))
            bad = relay.command("dns", "check", "--json", config=config)
            report = json.loads(bad.stdout)
            missing = [record["type"] for record in report["records"] if record["state"] == "missing"]
            assert (bad.returncode, report["ok"]) == (1, False) and broken in missing, report
