"""The machine's tools, run for an installation: a seam, so that a test can stand in for systemd and useradd."""

import grp
import os
import pwd
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from chatmail.errors import OperatorError

COMMAND_SECONDS: Final = 180.0
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class CommandFailedError(OperatorError):
    """A tool of the system refused."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a tool ended; its texts, stripped."""

    code: int
    out: str
    err: str


class Host(Protocol):
    """The machine's tools."""

    def run(self, command: Sequence[str]) -> Ended:
        """Run a tool to its end; a missing one ends with code 127."""

    def is_root(self) -> bool:
        """Whether this process may change the machine."""


class ThisHost:
    """The machine this runs on."""

    def run(self, command: Sequence[str]) -> Ended:
        """Run a tool of the system, in the C locale, for at most `COMMAND_SECONDS`."""
        environment = {"PATH": _PATH, "LC_ALL": "C", "SYSTEMD_PAGER": "", "SYSTEMD_COLORS": "0"}
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                errors="replace",
                env=environment,
                stdin=subprocess.DEVNULL,
                timeout=COMMAND_SECONDS,
                check=False,
            )
        except FileNotFoundError:
            return Ended(127, "", f"{command[0]} is not installed")
        except subprocess.TimeoutExpired:
            return Ended(124, "", f"{command[0]} took more than {COMMAND_SECONDS:.0f} seconds")
        return Ended(done.returncode, done.stdout.strip(), done.stderr.strip())

    def is_root(self) -> bool:
        """Whether the effective user is 0."""
        return os.geteuid() == 0


def must(host: Host, *command: str) -> str:
    """Run a tool that must succeed, and return what it printed. Raises `CommandFailedError`."""
    ended = host.run(command)
    if ended.code != 0:
        said = " ".join((ended.err or ended.out or f"exit code {ended.code}").split())
        raise CommandFailedError(f"`{' '.join(command)}` failed: {said[:500].rstrip('.')}.")
    return ended.out


def has_user(name: str) -> bool:
    """Whether the machine knows the user."""
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def has_group(name: str) -> bool:
    """Whether the machine knows the group."""
    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True


def service_python() -> str:
    """The interpreter for the unit: the distribution's own, which is kept up to date, where that is what runs now."""
    usual, this = Path("/usr/bin/python3"), Path(sys.executable)
    try:
        return str(usual if usual.resolve() == this.resolve() else this)
    except OSError:
        return str(this)


def archive_in_use() -> Path | None:
    """The built file this process runs from; None for a source tree."""
    path = Path(sys.argv[0]).resolve()
    try:
        with path.open("rb") as file:
            is_archive = file.read(2) == b"#!" and path.suffix == ".pyz"
    except OSError:
        return None
    return path if is_archive else None
