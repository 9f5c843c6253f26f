"""New accounts are refused for exactly the shortage there is."""

from dataclasses import replace
from pathlib import Path

import pytest

from chatmail.config import MIB, Config
from chatmail.system_load import MEASURED_FOR_SECONDS, SystemLoad, new_account_guard, read_system_load, shortage

LIMITS = Config("x.org").limits
ENOUGH = SystemLoad(load_per_cpu=5.0, available_memory_bytes=200 * MIB, free_disk_bytes=1024 * MIB)


@pytest.mark.parametrize(
    ("load", "missing"),
    [
        (ENOUGH, None),
        (replace(ENOUGH, load_per_cpu=5.1), "cpu"),
        (replace(ENOUGH, available_memory_bytes=200 * MIB - 1), "memory"),
        (replace(ENOUGH, free_disk_bytes=1024 * MIB - 1), "disk"),
    ],
)
def test_a_shortage_is_named(load: SystemLoad, missing: str | None) -> None:
    assert shortage(load, LIMITS) == missing


def test_a_limit_of_zero_switches_its_guard_off() -> None:
    off = replace(LIMITS, max_load_1m=0, min_available_memory=0, min_free_disk_space=0)
    assert shortage(SystemLoad(99.0, 0, 0), off) is None


def test_this_machine_can_be_measured(tmp_path: Path) -> None:
    load = read_system_load(tmp_path)
    assert load.load_per_cpu >= 0 and load.available_memory_bytes > 0 and load.free_disk_bytes > 0


def test_a_data_folder_that_is_not_there_has_no_room(tmp_path: Path) -> None:
    limits = replace(LIMITS, max_load_1m=0, min_available_memory=0, min_free_disk_space=1)
    assert new_account_guard(Config("x.org", str(tmp_path / "gone"), limits=limits))() == "disk"


def test_what_was_measured_counts_for_a_second(tmp_path: Path) -> None:
    now = 100.0
    folder = tmp_path / "data"
    limits = replace(LIMITS, max_load_1m=0, min_available_memory=0, min_free_disk_space=1)
    guard = new_account_guard(Config("x.org", str(folder), limits=limits), lambda: now)
    assert guard() == "disk"
    folder.mkdir()
    assert guard() == "disk"
    now += MEASURED_FOR_SECONDS
    assert guard() is None
