"""Bodies on their way in: `IncomingBody` takes a message chunk by chunk, the `Stage` makes and keeps count of them.

Up to `SMALL_BODY_BYTES` the chunks stay in memory and become a row; beyond that they go to a file in `tmp/`, as they do
while unfinished bodies hold `MAX_HELD_BYTES` together: many may be begun and never ended. Writing
to the file only fills the page cache and happens in the caller's thread (0.3 ms a megabyte); the fsync happens in a
helper thread, before the writer hears of the body, and so delays nobody else.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Final, TypeVar

from chatmail.storage.atomic import move_durably
from chatmail.storage.database import storage_errors
from chatmail.storage.interface import StagedBody
from chatmail.storage.layout import DataLayout
from chatmail.storage.transaction import Transaction
from chatmail.storage.writer import Writer

T = TypeVar("T")

SMALL_BODY_BYTES: Final = 256 * 1024
"""Up to here a row and the fsync shared with others win; at 1 MB a file of its own is as fast, and is streamed out."""

MAX_HELD_BYTES: Final = 32 * 1024 * 1024
"""In the memory of all unfinished bodies: six thousand chat messages at the same moment."""

_CHUNK_COST_BYTES: Final = 48
"""Of a chunk beside its octets, which may be two."""


class Held:
    """How many bytes unfinished bodies hold in memory."""

    __slots__ = ("total_bytes",)

    def __init__(self) -> None:
        self.total_bytes = 0


class IncomingBody:
    """`StagedBody`. After `take()` it belongs to the store until `give_back()`."""

    __slots__ = (
        "_chunks",
        "_discarded",
        "_fd",
        "_held",
        "_held_bytes",
        "_path",
        "_taken",
        "header_bytes",
        "in_file",
        "size_bytes",
    )

    def __init__(self, header_bytes: bytes, path: str, held: Held) -> None:
        self.header_bytes = header_bytes
        self.size_bytes = len(header_bytes)
        self._chunks: list[bytes] = []
        self._held = held
        self._held_bytes = 0
        self._path = path
        self._fd = -1
        self.in_file = False
        """Whether it has outgrown memory."""
        self._taken = False
        self._discarded = False
        if self.size_bytes > SMALL_BODY_BYTES:
            self._spill()

    def write(self, chunk: bytes) -> None:
        """Append. Raises `StorageFullError` or `StorageError`."""
        if self.in_file:
            with storage_errors():
                _write_all(self._open(), chunk)
            self.size_bytes += len(chunk)
            return
        self._chunks.append(chunk)
        self.size_bytes += len(chunk)
        self._held_bytes += len(chunk) + _CHUNK_COST_BYTES
        self._held.total_bytes += len(chunk) + _CHUNK_COST_BYTES
        if self.size_bytes > SMALL_BODY_BYTES or self._held.total_bytes > MAX_HELD_BYTES:
            self._spill()

    def _open(self) -> int:
        if self._fd < 0:
            self._fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        return self._fd

    def _spill(self) -> None:
        with storage_errors():
            self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            self.in_file = True
            _write_all(self._fd, b"".join((self.header_bytes, *self._chunks)))
        self._let_go()

    def _let_go(self) -> None:
        """Hold nothing in memory any more."""
        self._chunks = []
        self._held.total_bytes -= self._held_bytes
        self._held_bytes = 0

    def rest(self) -> None:
        """See `StagedBody.rest`."""
        if not self.in_file:
            self._spill()
        self._close()

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def take(self) -> None:
        """From now on `discard` waits for the outcome."""
        self._taken = True

    def give_back(self, stored: bool) -> None:
        """The store is done with it; `stored` tells whether it kept the bytes."""
        self._taken = False
        if stored or self._discarded:
            self._drop()

    def discard(self) -> None:
        """Throw the bytes away, unless the store has them or is just storing them. May be called twice."""
        self._discarded = True
        if not self._taken:
            self._drop()

    def _drop(self) -> None:
        self._let_go()
        self._close()
        if self.in_file:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path)

    def seal(self) -> None:
        """Make the file durable. Blocks for the time of an fsync; only in a helper thread. Raises `StorageError`."""
        if self.in_file:
            with storage_errors():
                os.fsync(self._open())

    def content(self) -> bytes:
        """What follows the header block, of a body in memory."""
        if len(self._chunks) != 1:
            self._chunks = [b"".join(self._chunks)]
        return self._chunks[0]

    def place(self, target: Path) -> None:
        """Move the sealed file to its place; durable on return."""
        move_durably(self._path, target)

    def take_back(self, target: Path) -> None:
        """Undo `place`."""
        os.rename(target, self._path)


class Stage:
    """Makes `IncomingBody` objects with files of their own in `tmp/`, and hands them to the writer."""

    def __init__(self, layout: DataLayout, writer: Writer, threads: ThreadPoolExecutor) -> None:
        # Text, because a Path costs ten microseconds and few bodies ever need theirs.
        self._folder = str(layout.tmp)
        self._writer = writer
        self._threads = threads
        self._numbers = count(1)
        self._held = Held()

    def begin(self, header_bytes: bytes) -> IncomingBody:
        """Begin to receive a body."""
        return IncomingBody(header_bytes, f"{self._folder}/{next(self._numbers)}", self._held)

    async def store(self, bodies: Sequence[IncomingBody], job: Callable[[Transaction], T], *, heavy: bool = False) -> T:
        """Run the job that stores `bodies`; they are the store's until it is settled, even if the caller is gone."""
        in_files = [body for body in bodies if body.in_file]

        def settled(stored: bool) -> None:
            for body in bodies:
                body.give_back(stored)

        self._writer.require_open()
        for body in bodies:
            body.take()
        try:
            for body in in_files:
                await asyncio.get_running_loop().run_in_executor(self._threads, body.seal)
        except BaseException:
            settled(False)
            raise
        return await self._writer.submit(job, settled, heavy=heavy or bool(in_files))


def own_body(body: StagedBody) -> IncomingBody:
    """The body as this store made it. Raises `TypeError` for one of another store."""
    if not isinstance(body, IncomingBody):
        raise TypeError("a staged body comes from Store.stage")
    return body


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
