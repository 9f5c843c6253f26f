"""How fast the disk commits, and so where a COMMIT may wait for it. Pure: it is told how long each one took.

A COMMIT in the event loop costs nobody a hand-over, but holds up everybody for as long as the disk takes; one in the
writer's thread holds up nobody. A time measured in the thread holds, beside the disk's, what the thread waited for the
interpreter's lock, so one alone says little; but where even the quickest of many was slow, it is the disk.
"""

import math
from typing import Final

QUICK_COMMIT_SECONDS: Final = 0.002
"""A COMMIT that takes no longer may hold up the event loop: handing it to the thread costs it about as much."""
LOCK_SECONDS: Final = 0.005
"""What a busy event loop lets the thread wait for the interpreter's lock (`sys.getswitchinterval`)."""
JUDGED_COMMITS: Final = 20
"""So many happen in the thread after one that was slow in the event loop, before that is judged anew."""
GATHERING_SHARE: Final = 0.05
"""Of the time of a COMMIT: how long the next one waits for company. Whoever was just answered has the next message
ready within it; without waiting, that message would sit out a commit made for the first few alone."""
MAX_GATHERING_SECONDS: Final = 0.01


class DiskPace:
    """What is known of the disk."""

    __slots__ = ("_known_seconds", "_left", "_quickest")

    def __init__(self) -> None:
        """The disk is quick until it shows otherwise."""
        self._left = 0
        self._quickest = math.inf
        self._known_seconds = 0.0

    @property
    def is_slow(self) -> bool:
        """Whether the next COMMIT belongs in the thread."""
        return self._left > 0

    @property
    def gathering_seconds(self) -> float:
        """How long to wait for company before the next transaction; 0 unless the disk is known to be slow."""
        return min(GATHERING_SHARE * self._known_seconds, MAX_GATHERING_SECONDS)

    def took_in_loop(self, seconds: float) -> None:
        """A COMMIT held up the event loop for so long."""
        if seconds > QUICK_COMMIT_SECONDS:
            self._begin_to_judge()

    def took_in_thread(self, seconds: float) -> None:
        """A COMMIT took the thread so long."""
        if self._left == 0:
            return
        self._left -= 1
        self._quickest = min(self._quickest, seconds)
        if self._left == 0:
            is_surely_slow = self._quickest > QUICK_COMMIT_SECONDS + LOCK_SECONDS
            self._known_seconds = self._quickest if is_surely_slow else 0.0
            if is_surely_slow:
                self._begin_to_judge()

    def _begin_to_judge(self) -> None:
        self._left = JUDGED_COMMITS
        self._quickest = math.inf
