"""Running `python -m chatmail` as a person would: a subprocess, with what it said and how it ended."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.tools import lacking, require_tool

ROOT = Path(__file__).resolve().parent.parent.parent
RUN_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Finished:
    """How a command ended."""

    code: int
    out: str
    err: str

    def refusal(self) -> str:
        """The one sentence of a command that was refused; fails if it was not, or said more."""
        assert self.code == 1, f"exit code {self.code}: {self.out}{self.err}"
        *log_lines, sentence = self.err.splitlines()
        assert not log_lines, self.err
        assert sentence.startswith("Error: ") and sentence.endswith(".") and not self.out, self.err
        return sentence.removeprefix("Error: ")


def chatmail_command(*arguments: str | Path) -> list[str]:
    """The command line that runs this source tree."""
    return [sys.executable, "-m", "chatmail", *map(str, arguments)]


def run(command: Sequence[str], **environment: str) -> Finished:
    """Run to the end, with an environment that says nothing of the one the tests run in."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**kept, "HOME": "/nonexistent", **environment},
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
    )
    return Finished(done.returncode, done.stdout, done.stderr)


def chatmail(*arguments: str | Path, **environment: str) -> Finished:
    """Run one command of this source tree to its end."""
    return run(chatmail_command(*arguments), **environment)


def without_privileges(command: Sequence[str]) -> list[str]:
    """The same command without root's power over files and low ports; as it is for any other user."""
    if os.geteuid() != 0:
        return list(command)
    dropped = "-dac_override,-dac_read_search,-net_bind_service"
    return [require_tool("setpriv"), "--bounding-set", dropped, *command]


def on_full_disk(command: Sequence[str], mount_point: Path, size: str) -> list[str]:
    """The same command with a file system of `size` mounted at `mount_point`, for it alone."""
    unshare = [require_tool("unshare"), "--mount", "--map-root-user"]
    mount = ["sh", "-c", f'mount -t tmpfs -o size={size} tmpfs "$0" && exec "$@"', str(mount_point)]
    if run([*unshare, *mount, "true"]).code != 0:
        lacking("this machine does not let a test mount a file system")
    return [*unshare, *mount, *command]
