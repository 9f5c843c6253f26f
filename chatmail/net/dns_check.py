"""Compare the required DNS records with the world: the authoritative servers first, the resolvers' view beside it.

What the authoritative servers say is the truth; where they are right and the resolvers are not yet, the record is
"propagating" and nothing is left to do but wait.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from chatmail.dns.compare import CheckState, RecordCheck, compare
from chatmail.dns.records import DnsRecord, RecordType
from chatmail.dns.report import DnsReport, ReverseCheck
from chatmail.net.dns_answers import DnsFailureError, NoSuchDomainError
from chatmail.net.resolver import DnsServer, Resolver, ask_authority

MAX_QUESTIONS_AT_ONCE: Final = 8
_ADDRESS_TYPES: Final = (RecordType.A, RecordType.AAAA)


async def check_dns(records: Sequence[DnsRecord], resolver: Resolver) -> DnsReport:
    """Check all records and the reverse names of the addresses among them. Does not raise for what the world lacks."""
    gate = asyncio.Semaphore(MAX_QUESTIONS_AT_ONCE)
    zones = _Zones(resolver)

    async def one(record: DnsRecord) -> RecordCheck:
        async with gate:
            return await _check(record, records, resolver, zones)

    checks = await asyncio.gather(*(one(record) for record in records))
    if not any(record.type in _ADDRESS_TYPES for record in records):
        domains = {record.name for record in records if record.type is RecordType.MX}
        checks = [await _check_any_address(domain, zones) for domain in domains] + checks
    addresses = [record.value for record in records if record.type in _ADDRESS_TYPES]
    reverse = await asyncio.gather(*(_check_reverse(address, records[0].name, resolver) for address in addresses))
    return DnsReport(tuple(checks), tuple(reverse))


async def published_addresses(domain: str, resolver: Resolver) -> tuple[str, ...]:
    """What the authoritative servers say now, whatever caches hold. Raises `DnsFailureError`."""
    return await _published(domain, _Zones(resolver))


async def _published(domain: str, zones: "_Zones") -> tuple[str, ...]:
    _zone, servers = await zones.of(domain)
    return tuple([one for kind in _ADDRESS_TYPES for one in await _ask_any(servers, domain, kind)])


async def zone_of(domain: str, resolver: Resolver) -> str:
    """The zone `domain` lies in, which a registrar's form is for; `domain` itself where that cannot be told."""
    try:
        zone, _servers = await resolver.authorities(domain)
    except DnsFailureError:
        return domain
    # Of a name that nobody has registered only the top level is there.
    return zone if "." in zone else domain


