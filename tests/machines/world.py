"""The internet as a rented server finds it, in small: names, a certificate authority, another server, roots to trust.

All of it runs on this machine, at addresses of the bridge the server is plugged into, and real: a recursive resolver
(unbound) that knows its root server, an authoritative server (nsd) for the root, two top-level domains, `ZONE` and the
reverse zone, and Pebble, known here as Let's Encrypt. `ZONE` belongs to the operator and is empty at first.
"""

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from socket import create_server
from threading import Event, Thread
from time import monotonic
from typing import Final

import dns.exception
import dns.message
import dns.query

from tests.machines.machine import Machine
from tests.support.certificate_authority import Pebble
from tests.support.moody_authority import MoodyAuthority
from tests.support.name_server import NameServer
from tests.support.tools import require_tool

ZONE: Final = "example.net"
AUTHORITY: Final = "acme-v02.api.letsencrypt.org"
OUTSIDE: Final = "nine.testrun.org"
_NAMES, _AUTHORITY, _OUTSIDE = 3, 4, 5
START_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True)
class World:
    """What is around the machine; `names` and `authority` can be changed while it looks."""

    folder: Path
    machine: Machine
    names: NameServer
    pebble: Pebble
    authority: MoodyAuthority

    def publish(self, zone: str) -> None:
        """What the operator enters at the registrar: all records of `ZONE`, as lines of a zone file."""
        self.names.replace(ZONE, zone)

    @property
    def roots(self) -> bytes:
        """What everybody there trusts."""
        return self.pebble.ca_file.read_bytes() + self.pebble.root_certificate()


@contextmanager
def world(folder: Path, name: str, suite: str) -> Iterator[World]:
    """A fresh machine of `suite` with public addresses, switched on, in a world of its own."""
    machine = Machine(name, suite, public=True)
    try:
        machine.create()
        machine.network.up(_NAMES, _AUTHORITY, _OUTSIDE)
        with ExitStack() as stack:
            here = _around(stack, folder, machine)
            machine.trust("authority", here.pebble.ca_file.read_bytes())
            machine.trust("issuer", here.pebble.root_certificate())
            machine.boot()
            yield here
    finally:
        machine.remove()
        machine.network.down()


def _around(stack: ExitStack, folder: Path, machine: Machine) -> World:
    network = machine.network
    (folder / "names").mkdir()
    names = stack.enter_context(NameServer(folder / "names", network.address(_NAMES), _zones(machine)))
    stack.enter_context(_resolver(folder, network.address(1), names.address))
    address = network.address(_AUTHORITY)
    resolver = f"{network.address(1)}:53"
    pebble = stack.enter_context(Pebble(folder, address, "", resolver=resolver, names=(AUTHORITY,)))
    authority = MoodyAuthority(pebble, AUTHORITY, 443, "/directory")
    stack.enter_context(_in_thread(authority.running()))
    for outside in (network.address(_OUTSIDE), network.address6(_OUTSIDE)):
        for port in (25, 443):
            family = {4: 2, 6: 10}[ip_address(outside).version]
            stack.enter_context(create_server((outside, port), family=family))
    return World(folder, machine, names, pebble, authority)


def _zones(machine: Machine) -> dict[str, str]:
    network = machine.network
    server = network.address(_NAMES)
    reverse = {
        ip_address(address).reverse_pointer.partition(".")[2]: f"{address} PTR"
        for address in (network.address(2), network.address6(2))
    }
    below = {zone: zone.partition(".")[2] for zone in (ZONE, "letsencrypt.org", "testrun.org")}
    zones = dict.fromkeys(["", *below.values(), *below, *reverse], "")
    zones["letsencrypt.org"] = f"acme-v02.api IN A {network.address(_AUTHORITY)}\n"
    zones["testrun.org"] = f"nine IN A {network.address(_OUTSIDE)}\nnine IN AAAA {network.address6(_OUTSIDE)}\n"
    for address in (network.address(2), network.address6(2)):
        label, _, zone = ip_address(address).reverse_pointer.partition(".")
        zones[zone] = f"{label} IN PTR chat.{ZONE}.\n"
    for zone in zones:
        if zone:
            zones[below.get(zone, "")] += f"{zone}. IN NS ns.{zone}.\nns.{zone}. IN A {server}\n"
    return zones


@contextmanager
def _resolver(folder: Path, address: str, root_server: str) -> Iterator[None]:
    """unbound on port 53 of `address`; it begins at `root_server`, and asks over IPv4 alone."""
    (folder / "root.hints").write_text(f". 3600 IN NS ns.\nns. 3600 IN A {root_server}\n")
    (folder / "unbound.conf").write_text(
        "server:\n"
        f"  interface: {address}\n  access-control: 0.0.0.0/0 allow\n  do-ip6: no\n"
        f'  root-hints: "{folder}/root.hints"\n  module-config: "iterator"\n  username: ""\n  chroot: ""\n'
        f'  directory: "{folder}"\n  pidfile: "{folder}/unbound.pid"\n  logfile: "{folder}/unbound.log"\n'
        "  use-syslog: no\n  do-daemonize: no\n  num-threads: 1\n"
        "remote-control:\n  control-enable: no\n"
    )
    process = subprocess.Popen([require_tool("unbound"), "-d", "-c", str(folder / "unbound.conf")])
    try:
        deadline = monotonic() + START_SECONDS
        while not _resolves(address, OUTSIDE):
            assert monotonic() < deadline and process.poll() is None, (folder / "unbound.log").read_text()
        yield
    finally:
        process.terminate()
        process.wait(20)


def _resolves(resolver: str, name: str) -> bool:
    try:
        return bool(dns.query.udp(dns.message.make_query(name, "A"), resolver, timeout=1).answer)
    except (dns.exception.DNSException, OSError):
        return False


@contextmanager
def _in_thread(service: AbstractAsyncContextManager[object]) -> Iterator[None]:
    """Keep an asynchronous service up in a thread with a loop of its own."""
    began, failed = Event(), []
    loop = asyncio.new_event_loop()
    ended = asyncio.Event()

    async def serve() -> None:
        try:
            async with service:
                began.set()
                await ended.wait()
        except OSError as error:
            failed.append(error)
            began.set()

    thread = Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    began.wait()
    try:
        assert not failed, failed
        yield
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
        loop.close()
