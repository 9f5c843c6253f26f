"""The installer on a real terminal: what opens there, and what is left when the terminal goes away."""

import os
import pty
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic

import pytest

from tests.support.command import ROOT, chatmail_command, run
from tests.support.tools import lacking, require_tool

SECONDS = 60.0
INSTALL = ("install", "--outside", "")


class Terminal:
    """One program at the other end of a pseudo-terminal of 80×24."""

    def __init__(self, command: list[str], **environment: str) -> None:
        self._master, slave = pty.openpty()
        os.set_blocking(self._master, False)
        kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "SUDO_USER")}
        self.process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=ROOT,
            env={**kept, "COLUMNS": "80", "LINES": "24", **environment},
            start_new_session=True,
            preexec_fn=_take_terminal,
        )
        os.close(slave)
        self.seen = b""

    def wait_for(self, text: str) -> None:
        """Until it was written."""
        deadline = monotonic() + SECONDS
        while text.encode() not in self.seen:
            assert monotonic() < deadline, self.seen.decode(errors="replace")
            self._read(0.2)

    def _read(self, seconds: float) -> bool:
        """What is there; False once the other end is closed."""
        if select.select([self._master], [], [], seconds)[0]:
            try:
                self.seen += os.read(self._master, 65536)
            except OSError:
                return False
        return True

    def type(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def end(self) -> int:
        """The exit code, once all was read."""
        deadline = monotonic() + SECONDS
        while self._read(0.2) and monotonic() < deadline:
            pass
        return self.process.wait(SECONDS)

    def hang_up(self) -> None:
        """As when an SSH connection is lost: the kernel sends SIGHUP to the session."""
        os.close(self._master)
        self._master = -1

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self._master >= 0:
            os.close(self._master)


def _take_terminal() -> None:
    """Make the terminal on stdin the one that controls this session."""
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _as_nobody(command: list[str]) -> list[str]:
    """The same command where root is not: in a user namespace that maps nobody."""
    unshare = [require_tool("unshare"), "--user"]
    if run([*unshare, "true"]).code != 0:
        lacking("this machine does not let a test make a user namespace")
    return [*unshare, *command]


@contextmanager
def terminal(command: list[str], **environment: str) -> Iterator[Terminal]:
    opened = Terminal(command, **environment)
    try:
        yield opened
    finally:
        with suppress(ProcessLookupError):
            opened.close()


@pytest.mark.parametrize("command", [(), INSTALL], ids=["bare", "install"])
def test_screens_open_on_a_terminal_and_ctrl_c_gives_it_back(command: tuple[str, ...]) -> None:
    with terminal(chatmail_command(*command), TERM="xterm-256color") as opened:
        opened.wait_for("Step 1 of 7")
        opened.wait_for("root")
        opened.type(b"\x03")
        opened.wait_for("Leave the installer?")
        opened.type(b"y")
        assert opened.end() == 0, opened.seen.decode(errors="replace")
        last = opened.seen.rpartition(b"\x1b[?1049l")[2].decode()
        assert "Nothing was changed on this machine." in last and "starts again" in last


def test_ctrl_c_before_the_first_page_is_heard_also_where_it_comes_as_a_signal_still() -> None:
    with terminal(chatmail_command(*INSTALL), TERM="xterm-256color") as opened:
        opened.wait_for("\x1b[?1049h")
        opened.process.send_signal(signal.SIGINT)
        assert opened.end() == 130, opened.seen.decode(errors="replace")
        last = opened.seen.rpartition(b"\x1b[?1049l")[2].decode()
        assert "Nothing was changed on this machine." in last and "starts again" in last


@pytest.mark.parametrize("environment", [{"TERM": "dumb"}, {"TERM": "xterm", "PLAIN": "--plain"}], ids=str)
def test_lines_of_text_where_the_terminal_can_do_no_more_or_the_operator_wants_them(
    environment: dict[str, str],
) -> None:
    flags = [environment.pop("PLAIN")] if "PLAIN" in environment else []
    with terminal(_as_nobody(chatmail_command(*INSTALL, *flags)), **environment) as opened:
        opened.wait_for("--- Step 1 of 7: Welcome ---")
        opened.wait_for("stop: root: Only root can install a server.")
        opened.wait_for("Run: sudo ")
        opened.wait_for("Look again? [Y/n]")
        opened.type(b"\x04")
        assert opened.end() == 0, opened.seen.decode(errors="replace")
        assert b"Nothing was changed on this machine." in opened.seen and b"\x1b" not in opened.seen


def test_the_built_file_says_at_once_that_it_starts(pyz: Path) -> None:
    with terminal([sys.executable, str(pyz), *INSTALL, "--plain"], TERM="xterm") as opened:
        opened.wait_for("chatmail: starting...")
        assert b"Step 1" not in opened.seen


@pytest.mark.parametrize("term", ["xterm-256color", "dumb"])
def test_a_lost_connection_ends_it_and_changes_nothing(term: str) -> None:
    with terminal(chatmail_command(*INSTALL), TERM=term) as opened:
        opened.wait_for("Step 1 of 7")
        opened.hang_up()
        assert opened.process.wait(SECONDS) in (-signal.SIGHUP, 0, 1, 130)
        assert not Path("/opt/chatmail/installation.json").exists()
