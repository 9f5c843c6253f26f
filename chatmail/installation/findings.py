"""What a look at the machine finds, judged: each judgement is a `PreflightCheck`, made by a pure function of facts.

`chatmail.installation.preflight` gathers the facts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from chatmail.config_values import GIB, MIB
from chatmail.installation.places import UNIT

Address = IPv4Address | IPv6Address


class PreflightState(StrEnum):
    """How a check ended. Only `stop` keeps an installation from going on."""

    OK = "ok"
    WARNING = "warning"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class PreflightCheck:
    """One look: what was found in one sentence, and what to do about it (empty where nothing is to be done)."""

    name: str
    state: PreflightState
    sentence: str
    remedy: str = ""


ARCHITECTURES: Final = ("x86_64", "aarch64")
OLDEST_PYTHON: Final = (3, 11)
NEWEST_PYTHON: Final = (3, 14)
OLDEST_SYSTEMD: Final = 247
LEAST_MEMORY_BYTES: Final = 200 * MIB
GOOD_MEMORY_BYTES: Final = 450 * MIB
LEAST_DISK_BYTES: Final = 600 * MIB
"""The file, what is in it unpacked and compiled, and a little."""
GOOD_DISK_BYTES: Final = 5 * GIB
EARLIEST_NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""A clock that shows less is wrong for sure."""
_HIDDEN_PLACES: Final = ("/home/", "/root/", "/run/user/", "/tmp/", "/var/tmp/")
"""What the unit does not let the server see."""


def _ok(name: str, sentence: str, remedy: str = "") -> PreflightCheck:
    return PreflightCheck(name, PreflightState.OK, sentence, remedy)


def _warning(name: str, sentence: str, remedy: str) -> PreflightCheck:
    return PreflightCheck(name, PreflightState.WARNING, sentence, remedy)


def _stop(name: str, sentence: str, remedy: str) -> PreflightCheck:
    return PreflightCheck(name, PreflightState.STOP, sentence, remedy)


def judge_root(is_root: bool, command: str) -> PreflightCheck:
    """`command` is how this was started, for the exact sudo command."""
    if is_root:
        return _ok("root", "This runs as root.")
    return _stop("root", "Only root can install a server.", f"Run: sudo {command}")


def judge_systemd(is_running: bool, version: int) -> PreflightCheck:
    """`version` 0 means unknown."""
    if not is_running:
        remedy = "Use a machine with systemd, or run `chatmail.pyz serve` under your own service manager."
        return _stop("systemd", "systemd does not run this machine.", remedy)
    if version < OLDEST_SYSTEMD:
        remedy = f"Use a distribution with systemd {OLDEST_SYSTEMD} or later (Debian 11 and later have it)."
        return _stop("systemd", f"systemd {version} is too old.", remedy)
    return _ok("systemd", f"systemd {version} runs this machine.")


def judge_architecture(machine: str) -> PreflightCheck:
    """`machine` as `uname -m` says it."""
    if machine in ARCHITECTURES:
        return _ok("processor", f"The processor is {machine}.")
    return _stop("processor", f"There is no build for {machine}.", f"Use a machine with {' or '.join(ARCHITECTURES)}.")


def judge_python(version: tuple[int, int], path: str) -> PreflightCheck:
    """`path` is the interpreter the unit would run."""
    shown = f"{version[0]}.{version[1]}"
    if not OLDEST_PYTHON <= version <= NEWEST_PYTHON:
        return _stop("python", f"Python {shown} is not supported.", "Install CPython 3.11 to 3.14.")
    if path.startswith(_HIDDEN_PLACES):
        remedy = "Start the installer with /usr/bin/python3."
        return _stop("python", f"{path} lies where a service may not look.", remedy)
    return _ok("python", f"Python {shown} at {path}.")


def judge_memory(total_bytes: int) -> PreflightCheck:
    """All of it, not what is free."""
    shown = f"This machine has {total_bytes // MIB} MiB of memory"
    if total_bytes < LEAST_MEMORY_BYTES:
        return _stop("memory", f"{shown}, too little.", f"Rent one with {GOOD_MEMORY_BYTES // MIB} MiB or more.")
    if total_bytes < GOOD_MEMORY_BYTES:
        remedy = f"Good for some tens of people; rent {GOOD_MEMORY_BYTES // MIB} MiB or more for many."
        return _warning("memory", f"{shown}, which is little.", remedy)
    return _ok("memory", f"{shown}.")


def judge_disk(free_bytes: int) -> PreflightCheck:
    """The least of what is free where program and data go."""
    shown = f"{free_bytes / GIB:.1f} GiB of the disk are free"
    if free_bytes < LEAST_DISK_BYTES:
        remedy = f"Free at least {LEAST_DISK_BYTES // MIB} MiB below /opt and /var."
        return _stop("disk", f"{shown}, too little.", remedy)
    if free_bytes < GOOD_DISK_BYTES:
        return _warning("disk", f"{shown}, which is little.", "Each account may store up to 500 MB; watch the disk.")
    return _ok("disk", f"{shown}.")


