"""Which IP addresses mail may be taken to: nobody's DNS may use this server as a way into its operator's network.

RFC 6890 (special-purpose addresses); RFC 4291 §2.5.5.2, RFC 6052 and RFC 3056 for IPv4 addresses inside IPv6 ones.
"""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final

_NAT64: Final = IPv6Network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """Whether it is an address of the public Internet, looked at through IPv6 forms that carry an IPv4 address."""
    parsed = _innermost(address)
    return parsed.is_global and not parsed.is_multicast


def is_usable(address: str) -> bool:
    """Whether it can be the address of one machine at all, public or private."""
    parsed = _innermost(address)
    return not (parsed.is_multicast or parsed.is_unspecified or parsed == IPv4Address("255.255.255.255"))


def _innermost(address: str) -> IPv4Address | IPv6Address:
    parsed = ip_address(address)
    if isinstance(parsed, IPv4Address):
        return parsed
    if parsed in _NAT64:
        return IPv4Address(int(parsed) & 0xFFFFFFFF)
    return parsed.ipv4_mapped or parsed.sixtofour or parsed
