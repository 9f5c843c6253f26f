"""The DNS records a relay needs, each with the reason for it in one sentence a first-time operator understands.

`required_records(config, facts)` is the only door. Sources: A, AAAA, MX: RFC 1035 and RFC 5321 §5.1;
SPF: RFC 7208; DKIM: RFC 6376 §3.6; DMARC: RFC 7489; MTA-STS: RFC 8461; CAA: RFC 8659 and RFC 8657; SRV: RFC 6186.
No TLSA: without a signed zone it proves nothing, and few operators' zones are signed.
"""

import base64
import hashlib
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from chatmail.config import Config
from chatmail.config_values import is_ip_address

TTL_SECONDS: Final = 3600
MTA_STS_MAX_AGE_SECONDS: Final = 28 * 24 * 3600


class RecordType(StrEnum):
    """The record types used here."""

    A = "A"
    AAAA = "AAAA"
    MX = "MX"
    TXT = "TXT"
    CNAME = "CNAME"
    CAA = "CAA"
    SRV = "SRV"


@dataclass(frozen=True, slots=True)
class DnsRecord:
    """One record to create.

    `name` is absolute, without the final dot. `value` is in presentation format with absolute names ending in a dot,
    except for TXT, where it is the plain text: quoting and splitting are a matter of rendering.
    """

    name: str
    type: RecordType
    value: str
    purpose: str
    required: bool


@dataclass(frozen=True, slots=True)
class RelayFacts:
    """What the records need beyond the configuration.

    `addresses` are this machine's public addresses; `dkim_public_key` is the DER SubjectPublicKeyInfo, None where
    nothing is signed; `caa_identity` is the domain that names the certificate authority in CAA records (empty if
    unknown), `acme_account_uri` our account there (empty if there is none yet).
    """

    addresses: tuple[IPv4Address | IPv6Address, ...] = ()
    dkim_public_key: bytes | None = None
    caa_identity: str = ""
    acme_account_uri: str = ""


def dkim_text(public_key_der: bytes) -> str:
    """The TXT text that publishes an RSA key for strict use in mail (RFC 6376 §3.6.1; `t=s`: no subdomains)."""
    return f"v=DKIM1;k=rsa;p={base64.b64encode(public_key_der).decode()};s=email;t=s"


def mta_sts_policy(config: Config) -> str:
    """The policy file served at `https://mta-sts.DOMAIN/.well-known/mta-sts.txt` (RFC 8461 §3.2), CRLF line ends."""
    lines = (
        "version: STSv1",
        "mode: enforce",
        f"mx: {config.mail_domain}",
        f"max_age: {MTA_STS_MAX_AGE_SECONDS}",
    )
    return "".join(f"{line}\r\n" for line in lines)


def mta_sts_id(config: Config) -> str:
    """An id that changes exactly when the policy does (RFC 8461 §3.1: up to 32 letters and digits)."""
    return hashlib.sha256(mta_sts_policy(config).encode()).hexdigest()[:16]


def required_records(config: Config, facts: RelayFacts) -> tuple[DnsRecord, ...]:
    """All records for this relay, required ones first; none for a relay that is known by its IP address alone."""
    if is_ip_address(config.mail_domain):
        return ()
    records = [*_addresses(config, facts), *_mail(config, facts), *_web(config), *_discovery(config)]
    records += _certificate(config, facts)
    return tuple(sorted(records, key=lambda record: not record.required))


def _addresses(config: Config, facts: RelayFacts) -> list[DnsRecord]:
    domain = config.mail_domain
    purpose = "Leads everybody who knows your domain to this machine."
    return [
        DnsRecord(domain, RecordType.A if address.version == 4 else RecordType.AAAA, str(address), purpose, True)
        for address in facts.addresses
    ]


def _mail(config: Config, facts: RelayFacts) -> list[DnsRecord]:
    domain = config.mail_domain
    records = [
        DnsRecord(
            domain, RecordType.MX, f"10 {domain}.", "Tells other servers where to bring mail for your domain.", True
        ),
        DnsRecord(
            domain,
            RecordType.TXT,
            "v=spf1 a ~all",
            "Says that mail from your domain comes from this machine, which other servers like to see.",
            False,
        ),
        DnsRecord(
            f"_dmarc.{domain}",
            RecordType.TXT,
            "v=DMARC1;p=reject;adkim=s;aspf=s",
            "Asks other servers to refuse mail that only pretends to come from your domain.",
            False,
        ),
    ]
    if facts.dkim_public_key is not None:
        records.insert(
            1,
            DnsRecord(
                f"{config.federation.dkim_selector}._domainkey.{domain}",
                RecordType.TXT,
                dkim_text(facts.dkim_public_key),
                "Publishes the key that proves your messages are yours; other servers refuse mail without it.",
                True,
            ),
        )
    return records


def _web(config: Config) -> list[DnsRecord]:
    domain = config.mail_domain
    return [
        DnsRecord(
            f"mta-sts.{domain}",
            RecordType.CNAME,
            f"{domain}.",
            "Leads to the page on which other servers read that they may send to you over encrypted lines only.",
            True,
        ),
        DnsRecord(
            f"_mta-sts.{domain}",
            RecordType.TXT,
            f"v=STSv1; id={mta_sts_id(config)}",
            "Announces that rule, so that nobody on the way can switch encryption off.",
            True,
        ),
        DnsRecord(
            f"www.{domain}", RecordType.CNAME, f"{domain}.", "For people who type www. before your domain.", True
        ),
    ]


def _discovery(config: Config) -> list[DnsRecord]:
    listen, domain = config.listen, config.mail_domain
    services = (
        ("_submissions", listen.submissions),
        ("_submission", listen.submission),
        ("_imaps", listen.imaps),
        ("_imap", listen.imap),
    )
    return [
        DnsRecord(
            f"{service}._tcp.{domain}",
            RecordType.SRV,
            f"0 1 {port} {domain}.",
            "Lets mail programs find the server and port by themselves.",
            False,
        )
        for service, port in services
        if port
    ]


def _certificate(config: Config, facts: RelayFacts) -> list[DnsRecord]:
    if config.tls.mode != "acme" or not facts.caa_identity:
        return []
    account = f"; accounturi={facts.acme_account_uri}" if facts.acme_account_uri else ""
    others = ", and every other account there," if account else ""
    return [
        DnsRecord(
            config.mail_domain,
            RecordType.CAA,
            f'0 issue "{facts.caa_identity}{account}"',
            f"Forbids every certificate authority but yours{others} to make certificates for your domain.",
            False,
        )
    ]
