"""A fresh Debian with a running systemd, in a container on this one: where an installation is tried.

Needs root, debootstrap, systemd-container, openssh-client and iproute2. Each suite is fetched once and kept below
`CACHE`; a machine is a copy of it, reachable from this machine alone, and is gone after the test. It has what a rented
server has: sshd, sudo, an administrator besides root, and a network that it sets up itself at each start.
"""

import hashlib
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Final

from tests.machines.network import SETTINGS, Network, on_host
from tests.support.tools import lacking, require_tool

CACHE: Final = Path(os.environ.get("CHATMAIL_MACHINES", "/var/cache/chatmail-machines"))
PACKAGES: Final = "systemd,systemd-sysv,dbus,python3,ca-certificates,iproute2,procps,openssh-server,sudo"
ADMINISTRATOR: Final = "admin"
"""May use sudo without a password, and log in with the same key as root."""
OWN_LOAD: Final = "etc/systemd/system/chatmail.service.d/own-load.conf"
BOOT_SECONDS: Final = 60.0
COMMAND_SECONDS: Final = 180.0
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PASSING: Final = ("/proc", "/sys", "/run", "/tmp", "/dev", "/var/cache", "/var/lib/systemd", "/var/log", "/var/tmp",
                   "/etc/.pwd.lock", "*/chatmail.pyz", "/home/*/.sudo_as_admin_successful",
                   "/home/*/.bash_history")  # fmt: skip
"""What changes by itself while a machine is used; and the file that is put there by hand."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended inside."""

    code: int
    out: str
    err: str