def judge_clock(now: datetime, synchronized: bool | None) -> PreflightCheck:
    """`synchronized` is None where nobody knows."""
    shown = now.strftime("%Y-%m-%d %H:%M UTC")
    remedy = "Switch on time synchronisation: apt install systemd-timesyncd && timedatectl set-ntp true"
    if now < EARLIEST_NOW:
        return _stop("clock", f"The clock shows {shown}, which is long ago; certificates would not be valid.", remedy)
    if synchronized is False:
        return _warning("clock", f"The clock shows {shown}, and nobody keeps it right.", remedy)
    if synchronized is None:
        return _warning("clock", f"The clock shows {shown}; whether somebody keeps it right is not known.", remedy)
    return _ok("clock", f"The clock shows {shown} and is kept right.")


@dataclass(frozen=True, slots=True)
class PortOwner:
    """Who listens on a port: `process` as people know it, `unit` its systemd unit (empty if it has none)."""

    port: int
    process: str
    unit: str


def judge_ports(wanted: Sequence[int], owners: Sequence[PortOwner]) -> list[PreflightCheck]:
    """One line if all is free or ours, else one for each port that somebody has."""
    strangers = [owner for owner in owners if owner.unit != UNIT]
    if not strangers and owners:
        return [_ok("ports", f"The ports {', '.join(map(str, wanted))} are free, or this server's already.")]
    if not strangers:
        return [_ok("ports", f"The ports {', '.join(map(str, wanted))} are free.")]
    return [
        _stop(f"port {owner.port}", f"Port {owner.port} is used by {owner.process}.", _how_to_end(owner))
        for owner in strangers
    ]


def _how_to_end(owner: PortOwner) -> str:
    if owner.unit.endswith((".service", ".socket")):
        return f"If you do not need it: systemctl disable --now {owner.unit}"
    return f"End {owner.process}, and see that it does not come back at the next start of the machine."


def judge_others(units: Sequence[str]) -> PreflightCheck:
    """`units` are mail and web servers that are enabled or running here."""
    if not units:
        return _ok("other servers", "No other mail or web server is set up here.")
    remedy = f"If you do not need them: systemctl disable --now {' '.join(units)}"
    return _warning("other servers", f"Also set up here: {', '.join(units)}; they want the same ports.", remedy)


def judge_outgoing_mail(reached: bool | None, target: str) -> PreflightCheck:
    """`reached` is None if it was not tried."""
    if reached is None:
        return _ok("outgoing port 25", "Whether mail can leave this machine was not tried.")
    if reached:
        return _ok("outgoing port 25", "Mail can leave this machine on port 25.")
    remedy = "Chats among your own users work; for others ask your provider to open outgoing port 25."
    return _warning("outgoing port 25", f"Port 25 of {target} could not be reached from here.", remedy)


def judge_address(version: int, address: Address | None, reached: bool | None) -> PreflightCheck:
    """`address` is this machine's towards the world; `reached` whether somebody outside answered, None if not tried."""
    name, other = f"IPv{version}", 10 - version
    if address is None:
        remedy = f"IPv{other} alone is enough to begin with; many networks still lack one of the two."
        return _warning(name, f"This machine has no {name} address.", remedy)
    if reached is False:
        remedy = "Check the network settings and the routes, or leave its record out of the DNS."
        return _warning(name, f"{address} is set up, but nobody could be reached over {name}.", remedy)
    if reached is None:
        return _ok(name, f"{address} is this machine's {name} address.")
    return _ok(name, f"{name} works, with the address {address}.")


def judge_nat(addresses: Sequence[Address]) -> PreflightCheck:
    """Behind a NAT a machine knows only private addresses of its own."""
    public = [address for address in addresses if address.is_global]
    if public or not addresses:
        return _ok("NAT", "The addresses of this machine are its own." if public else "No address, so no NAT either.")
    remedy = "Forward the ports 25, 80, 143, 443, 465, 587 and 993 to it, and put the outer address into the DNS."
    return _warning("NAT", f"This machine is behind a NAT: {addresses[0]} is a private address.", remedy)


def judge_existing(mail_domain: str, complete: bool, version: str, is_active: bool) -> PreflightCheck:
    """`mail_domain` is empty where nothing is installed."""
    if not mail_domain and complete:
        return _ok("installation", "Nothing of this server is installed yet.")
    if not complete:
        remedy = "Go on: what is done already is not done again. Or remove it: chatmail.pyz uninstall"
        return _warning("installation", "An earlier installation did not come to its end.", remedy)
    if not is_active:
        remedy = "Installing again repairs it; `systemctl status chatmail` says why it does not run."
        return _warning("installation", f"Version {version} is installed for {mail_domain}, but does not run.", remedy)
    return _ok(
        "installation",
        f"Version {version} runs here for {mail_domain}.",
        "Installing again repairs it, changes settings, or puts this version in its place.",
    )
