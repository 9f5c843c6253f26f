"""A relay from the built file, set up to be measured."""

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


def own_relay(pyz: Path, host: str, data_dir: Path, *, settings: str = "") -> ServedRelay:
    """A relay that limits nobody; to be started. `settings` is more TOML (whole sections)."""
    return ServedRelay(pyz.resolve(), host, data_dir, settings=NO_LIMITS + settings)


def target_of(relay: ServedRelay) -> Target:
    """A running relay as the thing to be measured."""
    target = Target(relay.host, f"[{relay.host}]", relay.port(465), relay.port(993), (relay.pid,))

    def restart() -> None:
        relay.stop()
        relay.start()
        target.pids = (relay.pid,)

    target.restart = restart
    return target
