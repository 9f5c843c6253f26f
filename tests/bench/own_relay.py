"""A relay from the built file, set up to be measured, under the interpreter that an operator's server has."""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Final

from tests.bench.target import Target
from tests.support.relay import ServedRelay

NO_LIMITS: Final = """
[mail]
max_user_send_per_minute = 100000000
max_user_send_burst_size = 100000000
max_mailbox_size = "4G"
[limits]
max_load_1m = 1000
min_available_memory = "1M"
min_free_disk_space = "1M"
"""
"""The limits are counted and asked all the same; they are only never met."""


SYSTEM_PYTHON: Final = Path("/usr/bin/python3")


@cache
def server_python() -> str:
    """The interpreter to measure under: `$BENCH_PYTHON`, else the system's if it is new enough, else this one.

    A distribution's is built with profile and link-time optimization, one built from source most often without:
    a quarter of the CPU of a message.
    """
    if given := os.environ.get("BENCH_PYTHON"):
        return given
    ask = "import sys; sys.exit(sys.version_info < (3, 11))"
    is_new = SYSTEM_PYTHON.exists() and subprocess.run([SYSTEM_PYTHON, "-c", ask], check=False).returncode == 0
    return str(SYSTEM_PYTHON) if is_new else sys.executable


def own_relay(pyz: Path, host: str, data_dir: Path, *, settings: str = "") -> ServedRelay:
    """A relay that limits nobody; to be started. `settings` is more TOML (whole sections)."""
    return ServedRelay(pyz.resolve(), host, data_dir, server_python(), settings=NO_LIMITS + settings)


def target_of(relay: ServedRelay) -> Target:
    """A running relay as the thing to be measured."""
    target = Target(relay.host, f"[{relay.host}]", relay.port(465), relay.port(993), (relay.pid,))

    def restart() -> None:
        relay.stop()
        relay.start()
        target.pids = (relay.pid,)

    target.restart = restart
    return target
