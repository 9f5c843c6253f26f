"""The machine: disk and memory as bars, the processor, and what the store takes."""

from collections.abc import Sequence
from typing import ClassVar, Final

from chatmail.api import MachineState
from installer.dashboard import wording
from installer.dashboard.judgement import Mark, Topic, mark_of
from installer.dashboard.line import MUTED, Line, line, named
from installer.dashboard.marked import bar_line
from installer.dashboard.moment import Moment
from installer.dashboard.widgets.panel import Panel

_NAMES: Final = 10


class Machine(Panel):
    """Disk, memory, processor, store."""

    title: ClassVar[str] = "Machine"

    def draw(self, moment: Moment, width: int, height: int) -> Sequence[Line]:
        """Two bars and two lines; with more room the rest."""
        machine, store = moment.snapshot.machine, moment.snapshot.store
        lines = [*_bars(moment, width), named("Processor", _processor(machine), _NAMES)]
        size = wording.size(store.database_bytes + store.bodies_bytes)
        lines.append(named("Store", line(f"{wording.counted(store.messages, 'message')}, {size}"), _NAMES))
        return lines + _more(moment) if height > len(lines) + 2 else lines


def _bars(moment: Moment, width: int) -> list[Line]:
    machine = moment.snapshot.machine
    disk = mark_of(moment.snapshot.health, Topic.DISK)
    return [
        bar_line(name, 1 - free / total if total else 0.0, f"{wording.size(free)} free", mark, width, _NAMES)
        for name, free, total, mark in (
            ("Disk", machine.disk_free_bytes, machine.disk_total_bytes, disk),
            ("Memory", machine.memory_available_bytes, machine.memory_total_bytes, Mark.FINE),
        )
    ]


def _processor(machine: MachineState) -> Line:
    """In whole percent: finer steps would only flicker."""
    return line(f"{machine.cpu_percent:.0f} %", (" · load ", MUTED), f"{machine.load_1m:.1f}")


def _more(moment: Moment) -> list[Line]:
    machine, store = moment.snapshot.machine, moment.snapshot.store
    files = line(wording.count(machine.open_files), (f" of {wording.count(machine.open_files_limit)}", MUTED))
    database = line(wording.size(store.database_bytes), (f", {wording.size(store.free_pages_bytes)} free", MUTED))
    return [
        Line(),
        named("Server", line(wording.size(machine.resident_bytes), (" of memory", MUTED)), _NAMES),
        named("Lag", line(wording.milliseconds(machine.loop_lag_ms), (" in a minute", MUTED)), _NAMES),
        named("Files", files, _NAMES),
        named("Database", database, _NAMES),
        named("Bodies", line(wording.size(store.bodies_bytes), (" in files", MUTED)), _NAMES),
    ]
