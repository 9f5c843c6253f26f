"""Looks at large mailboxes, which take too long for the event loop: one at a time, in a thread with its own connection.

Who asks for much waits for others who do, and nobody waits for them. The connection is made at the first question.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from chatmail.storage.database import Reader

_CACHE_BYTES: Final = 1024 * 1024

T = TypeVar("T")


class LongReading:
    """Asks long questions."""

    def __init__(self, database: Path) -> None:
        """Nothing is opened yet."""
        self._database = database
        self._reader: Reader | None = None
        self._thread = ThreadPoolExecutor(1, "chatmail-long")

    async def ask(self, question: Callable[[Reader], T]) -> T:
        """What `question` answers, in the thread. Raises `StorageError`."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._answer, question)

    def _answer(self, question: Callable[[Reader], T]) -> T:
        if self._reader is None:
            self._reader = Reader(self._database, cache_bytes=_CACHE_BYTES)
        return question(self._reader)

    def close(self) -> None:
        """End the thread and close its connection."""
        self._thread.shutdown()
        if self._reader is not None:
            self._reader.close()
