"""Where an installation lies on a machine, and what everything there is called.

`Places()` is the machine itself; a test gives another root, below which everything is found instead.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chatmail import __version__
from chatmail.config import DEFAULT_CONFIG_PATH, DEFAULT_DATA_DIR

USER: Final = "chatmail"
"""System user and group the server runs as."""
UNIT: Final = "chatmail.service"
LOG_NAMESPACE: Final = "chatmail"
"""The journal of the unit is one of its own, so that its retention is its own too."""
READ_LOG: Final = f"journalctl --namespace={LOG_NAMESPACE}"


@dataclass(frozen=True, slots=True)
class Places:
    """All paths of an installation."""

    root: Path = Path("/")
    version: str = __version__

    def _at(self, path: str) -> Path:
        return self.root / path.removeprefix("/")

    @property
    def folder(self) -> Path:
        """Programs, one per version, and the record of what was installed."""
        return self._at("/opt/chatmail")

    @property
    def program(self) -> Path:
        """The file of this version."""
        return self.folder / f"chatmail-{self.version}.pyz"

    @property
    def unpacked(self) -> Path:
        """What the file of this version holds, unpacked once by root; the server runs from here."""
        return self.folder / self.version

    @property
    def current(self) -> Path:
        """A link to the file of the version in use."""
        return self.folder / "chatmail.pyz"

    @property
    def command(self) -> Path:
        """A link that makes `chatmail` a command."""
        return self._at("/usr/local/bin/chatmail")

    @property
    def config_file(self) -> Path:
        """The configuration."""
        return self._at(DEFAULT_CONFIG_PATH)

    @property
    def data_dir(self) -> Path:
        """Everything durable."""
        return self._at(DEFAULT_DATA_DIR)

    @property
    def unit_file(self) -> Path:
        """The systemd unit."""
        return self._at(f"/etc/systemd/system/{UNIT}")

    @property
    def log_settings(self) -> Path:
        """How long the unit's journal is kept."""
        return self._at(f"/etc/systemd/journald@{LOG_NAMESPACE}.conf")

    @property
    def cache(self) -> Path:
        """Where the file unpacks itself when root runs it without an installation."""
        return self._at("/root/.cache/chatmail")

    @property
    def journals(self) -> Path:
        """Where journald makes a folder for each namespace, also for one that is kept in memory."""
        return self._at("/var/log/journal")

    @property
    def record(self) -> Path:
        """The journal of the installation: which steps are done, and what they made."""
        return self.folder / "installation.json"
