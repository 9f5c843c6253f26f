"""Shares the event loop among people: who used much of it lately waits, who used little goes first.

Doors: one `Turns` for the process, and a `Turn` of it for each connection. A connection takes its turn when something
came in (`begin`), asks `is_over` after each command of a pipeline, and lets others go first with `next`. All
connections of an account, and all strangers of a network, have one share: a flood of commands, however many connections
it comes from, costs somebody else a round of the loop or two.

It is start-time fair queueing (Goyal, Vin and Cheng, 1996): each share has a tag, the virtual time at which its next
turn may begin, and the lowest goes first. The tag moves on by the time that was used; a share that was idle begins at
the present virtual time, before all that have a backlog. As long as the loop is not busy nobody waits.
"""

import asyncio
from collections import deque
from heapq import heappop, heappush
from itertools import count
from time import perf_counter
from typing import Final
from weakref import WeakValueDictionary

TURN_SECONDS: Final = 0.0005
"""After so long others have their turn. A pipeline of thirty small commands fits."""
ROUND_SECONDS: Final = 0.002
"""So long turns may begin in one round of the loop; between two rounds sockets are read and commits are told."""
PAUSE_ROUNDS: Final = 3
"""Rounds without turns for those that wait, after one that had some. They last microseconds where nothing else is to
be done, and a message on its way, which needs rounds for its last bytes, its commit and its EXISTS, goes through."""
EXPRESS_SECONDS: Final = 0.006
"""So much longer they may for those that were idle: these need not wait for the next round."""
MAX_CHARGED_SECONDS: Final = 0.01
"""Of one turn: most of a longer one was spent waiting, for the store or for the peer."""
READ_SECONDS_A_BYTE: Final = 1.5e-9
"""What a byte costs before anybody looks at it: system call, TLS, copies. Lines without an end cost little else."""
_LEAST_COST_SECONDS: Final = 0.00002


class _Share:
    """What one account, or the strangers of one network, get of the loop."""

    __slots__ = ("__weakref__", "cost", "is_in_line", "tag", "waiting")

    def __init__(self) -> None:
        self.tag = 0.0
        self.cost = _LEAST_COST_SECONDS
        """What its next turn is expected to use."""
        self.waiting: deque[asyncio.Future[None]] = deque()
        self.is_in_line = False


class Turns:
    """The line."""

    __slots__ = ("_is_round_timed", "_line", "_numbers", "_pause_rounds", "_round_ends_at", "_shares", "_virtual_time")

    def __init__(self) -> None:
        """Nobody waits."""
        self._shares: WeakValueDictionary[object, _Share] = WeakValueDictionary()
        self._line: list[tuple[float, int, _Share]] = []
        self._numbers = count()
        self._virtual_time = 0.0
        self._round_ends_at = 0.0
        self._is_round_timed = False
        self._pause_rounds = 0

    def turn(self, owner: object) -> "Turn":
        """For a connection of `owner`, anything hashable."""
        return Turn(self, owner)

    def share(self, owner: object) -> _Share:
        """The share of `owner`, which lasts as long as somebody holds it."""
        share = self._shares.get(owner)
        if share is None:
            share = self._shares[owner] = _Share()
        return share

    async def take(self, share: _Share) -> float:
        """Wait for a turn; what it is expected to cost, which is charged already."""
        if self._is_free(share):
            return self._grant(share)
        future = asyncio.get_running_loop().create_future()
        share.waiting.append(future)
        self._put_in_line(share)
        await future
        return share.cost

    def _is_free(self, share: _Share) -> bool:
        """Whether there is time left in this round, and nobody else comes before."""
        if not self._is_round_timed:
            self._time_round()
        was_idle = share.tag < self._virtual_time
        if was_idle:
            return not share.waiting and perf_counter() < self._round_ends_at + EXPRESS_SECONDS
        return not self._line and not self._pause_rounds and perf_counter() < self._round_ends_at

    def _grant(self, share: _Share) -> float:
        self._virtual_time = max(self._virtual_time, share.tag)
        share.tag = self._virtual_time + share.cost
        return share.cost

    def _put_in_line(self, share: _Share) -> None:
        if not share.is_in_line:
            share.is_in_line = True
            share.tag = max(share.tag, self._virtual_time)
            heappush(self._line, (share.tag, next(self._numbers), share))

    def _time_round(self) -> None:
        self._is_round_timed = True
        self._round_ends_at = perf_counter() + ROUND_SECONDS
        asyncio.get_running_loop().call_soon(self._begin_round)

    def pause(self) -> None:
        """Somebody has used a whole turn: before the next of those that wait, let what is under way go on."""
        self._pause_rounds = PAUSE_ROUNDS

    def _begin_round(self) -> None:
        """Wake as many of those that wait as there is time for."""
        self._is_round_timed = False
        if self._pause_rounds:
            self._pause_rounds -= 1
            self._time_round()
            return
        seconds = ROUND_SECONDS
        while self._line and seconds > 0:
            _, _, share = heappop(self._line)
            share.is_in_line = False
            while share.waiting:
                future = share.waiting.popleft()
                if not future.done():  # or cancelled meanwhile
                    seconds -= self._grant(share)
                    future.set_result(None)
                    break
            if share.waiting:
                self._put_in_line(share)
        if seconds < ROUND_SECONDS:
            self.pause()
        if self._line or self._pause_rounds:
            self._time_round()


class Turn:
    """One connection's part in the share of its owner."""

    __slots__ = ("_began_at", "_charged", "_share", "_spent_before", "_turns")

    def __init__(self, turns: Turns, owner: object) -> None:
        """See `Turns.turn`."""
        self._turns = turns
        self._share = turns.share(owner)
        self._began_at = 0.0
        self._charged = 0.0
        self._spent_before = 0.0

    def belongs_to(self, owner: object) -> None:
        """From the next turn on it is the share of `owner`: somebody has logged in."""
        self.end()
        self._share = self._turns.share(owner)

    async def begin(self) -> None:
        """Wait until there is time to work; at once unless the loop is busy."""
        self._charged = await self._turns.take(self._share)
        self._began_at = perf_counter()

    @property
    def is_over(self) -> bool:
        """Whether others should have theirs."""
        return perf_counter() - self._began_at >= TURN_SECONDS

    async def next(self) -> None:
        """Let others have theirs, then go on."""
        self.end()
        self._turns.pause()
        await asyncio.sleep(0)
        await self.begin()

    def read(self, size_bytes: int) -> None:
        """So much came in: that is charged with what is done about it."""
        self._spent_before += size_bytes * READ_SECONDS_A_BYTE

    def resume(self) -> None:
        """Go on after `end`, and a wait for something else than the loop."""
        self._charged = 0.0
        self._began_at = perf_counter()

    def end(self, at_least: float = _LEAST_COST_SECONDS) -> None:
        """Nothing more is done now: what was used is charged, or what is known to follow."""
        if self._began_at:
            used = max(min(perf_counter() - self._began_at, MAX_CHARGED_SECONDS), at_least) + self._spent_before
            self._spent_before = 0.0
            self._share.tag += used - self._charged
            self._share.cost = (self._share.cost + used) / 2
            self._began_at = 0.0
