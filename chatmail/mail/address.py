"""Mail addresses as chatmail uses them: `localpart@domain`, `localpart@[192.0.2.1]`, `localpart@[IPv6:2001:db8::1]`.

The accepted grammar is the dot-atom form of RFC 5321 §4.1.2 (with RFC 6531 letters) plus address literals. Quoted
localparts, source routes and comments are not addresses here: no chatmail client uses them and they are a favourite
place to hide things.
"""

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Self

MAX_LOCALPART_OCTETS: Final = 64
"""RFC 5321 §4.5.3.1.1."""
MAX_DOMAIN_OCTETS: Final = 255
"""RFC 5321 §4.5.3.1.2."""

# Dot-string = Atom *("." Atom); atext of RFC 5322 §3.2.3, extended by RFC 6531 §3.3 to non-ASCII.
_LOCALPART = re.compile(r"[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*", re.UNICODE)
# Domain = sub-domain *("." sub-domain); the leading "_" of private test domains is allowed on purpose.
_DOMAIN = re.compile(r"_?[^\W_](?:[\w-]*[^\W_])?(?:\._?[^\W_](?:[\w-]*[^\W_])?)*", re.UNICODE)

_DOMAINS_REMEMBERED: Final = 1024
"""Nearly all addresses are of a few domains, and an address literal costs 5 microseconds; a quarter of a megabyte."""


@lru_cache(_DOMAINS_REMEMBERED)
def _is_domain(domain: str) -> bool:
    if domain.startswith("[") and domain.endswith("]"):
        literal = domain[1:-1]
        try:
            if literal[:5].lower() == "ipv6:":
                ipaddress.IPv6Address(literal[5:])
            else:
                ipaddress.IPv4Address(literal)
        except ValueError:
            return False
        return True
    return _DOMAIN.fullmatch(domain) is not None


@dataclass(frozen=True, slots=True)
class Address:
    """One parsed address, both halves in lower case (chatmail localparts are case-insensitive)."""

    localpart: str
    domain: str

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Parse `localpart@domain`; None if it is not an address in the grammar of this module."""
        localpart, at, domain = text.rpartition("@")
        if not at or len(text) > MAX_LOCALPART_OCTETS + 1 + MAX_DOMAIN_OCTETS:
            return None
        if _LOCALPART.fullmatch(localpart) is None or not _is_domain(domain):
            return None
        if len(localpart.encode()) > MAX_LOCALPART_OCTETS or len(domain.encode()) > MAX_DOMAIN_OCTETS:
            return None
        return cls(localpart.lower(), domain.lower())

    @property
    def is_literal(self) -> bool:
        """Whether the domain is an address literal such as `[192.0.2.1]`."""
        return self.domain.startswith("[")

    def without_tag(self) -> "Address":
        """The address mail is delivered to: everything from the first `+` of the localpart is dropped."""
        base, plus, _tag = self.localpart.partition("+")
        return Address(base, self.domain) if plus and base else self

    def __str__(self) -> str:
        """As it is written on the wire."""
        return f"{self.localpart}@{self.domain}"
