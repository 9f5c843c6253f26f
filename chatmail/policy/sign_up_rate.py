"""How many accounts come into being, per network and in all: links of the web face, and first logins.

A soft limit: it keeps one network from filling the disk with accounts and costs nobody else anything. Whole rooms
sign up behind one address at an event, so a network's burst is generous. Memory is bounded; nothing is written down.
`now` is a monotonic clock in seconds.
"""

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Rate:
    """A bucket of `burst` tokens, refilled with `per_second`."""

    per_second: float
    burst: int


PER_NETWORK: Final = Rate(per_second=1.0, burst=60)
OVERALL: Final = Rate(per_second=5.0, burst=300)
FIRST_LOGINS_PER_NETWORK: Final = Rate(per_second=1.0, burst=200)
"""Behind one address there may be a whole town: over its burst a network waits its turn, and is not turned away."""
UNLIMITED: Final = Rate(per_second=1e9, burst=1_000_000_000)
MAX_NETWORKS: Final = 4096
"""Networks remembered; beyond, the one that asked longest ago is forgotten, and the overall rate still holds."""
_V4_PREFIX: Final = 24
_V6_PREFIX: Final = 56


def network_of(peer: str) -> str:
    """The /24 or /56 an address belongs to (an IPv4 address mapped into IPv6 counts as IPv4).

    What is no IP address (a Unix socket's peer) shares one bucket under its own text.
    """
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return peer
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is None:
            return str(ipaddress.ip_network((address, _V6_PREFIX), strict=False))
        address = address.ipv4_mapped
    return str(ipaddress.ip_network((address, _V4_PREFIX), strict=False))


def is_loopback(peer: str) -> bool:
    """Whether it is this machine."""
    try:
        return ipaddress.ip_address(peer.partition("%")[0]).is_loopback
    except ValueError:
        return False


class SignUpRate:
    """Token buckets kept as one number each: the moment at which the bucket is full again."""

    __slots__ = ("_full_at", "_overall", "_overall_full_at", "_per_network")

    def __init__(self, per_network: Rate = PER_NETWORK, overall: Rate = OVERALL) -> None:
        """All buckets begin full."""
        self._per_network = per_network
        self._overall = overall
        self._full_at: OrderedDict[str, float] = OrderedDict()
        self._overall_full_at = float("-inf")

    def take(self, peer: str, now: float) -> float:
        """Take one token for `peer`, an IP address; 0 if there was one, else the seconds to wait for the next.

        A refusal takes nothing.
        """
        network = network_of(peer)
        own_full_at = self._full_at.get(network, now)
        wait_seconds = max(
            _seconds_to_token(own_full_at, self._per_network, now),
            _seconds_to_token(self._overall_full_at, self._overall, now),
        )
        if wait_seconds > 0:
            return wait_seconds
        self._full_at[network] = max(own_full_at, now) + 1 / self._per_network.per_second
        self._full_at.move_to_end(network)
        self._overall_full_at = max(self._overall_full_at, now) + 1 / self._overall.per_second
        if len(self._full_at) > MAX_NETWORKS:
            self._full_at.popitem(last=False)
        return 0.0


def _seconds_to_token(full_at: float, rate: Rate, now: float) -> float:
    # The bucket is empty when filling it takes burst/per_second seconds; it must lack one token less than that.
    return max(0.0, full_at - now - (rate.burst - 1) / rate.per_second)
