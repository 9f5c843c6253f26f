"""`python -m tests.bench`: the figures of a running server, or of a relay it starts from a built file.

The server under measurement must not limit how fast an account sends; a relay started with `--pyz` does not.
"""

import argparse
import json
import sys
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import uvloop

from tests.bench import figures
from tests.bench.calibration import calibrate
from tests.bench.figures import Figure
from tests.bench.target import Target
from tests.support.relay import ServedRelay

NO_LIMITS = """
[mail]
max_user_send_per_minute = 100000000
max_user_send_burst_size = 100000000
max_mailbox_size = "4G"
[limits]
max_load_1m = 1000
min_available_memory = "1M"
min_free_disk_space = "1M"
"""

Measure = Callable[[Target], Awaitable[list[Figure]]]

MEASURES: dict[str, Measure] = {
    "latency": figures.latency,
    "throughput": lambda t: figures.throughput(t, messages=5000, goals=(">= 1500", "<= 0.7")),
    "recipients": lambda t: figures.throughput(t, messages=500, recipients=20, goals=("", "<= 2")),
    "100kb": lambda t: figures.throughput(t, messages=500, size_bytes=100_000),
    "logins": figures.logins,
    "fetch": figures.fetches,
    "large": lambda t: figures.large_message(t, megabytes=10),
    "larger": lambda t: figures.large_message(t, megabytes=25),
    "memory": figures.idle_memory,
}


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--pyz", type=Path, help="start a relay from this built file and measure it")
    parser.add_argument("--host", default="127.0.0.1", help="the server (default: %(default)s)")
    parser.add_argument("--domain", help="what stands behind the @ of its addresses (default: [HOST])")
    parser.add_argument("--submissions", type=int, default=465, help="its submission port with TLS")
    parser.add_argument("--imaps", type=int, default=993, help="its IMAP port with TLS")
    parser.add_argument("--pid", type=int, default=0, help="its process, for CPU and memory (with all its children)")
    parser.add_argument("--only", nargs="+", choices=[*MEASURES, "stock"], help="these figures alone")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    return parser.parse_args()


async def measure(target: Target, only: list[str] | None) -> list[Figure]:
    """All figures, in order, each printed as it comes."""
    found: list[Figure] = []
    jobs: dict[str, Measure] = {"stock": lambda _target: calibrate(), **MEASURES}
    for name, run in jobs.items():
        if only and name not in only:
            continue
        for figure in await run(target):
            print(f"{figure.name:<50} {figure.value:>10.2f} {figure.unit:<4} {figure.goal}", flush=True)
            found.append(figure)
    return found


def main() -> int:
    """Run."""
    options = arguments()
    with ExitStack() as stack:
        target = Target(
            options.host, options.domain or f"[{options.host}]", options.submissions, options.imaps, options.pid
        )
        if options.pyz:
            folder = stack.enter_context(TemporaryDirectory(prefix="chatmail-bench-"))
            relay = ServedRelay(options.pyz.resolve(), options.host, Path(folder) / "data", settings=NO_LIMITS)
            stack.enter_context(relay)
            target.submissions, target.imaps, target.pid = relay.port(465), relay.port(993), relay.pid
        found = uvloop.run(measure(target, options.only))
    if options.json:
        rows = [{"name": f.name, "value": f.value, "unit": f.unit, "goal": f.goal} for f in found]
        options.json.write_text(json.dumps(rows, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
