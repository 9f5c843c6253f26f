"""What an attacker is given: where the server is, which addresses to come from, which accounts there are."""

import json
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import asdict, dataclass
from ipaddress import IPv4Address
from typing import Any, Final, Self

Tally = Counter[str]
"""What an attack did, and what it was answered."""

SOURCES: Final = 16
"""Addresses attackers come from, where limits by network would otherwise hide the attack."""
FULL_SECONDS: Final = 15.0
"""How long an attack lasts that does not say otherwise."""
LEAST_SECONDS: Final = 3.0
TLS_PORTS: Final = (465, 993, 443)


@dataclass(frozen=True, slots=True)
class Arena:
    """One attack's surroundings; goes to the attacker's process as JSON."""

    host: str
    port_base: int
    address: str
    """Of an account the attacker has."""
    password: str
    victim: str
    """The address of an account the attacker does not have."""
    sources: int
    """From how many addresses attackers come."""
    share: float
    """Of the full number of connections and of the full time."""
    seconds: float

    @property
    def domain(self) -> str:
        """Of all addresses."""
        return f"[{self.host}]"

    def port(self, standard: int) -> int:
        """The port that stands for the `standard` one."""
        return self.port_base + standard

    def count(self, full: int, least: int = 8) -> int:
        """So many of `full` as this run asks for."""
        return max(min(full, least), round(full * self.share))

    def source(self, number: int) -> str:
        """One of the attackers' addresses: those from the fifth after the server's on."""
        return str(IPv4Address(self.host) + 5 + number % self.sources)

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> Self:
        """What `to_json` wrote."""
        return cls(**json.loads(line))


Run = Callable[[Arena, Tally], Awaitable[None]]


async def _nothing(arena: Arena) -> None:
    """Prepare nothing."""


@dataclass(frozen=True, slots=True)
class Attack:
    """One way to be hostile. `run` goes on until it is cancelled; `prepare` is not counted."""

    name: str
    does: str
    """What it does, for the table."""
    run: Run
    prepare: Callable[[Arena], Coroutine[Any, Any, None]] = _nothing
    settings: str = ""
    """TOML sections for the server."""
    limits: str = ""
    """Lines of its `[limits]`."""
    seconds: float = FULL_SECONDS
    least_seconds: float = LEAST_SECONDS
    """However small the share: what is waited for comes after this time."""
    fills: bool = False
    """Whether the attacker's account holds `tests.hostile.hostile_mail` from the start."""
    from_beside: bool = False
    """Whether all attackers come from one address, which is the honest client's too."""