def base(suite: str) -> Path:
    """The unpacked suite, fetched if it is not there yet."""
    folder = CACHE / f"base-{suite}-{hashlib.sha256(PACKAGES.encode()).hexdigest()[:8]}"
    if not (folder / ".complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        CACHE.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            [require_tool("debootstrap"), "--variant=minbase", f"--include={PACKAGES}", suite, folder],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            lacking(f"Debian {suite} cannot be fetched: {done.stdout[-200:]}")
        (folder / ".complete").touch()
    return folder


def ssh_key() -> Path:
    """The key that opens all machines."""
    key = CACHE / "key"
    if not key.exists():
        on_host(require_tool("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", key)
    return key


class Machine:
    """One machine by the name of `name`, which makes its address, too."""

    def __init__(self, name: str, suite: str, *, public: bool = False) -> None:
        require_tool("systemd-nspawn")
        require_tool("ip")
        require_tool("nsenter")
        if os.geteuid() != 0:
            lacking("only root can boot a machine")
        self.network = Network(name, public)
        self.gateway, self.address = self.network.address(1), self.network.address(2)
        self._name, self._suite = name, suite
        self._root = CACHE / "run" / name
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._pid = 0

    def create(self) -> None:
        """A copy of the suite, never booted."""
        source = base(self._suite)
        shutil.rmtree(self._root, ignore_errors=True)
        self._root.parent.mkdir(parents=True, exist_ok=True)
        on_host("cp", "-a", "--reflink=auto", source, self._root)
        (self._root / ".complete").unlink()
        self.write("/etc/hostname", f"{self._name}\n")
        self.write("/etc/machine-id", "")
        self.write("/etc/hosts", f"127.0.0.1 localhost\n127.0.1.1 {self._name}\n")
        self.write("/etc/resolv.conf", f"nameserver {self.gateway}\n")
        # A container sees the load of all that runs here, and a server that is short of CPU makes no new accounts.
        self.write("/etc/own-load", "0.00 0.00 0.00 1/100 1000\n")
        self.write(f"/{OWN_LOAD}", "[Service]\nBindReadOnlyPaths=/etc/own-load:/proc/loadavg\n")
        self.write(f"/{SETTINGS}", self.network.settings())
        self._in_root("systemctl", "enable", "--quiet", "systemd-networkd")
        self._in_root("useradd", "--create-home", "--shell", "/bin/bash", ADMINISTRATOR)
        self.write(f"/etc/sudoers.d/{ADMINISTRATOR}", f"{ADMINISTRATOR} ALL=(ALL) NOPASSWD: ALL\n")
        for user, home in (("root", "/root"), (ADMINISTRATOR, f"/home/{ADMINISTRATOR}")):
            self.write(f"{home}/.ssh/authorized_keys", ssh_key().with_suffix(".pub").read_text())
            self._in_root("chown", "-R", f"{user}:", f"{home}/.ssh")

    def _in_root(self, *command: str) -> None:
        on_host("chroot", self._root, "/usr/bin/env", "-i", f"PATH={_PATH}", *command)

    def trust(self, name: str, certificate_pem: bytes) -> None:
        """Make a root certificate one of those the machine trusts; before it is booted."""
        self.write(f"/usr/local/share/ca-certificates/{name}.crt", certificate_pem.decode())
        self._in_root("update-ca-certificates")

    def boot(self) -> None:
        """Switch it on, and wait until its systemd says that all is up."""
        interface = self.network.plug()
        with self._root.with_suffix(".log").open("ab") as log:
            self._nspawn = subprocess.Popen(
                ["systemd-nspawn", "-q", "-D", self._root, f"--machine={self._name}", "--register=no", "--keep-unit",
                 "--private-network", "--resolv-conf=off", "--timezone=off", "-b"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        deadline = monotonic() + BOOT_SECONDS
        self._wait_until(self._has_started, deadline)
        on_host("ip", "link", "set", interface, "netns", str(self._pid))
        self._wait_until(self._is_up, deadline)

    def _wait_until(self, holds: Callable[[], bool], deadline: float) -> None:
        while not holds():
            assert monotonic() < deadline, self._root.with_suffix(".log").read_text(errors="replace")[-1000:]
            sleep(0.05)  # nothing tells how far a machine is but asking it

    def _has_started(self) -> bool:
        """Whether its first process runs, in namespaces of its own."""
        assert self._nspawn is not None
        with suppress(OSError, ValueError, IndexError):
            pid = self._nspawn.pid
            self._pid = int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
            inside, here = (Path(f"/proc/{one}/ns/net").readlink() for one in (self._pid, "self"))
            return inside != here
        return False

    def _is_up(self) -> bool:
        return self.run("systemctl", "is-system-running").out in ("running", "degraded")

    def power_off(self) -> None:
        """Switch it off in order."""
        if self._nspawn is None:
            return
        with suppress(ProcessLookupError):
            os.kill(self._nspawn.pid, signal.SIGTERM)
        try:
            self._nspawn.wait(30)
        except subprocess.TimeoutExpired:
            self._nspawn.kill()
            self._nspawn.wait()
        self._nspawn = None

    def remove(self) -> None:
        """Switch it off and delete it."""
        self.power_off()
        shutil.rmtree(self._root, ignore_errors=True)
        self._root.with_suffix(".log").unlink(missing_ok=True)

    def command(self, command: Sequence[str | Path]) -> list[str]:
        """The command line on this machine that runs `command` inside, as root."""
        # Whoever runs the tests in the background has SIGINT ignored, and so would all that runs inside.
        environment = ["/usr/bin/env", "--default-signal", "-i", f"PATH={_PATH}", "HOME=/root", "LC_ALL=C.UTF-8"]
        return ["nsenter", "-t", str(self._pid), "-a", "--", *environment, *map(str, command)]

    def run(self, *command: str | Path) -> Ended:
        """Run a command inside to its end."""
        done = subprocess.run(
            self.command(command),
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        return Ended(done.returncode, done.stdout.strip(), done.stderr.strip())

    def must(self, *command: str | Path) -> str:
        """Run a command that must succeed, and return what it printed."""
        ended = self.run(*command)
        assert ended.code == 0, f"{command}: exit code {ended.code}\n{ended.out}\n{ended.err}"
        return ended.out

    def put(self, source: Path, target: str) -> None:
        """Copy a file in."""
        shutil.copy2(source, self._root / target.removeprefix("/"))

    def write(self, target: str, text: str) -> None:
        """Write a text file inside, making its folder."""
        path = self._root / target.removeprefix("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def files(self) -> dict[str, str]:
        """Every path on its disk with type, mode, owner, link target and content; without what changes by itself."""
        leave_out = " -o ".join(f"-path '{path}'" for path in _PASSING)
        find = rf"find / -xdev \( {leave_out} \) -prune -o"
        listing = self.must("sh", "-c", rf"{find} -printf '%p\t%y %m %U %G %l\n'")
        found = dict(line.split("\t", 1) for line in listing.splitlines())
        for line in filter(None, self.must("sh", "-c", f"{find} -type f -exec sha256sum -z {{}} +").split("\0")):
            digest, _, path = line.partition("  ")
            found[path] += f" {digest}"
        return found


@contextmanager
def machine(name: str, suite: str) -> Iterator[Machine]:
    """A fresh machine behind a NAT, switched on, and deleted after."""
    one = Machine(name, suite)
    try:
        one.create()
        one.network.up()
        one.boot()
        yield one
    finally:
        one.remove()
        one.network.down()
