"""The look at a machine before anything is installed: gathers facts, and `chatmail.installation.findings` judges.

`preflight` yields each check as soon as it is made. It changes nothing. Of the world outside it asks one host, named in
the options, whether connections get through; with none named it asks nobody.
"""

import os
import platform
import shlex
import socket
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from chatmail.installation import findings
from chatmail.installation.findings import PortOwner, PreflightCheck, PreflightState
from chatmail.installation.firewall import Firewall, firewall_commands, guards_input, open_ports
from chatmail.installation.host import Host, service_python
from chatmail.installation.places import Places
from chatmail.installation.state import installed_state
from chatmail.listeners import owner_of_port
from chatmail.net.addresses import source_addresses
from chatmail.system_load import read_system_load

DEFAULT_OUTSIDE: Final = "nine.testrun.org"
"""A public chatmail relay: it takes connections on 25 and 443, over IPv4 and IPv6."""
CONNECT_SECONDS: Final = 4.0
_OTHER_SERVERS: Final = (
    "postfix", "exim4", "sendmail", "opensmtpd", "dovecot", "courier-imap", "cyrus-imapd",
    "nginx", "apache2", "httpd", "caddy", "lighttpd", "haproxy",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class PreflightOptions:
    """What the look depends on besides the machine.

    `outside` is asked whether connections get through, on `smtp_port` and `https_port`; empty asks nobody. `command` is
    how this was started.
    """

    outside: str = DEFAULT_OUTSIDE
    smtp_port: int = 25
    https_port: int = 443
    command: str = ""


def preflight(places: Places, host: Host, options: PreflightOptions) -> Iterator[PreflightCheck]:
    """Each check in turn; the slow ones, which wait for the network, come last."""
    checks: tuple[Callable[[], PreflightCheck | Iterable[PreflightCheck]], ...] = (
        lambda: findings.judge_root(host.is_root(), options.command or own_command()),
        lambda: findings.judge_systemd(Path("/run/systemd/system").is_dir(), _systemd_version(host)),
        lambda: findings.judge_architecture(platform.machine()),
        lambda: findings.judge_python(sys.version_info[:2], service_python()),
        lambda: findings.judge_memory(total_memory_bytes()),
        lambda: findings.judge_disk(_free_disk_bytes(places)),
        lambda: findings.judge_clock(datetime.now(UTC), clock_is_synchronized(host)),
        lambda: _existing(places, host),
        lambda: findings.judge_ports([row.port for row in open_ports()], port_owners()),
        lambda: findings.judge_others(_other_servers(host)),
        lambda: judge_firewall(find_firewall(host)),
        lambda: findings.judge_nat(source_addresses()),
        lambda: _address(4, options),
        lambda: _address(6, options),
        lambda: _outgoing_mail(options),
    )
    for check in checks:
        found = check()
        if isinstance(found, PreflightCheck):
            yield found
        else:
            yield from found


def own_command(*, arguments: bool = True) -> str:
    """How this program was started, to be typed again after `sudo`; without the arguments if so wanted."""
    is_command = Path(sys.argv[0]).name == "chatmail"
    program = ["chatmail"] if is_command else ["python3", sys.argv[0]]
    return shlex.join([*program, *(sys.argv[1:] if arguments else ())])


def start_command(*, arguments: bool = True) -> str:
    """The same with `sudo`, unless root needs none to become root again."""
    return as_typed(own_command(arguments=arguments))


def as_typed(command: str) -> str:
    """A command for root as this person has to type it: with `sudo`, unless they are root all the time."""
    is_root = os.geteuid() == 0 and not os.environ.get("SUDO_USER")
    return command if is_root else f"sudo {command}"


def total_memory_bytes() -> int:
    """As /proc/meminfo has it."""
    with suppress(OSError, ValueError, IndexError):
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        return int(next(line for line in lines if line.startswith("MemTotal:")).split()[1]) * 1024
    return 0


def _systemd_version(host: Host) -> int:
    words = host.run(["systemctl", "--version"]).out.split()
    return int(words[1]) if len(words) > 1 and words[1].isdecimal() else 0


def _free_disk_bytes(places: Places) -> int:
    return min(read_system_load(existing(path)).free_disk_bytes for path in (places.folder, places.data_dir))


def existing(path: Path) -> Path:
    """The nearest folder above that exists."""
    return path if path.exists() else existing(path.parent)


def clock_is_synchronized(host: Host) -> bool | None:
    """What systemd knows; None where it does not say."""
    said = host.run(["timedatectl", "show", "--property=NTPSynchronized", "--value"]).out
    return {"yes": True, "no": False}.get(said)


def _existing(places: Places, host: Host) -> PreflightCheck:
    state = installed_state(places, host)
    if not state.installed:
        return findings.judge_existing("", True, "", False)
    return findings.judge_existing(state.mail_domain, state.complete, state.version, state.active)


# --- ports and other servers ----------------------------------------------------------------------------------------


def port_owners() -> list[PortOwner]:
    """Who has the ports we want."""
    owners = []
    for row in open_ports():
        process = owner_of_port(row.port)
        if process is not None:
            owners.append(PortOwner(row.port, process, _unit_of(process)))
        elif not _is_free(row.port):
            owners.append(PortOwner(row.port, "a program that cannot be seen from here", ""))
    return owners


def _is_free(port: int) -> bool:
    """Whether it can be bound; one that this user may not bind counts as free."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))
        except PermissionError:
            return True
        except OSError:
            return False
    return True


def _unit_of(process: str) -> str:
    """The systemd unit of `NAME (pid N)`, by its control group; empty if it is in none."""
    pid = process.rpartition("(pid ")[2].rstrip(")")
    try:
        group = Path("/proc", pid, "cgroup").read_text().strip().rpartition("/")[2]
    except OSError:
        return ""
    return group if group.endswith((".service", ".socket")) else ""


def _other_servers(host: Host) -> list[str]:
    """Units of other mail and web servers that run or will run."""
    units = [f"{name}.service" for name in _OTHER_SERVERS]
    enabled = host.run(["systemctl", "list-unit-files", "--state=enabled", "--no-legend", "--plain", *units]).out
    active = host.run(["systemctl", "list-units", "--state=active", "--no-legend", "--plain", *units]).out
    found = {line.split()[0] for line in [*enabled.splitlines(), *active.splitlines()] if line.split()}
    return [unit for unit in units if unit in found]


# --- firewall -------------------------------------------------------------------------------------------------------


def find_firewall(host: Host) -> Firewall:
    """Which firewall guards this machine."""
    if "Status: active" in host.run(["ufw", "status"]).out:
        return Firewall.UFW
    if host.run(["systemctl", "is-active", "--quiet", "firewalld.service"]).code == 0:
        return Firewall.FIREWALLD
    return Firewall.NFTABLES if guards_input(host.run(["nft", "list", "ruleset"]).out) else Firewall.NONE


def judge_firewall(firewall: Firewall) -> PreflightCheck:
    """A firewall is never wrong, but it must let in our ports."""
    ports = open_ports()
    listed = ", ".join(str(row.port) for row in ports)
    if firewall is Firewall.NONE:
        remedy = f"If your provider has a firewall panel, let in TCP {listed} there."
        return PreflightCheck("firewall", PreflightState.OK, "No firewall guards this machine itself.", remedy)
    commands = " && ".join(firewall_commands(firewall, ports))
    remedy = f"Unless you did already: {commands}; and in your provider's panel, if it has one."
    return PreflightCheck("firewall", PreflightState.WARNING, f"{firewall} guards this machine.", remedy)


# --- the network ----------------------------------------------------------------------------------------------------


def _address(version: int, options: PreflightOptions) -> PreflightCheck:
    address = next((one for one in source_addresses() if one.version == version), None)
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    reached = None
    if options.outside and address is not None:
        reached = can_connect(options.outside, options.https_port, family)
    return findings.judge_address(version, address, reached)


def _outgoing_mail(options: PreflightOptions) -> PreflightCheck:
    reached = can_connect(options.outside, options.smtp_port) if options.outside else None
    return findings.judge_outgoing_mail(reached, options.outside)


def can_connect(host: str, port: int, family: int = socket.AF_UNSPEC) -> bool:
    """Whether a TCP connection comes about within `CONNECT_SECONDS` a try; at most two addresses are tried."""
    try:
        found = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)
    except OSError:
        return False
    for kind, _type, _protocol, _name, address in found[:2]:
        with suppress(OSError), socket.socket(kind, socket.SOCK_STREAM) as probe:
            probe.settimeout(CONNECT_SECONDS)
            probe.connect(address)
            return True
    return False
