"""DNS questions, asked of the configured resolvers or directly of the servers that are authoritative for a name.

Built on dnspython, none of whose types leave this module. Answers are cached for their TTL within a bound; truncated
answers are asked again over TCP, chains of CNAMEs are followed within dnspython's bound.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import dns.asyncquery
import dns.asyncresolver
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.nameserver
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.TXT
import dns.resolver
import dns.reversename

from chatmail.net.dns_answers import DnsFailureError, MailExchanger, NoSuchDomainError

QUESTION_SECONDS: Final = 5.0
"""How long one server may take for one question."""
LIFETIME_SECONDS: Final = 15.0
"""How long one question may take over all resolvers, if not said otherwise."""
MAX_CACHED_ANSWERS: Final = 10_000
DNS_PORT: Final = 53


@dataclass(frozen=True, slots=True)
class DnsServer:
    """One name server to ask."""

    address: str
    port: int = DNS_PORT


def parse_server(text: str) -> DnsServer:
    """`host`, `host:port`, `[v6]:port` or a bare IPv6 address, as the configuration has checked it."""
    if text.startswith("["):
        host, _, port = text[1:].partition("]")
        return DnsServer(host, int(port.removeprefix(":") or DNS_PORT))
    if text.count(":") == 1:
        host, _, port = text.partition(":")
        return DnsServer(host, int(port))
    return DnsServer(text)


class Resolver:
    """Asks the resolvers given, or the system's if none are."""

    def __init__(self, servers: Sequence[str] = (), *, lifetime_seconds: float = LIFETIME_SECONDS) -> None:
        """`servers` are `host` or `host:port`. Raises `DnsFailureError` if the system names no resolver."""
        try:
            self._resolver = dns.asyncresolver.Resolver(configure=not servers)
        except dns.resolver.NoResolverConfiguration:
            raise DnsFailureError("This machine names no DNS resolver in /etc/resolv.conf.") from None
        if servers:
            self._resolver.nameservers = [
                dns.nameserver.Do53Nameserver(server.address, server.port) for server in map(parse_server, servers)
            ]
        self._resolver.timeout = min(QUESTION_SECONDS, lifetime_seconds)
        self._resolver.lifetime = lifetime_seconds
        self._cache = dns.resolver.LRUCache(MAX_CACHED_ANSWERS)
        self._resolver.cache = self._cache

    async def texts(self, name: str, *, fresh: bool = False) -> tuple[bytes, ...]:
        """The TXT records of `name`, each with its character-strings joined; empty if there are none.

        `fresh` passes over the cache. Raises `DnsFailureError`, `NoSuchDomainError`.
        """
        if fresh:
            self._forget(name, dns.rdatatype.TXT)
        answer = await self._ask(name, dns.rdatatype.TXT)
        return tuple(b"".join(rdata.strings) for rdata in answer or ())

    async def mail_exchangers(self, domain: str) -> tuple[MailExchanger, ...]:
        """The MX records by preference; empty if there are none. Raises `DnsFailureError`, `NoSuchDomainError`."""
        answer = await self._ask(domain, dns.rdatatype.MX)
        found = [MailExchanger(rdata.preference, _text(rdata.exchange)) for rdata in answer or ()]
        return tuple(sorted(found, key=lambda exchanger: exchanger.preference))

    async def addresses(self, host: str) -> tuple[str, ...]:
        """Its IPv4 and IPv6 addresses, asked for at the same time; empty if there are none.

        Raises `NoSuchDomainError`; and `DnsFailureError` only if neither question was answered.
        """
        kinds = (dns.rdatatype.A, dns.rdatatype.AAAA)
        answers = await asyncio.gather(*(self._ask(host, kind) for kind in kinds), return_exceptions=True)
        found: list[str] = []
        for answer in answers:
            if isinstance(answer, BaseException):
                if not isinstance(answer, DnsFailureError) or all(isinstance(a, BaseException) for a in answers):
                    raise answer
            elif answer is not None:
                found += [rdata.address for rdata in answer]
        return tuple(found)

    async def host_names(self, address: str) -> tuple[str, ...]:
        """What the reverse record (PTR) of an IP address says; empty if there is none. Raises `DnsFailureError`."""
        try:
            answer = await self._ask(dns.reversename.from_address(address).to_text(), dns.rdatatype.PTR)
        except NoSuchDomainError:
            return ()
        return tuple(_text(rdata.target) for rdata in answer or ())

    async def records(self, name: str, record_type: str) -> tuple[str, ...]:
        """The resolvers' view of any record type, in presentation format (TXT as plain text); fresh.

        Empty if there are none or the name does not exist. Raises `DnsFailureError`.
        """
        kind = dns.rdatatype.from_text(record_type)
        self._forget(name, kind)
        try:
            answer = await self._ask(name, kind)
        except NoSuchDomainError:
            return ()
        return tuple(_presentation(rdata) for rdata in answer or ())

    async def authorities(self, name: str) -> tuple[str, tuple[DnsServer, ...]]:
        """The zone `name` lies in, and the addresses of its name servers. Raises `DnsFailureError`."""
        try:
            zone = await dns.asyncresolver.zone_for_name(
                dns.name.from_text(name), resolver=self._resolver, lifetime=self._resolver.lifetime
            )
            hosts = await self._ask(zone.to_text(), dns.rdatatype.NS)
        except (dns.exception.DNSException, NoSuchDomainError) as error:
            raise DnsFailureError(f"The name servers of {name} could not be found.") from error
        servers: list[DnsServer] = []
        for rdata in hosts or ():
            try:
                servers += [DnsServer(address) for address in await self.addresses(_text(rdata.target))]
            except (DnsFailureError, NoSuchDomainError):
                continue
        if not servers:
            raise DnsFailureError(f"None of the name servers of {_text(zone)} has an address.")
        return _text(zone), tuple(servers)

    def _forget(self, name: str, kind: dns.rdatatype.RdataType) -> None:
        self._cache.flush((dns.name.from_text(name), kind, dns.rdataclass.IN))

    async def _ask(self, name: str, kind: dns.rdatatype.RdataType) -> dns.resolver.Answer | None:
        """None for a name that exists without such a record."""
        try:
            return await self._resolver.resolve(dns.name.from_text(name), kind, search=False)
        except dns.resolver.NoAnswer:
            return None
        except dns.resolver.NXDOMAIN:
            raise NoSuchDomainError(f"The domain {name} does not exist.") from None
        except (dns.exception.DNSException, OSError, ValueError, UnicodeError) as error:
            raise DnsFailureError(f"The DNS question for {name} was not answered.") from error


