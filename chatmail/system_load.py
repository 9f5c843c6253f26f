"""Facts about this machine that guard new accounts: load per CPU, available memory, free disk space.

Existing accounts are never affected. `Login` gets `new_account_guard(config)` as a callable and asks it before it makes
an account. Reads `/proc/meminfo` and the file system; on a system without `/proc` memory counts as sufficient.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chatmail.config import Config, LimitsConfig

_MEMINFO: Final = Path("/proc/meminfo")
_PLENTY: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class SystemLoad:
    """The machine at one moment."""

    load_per_cpu: float
    available_memory_bytes: int
    free_disk_bytes: int


def read_system_load(data_dir: Path) -> SystemLoad:
    """Measure now; takes some ten microseconds."""
    load_per_cpu = os.getloadavg()[0] / (os.cpu_count() or 1)
    return SystemLoad(load_per_cpu, _available_memory_bytes(), _free_disk_bytes(data_dir))


def _available_memory_bytes() -> int:
    try:
        lines = _MEMINFO.read_text("ascii").splitlines()
    except OSError:
        return _PLENTY
    available = next((line for line in lines if line.startswith("MemAvailable:")), None)
    return int(available.split()[1]) * 1024 if available else _PLENTY


def _free_disk_bytes(data_dir: Path) -> int:
    try:
        disk = os.statvfs(data_dir)
    except OSError:
        return 0
    return disk.f_bavail * disk.f_frsize


def shortage(load: SystemLoad, limits: LimitsConfig) -> str | None:
    """What there is too little of for new accounts, as one word for the log; None if there is enough of everything."""
    if limits.max_load_1m and load.load_per_cpu > limits.max_load_1m:
        return "cpu"
    if load.available_memory_bytes < limits.min_available_memory:
        return "memory"
    if load.free_disk_bytes < limits.min_free_disk_space:
        return "disk"
    return None


def new_account_guard(config: Config) -> Callable[[], str | None]:
    """A callable for `Login`: `shortage` measured anew at each call."""
    data_dir = Path(config.data_dir)
    return lambda: shortage(read_system_load(data_dir), config.limits)
