"""The name of a relay in the DNS: what it resolves to now, the records it needs, and whether they are there.

Synchronous, for the installer's threads. The DKIM key is made when its record is first asked for.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from ipaddress import ip_address

from chatmail.config import Config
from chatmail.config_values import is_ip_address
from chatmail.dns.records import DnsRecord, required_records
from chatmail.dns.report import DnsReport
from chatmail.dns.zone import FormRow, form_rows, presentation, render_zone
from chatmail.errors import ConfigError
from chatmail.net import dns_check
from chatmail.net.addresses import source_addresses
from chatmail.net.dns_answers import DnsFailureError, NoSuchDomainError
from chatmail.net.resolver import Resolver
from chatmail.relay_facts import relay_facts

RESOLVE_SECONDS = 6.0


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a name leads to now. `leads_here` is None where that cannot be said; `sentence` is for people."""

    domain: str
    addresses: tuple[str, ...]
    leads_here: bool | None
    sentence: str


def resolve_now(domain: str, resolvers: Sequence[str] = (), own_addresses: Sequence[str] = ()) -> Resolution:
    """Ask what `domain` leads to; `own_addresses` are this machine's outer ones (empty: what it knows itself)."""
    here = set(own_addresses) or {str(address) for address in source_addresses()}
    if is_ip_address(domain):
        leads = domain in here
        sentence = (
            f"{domain} is {'an address of this machine' if leads else 'no address that this machine has itself'}."
        )
        return Resolution(domain, (domain,), leads or None, sentence)
    try:
        found = asyncio.run(_addresses(domain, resolvers))
    except NoSuchDomainError:
        return Resolution(domain, (), False, f"{domain} does not exist in the DNS yet.")
    except DnsFailureError:
        return Resolution(domain, (), None, f"Nobody answered what {domain} leads to; check this machine's DNS.")
    if not found:
        return Resolution(domain, (), False, f"{domain} exists, but has no address yet.")
    leads = bool(here & set(found))
    where = "this machine" if leads else "another machine, or one whose outer address this one does not know"
    return Resolution(domain, found, leads, f"{domain} leads to {', '.join(found)}: {where}.")


async def _addresses(domain: str, resolvers: Sequence[str]) -> tuple[str, ...]:
    return await Resolver(resolvers, lifetime_seconds=RESOLVE_SECONDS).addresses(domain)


class RecordRendering(StrEnum):
    """The three ways to write the records down."""

    SHORT_NAMES = "short names"
    """For web forms that append the zone themselves: `_dmarc.chat`, `@`."""
    FULL_NAMES = "full names"
    """For web forms that want the whole name."""
    ZONE = "zone"
    """As in a zone file: final dots, quotation marks, long texts in pieces."""


@dataclass(frozen=True, slots=True)
class RenderedRecord:
    """One record as a table shows it, ready to be copied."""

    name: str
    type: str
    value: str


@dataclass(frozen=True, slots=True)
class DnsRecords:
    """The records a relay needs, none for one that is known by its IP address. `note` is worth saying, or empty.

    `form_zone` is the zone a registrar's form is for: `domain`, or one above it.
    """

    domain: str
    records: tuple[DnsRecord, ...]
    note: str = ""
    form_zone: str = ""

    @property
    def zone(self) -> str:
        """All as lines of a zone file, to be saved."""
        return render_zone(self.records)

    @property
    def form_rows(self) -> tuple[FormRow, ...]:
        """All as web forms want them, every form of each."""
        return form_rows(self.records, self.form_zone or self.domain)

    def rendered(self, rendering: RecordRendering) -> tuple[RenderedRecord, ...]:
        """The records in one of the three renderings, in the order of `records`."""
        match rendering:
            case RecordRendering.ZONE:
                return tuple(RenderedRecord(f"{one.name}.", one.type, presentation(one)) for one in self.records)
            case RecordRendering.FULL_NAMES:
                return tuple(RenderedRecord(row.full_name, row.type, row.value) for row in self.form_rows)
            case RecordRendering.SHORT_NAMES:
                return tuple(RenderedRecord(row.relative_name, row.type, row.value) for row in self.form_rows)


def needs_records(config: Config) -> bool:
    """Whether a server of this kind has to be found by others in the DNS."""
    return not (is_ip_address(config.mail_domain) or config.mail_domain.startswith("_"))


def dns_records(config: Config, own_addresses: Sequence[str] = ()) -> DnsRecords:
    """The records for `config`; `own_addresses` where the machine does not know its own (behind a NAT).

    Makes the DKIM key in the data folder if there is none. Raises `OperatorError`.
    """
    if is_ip_address(config.mail_domain):
        return DnsRecords(config.mail_domain, (), "A server that is known by its IP address needs no DNS records.")
    facts = relay_facts(config)
    if own_addresses:
        wrong = next((one for one in own_addresses if not is_ip_address(one)), None)
        if wrong is not None:
            raise ConfigError(f"{wrong!r} is no IP address.")
        facts = replace(facts, addresses=tuple(map(ip_address, own_addresses)))
    note = "" if facts.addresses else (
        "This machine knows no public address of its own: add A and AAAA records for the one it is reached at."
    )  # fmt: skip
    return DnsRecords(config.mail_domain, required_records(config, facts), note, form_zone(config))


def form_zone(config: Config) -> str:
    """The zone a registrar's form is for. Waits for the network: seconds, if nobody answers."""
    try:
        resolver = Resolver(config.dns.resolvers, lifetime_seconds=RESOLVE_SECONDS)
    except DnsFailureError:
        return config.mail_domain
    return asyncio.run(dns_check.zone_of(config.mail_domain, resolver))


def check_records(records: DnsRecords, resolvers: Sequence[str] = ()) -> DnsReport:
    """Compare them with the authoritative servers now. Raises `DnsFailureError` if this machine has no resolver."""

    async def check() -> DnsReport:
        return await dns_check.check_dns(records.records, Resolver(resolvers))

    return asyncio.run(check())
