"""Moving a finished file to its place."""

from pathlib import Path

import pytest

from chatmail.storage.atomic import move_durably


def test_a_file_arrives_and_its_folder_is_made(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"text")
    move_durably(tmp_path / "source", tmp_path / "shard/target")
    assert (tmp_path / "shard/target").read_bytes() == b"text"
    assert not (tmp_path / "source").exists()


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        move_durably(tmp_path / "source", tmp_path / "shard/target")
