"""How many bytes one peer may bring in a minute, and how many things it may do at once. Pure; `now` is passed in.

Doors: `PeerBudget` counts for peers, named by `peer_of`. Memory is bounded, and what is counted is forgotten a minute
later.
"""

import ipaddress
from collections import Counter
from typing import Final

WINDOW_SECONDS: Final = 60.0
MAX_PEERS: Final = 4096
"""Peers with bytes counted in one window; beyond them the newcomers share one account."""
_IPV6_NETWORK_BYTES: Final = 8
_OTHERS: Final = b"others"


def peer_of(host: str) -> bytes:
    """An IPv4 address, or the /64 of an IPv6 one, which is what one customer gets."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host.encode()
    return address.packed[:_IPV6_NETWORK_BYTES] if address.version == 6 else address.packed


class PeerBudget:
    """Bytes by peer in the present minute, and what each has open."""

    def __init__(self, *, bytes_per_window: int, open_at_once: int, open_of_one_peer: int) -> None:
        """The limits."""
        self._bytes_per_window = bytes_per_window
        self._open_at_once = open_at_once
        self._open_of_one_peer = open_of_one_peer
        self._open: Counter[bytes] = Counter()
        self._bytes: Counter[bytes] = Counter()
        self._window_began = 0.0

    def begin(self, peer: bytes, now: float) -> bool:
        """Open one more thing, to be given back by `end`; False if that is too many or the bytes are used up."""
        if self._open.total() >= self._open_at_once or self._open[peer] >= self._open_of_one_peer:
            return False
        if not self.spend(peer, 0, now):
            return False
        self._open[peer] += 1
        return True

    def end(self, peer: bytes) -> None:
        """Give it back."""
        self._open[peer] -= 1
        if not self._open[peer]:
            del self._open[peer]

    def spend(self, peer: bytes, size_bytes: int, now: float) -> bool:
        """Count bytes that came; False once they are more than a minute's."""
        if now - self._window_began >= WINDOW_SECONDS:
            self._window_began = now
            self._bytes.clear()
        key = peer if peer in self._bytes or len(self._bytes) < MAX_PEERS else _OTHERS
        self._bytes[key] += size_bytes
        return self._bytes[key] <= self._bytes_per_window
