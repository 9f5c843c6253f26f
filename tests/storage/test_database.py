"""Connections, and what their errors mean."""

import errno
import sqlite3
from pathlib import Path

import pytest

from chatmail.errors import StorageError, StorageFullError
from chatmail.storage.database import Reader, among, connect, translated


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_no_room_is_told_apart(number: int) -> None:
    assert isinstance(translated(OSError(number, "no room")), StorageFullError)


def test_faults_are_storage_errors_and_bugs_stay_bugs() -> None:
    fault = translated(sqlite3.OperationalError("disk I/O error"))
    assert isinstance(fault, StorageError)
    assert not isinstance(fault, StorageFullError)
    assert type(translated(OSError(errno.EIO, "broken"))) is StorageError
    for bug in (sqlite3.ProgrammingError("binding"), sqlite3.IntegrityError("unique"), KeyError("key")):
        assert translated(bug) is bug


@pytest.mark.parametrize("values", [[], [2], [1, 3, 9]])
def test_a_condition_for_any_number_of_values(values: list[int]) -> None:
    connection = sqlite3.connect(":memory:")
    condition, parameter = among(values)
    rows = connection.execute(
        f"SELECT value FROM json_each('[1, 2, 3]') WHERE value {condition} ORDER BY value", (parameter,)
    ).fetchall()
    connection.close()
    assert [value for (value,) in rows] == [value for value in values if value < 9]


def test_a_reader_cannot_write_and_sees_what_is_committed(tmp_path: Path) -> None:
    connection = connect(tmp_path / "file", cache_bytes=1 << 20)
    connection.execute("CREATE TABLE numbers (number INTEGER)")
    reader = Reader(tmp_path / "file", cache_bytes=1 << 20)
    with reader.one_moment():
        assert reader.rows("SELECT * FROM numbers") == []
        connection.execute("INSERT INTO numbers VALUES (1)")
        assert reader.row("SELECT * FROM numbers") is None
    assert reader.row("SELECT * FROM numbers") == (1,)
    with pytest.raises(StorageError):
        reader.rows("INSERT INTO numbers VALUES (2)")
    reader.close()
    connection.close()
