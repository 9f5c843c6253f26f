"""Where `doctor` finds the server: what its name leads to, here and at the source, and whether that is this machine.

Right after a record was corrected the caches still hold the old address. That is told once, as what it is, and the
server is looked at where the name will lead; otherwise every port would seem to be shut, with remedies for firewalls.
"""

import asyncio
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from chatmail.config import Config
from chatmail.config_values import is_ip_address
from chatmail.installation.checkup import DoctorCheck, DoctorState
from chatmail.net.addresses import public_addresses, source_addresses
from chatmail.net.dns_answers import DnsFailureError, NoSuchDomainError
from chatmail.net.dns_check import published_addresses
from chatmail.net.resolver import Resolver

CONNECT_SECONDS: Final = 5.0
_NAME: Final = "address"
_WAIT: Final = "Wait up to an hour until that is forgotten, then test again; until then some people do not get here."


@dataclass(frozen=True, slots=True)
class Reach:
    """The addresses to look at the server at, and what is to be said of the way there."""

    addresses: tuple[str, ...]
    check: DoctorCheck


def find_server(config: Config) -> Reach:
    """As clients find it; by its own addresses where its name leads nowhere yet, or only to somewhere else."""
    domain = config.mail_domain
    if is_ip_address(domain):
        return Reach((domain,), DoctorCheck(_NAME, DoctorState.SKIPPED, "The server is known by its address."))
    seen, published = asyncio.run(_look_up(domain, Resolver(config.dns.resolvers, lifetime_seconds=5)))
    own = tuple(map(str, public_addresses()))
    inside = tuple(map(str, source_addresses())) or ("127.0.0.1",)
    return judge_address(domain, seen, published, own, inside, lambda address: _answers(address, config.listen.https))


def judge_address(
    domain: str,
    seen: Sequence[str],
    published: Sequence[str],
    own: Sequence[str],
    inside: Sequence[str],
    answers: Callable[[str], bool],
) -> Reach:
    """`seen` is what this machine's resolvers say, `published` what the name's own servers say.

    `own` are the machine's public addresses (none behind a NAT), `inside` those it has in any case. `answers` tells
    whether somebody listens there.
    """
    if not seen:
        sentence = f"{domain} leads nowhere yet; the server was looked at by this machine's own address."
        return Reach(tuple(own or inside), DoctorCheck(_NAME, DoctorState.WARNING, sentence, "See DNS below."))
    strangers = [address for address in seen if address not in own]
    leads = f"{domain} leads to {', '.join(seen)}"
    if not own or not strangers:
        return Reach(tuple(seen), DoctorCheck(_NAME, DoctorState.OK, f"{leads}."))
    if published and set(published) <= set(own):
        listed = ", ".join(strangers)
        sentence = f"Some name servers still say that {domain} is at {listed}; it is right at the source by now."
        return Reach(tuple(published), DoctorCheck(_NAME, DoctorState.WARNING, sentence, _WAIT))
    if all(map(answers, strangers)):
        # A forwarder in front, perhaps: what matters is that clients get here, which the following checks tell.
        return Reach(
            tuple(seen), DoctorCheck(_NAME, DoctorState.OK, f"{leads}, which is not this machine, and answers.")
        )
    sentence = f"{leads}, where no server of this kind answers; this machine is {', '.join(own)}."
    remedy = f"Change the record: chatmail dns check says how. The server itself was looked at by {own[0]}."
    return Reach(tuple(own), DoctorCheck(_NAME, DoctorState.FAILED, sentence, remedy))


async def _look_up(domain: str, resolver: Resolver) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What the resolvers say, and what the source says."""
    seen: tuple[str, ...] = ()
    published: tuple[str, ...] = ()
    with suppress(DnsFailureError, NoSuchDomainError):
        seen = await resolver.addresses(domain)
    with suppress(DnsFailureError, NoSuchDomainError):
        published = await published_addresses(domain, resolver)
    return seen, published


def _answers(address: str, port: int) -> bool:
    with suppress(OSError), socket.create_connection((address, port or 443), timeout=CONNECT_SECONDS):
        return True
    return False
