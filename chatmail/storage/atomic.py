"""Putting a file in its place so that a power cut leaves all of it or nothing: fsync, rename, fsync the folder."""

import os
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Make the entries of `folder` durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def move_durably(source: str | Path, target: Path) -> None:
    """Rename an already synced file to `target`, making its folder if needed, and make the entry durable."""
    try:
        os.rename(source, target)
    except FileNotFoundError:
        target.parent.mkdir(mode=0o700, exist_ok=True)
        sync_folder(target.parent.parent)
        os.rename(source, target)
    sync_folder(target.parent)


def write_durably(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Put `content` at `path`, whole or not at all, with `mode`. Raises `OSError`."""
    beside = path.with_name(f".{path.name}.new")
    fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with open(fd, "wb") as file:
        os.fchmod(fd, mode)
        file.write(content)
        file.flush()
        os.fsync(fd)
    move_durably(beside, path)