async def ask_authority(server: DnsServer, name: str, record_type: str) -> tuple[str, ...]:
    """The records one authoritative server has, in presentation format (TXT as plain text); CNAMEs are not followed.

    Empty if there are none. Raises `DnsFailureError` if it does not answer, or not with authority.
    """
    question = dns.message.make_query(name, record_type)
    question.flags &= ~dns.flags.RD
    try:
        answer, _tcp = await dns.asyncquery.udp_with_fallback(
            question, server.address, timeout=QUESTION_SECONDS, port=server.port
        )
    except (dns.exception.DNSException, OSError, EOFError) as error:
        raise DnsFailureError(f"The name server at {server.address} did not answer.") from error
    if answer.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN) or not answer.flags & dns.flags.AA:
        raise DnsFailureError(f"The name server at {server.address} is not responsible for {name}.")
    wanted = dns.rdatatype.from_text(record_type)
    found = [rdata for rrset in answer.answer if rrset.rdtype == wanted for rdata in rrset]
    return tuple(_presentation(rdata) for rdata in found)


def _text(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower() if name != dns.name.root else ""


def _presentation(rdata: dns.rdata.Rdata) -> str:
    if isinstance(rdata, dns.rdtypes.ANY.TXT.TXT):
        return b"".join(rdata.strings).decode("utf-8", "replace")
    return rdata.to_text()
