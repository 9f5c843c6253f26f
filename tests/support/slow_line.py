"""A slow line before a program on a terminal: passes so many bytes of it a second, and counts them.

    python -m tests.support.slow_line 960 COUNT_FILE COMMAND…

The program gets a terminal of its own, as large as the one this runs on, also when that changes. Keys pass at once.
What it writes beyond the rate waits in the kernel, as behind a modem; 0 bytes a second is a line without limit.
COUNT_FILE holds how many bytes have passed so far.
"""

import fcntl
import os
import pty
import select
import signal
import sys
import termios
import tty
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import Final

_STEP_SECONDS: Final = 0.02
_SIZE_BYTES: Final = 8


class _Budget:
    """How many bytes may pass now."""

    def __init__(self, bytes_per_second: int) -> None:
        self._rate = bytes_per_second
        self._left, self._at = 0.0, monotonic()

    def now(self) -> int:
        """Grows with time, but saves up no more than a few steps."""
        if not self._rate:
            return 65536
        now = monotonic()
        most = max(16.0, self._rate * 3 * _STEP_SECONDS)
        self._left, self._at = min(most, self._left + (now - self._at) * self._rate), now
        return int(self._left)

    def spend(self, count: int) -> None:
        """So many have passed."""
        self._left -= count


def run(bytes_per_second: int, count_file: Path, command: Sequence[str]) -> int:
    """Run `command` behind the line to its end; its exit code."""
    pid, line = pty.fork()
    if pid == 0:
        os.execvp(command[0], list(command))
    _take_size(line)
    signal.signal(signal.SIGWINCH, lambda _number, _frame: _take_size(line))
    before = termios.tcgetattr(0)
    tty.setraw(0)
    try:
        _pass_on(line, _Budget(bytes_per_second), count_file)
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _take_size(line: int) -> None:
    fcntl.ioctl(line, termios.TIOCSWINSZ, fcntl.ioctl(0, termios.TIOCGWINSZ, bytes(_SIZE_BYTES)))


def _pass_on(line: int, budget: _Budget, count_file: Path) -> None:
    passed, count = 0, os.open(count_file, os.O_WRONLY | os.O_CREAT, 0o600)
    while True:
        allowed = budget.now()
        ready, _, _ = select.select([0, line] if allowed else [0], [], [], _STEP_SECONDS)
        if 0 in ready:
            os.write(line, os.read(0, 4096))
        if line in ready:
            try:
                chunk = os.read(line, allowed)
            except OSError:
                return
            budget.spend(len(chunk))
            os.write(1, chunk)
            passed += len(chunk)
            os.pwrite(count, f"{passed:<20}".encode(), 0)


if __name__ == "__main__":
    sys.exit(run(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]))
