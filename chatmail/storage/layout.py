"""The data folder: its paths, its lock, and the refusal to work in a folder that cannot be used.

    DATA_DIR/                       mode 700
      lock                          flock: one process per folder
      chatmail.sqlite  -wal  -shm   everything but large bodies
      bodies/SHARD/ID               one large body each, complete and never changed; SHARD is ID // 1024
      tmp/                          bodies being received; emptied at start

Other parts of the server may keep files of their own beside these.
"""

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chatmail.errors import OperatorError

BODIES_PER_SHARD: Final = 1024
"""Bodies are numbered in order, so a folder of a shard stays small enough to list in a millisecond."""


@dataclass(frozen=True, slots=True)
class DataLayout:
    """Where everything lies under `root`."""

    root: Path

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.root / "chatmail.sqlite"

    @property
    def bodies(self) -> Path:
        """The folder of the shards."""
        return self.root / "bodies"

    @property
    def tmp(self) -> Path:
        """The folder of bodies being received."""
        return self.root / "tmp"

    def shard(self, number: int) -> Path:
        """The folder of 1024 consecutive bodies."""
        return self.bodies / str(number)

    def body(self, body_id: int) -> Path:
        """The file of one large body."""
        return self.shard(body_id // BODIES_PER_SHARD) / str(body_id)

    def body_files(self) -> list[Path]:
        """All files of large bodies; some may vanish while one looks."""
        return [Path(folder, name) for folder, _folders, names in os.walk(self.bodies) for name in names]


class FolderLock:
    """An exclusive lock on a data folder; the kernel drops it when the process ends, however it ends."""

    def __init__(self, layout: DataLayout) -> None:
        self._fd = os.open(layout.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._fd)
            raise OperatorError(
                f"The data folder {layout.root} is in use by another running chatmail; stop that one first."
            ) from None

    def release(self) -> None:
        """Let another process have the folder."""
        os.close(self._fd)


def prepare(root: Path) -> tuple[DataLayout, FolderLock]:
    """Make the folder fit for use and lock it. Raises `OperatorError` in one sentence if that cannot be."""
    layout = DataLayout(root)
    try:
        root.mkdir(mode=0o700, exist_ok=True)
        root.chmod(0o700)
        lock = FolderLock(layout)
    except OSError as error:
        raise OperatorError(_refusal(root, error)) from error
    try:
        layout.bodies.mkdir(mode=0o700, exist_ok=True)
        layout.tmp.mkdir(mode=0o700, exist_ok=True)
        # SQLite gives its -wal and -shm the mode of the database file.
        os.close(os.open(layout.database, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        lock.release()
        raise OperatorError(_refusal(root, error)) from error
    return layout, lock


def _refusal(root: Path, error: OSError) -> str:
    match error:
        case FileNotFoundError():
            return f"The data folder {root} cannot be made because {root.parent} does not exist; create that first."
        case NotADirectoryError() | FileExistsError():
            return f"The data folder {root} is not a folder; set data_dir to another path."
        case PermissionError():
            return f"The data folder {root} may not be written by this user; give it to the user that runs chatmail."
    return f"The data folder {root} cannot be used: {error.strerror or error}; mend that or set data_dir elsewhere."
