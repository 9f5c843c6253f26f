"""A fresh Debian with a running systemd, in a container on this one: where an installation is tried.

Needs root, debootstrap, systemd-container and iproute2. Each suite is fetched once and kept below `CACHE`; a machine is
a copy of it, reachable from this machine alone, and is gone after the test.
"""

import hashlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Final

from tests.support.tools import lacking, require_tool

CACHE: Final = Path(os.environ.get("CHATMAIL_MACHINES", "/var/cache/chatmail-machines"))
PACKAGES: Final = "systemd,systemd-sysv,dbus,python3,ca-certificates,iproute2,procps"
BOOT_SECONDS: Final = 60.0
COMMAND_SECONDS: Final = 180.0
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended inside."""

    code: int
    out: str
    err: str


def _host(*command: str | Path, check: bool = True) -> None:
    subprocess.run(command, check=check, capture_output=True)


def base(suite: str) -> Path:
    """The unpacked suite, fetched if it is not there yet."""
    folder = CACHE / f"base-{suite}"
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


class Machine:
    """One machine by the name of `name`, which makes its address, too."""

    def __init__(self, name: str, suite: str) -> None:
        require_tool("systemd-nspawn")
        require_tool("ip")
        require_tool("nsenter")
        if os.geteuid() != 0:
            lacking("only root can boot a machine")
        number = hashlib.sha256(name.encode()).digest()[0]
        self.gateway, self.address = f"10.214.{number}.1", f"10.214.{number}.2"
        self._name, self._suite = name, suite
        self._root = CACHE / "run" / name
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._pid = 0

    def create(self) -> None:
        """A copy of the suite, never booted."""
        source = base(self._suite)
        shutil.rmtree(self._root, ignore_errors=True)
        self._root.parent.mkdir(parents=True, exist_ok=True)
        _host("cp", "-a", "--reflink=auto", source, self._root)
        (self._root / ".complete").unlink()
        (self._root / "etc/hostname").write_text(f"{self._name}\n")
        (self._root / "etc/machine-id").write_text("")

    def boot(self) -> None:
        """Switch it on, and wait until its systemd says that all is up."""
        outer, inner = f"cm-{self._name}", f"ci-{self._name}"
        _host("ip", "link", "del", outer, check=False)
        _host("ip", "link", "add", outer, "type", "veth", "peer", "name", inner)
        _host("ip", "addr", "add", f"{self.gateway}/24", "dev", outer)
        _host("ip", "link", "set", outer, "up")
        with self._root.with_suffix(".log").open("ab") as log:
            self._nspawn = subprocess.Popen(
                ["systemd-nspawn", "-q", "-D", self._root, f"--machine={self._name}", "--register=no", "--keep-unit",
                 "--private-network", "-b"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        deadline = monotonic() + BOOT_SECONDS
        while not self._is_up():
            assert monotonic() < deadline, self._root.with_suffix(".log").read_text(errors="replace")[-1000:]
            sleep(0.2)  # nothing tells when a machine is up but asking it
        _host("ip", "link", "set", inner, "netns", str(self._pid))
        self.must("sh", "-c", f"ip link set {inner} name eth0; ip addr add {self.address}/24 dev eth0; "
                  f"ip link set eth0 up; ip link set lo up; ip route add default via {self.gateway}")  # fmt: skip

    def _is_up(self) -> bool:
        assert self._nspawn is not None
        with suppress(OSError, ValueError, IndexError):
            pid = self._nspawn.pid
            self._pid = int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
            return self.run("systemctl", "is-system-running").out in ("running", "degraded")
        return False

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
        _host("ip", "link", "del", f"cm-{self._name}", check=False)
        shutil.rmtree(self._root, ignore_errors=True)
        self._root.with_suffix(".log").unlink(missing_ok=True)

    def command(self, command: Sequence[str | Path]) -> list[str]:
        """The command line on this machine that runs `command` inside, as root."""
        environment = ["/usr/bin/env", "-i", f"PATH={_PATH}", "HOME=/root", "LC_ALL=C.UTF-8"]
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

    def files(self) -> dict[str, str]:
        """Every path on its disk with type, mode, owner and link target; without what changes by itself."""
        passing = ["/proc", "/sys", "/run", "/tmp", "/dev", "/root/chatmail.pyz", "/var/cache", "/var/lib/systemd",
                   "/var/log", "/var/tmp", "/etc/.pwd.lock"]  # fmt: skip
        leave_out = " -o ".join(f"-path {path}" for path in passing)
        listing = self.must("sh", "-c", rf"find / -xdev \( {leave_out} \) -prune -o -printf '%p\t%y %m %U %G %l\n'")
        return dict(line.split("\t", 1) for line in listing.splitlines())


@contextmanager
def machine(name: str, suite: str) -> Iterator[Machine]:
    """A fresh machine, switched on, and deleted after."""
    one = Machine(name, suite)
    try:
        one.create()
        one.boot()
        yield one
    finally:
        one.remove()
