"""Folders that can and cannot be used."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from chatmail.errors import OperatorError
from chatmail.storage.layout import DataLayout, prepare
from chatmail.storage.store import Store
from tests.support.filling import QUOTA_BYTES
from tests.support.tools import require_root

NOBODY = 65534
IMPORTS = "from pathlib import Path; from chatmail.storage.layout import prepare; "


def one_sentence(error: pytest.ExceptionInfo[OperatorError], folder: Path) -> bool:
    text = str(error.value)
    return str(folder) in text and text.endswith(".") and "\n" not in text


def test_a_new_folder_is_closed_to_others_and_so_is_one_that_was_open(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o755)
    layout, lock = prepare(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(layout.database.stat().st_mode) == 0o600
    lock.release()


def test_bodies_lie_in_shards() -> None:
    assert DataLayout(Path("/data")).body(2050) == Path("/data/bodies/2/2050")


def test_a_folder_whose_parent_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="does not exist") as error:
        prepare(tmp_path / "no/data")
    assert one_sentence(error, tmp_path / "no/data")


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(OperatorError, match="not a folder") as error:
        prepare(tmp_path / "data")
    assert one_sentence(error, tmp_path / "data")


def test_a_second_process_is_refused_and_welcome_after_the_first(tmp_path: Path) -> None:
    _, lock = prepare(tmp_path / "data")
    program = IMPORTS + f"prepare(Path({str(tmp_path / 'data')!r}))"
    second = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "OperatorError" in second.stderr
    assert "in use by another running chatmail" in second.stderr
    lock.release()
    assert subprocess.run([sys.executable, "-c", program], capture_output=True).returncode == 0


def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    require_root()
    folder = tmp_path / "data"
    folder.mkdir()
    # From inside, since the folders above a temporary one are closed to others as well.
    program = f"import os; os.chdir({str(tmp_path)!r}); os.setuid({NOBODY}); prepare(Path('data'))"
    result = subprocess.run([sys.executable, "-c", IMPORTS + program], capture_output=True, text=True)
    assert "may not be written by this user" in result.stderr


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/chatmail.sqlite").write_bytes(b"not a database at all" * 1000)
    with pytest.raises(OperatorError, match="not a database of chatmail"):
        await Store.open(tmp_path / "data", max_mailbox_size_bytes=QUOTA_BYTES)
    # The lock was given back.
    os.unlink(tmp_path / "data/chatmail.sqlite")
    store = await Store.open(tmp_path / "data", max_mailbox_size_bytes=QUOTA_BYTES)
    await store.close()
