"""A disk of a few megabytes, to be filled."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.tools import lacking, require_root

LEFT_BYTES = 64 * 1024


@contextmanager
def small_disk(mount_point: Path, size: str) -> Iterator[Path]:
    """A file system of `size` in memory, mounted for this machine as long as it is used."""
    require_root()
    mount_point.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", mount_point], check=False)
    if done.returncode != 0:
        lacking("this machine does not let a test mount a file system")
    try:
        yield mount_point
    finally:
        subprocess.run(["umount", "--lazy", mount_point], check=True)


@contextmanager
def filled(mount_point: Path) -> Iterator[None]:
    """Leave next to nothing of the disk."""
    stuffing = mount_point / "stuffing"
    disk = os.statvfs(mount_point)
    stuffing.write_bytes(b"\0" * (disk.f_bavail * disk.f_frsize - LEFT_BYTES))
    try:
        yield
    finally:
        stuffing.unlink()
