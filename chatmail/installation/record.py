"""The record of an installation: what it made and how far it came, kept beside the programs as one JSON file.

It is written before and after each step, so that whatever ends a run (Ctrl-C, a lost connection, a power cut) the next
one knows where to go on, and `uninstall` knows what to remove.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from chatmail.installation.places import Places
from chatmail.storage.atomic import write_durably


@dataclass(frozen=True, slots=True)
class Record:
    """`made` are the users and paths that were not there before; `complete` is False from the first change to the last.

    `restart_due` means that what the running server was started from has changed since.
    """

    mail_domain: str = ""
    version: str = ""
    made: tuple[str, ...] = ()
    done: tuple[str, ...] = ()
    complete: bool = False
    restart_due: bool = False
    answers: Mapping[str, Any] = field(default_factory=dict)
    """What was answered so far, for an operator who comes back before anything was installed."""
    step: str = ""
    """The page at which it was left, by the name the installer gives it."""
    name_style: str = ""
    """How the installer shows the names of DNS records; empty for the usual way."""

    def with_made(self, *names: str) -> "Record":
        """With more that we made; a name twice counts once."""
        return replace(self, made=tuple(dict.fromkeys((*self.made, *names))))


def read_record(places: Places) -> Record | None:
    """The record; None if there is none, or none that can be read."""
    try:
        kept = json.loads(places.record.read_text())
        return Record(
            mail_domain=str(kept["mail_domain"]),
            version=str(kept["version"]),
            made=tuple(map(str, kept["made"])),
            done=tuple(map(str, kept["done"])),
            complete=bool(kept["complete"]),
            restart_due=bool(kept["restart_due"]),
            answers=dict(kept["answers"]),
            step=str(kept.get("step", "")),
            name_style=str(kept.get("name_style", "")),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_record(places: Places, record: Record) -> None:
    """Keep it durably; makes the folder. Raises `OSError`."""
    make_folder(places.folder)
    write_durably(places.record, json.dumps(asdict(record), indent=2).encode(), mode=0o644)


def make_folder(path: Path, mode: int = 0o755) -> bool:
    """Make a folder with exactly this mode; whether it was not there before."""
    if path.is_dir():
        return False
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(mode)
    return True
