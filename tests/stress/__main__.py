"""`python -m tests.stress --pyz dist/chatmail.pyz --minutes 5`: the built file under many clients at once."""

import argparse
import asyncio
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.stress.run import stress
from tests.support.relay import ServedRelay

SETTINGS = """
[mail]
max_user_send_per_minute = 100000
max_user_send_burst_size = 100000
max_mailbox_size = "4G"
[limits]
max_load_1m = 0
"""


def main() -> int:
    """Run; the exit code is 1 if anything was said that cannot be."""
    parser = argparse.ArgumentParser(prog="python -m tests.stress", description=__doc__)
    parser.add_argument("--pyz", type=Path, required=True, help="the built file")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--sessions", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory(prefix="chatmail-stress-"))
        relay = ServedRelay(options.pyz.resolve(), options.host, Path(folder) / "data", settings=SETTINGS)
        stack.enter_context(relay)
        running = stress(
            relay,
            relay.new_account(),
            seconds=60 * options.minutes,
            sessions=options.sessions,
            seed=options.seed,
        )
        print(asyncio.run(running))
        log = relay.log_path.read_text()
    if "Traceback" in log or " bug " in log:
        print(log, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
