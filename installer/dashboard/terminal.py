"""The terminal this runs in: left in order when its line breaks, and never outlived."""

import os
import select
import signal
import sys
import threading
from collections.abc import Callable
from typing import Final

HANGUP_SECONDS: Final = 3.0
"""How long leaving may take once the line is broken: a terminal that takes no more bytes would hold it up for ever."""


def is_gone() -> bool:
    """Whether nobody is at the other end of the terminal any more (a signal says so, but not to every process)."""
    poll = select.poll()
    poll.register(sys.__stdin__.fileno() if sys.__stdin__ else 0, 0)
    return any(event & (select.POLLHUP | select.POLLNVAL) for _fd, event in poll.poll(0))


def leave_on_signals(leave: Callable[[], object]) -> None:
    """Have SIGHUP and SIGTERM call `leave` between two steps of the main thread, even of one that waits for a lock."""

    def received(number: int, _frame: object) -> None:
        end_anyway(128 + number)
        leave()

    for number in (signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, received)


def end_anyway(code: int) -> None:
    """End the process after `HANGUP_SECONDS` if it has not ended by itself."""
    timer = threading.Timer(HANGUP_SECONDS, os._exit, (code,))
    timer.daemon = True
    timer.start()