class _Zones:
    """Finds the authoritative servers of a name, once for each name."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._found: dict[str, asyncio.Task[tuple[str, tuple[DnsServer, ...]]]] = {}

    async def of(self, name: str) -> tuple[str, tuple[DnsServer, ...]]:
        if name not in self._found:
            self._found[name] = asyncio.ensure_future(self._resolver.authorities(name))
        return await self._found[name]


async def _check(record: DnsRecord, records: Sequence[DnsRecord], resolver: Resolver, zones: _Zones) -> RecordCheck:
    public = await _public_view(record, resolver)
    try:
        zone, servers = await zones.of(record.name)
        found = await _ask_any(servers, record.name, record.type)
    except DnsFailureError as error:
        return RecordCheck(record, CheckState.UNREACHABLE, (), f"{error} Try again later.", public)
    wanted_here = tuple(other.value for other in records if (other.name, other.type) == (record.name, record.type))
    state, advice = compare(record, found, wanted_here)
    check = RecordCheck(record, state, found, advice, public)
    if state is CheckState.MISSING:
        return await _look_elsewhere(check, zone, servers, wanted_here)
    return check


async def _check_any_address(domain: str, zones: _Zones) -> RecordCheck:
    """Behind a NAT the public address is not known; that there is one can be checked all the same."""
    purpose = "Leads everybody who knows your domain to this machine."
    record = DnsRecord(domain, RecordType.A, "the address this machine is reached at", purpose, True)
    try:
        found = await _published(domain, zones)
    except DnsFailureError as error:
        return RecordCheck(record, CheckState.UNREACHABLE, (), f"{error} Try again later.", None)
    if not found:
        advice = "This machine has no public address of its own; create an A record with the one it is reached at."
        return RecordCheck(record, CheckState.MISSING, (), advice, None)
    advice = f"It leads to {', '.join(found)}; this machine has no public address of its own to compare that with."
    return RecordCheck(record, CheckState.OK, found, advice, None)


async def _public_view(record: DnsRecord, resolver: Resolver) -> tuple[str, ...] | None:
    try:
        return await resolver.records(record.name, record.type)
    except DnsFailureError:
        return None


async def _ask_any(servers: Sequence[DnsServer], name: str, record_type: str) -> tuple[str, ...]:
    """The answer of the first server that gives one."""
    failure = DnsFailureError(f"No name server of {name} is known.")
    for server in servers:
        try:
            return await ask_authority(server, name, record_type)
        except DnsFailureError as error:
            failure = error
    raise failure


async def _look_elsewhere(
    check: RecordCheck, zone: str, servers: Sequence[DnsServer], wanted_here: Sequence[str]
) -> RecordCheck:
    """Where a record is missing, look for it where a web form may have put it instead, and for what stands for it."""
    record = check.record
    misplaced = await _ask_any(servers, f"{record.name}.{zone}", record.type)
    if compare(record, misplaced, wanted_here)[0] is CheckState.OK:
        advice = f"It was created at {record.name}.{zone}: enter only the part before {zone} as the name."
        return replace(check, state=CheckState.DIFFERENT, found=misplaced, advice=advice)
    if record.type is RecordType.CNAME:
        return await _addresses_instead(check, servers)
    if record.type in _ADDRESS_TYPES and (alias := await _ask_any(servers, record.name, RecordType.CNAME)):
        advice = f"There is a CNAME to {alias[0]} in its place; remove it and create this record."
        return replace(check, state=CheckState.DIFFERENT, found=alias, advice=advice)
    return check


async def _addresses_instead(check: RecordCheck, servers: Sequence[DnsServer]) -> RecordCheck:
    """A name that has the same addresses as the CNAME's target does just as well."""
    target = check.record.value.rstrip(".")
    have = {address for kind in _ADDRESS_TYPES for address in await _ask_any(servers, check.record.name, kind)}
    want = {address for kind in _ADDRESS_TYPES for address in await _ask_any(servers, target, kind)}
    if have and have == want:
        return replace(check, state=CheckState.OK, found=tuple(sorted(have)), advice="")
    if have:
        advice = f"It leads to {', '.join(sorted(have))}; replace that by a CNAME to {check.record.value}"
        return replace(check, state=CheckState.DIFFERENT, found=tuple(sorted(have)), advice=advice)
    return check


async def _check_reverse(address: str, domain: str, resolver: Resolver) -> ReverseCheck:
    remedy = f"set it to {domain} where you rent the server (often called reverse DNS or PTR)."
    try:
        names = await resolver.host_names(address)
        if not names:
            return ReverseCheck(address, (), False, f"{address} has no reverse name; {remedy}")
        for name in names:
            if address in await resolver.addresses(name):
                return ReverseCheck(address, names, True)
    except (DnsFailureError, NoSuchDomainError):
        return ReverseCheck(address, (), False, f"The reverse name of {address} could not be checked; try again later.")
    if domain in names:
        advice = f"{address} is called {domain}, which does not lead back to it for everybody yet: wait up to an hour."
        return ReverseCheck(address, names, False, advice)
    return ReverseCheck(address, names, False, f"{address} is called {names[0]}, which leads elsewhere; {remedy}")
