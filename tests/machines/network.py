"""The network a fresh machine is plugged into: a bridge on this machine, which leads nowhere else.

A private one is what a machine behind a NAT sees. A public one has addresses that are anybody's on the internet: taken
out of blocks that nobody uses (RFC 7526 withdrew 192.88.99.0/24, RFC 7535 gave away 2620:4f:8000::/48 for black holes),
so that nothing real is out of reach while it is up.
"""

import hashlib
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SETTINGS: Final = "etc/systemd/network/10-machine.network"


def on_host(*command: str | Path, check: bool = True) -> None:
    """Run a tool on this machine."""
    subprocess.run(command, check=check, capture_output=True)


@dataclass(frozen=True, slots=True)
class Network:
    """The bridge `name`, with room for the machine, its gateway and a dozen others."""

    name: str
    public: bool = False

    def _slot(self) -> int:
        return hashlib.sha256(self.name.encode()).digest()[0]

    def address(self, number: int) -> str:
        """The IPv4 address of `number` (1 to 14); 1 is the gateway, 2 the machine."""
        if self.public:
            return f"192.88.99.{self._slot() // 16 * 16 + number}"
        return f"10.214.{self._slot()}.{number}"

    def address6(self, number: int) -> str:
        """The IPv6 address of `number`, in a public network alone."""
        return f"2620:4f:8000:{self._slot() // 16:x}::{number:x}" if self.public else ""

    @property
    def bridge(self) -> str:
        """The interface on this machine."""
        return f"cb-{self.name}"

    def _with_lengths(self, number: int) -> list[str]:
        addresses = [f"{self.address(number)}/{28 if self.public else 24}"]
        return [*addresses, f"{self.address6(number)}/64"] if self.public else addresses

    def up(self, *numbers: int) -> None:
        """Make it, with the gateway and `numbers` as addresses of this machine."""
        self.down()
        on_host("ip", "link", "add", self.bridge, "type", "bridge")
        on_host("ip", "link", "set", self.bridge, "up")
        for number in (1, *numbers):
            for address in self._with_lengths(number):
                # Nobody else can have it, so there is nothing to wait for.
                on_host("ip", "addr", "add", address, "dev", self.bridge, *(["nodad"] if ":" in address else []))

    def down(self) -> None:
        """Remove it."""
        on_host("ip", "link", "del", self.bridge, check=False)

    def plug(self) -> str:
        """A new cable into it; the interface for the machine."""
        outer, inner = f"cm-{self.name}", f"ci-{self.name}"
        on_host("ip", "link", "del", outer, check=False)
        on_host("ip", "link", "add", outer, "type", "veth", "peer", "name", inner)
        on_host("ip", "link", "set", outer, "master", self.bridge, "up")
        return inner

    def settings(self) -> str:
        """For the machine's systemd-networkd."""
        addresses = "".join(f"Address={address}\n" for address in self._with_lengths(2))
        gateways = f"Gateway={self.address(1)}\n" + (f"Gateway={self.address6(1)}\n" if self.public else "")
        return (
            f"[Match]\nName=ci-*\n[Network]\n{addresses}{gateways}"
            "IPv6AcceptRA=no\nDHCP=no\nLLMNR=no\nConfigureWithoutCarrier=yes\n"
        )
