"""Which ports a firewall must let in, as exact commands for those in use, and a list for cloud panels. Pure.

Nothing is changed here: a firewall belongs to whoever set it up.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from chatmail.config import ListenConfig


class Firewall(StrEnum):
    """What guards a machine."""

    NONE = "none"
    UFW = "ufw"
    FIREWALLD = "firewalld"
    NFTABLES = "nftables"


_DUTIES: Final = {
    "smtp": "mail from other servers",
    "http": "leads browsers to HTTPS; certificates by HTTP-01",
    "imap": "reading mail (STARTTLS)",
    "https": "web page, certificates, and mail where other ports are blocked",
    "submissions": "sending mail (TLS)",
    "submission": "sending mail (STARTTLS)",
    "imaps": "reading mail (TLS)",
}


@dataclass(frozen=True, slots=True)
class OpenPort:
    """One TCP port that must be reachable from anywhere, over IPv4 and IPv6."""

    port: int
    purpose: str


def open_ports(listen: ListenConfig | None = None) -> tuple[OpenPort, ...]:
    """The list for a cloud panel, in the order of the numbers."""
    settings = listen or ListenConfig()
    ports = [OpenPort(getattr(settings, name), purpose) for name, purpose in _DUTIES.items()]
    return tuple(sorted((row for row in ports if row.port), key=lambda row: row.port))


def firewall_commands(firewall: Firewall, ports: tuple[OpenPort, ...]) -> tuple[str, ...]:
    """What to type so that `firewall` lets in `ports`."""
    numbers = ",".join(str(row.port) for row in ports)
    match firewall:
        case Firewall.UFW:
            return (f"ufw allow proto tcp to any port {numbers}",)
        case Firewall.FIREWALLD:
            rules = [f"firewall-cmd --permanent --add-port={row.port}/tcp" for row in ports]
            return (*rules, "firewall-cmd --reload")
        case Firewall.NFTABLES:
            wanted = ", ".join(str(row.port) for row in ports)
            return (f"nft insert rule inet filter input tcp dport '{{ {wanted} }}' accept",)
        case Firewall.NONE:
            return ()


def guards_input(ruleset: str) -> bool:
    """Whether an nftables rule set (`nft list ruleset`) may turn connections away."""
    chain = ""
    for line in ruleset.splitlines():
        text = line.strip()
        if text.startswith("type filter hook "):
            chain = text.split()[3]
        if chain == "input" and ("policy drop" in text or text.startswith(("drop", "reject"))):
            return True
        if chain == "input" and text.endswith((" drop", " reject")):
            return True
        if text == "}":
            chain = ""
    return False
