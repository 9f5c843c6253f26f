"""A small Internet on loopback: relays from the built file with names of their own, a name server, an authority."""

from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import trustme

from chatmail.config import Config
from chatmail.dns.records import RelayFacts, required_records
from chatmail.dns.zone import render_zone
from chatmail.invite_link import Credentials, MailServer, dclogin_link
from chatmail.net.dkim_key import load_or_make_key, public_key_der
from tests.support.mail_client import SmtpClient, accept_any_certificate
from tests.support.public_relay import PublicRelay
from tests.support.relay import Credentials as Account

SETTINGS = """
[tls]
{tls}
[dns]
resolvers = ["{resolver}"]
[federation]
ca_file = "{ca_file}"
{federation}
[mail]
max_user_send_per_minute = 1000000
max_user_send_burst_size = 1000000
"""


@dataclass
class Federation:
    """Makes relays and their zones. `folder` is for their files, `dns` the address of the name server to come."""

    pyz: Path
    folder: Path
    dns: str

    def __post_init__(self) -> None:
        self.authority = trustme.CA()
        self.authority.cert_pem.write_to_path(str(self.ca_file))

    @property
    def ca_file(self) -> Path:
        """The root everybody trusts."""
        return self.folder / "ca.pem"

    def relay(self, domain: str, address: str, *, federation: str = "") -> PublicRelay:
        """A relay for `domain` with a certificate of the authority; self-signed where the name says so."""
        data_dir = self.folder / domain.replace(":", "-") / "data"
        data_dir.mkdir(parents=True)
        tls = 'mode = "self-signed"'
        if not domain.startswith("_") and domain != address:
            cert, key = data_dir.parent / "cert.pem", data_dir.parent / "key.pem"
            issued = self.authority.issue_cert(domain)
            cert.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
            issued.private_key_pem.write_to_path(str(key))
            tls = f'mode = "files"\ncert_file = "{cert}"\nkey_file = "{key}"'
        settings = SETTINGS.format(tls=tls, resolver=self.dns, ca_file=self.ca_file, federation=federation)
        return PublicRelay(self.pyz, address, data_dir, port_base=0, settings=settings, domain=domain)

    def zone(self, relay: PublicRelay) -> str:
        """The zone that `dns zone` prints for a relay at its address, its DKIM key in it."""
        key = load_or_make_key(relay.data_dir, Config(relay.domain).federation.dkim_selector)
        facts = RelayFacts((ip_address(relay.host),), public_key_der(key))
        return render_zone(required_records(Config(relay.domain), facts))


def link_of(relay: PublicRelay, account: Account) -> str:
    """A link that leads a client to the relay's address, whose name it could not look up."""
    servers = MailServer(relay.host, 993, "ssl"), MailServer(relay.host, 465, "ssl")
    return dclogin_link(Credentials(account.address, account.password), *servers, accept_invalid_certificates=True)


async def smtp_session(relay: PublicRelay, account: Account) -> SmtpClient:
    """A submission session, logged in."""
    client = await SmtpClient.connect(relay.host, 465, accept_any_certificate())
    await client.login(account.address, account.password)
    return client
