"""Where mail for a domain goes: the hosts to try, in order, each with its addresses. RFC 5321 §5.1, RFC 7505.

Door: `MailRoutes.find`. It leaves out what would lead back here (RFC 5321 §5.1: our own name, and whatever is not
preferred to it) and what lies in a private network, unless this server belongs to one: `[federation] ca_file` is set,
or its own `mail_domain` is, or resolves to, a private address.
"""

from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from chatmail.config import Config
from chatmail.config_values import is_ip_address
from chatmail.errors import ChatmailError
from chatmail.mail.envelope import SmtpReply
from chatmail.net.addresses import source_addresses
from chatmail.net.dns_answers import DnsFailureError, MailExchanger, NoSuchDomainError
from chatmail.policy.peer_address import is_public, is_usable

if TYPE_CHECKING:
    from chatmail.net.resolver import Resolver

MAX_HOSTS: Final = 5
"""Hosts of a domain that are tried at one attempt."""
MAX_ADDRESSES: Final = 4
"""Addresses of a host that are tried at one attempt."""
KEPT_SECONDS: Final = 60.0
"""How long a found route is used without asking again, whatever its TTL."""
MAX_KEPT: Final = 1000

NULL_MX: Final = SmtpReply(556, "This domain does not accept mail", "5.1.10")
NO_HOST: Final = SmtpReply(550, "This domain names no server that takes mail", "5.4.4")
LOOP: Final = SmtpReply(554, "Mail for this domain would come back to this server", "5.4.6")
PRIVATE_NETWORK: Final = SmtpReply(554, "This domain leads into a private network", "5.4.4")
NO_ANSWER: Final = SmtpReply(451, "The DNS did not answer", "4.4.3")


@dataclass(frozen=True, slots=True)
class MailHost:
    """One host that takes mail. `is_verified` tells whether its certificate must prove its name."""

    name: str
    addresses: tuple[str, ...]
    is_verified: bool


class NoRouteError(ChatmailError):
    """There is nobody to take the mail to; `reply` says why and whether that may change."""

    def __init__(self, reply: SmtpReply) -> None:
        """`reply` is what the sender is told."""
        super().__init__(reply.text)
        self.reply = reply


class MailRoutes:
    """Finds routes, and keeps them for a minute."""

    def __init__(
        self, config: Config, resolver: Callable[[], "Resolver"], now: Callable[[], float], chance: Callable[[], float]
    ) -> None:
        """`now` counts seconds of a clock that only goes forward; `chance` is random from 0 up to 1."""
        self._config = config
        self._resolver = resolver
        self._now = now
        self._chance = chance
        self._kept: OrderedDict[str, tuple[float, tuple[MailHost, ...]]] = OrderedDict()

    async def find(self, domain: str) -> tuple[MailHost, ...]:
        """The hosts for `domain`, as an address has it, the preferred first. Raises `NoRouteError`."""
        kept = self._kept.get(domain)
        if kept is not None and kept[0] > self._now():
            return kept[1]
        hosts = await self._literal(domain) if domain.startswith("[") else await self._look_up(domain)
        self._kept[domain] = self._now() + KEPT_SECONDS, hosts
        self._kept.move_to_end(domain)
        if len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)
        return hosts

    def forget(self, domain: str) -> None:
        """Ask anew the next time: nobody of the route could be reached."""
        self._kept.pop(domain, None)

    async def _literal(self, domain: str) -> tuple[MailHost, ...]:
        address = domain[1:-1].removeprefix("ipv6:")
        return (MailHost(address, await self._permitted([address]), False),)

    async def _look_up(self, domain: str) -> tuple[MailHost, ...]:
        exchangers = self._before_us(await self._exchangers(domain))
        found: list[MailHost] = []
        problem: SmtpReply | None = None
        for exchanger in exchangers[:MAX_HOSTS]:
            try:
                addresses = await self._permitted(await self._addresses(exchanger.host))
            except NoRouteError as error:
                problem = error.reply if problem is None or problem.is_permanent else problem
            else:
                found.append(MailHost(exchanger.host, addresses, not domain.startswith("_")))
        if not found:
            raise NoRouteError(problem or NO_HOST)
        return tuple(found)

    async def _exchangers(self, domain: str) -> list[MailExchanger]:
        """In the order to try them; hosts of equal preference in any order (RFC 5321 §5.1)."""
        try:
            exchangers = await self._resolver().mail_exchangers(domain)
        except NoSuchDomainError:
            raise NoRouteError(SmtpReply(512, f"Domain {domain} does not exist", "5.1.2")) from None
        except DnsFailureError:
            raise NoRouteError(NO_ANSWER) from None
        if not exchangers:
            return [MailExchanger(0, domain)]
        if any(not exchanger.host for exchanger in exchangers):
            exchangers = tuple(exchanger for exchanger in exchangers if exchanger.host)
            if not exchangers:
                raise NoRouteError(NULL_MX)
        return sorted(exchangers, key=lambda exchanger: (exchanger.preference, self._chance()))

    def _before_us(self, exchangers: list[MailExchanger]) -> list[MailExchanger]:
        own = [exchanger.preference for exchanger in exchangers if exchanger.host == self._config.mail_domain]
        if not own:
            return exchangers
        before = [exchanger for exchanger in exchangers if exchanger.preference < min(own)]
        if not before:
            raise NoRouteError(LOOP)
        return before

    async def _addresses(self, host: str) -> Collection[str]:
        try:
            return await self._resolver().addresses(host)
        except NoSuchDomainError:
            return ()
        except DnsFailureError:
            raise NoRouteError(NO_ANSWER) from None

    async def _permitted(self, addresses: Collection[str]) -> tuple[str, ...]:
        """Those that are not ours, and may be reached. Raises `NoRouteError` if there is none left."""
        usable = [address for address in addresses if is_usable(address)]
        if not usable:
            raise NoRouteError(NO_HOST)
        others = [address for address in usable if address not in self._own_addresses()]
        if not others:
            raise NoRouteError(LOOP)
        permitted = [address for address in others if is_public(address)]
        if len(permitted) < len(others) and await self._is_private_network():
            permitted = others
        if not permitted:
            raise NoRouteError(PRIVATE_NETWORK)
        return tuple(permitted[:MAX_ADDRESSES])

    def _own_addresses(self) -> set[str]:
        return {*self._config.listen.addresses, self._config.mail_domain, *map(str, source_addresses())}

    async def _is_private_network(self) -> bool:
        """Whether this server itself belongs to a private network."""
        domain = self._config.mail_domain
        if self._config.federation.ca_file:
            return True
        if is_ip_address(domain):
            return not is_public(domain)
        try:
            addresses = await self._resolver().addresses(domain)
        except (DnsFailureError, NoSuchDomainError):
            return False
        return any(not is_public(address) for address in addresses)
