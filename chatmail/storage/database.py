"""SQLite as this store uses it: how a connection is opened, what its errors mean, and reading.

The one writing connection belongs to `writer.py`. A `Reader` is a connection that cannot write; in WAL mode it sees
every transaction whose COMMIT has returned, and never waits for the writer.
"""

import errno
import json
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from chatmail.errors import StorageError, StorageFullError

PAGE_BYTES: Final = 16384
"""Measured: 5 KB messages are written 1.4 times as fast as with pages of 4096."""
WAL_KEPT_BYTES: Final = 16 << 20
"""What the WAL file shrinks to after it was larger."""
INCREMENTAL: Final = 2
"""What `PRAGMA auto_vacuum` answers where the file can give space back piece by piece."""
_STATEMENTS: Final = 256
"""Prepared statements kept for each connection: all that the store has."""

Row = tuple[Any, ...]


def connect(path: Path, *, cache_bytes: int) -> sqlite3.Connection:
    """Open for reading and writing, never waiting for a lock; the file is made with our page size if it is new."""
    connection = sqlite3.connect(
        path, timeout=0, isolation_level=None, check_same_thread=False, cached_statements=_STATEMENTS
    )
    try:
        is_new = not path.exists() or path.stat().st_size == 0
        for pragma in (
            f"page_size = {PAGE_BYTES}",
            # Before the first page is written; later it takes a lock, and a whole VACUUM.
            *(["auto_vacuum = INCREMENTAL"] if is_new else []),
            "journal_mode = WAL",
            f"journal_size_limit = {WAL_KEPT_BYTES}",
            "synchronous = FULL",
            # The writer decides when: an automatic checkpoint would be the tail of some delivery's latency.
            "wal_autocheckpoint = 0",
            # Overwrite what is deleted, where that costs no further page.
            "secure_delete = FAST",
            "temp_store = MEMORY",
            f"cache_size = {-cache_bytes // 1024}",
        ):
            connection.execute(f"PRAGMA {pragma}")
    except BaseException:
        connection.close()
        raise
    return connection


def translated(error: Exception) -> Exception:
    """The `StorageError` a fault of the disk means to a caller; any other error, a bug of ours included, as it is."""
    if isinstance(error, (sqlite3.ProgrammingError, sqlite3.InterfaceError, sqlite3.IntegrityError)):
        return error
    if isinstance(error, OSError):
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    elif isinstance(error, sqlite3.Error):
        full = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL
    else:
        return error
    return StorageFullError(f"no space left: {error}") if full else StorageError(f"storage failed: {error}")


@contextmanager
def storage_errors() -> Iterator[None]:
    """Let only `StorageError` out where SQLite or the file system may fail."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise translated(error) from error


def among(values: Collection[int] | Collection[str]) -> tuple[str, int | str]:
    """A condition for any number of values as SQL with one parameter, and that parameter.

    A list handed over as JSON keeps the statement the same and leaves the loop to SQLite; for the one value that most
    operations have, plain equality is four times as fast.
    """
    if len(values) == 1:
        (value,) = values
        return "= ?", value
    return "IN (SELECT value FROM json_each(?))", json.dumps(list(values))


class Reader:
    """A connection for reading. To be used by one thread at a time. Raises `StorageError`."""

    def __init__(self, path: Path, *, cache_bytes: int) -> None:
        self._connection = connect(path, cache_bytes=cache_bytes)
        self._connection.execute("PRAGMA query_only = ON")
        self._closed = False

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        """All rows."""
        self.require_open()
        with storage_errors():
            return self._connection.execute(sql, parameters).fetchall()

    def row(self, sql: str, parameters: Sequence[object] = ()) -> Row | None:
        """The first row."""
        rows = self.rows(sql, parameters)
        return rows[0] if rows else None

    @contextmanager
    def one_moment(self) -> Iterator[None]:
        """All that is read inside belongs to one state of the database."""
        self.require_open()
        with storage_errors():
            self._connection.execute("BEGIN")
        try:
            yield
        finally:
            with storage_errors():
                self._connection.execute("COMMIT")

    def require_open(self) -> None:
        """Raise `StorageError` once `close` was called."""
        if self._closed:
            raise StorageError("the store is closed")

    def close(self) -> None:
        """Close the connection."""
        self._closed = True
        self._connection.close()
