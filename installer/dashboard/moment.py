"""What the dashboard shows at one moment: frozen values, made by the worker and drawn by the panels."""

from dataclasses import dataclass
from datetime import datetime

from chatmail.api import History, StatusSnapshot

NO_HISTORY = History(span_seconds=60, points=())


@dataclass(frozen=True, slots=True)
class Moment:
    """The server as it answered just now, and the day before."""

    snapshot: StatusSnapshot
    history: History = NO_HISTORY

    @property
    def now(self) -> datetime:
        """The server's own clock, so that what is shown depends on nothing else."""
        return self.snapshot.taken_at


@dataclass(frozen=True, slots=True)
class Outage:
    """Why there is nothing to show, as far as this machine knows."""

    sentence: str
    """What is wrong."""
    remedy: str = ""
    """What to do."""
    word: str = "DOWN"
    unit_state: str = ""
    """What systemd says of the unit; empty where there is none."""
    log_lines: tuple[str, ...] = ()
    """The last lines of its log, the latest last."""
