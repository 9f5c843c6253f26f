"""Stored bodies: their rows and files, how many messages name them, reading them, and the recent ones in memory.

Every body is stored once. `insert_body` says how many messages name it, `share_bodies` and `release_bodies` follow
copies and removals, all in the transaction that changes the messages, so the counts are exact at every commit. With
its last message a body's rows go at once; its file goes when `purge.py` comes to it.
"""

import asyncio
import os
from collections import Counter, OrderedDict
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from chatmail.errors import StorageError
from chatmail.storage.database import Reader, among, storage_errors
from chatmail.storage.layout import DataLayout
from chatmail.storage.staging import IncomingBody
from chatmail.storage.transaction import Transaction

CACHE_BYTES: Final = 16 << 20
"""Whole recent bodies in memory: about 3,000 chat messages, which are fetched within seconds of their delivery."""
HEADER_CACHE_BYTES: Final = 4 << 20
"""Recent header blocks in memory."""
_ENTRY_BYTES: Final = 200
"""What an entry of a cache costs beside its bytes."""


class _RecentBytes:
    """The most recently used byte strings by number, up to a total size."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._held_bytes = 0
        self._entries: OrderedDict[int, bytes] = OrderedDict()

    def get(self, number: int) -> bytes | None:
        entry = self._entries.get(number)
        if entry is not None:
            self._entries.move_to_end(number)
        return entry

    def get_all(self, numbers: Iterable[int]) -> dict[int, bytes]:
        entries, found = self._entries, {}
        use = entries.move_to_end
        for number in numbers:
            entry = entries.get(number)
            if entry is not None:
                use(number)
                found[number] = entry
        return found

    def put(self, number: int, entry: bytes) -> None:
        self.drop(number)
        self._entries[number] = entry
        self._held_bytes += len(entry) + _ENTRY_BYTES
        while self._held_bytes > self._limit_bytes:
            self._held_bytes -= len(self._entries.popitem(last=False)[1]) + _ENTRY_BYTES

    def drop(self, number: int) -> None:
        entry = self._entries.pop(number, None)
        if entry is not None:
            self._held_bytes -= len(entry) + _ENTRY_BYTES


class BodyCache:
    """Recent bodies and header blocks. Used in the event loop only; a body's number is never used again."""

    def __init__(self) -> None:
        self._bodies = _RecentBytes(CACHE_BYTES)
        self._headers = _RecentBytes(HEADER_CACHE_BYTES)

    def body(self, body_id: int) -> bytes | None:
        """The whole body."""
        return self._bodies.get(body_id)

    def headers(self, body_ids: Iterable[int]) -> dict[int, bytes]:
        """The header blocks that are here."""
        return self._headers.get_all(body_ids)

    def put_body(self, body_id: int, body_bytes: bytes) -> None:
        """Remember a whole small body."""
        self._bodies.put(body_id, body_bytes)

    def put_header(self, body_id: int, header_bytes: bytes) -> None:
        """Remember a header block."""
        self._headers.put(body_id, header_bytes)

    def drop(self, body_ids: Iterable[int]) -> None:
        """Forget bodies that are gone."""
        for body_id in body_ids:
            self._bodies.drop(body_id)
            self._headers.drop(body_id)


# --- in the writer's thread -------------------------------------------------------------------------------------


class BodyTable:
    """The rows and files of bodies, as transactions change them."""

    def __init__(self, layout: DataLayout, cache: BodyCache) -> None:
        self._layout = layout
        self._cache = cache

    def insert(self, transaction: Transaction, body: IncomingBody, messages_count: int) -> int:
        """Store a body that `messages_count` messages are about to name; its number. May raise `OSError`."""
        in_file = body.in_file
        body_id = transaction.insert(
            "INSERT INTO bodies (messages_count, size_bytes, in_file, header) VALUES (?, ?, ?, ?)",
            (messages_count, body.size_bytes, in_file, body.header_bytes),
        )
        if in_file:
            target = self._layout.body(body_id)
            body.place(target)
            transaction.when_undone(lambda: body.take_back(target))
        else:
            content = body.content()
            transaction.insert("INSERT INTO contents (body_id, content) VALUES (?, ?)", (body_id, content))
            transaction.when_committed(lambda: self._cache.put_body(body_id, body.header_bytes + content))
        transaction.when_committed(lambda: self._cache.put_header(body_id, body.header_bytes))
        return body_id

    def share(self, transaction: Transaction, body_ids: Iterable[int]) -> None:
        """One more message names each of the bodies (as often as it is listed)."""
        transaction.run_many(
            "UPDATE bodies SET messages_count = messages_count + ? WHERE body_id = ?",
            [(times, body_id) for body_id, times in Counter(body_ids).items()],
        )

    def release(self, transaction: Transaction, body_ids: Iterable[int]) -> None:
        """One message fewer names each of the bodies; those that no message names any more go."""
        released = Counter(body_ids)
        which, numbers = among(released)
        rows = transaction.rows(
            f"SELECT body_id, messages_count, in_file FROM bodies WHERE body_id {which}", (numbers,)
        )
        small = [body_id for body_id, count, in_file in rows if count == released[body_id] and not in_file]
        large = [body_id for body_id, count, in_file in rows if count == released[body_id] and in_file]
        transaction.run_many(
            "UPDATE bodies SET messages_count = messages_count - ? WHERE body_id = ?",
            [(released[body_id], body_id) for body_id, count, _in_file in rows if count != released[body_id]],
        )
        self._remove(transaction, small, large)

    def _remove(self, transaction: Transaction, small: list[int], large: list[int]) -> None:
        gone = small + large
        if gone:
            which, numbers = among(gone)
            transaction.run(f"DELETE FROM bodies WHERE body_id {which}", (numbers,))
            transaction.when_committed(lambda: self._cache.drop(gone))
        if small:
            which, numbers = among(small)
            transaction.run(f"DELETE FROM contents WHERE body_id {which}", (numbers,))
        if large:
            transaction.run_many("INSERT INTO doomed_files VALUES (?)", [(body_id,) for body_id in large])
            transaction.leave_work()


