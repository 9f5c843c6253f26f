"""`@pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])` runs a test in both event loops."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import uvloop

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, LoopFactory]:
    marker = item.get_closest_marker("asyncio")
    factories: dict[str, LoopFactory] = {"asyncio": asyncio.new_event_loop}
    if marker is not None and "loop_factories" in marker.kwargs:
        factories["uvloop"] = uvloop.new_event_loop
    return factories


@pytest.fixture
def memory_path() -> Iterator[Path]:
    """A folder in memory where there is one, for tests of thousands of commits, to which the disk does not matter."""
    with TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        yield Path(folder)
