"""This machine's own addresses towards the world, as its routing table says; nobody outside is asked."""

import socket
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

# Documentation addresses (RFC 5737, RFC 3849): a UDP socket "connected" there sends nothing, but chooses a source.
_ELSEWHERE: Final = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))


def source_addresses() -> tuple[IPv4Address | IPv6Address, ...]:
    """The addresses this machine uses towards the world, IPv4 first; private ones mean that it is behind a NAT."""
    found: list[IPv4Address | IPv6Address] = []
    for family, elsewhere in _ELSEWHERE:
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((elsewhere, 9))
            found.append(ip_address(probe.getsockname()[0].partition("%")[0]))
    return tuple(found)


def public_addresses() -> tuple[IPv4Address | IPv6Address, ...]:
    """Those of `source_addresses` that the world can reach."""
    return tuple(address for address in source_addresses() if address.is_global)
