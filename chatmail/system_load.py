"""Facts about this machine: those that guard new accounts (load per CPU, memory, disk space), and what `status` tells.

Existing accounts are never affected by the guard. `Login` gets `new_account_guard(config)` as a callable and asks it
before it makes an account. Reads `/proc` and the file system; on a system without `/proc` memory counts as sufficient.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chatmail.config import Config, LimitsConfig

_MEMINFO: Final = Path("/proc/meminfo")
_LOADAVG: Final = Path("/proc/loadavg")
_PLENTY: Final = 1 << 62
MEASURED_FOR_SECONDS: Final = 1.0
"""In which a few hundred accounts are made at most: they change neither memory nor disk by a megabyte."""


@dataclass(frozen=True, slots=True)
class SystemLoad:
    """The machine at one moment."""

    load_per_cpu: float
    available_memory_bytes: int
    free_disk_bytes: int


def read_system_load(data_dir: Path) -> SystemLoad:
    """Measure now; a tenth of a millisecond."""
    load_per_cpu = load_1m() / (os.cpu_count() or 1)
    return SystemLoad(load_per_cpu, _available_memory_bytes(), _free_disk_bytes(data_dir))


def load_1m() -> float:
    """How many processes wanted to run, over the last minute."""
    try:
        # In a container this file may tell the container's own load, which the system call never does.
        return float(_LOADAVG.read_text("ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return os.getloadavg()[0]


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine and this process at one moment; 0 where it cannot be known."""

    disk_free_bytes: int = 0
    disk_total_bytes: int = 0
    memory_available_bytes: int = 0
    memory_total_bytes: int = 0
    resident_bytes: int = 0
    open_files: int = 0


def read_machine(data_dir: Path) -> Machine:
    """Measure now; a tenth of a millisecond, and a little for each open file."""
    free, total = _disk_bytes(data_dir)
    return Machine(
        free, total, _memory_bytes("MemAvailable", 0), _memory_bytes("MemTotal", 0), _resident_bytes(), _open_files()
    )


def _resident_bytes() -> int:
    try:
        return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _open_files() -> int:
    try:
        return len(os.listdir("/proc/self/fd")) - 1  # without the one that lists them
    except OSError:
        return 0


def _available_memory_bytes() -> int:
    return _memory_bytes("MemAvailable", _PLENTY)


def _memory_bytes(name: str, unknown: int) -> int:
    try:
        lines = _MEMINFO.read_text("ascii").splitlines()
    except OSError:
        return unknown
    found = next((line for line in lines if line.startswith(f"{name}:")), None)
    return int(found.split()[1]) * 1024 if found else unknown


def _free_disk_bytes(data_dir: Path) -> int:
    return _disk_bytes(data_dir)[0]


def _disk_bytes(data_dir: Path) -> tuple[int, int]:
    """Free and in all."""
    try:
        disk = os.statvfs(data_dir)
    except OSError:
        return 0, 0
    return disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize


def shortage(load: SystemLoad, limits: LimitsConfig) -> str | None:
    """What there is too little of for new accounts, as one word for the log; None if there is enough of everything."""
    if limits.max_load_1m and load.load_per_cpu > limits.max_load_1m:
        return "cpu"
    if load.available_memory_bytes < limits.min_available_memory:
        return "memory"
    if load.free_disk_bytes < limits.min_free_disk_space:
        return "disk"
    return None


def new_account_guard(config: Config, clock: Callable[[], float] = time.monotonic) -> Callable[[], str | None]:
    """A callable for `Login`: `shortage`, measured anew once what was measured is `MEASURED_FOR_SECONDS` old."""
    data_dir = Path(config.data_dir)
    until, found = 0.0, None

    def guard() -> str | None:
        nonlocal until, found
        now = clock()
        if now >= until:
            until, found = now + MEASURED_FOR_SECONDS, shortage(read_system_load(data_dir), config.limits)
        return found

    return guard