# --- reading ----------------------------------------------------------------------------------------------------


class SmallBody:
    """`StoredBody` in memory."""

    __slots__ = ("_body_bytes", "size_bytes")

    def __init__(self, body_bytes: bytes) -> None:
        self._body_bytes = body_bytes
        self.size_bytes = len(body_bytes)

    async def read(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset`."""
        return self._body_bytes[offset : offset + length]


class LargeBody:
    """`StoredBody` in a file, held open: it can be read to its end even if the message is expunged meanwhile."""

    __slots__ = ("_fd", "_threads", "size_bytes")

    def __init__(self, fd: int, size_bytes: int, threads: ThreadPoolExecutor) -> None:
        self._fd = fd
        self._threads = threads
        self.size_bytes = size_bytes

    async def read(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset`, read in a helper thread. Raises `StorageError`."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._read, offset, length)

    def _read(self, offset: int, length: int) -> bytes:
        with storage_errors():
            piece = os.pread(self._fd, length, offset)
        if not piece and length and offset < self.size_bytes:
            raise StorageError("a body file is shorter than it should be")
        return piece

    def __del__(self) -> None:
        os.close(self._fd)


class BodyReader:
    """Finds bodies and header blocks: recent ones in memory, others by a helper thread with its own connection."""

    def __init__(self, layout: DataLayout, cache: BodyCache, reader: Reader, threads: ThreadPoolExecutor) -> None:
        self._layout = layout
        self._cache = cache
        self._reader = reader
        self._threads = threads
        # A connection is used by one thread at a time.
        self._thread = ThreadPoolExecutor(1, "chatmail-reader")

    async def headers(self, body_ids: Collection[int]) -> Mapping[int, bytes]:
        """See `MailboxStore.headers`."""
        self._reader.require_open()
        found = self._cache.headers(body_ids)
        if len(found) < len(body_ids):
            missing = [body_id for body_id in body_ids if body_id not in found]
            loop = asyncio.get_running_loop()
            found.update(await loop.run_in_executor(self._thread, self._read_headers, missing))
        return found

    def _read_headers(self, body_ids: list[int]) -> list[tuple[int, bytes]]:
        which, numbers = among(body_ids)
        rows = self._reader.rows(f"SELECT body_id, header FROM bodies WHERE body_id {which}", (numbers,))
        return [(body_id, header) for body_id, header in rows]

    async def body(self, body_id: int) -> SmallBody | LargeBody | None:
        """See `MailboxStore.body`."""
        self._reader.require_open()
        body_bytes = self._cache.body(body_id)
        if body_bytes is not None:
            return SmallBody(body_bytes)
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._open, body_id)

    def _open(self, body_id: int) -> SmallBody | LargeBody | None:
        row = self._reader.row(
            "SELECT size_bytes, in_file, header, content FROM bodies LEFT JOIN contents USING (body_id)"
            " WHERE body_id = ?",
            (body_id,),
        )
        if row is None:
            return None
        size_bytes, in_file, header, content = row
        if not in_file:
            return SmallBody(header + content)
        try:
            with storage_errors():
                fd = os.open(self._layout.body(body_id), os.O_RDONLY | os.O_CLOEXEC)
        except StorageError as error:
            # Expunged between the row and the file.
            if isinstance(error.__cause__, FileNotFoundError):
                return None
            raise
        return LargeBody(fd, size_bytes, self._threads)

    def close(self) -> None:
        """End the helper thread and close its connection."""
        self._thread.shutdown()
        self._reader.close()
