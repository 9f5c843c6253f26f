"""Watches the server while it is attacked: memory and processor from outside, the rest from what it says of itself."""

import asyncio
import os
import re
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from chatmail.control_protocol import STATUS_SOCKET
from chatmail.errors import OperatorError
from chatmail.net.control_client import ask_server_for_json
from chatmail.status_snapshot import StatusSnapshot, decode_snapshot
from tests.support.relay import ServedRelay

LOOK_SECONDS: Final = 0.2
SNAPSHOT_SECONDS: Final = 30.0
"""How long the server may take to say how it is."""
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_QUIET_EVENTS: Final = frozenset({"message_accepted", "started", "stopped", "stopping"})


def resident_bytes(pid: int) -> int:
    """Memory of a process."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def cpu_seconds(pid: int) -> float:
    """User and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / _TICKS


async def snapshot(relay: ServedRelay) -> StatusSnapshot:
    """What the server says of itself. Raises `OperatorError` if it does not."""
    path = relay.data_dir / STATUS_SOCKET
    return decode_snapshot(await asyncio.to_thread(ask_server_for_json, path, "status", SNAPSHOT_SECONDS))


def events(relay: ServedRelay) -> Counter[str]:
    """What the log tells of peers that were treated as hostile: lines by part and event."""
    found = re.findall(r"^\S+ (?:info|warning|error) (\S+ \S+)", relay.log_path.read_text(), re.MULTILINE)
    return Counter(event for event in found if event.split()[1] not in _QUIET_EVENTS)


@dataclass(slots=True)
class Watch:
    """Looks again and again as long as `run` runs."""

    relay: ServedRelay
    highest_bytes: int = 0
    most_connections: Counter[str] = field(default_factory=Counter)

    async def run(self) -> None:
        """Until it is cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._memory())
            tasks.create_task(self._sessions())

    async def _memory(self) -> None:
        while True:
            self.highest_bytes = max(self.highest_bytes, resident_bytes(self.relay.pid))
            await asyncio.sleep(LOOK_SECONDS)

    async def _sessions(self) -> None:
        while True:
            with suppress(OperatorError):
                for name, count in connections(await snapshot(self.relay)).items():
                    self.most_connections[name] = max(self.most_connections[name], count)
            await asyncio.sleep(1)


def connections(now: StatusSnapshot) -> dict[str, int]:
    """How many are open, by service."""
    sessions = now.sessions
    return {"imap": sessions.imap, "submission": sessions.submission, "mx": sessions.mx, "http": sessions.http}
