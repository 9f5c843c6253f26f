"""The only workers: they ask the source, and post messages. No widget is touched here.

One thread looks at the server once a second for as long as the app runs; whatever else is asked has one of its own.
"""

import threading
from collections.abc import Callable
from time import monotonic
from typing import Final, Protocol

from textual.message import Message

from chatmail.api import History, OperatorError
from installer.dashboard.commands import Command
from installer.dashboard.messages import (
    AccountRead,
    CommandDone,
    CommandProgress,
    InvitationMade,
    ItemsRead,
    LineBroken,
    LogRead,
    MomentTaken,
    ServerLost,
)
from installer.dashboard.moment import Moment, Outage
from installer.dashboard.source import Source

LOOK_SECONDS: Final = 1.0
HISTORY_SECONDS: Final = 60.0
OUTAGE_SECONDS: Final = 3.0
"""How often systemd is asked about a server that is down; the server itself is asked every time."""
LOG_SECONDS: Final = 2.0

Post = Callable[[Message], object]


class Clock(Protocol):
    """Time as the watch needs it: a seam for tests."""

    def now(self) -> float:
        """Seconds of a clock that never goes back."""

    def sleep(self, seconds: float) -> None:
        """Wait so long, or until somebody wakes it."""

    def wake(self) -> None:
        """End a sleep, now and from now on."""


class MonotonicClock:
    """The machine's own."""

    def __init__(self) -> None:
        self._awake = threading.Event()

    def now(self) -> float:
        """Of `time.monotonic`."""
        return monotonic()

    def sleep(self, seconds: float) -> None:
        """At most so long."""
        self._awake.wait(seconds)

    def wake(self) -> None:
        """For good."""
        self._awake.set()


class Watch:
    """Looks at the server again and again; `wants_log` says whether somebody reads the log now."""

    def __init__(self, source: Source, post: Post, terminal_is_gone: Callable[[], bool], clock: Clock) -> None:
        self._source = source
        self._post = post
        self._terminal_is_gone = terminal_is_gone
        self._clock = clock
        self._is_over = False
        self._history: History | None = None
        self._outage: Outage | None = None
        self._history_due = self._outage_due = self._log_due = 0.0
        self.wants_log = False

    def run(self) -> None:
        """Until `stop`, or until nobody sees it any more."""
        while not self._is_over:
            if self._terminal_is_gone():
                self._post(LineBroken())
                return
            began = self._clock.now()
            self._look(began)
            if self.wants_log and began >= self._log_due:
                self._log_due = began + LOG_SECONDS
                self._post(self._read_log())
            self._clock.sleep(max(0.1, LOOK_SECONDS - (self._clock.now() - began)))

    def stop(self) -> None:
        """Let the thread end at the next opportunity."""
        self._is_over = True
        self._clock.wake()

    def _look(self, now: float) -> None:
        try:
            if self._history is None or now >= self._history_due:
                self._history, self._history_due = self._source.history(), now + HISTORY_SECONDS
            self._post(MomentTaken(Moment(self._source.snapshot(), self._history)))
            self._outage = None
        except OperatorError as error:
            self._history = None
            if self._outage is None or now >= self._outage_due:
                self._outage, self._outage_due = self._source.outage(error), now + OUTAGE_SECONDS
            self._post(ServerLost(self._outage))

    def _read_log(self) -> LogRead:
        try:
            return LogRead(tuple(self._source.log_lines()))
        except OperatorError as error:
            return LogRead((), str(error))


def read_items(source: Source, domain: str, post: Post) -> None:
    """Post what waits for a domain."""
    try:
        post(ItemsRead(domain, source.queue_items(domain)))
    except OperatorError as error:
        post(ItemsRead(domain, (), str(error)))


def read_account(source: Source, address: str, post: Post) -> None:
    """Post what is known of an account."""
    try:
        post(AccountRead(address, source.find_account(address)))
    except OperatorError as error:
        post(AccountRead(address, {}, str(error)))


def invite(source: Source, post: Post) -> None:
    """Post the link of a new invitation."""
    try:
        post(InvitationMade(source.invite()))
    except OperatorError as error:
        post(CommandDone("Invite", str(error), failed=True))


def run_command(source: Source, command: Command, post: Post) -> None:
    """Have something done, and post how it goes."""

    def progress(text: str) -> None:
        post(CommandProgress(text))

    try:
        post(CommandDone(command.title, command.do(source, progress)))
    except OperatorError as error:
        post(CommandDone(command.title, str(error), failed=True))
