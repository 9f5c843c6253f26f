"""Counts of what goes to and comes from other domains: messages and bytes by domain, direction and outcome, no more.

`record` only adds to a count in memory, so that it costs a delivery nothing; the counts reach the disk together, a few
seconds later and at the end. What a crash takes of them is a few seconds of statistics.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Final

from chatmail.errors import StorageError
from chatmail.storage.database import Reader
from chatmail.storage.outbound import Direction, TrafficCount, TrafficOutcome
from chatmail.storage.transaction import Transaction
from chatmail.storage.writer import Writer

FLUSH_SECONDS: Final = 5.0
MAX_DOMAINS: Final = 10_000
"""Domains counted one by one; whoever comes later is counted under `OTHER_DOMAINS`."""
OTHER_DOMAINS: Final = "*"

_Key = tuple[str, str, str]


class Traffic:
    """The counters. Used in the event loop."""

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer = writer
        self._reader = reader
        self._waiting: dict[_Key, tuple[int, int]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._flush: asyncio.Task[None] | None = None

    def record(self, domain: str, direction: Direction, outcome: TrafficOutcome, size_bytes: int) -> None:
        """Count one message of a size from or to `domain`."""
        key = (domain, direction.value, outcome.value)
        if key not in self._waiting and len(self._waiting) >= MAX_DOMAINS:
            key = (OTHER_DOMAINS, *key[1:])
        messages, total_bytes = self._waiting.get(key, (0, 0))
        self._waiting[key] = messages + 1, total_bytes + size_bytes
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self._begin_flush)

    def counts(self) -> Sequence[TrafficCount]:
        """All counts, by domain. Raises `StorageError`."""
        rows = self._reader.rows("SELECT domain, direction, outcome, messages, size_bytes FROM traffic")
        found = {(domain, direction, outcome): (messages, size) for domain, direction, outcome, messages, size in rows}
        for key, (messages, size_bytes) in self._waiting.items():
            before = found.get(key, (0, 0))
            found[key] = before[0] + messages, before[1] + size_bytes
        return [
            TrafficCount(domain, Direction(direction), TrafficOutcome(outcome), messages, size_bytes)
            for (domain, direction, outcome), (messages, size_bytes) in sorted(found.items())
        ]

    def _begin_flush(self) -> None:
        self._timer = None
        if self._flush is None or self._flush.done():
            self._flush = asyncio.get_running_loop().create_task(self._write())
        else:  # a disk that hangs gets no second one: what comes meanwhile goes on being counted
            self._timer = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self._begin_flush)

    async def _write(self) -> None:
        waiting, self._waiting = self._waiting, {}
        # Counts that a full disk refuses are not worth keeping in memory.
        with contextlib.suppress(StorageError):
            await self._writer.submit(lambda transaction: _add(transaction, waiting))

    async def close(self) -> None:
        """Write what has not been written; to be called before the writer is closed."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._flush is not None:
            await self._flush
        if self._waiting:
            await self._write()


def _add(transaction: Transaction, counts: dict[_Key, tuple[int, int]]) -> None:
    (domains,) = transaction.row("SELECT count(DISTINCT domain) FROM traffic") or (0,)
    for (domain, direction, outcome), (messages, size_bytes) in counts.items():
        counted_as = domain
        if not transaction.row("SELECT 1 FROM traffic WHERE domain = ? LIMIT 1", (domain,)):
            domains += 1
            counted_as = domain if domains <= MAX_DOMAINS else OTHER_DOMAINS
        transaction.run(
            "INSERT INTO traffic VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
            " messages = messages + excluded.messages, size_bytes = size_bytes + excluded.size_bytes",
            (counted_as, direction, outcome, messages, size_bytes),
        )
