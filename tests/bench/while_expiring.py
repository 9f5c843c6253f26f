"""What people notice while 100,000 messages expire: `--only expiry`. A million: `tests.bench.bench_expiry_wire`."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Final

from tests.bench.bench_expiry_wire import Probe, expire
from tests.bench.figure import Figure, latency_figures
from tests.bench.filled_store import filled_store
from tests.bench.own_relay import target_of
from tests.support.relay import ServedRelay

MESSAGES: Final = 100_000
DAYS_OLD: Final = 30
AT_REST_SECONDS: Final = 10.0


async def while_expiring(start: Callable[[Path], ServedRelay]) -> list[Figure]:
    """Final dot to EXISTS at rest, and as long as the operator's command `expire` runs."""
    with TemporaryDirectory(prefix="chatmail-bench-") as folder:
        relay = start(Path(folder) / "data")
        await filled_store(relay.data_dir, f"[{relay.host}]", accounts=1000, messages=MESSAGES, days_old=DAYS_OLD)
        await asyncio.to_thread(relay.start)
        try:
            probe = await Probe.of(target_of(relay))
            at_rest = await probe.until(asyncio.ensure_future(asyncio.sleep(AT_REST_SECONDS)))
            began = perf_counter()
            running = asyncio.ensure_future(expire(relay))
            meanwhile = await probe.until(running)
            await running
            seconds = perf_counter() - began
        finally:
            await asyncio.to_thread(relay.stop)
    return [
        *latency_figures("final dot to EXISTS before expiry", at_rest),
        *latency_figures(f"final dot to EXISTS while {MESSAGES:,} expire", meanwhile, "", "<= 20"),
        Figure(f"expiry of {MESSAGES:,}", seconds, "s"),
    ]
