"""`python -m tests.bench`: the figures of a running server, or of a relay it starts from a built file.

The server under measurement must not limit how fast an account sends; a relay started with `--pyz` does not.
Others are measured beside it in the same run with `--against`, each figure in turn, for machines have moods.
"""

import argparse
import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from ipaddress import IPv4Address
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import uvloop

from tests.bench import plots
from tests.bench.calibration import calibrate
from tests.bench.figure import Figure
from tests.bench.growth import growth
from tests.bench.latency import latency, latency_under_load
from tests.bench.logins import logins, reconnect_storm
from tests.bench.mailbox import fetches, idle_memory, large_message, memory_at_rest
from tests.bench.on_slow_disk import on_slow_disk
from tests.bench.own_relay import own_relay, target_of
from tests.bench.postfix_dovecot import PostfixDovecot
from tests.bench.report import Report, compare
from tests.bench.target import Login, Target
from tests.bench.throughput import throughput
from tests.bench.while_expiring import while_expiring
from tests.support.relay import ServedRelay

Measure = Callable[[Target, float], Awaitable[list[Figure]]]
"""Measures a target with that share of the full effort."""
LOAD_PER_SECOND: Final = 50
"""A load that both Postfix with Dovecot and we can carry."""


def _at_least(full: int, share: float) -> int:
    return max(20, int(full * share))


MEASURES: Final[dict[str, Measure]] = {
    "fresh": lambda t, share: memory_at_rest(t),
    "latency": lambda t, share: latency(t, messages=_at_least(1000, share)),
    "load": lambda t, share: latency_under_load(t, messages=_at_least(500, share), per_second=LOAD_PER_SECOND),
    "throughput": lambda t, share: throughput(t, messages=_at_least(5000, share), goals=(">= 1500", "<= 0.7")),
    "recipients": lambda t, share: throughput(t, messages=_at_least(500, share), recipients=20, goals=("", "<= 2")),
    "100kb": lambda t, share: throughput(t, messages=_at_least(500, share), size_bytes=100_000),
    "logins": lambda t, share: logins(t, first=_at_least(300, share), known=_at_least(1000, share)),
    "fetch": lambda t, share: fetches(t, messages=1000),
    "large": lambda t, share: large_message(t, megabytes=10),
    "larger": lambda t, share: large_message(t, megabytes=25),
    "memory": lambda t, share: idle_memory(t, connections=_at_least(2000, share)),
    "storm": lambda t, share: reconnect_storm(t, clients=_at_least(2000, share)),
}
ONLY_OWN: Final = ("growth", "expiry", "slow-disk")
"""What needs a relay of its own, started from the built file: on a store filled beforehand, or on a slow disk."""


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--pyz", type=Path, help="start a relay from this built file and measure it")
    parser.add_argument("--host", default="127.0.0.1", help="the server (default: %(default)s)")
    parser.add_argument("--domain", help="what stands behind the @ of its addresses (default: [HOST])")
    parser.add_argument("--submissions", type=int, default=465, help="its submission port with TLS")
    parser.add_argument("--imaps", type=int, default=993, help="its IMAP port with TLS")
    parser.add_argument("--pid", type=int, nargs="+", default=[], help="its processes, for CPU and memory")
    parser.add_argument("--accounts", type=Path, help="`address password` lines, where a login makes no account")
    parser.add_argument("--against", nargs="+", default=["stock"], choices=["stock", "postfix-dovecot", "nothing"])
    parser.add_argument("--only", nargs="+", choices=[*MEASURES, *ONLY_OWN], help="these figures alone")
    parser.add_argument("--runs", type=int, default=1, help="how often (default: %(default)s)")
    parser.add_argument("--share", type=float, default=1.0, help="of the full number of messages, logins and clients")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--plots", type=Path, help="also draw them, as SVG files in this folder")
    parser.add_argument("--compare", type=Path, nargs=2, metavar=("BEFORE", "AFTER"), help="two such files as ratios")
    return parser.parse_args()


def read_accounts(path: Path) -> list[Login]:
    """Accounts that exist on the server, the last line first."""
    return [Login(*line.split()) for line in path.read_text().splitlines() if line.strip()]


class Bench:
    """One call of the command."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._hosts = map(str, map(IPv4Address, count(int(IPv4Address(options.host)) + 1)))
        self.report = Report.of_this_machine()

    def run(self) -> None:
        """All runs."""
        for number in range(self._options.runs):
            with ExitStack() as stack:
                uvloop.run(self._run_once(stack, is_first=number == 0))

    def _wants(self, name: str) -> bool:
        return not self._options.only or name in self._options.only

    async def _run_once(self, stack: ExitStack, *, is_first: bool) -> None:
        targets = await asyncio.to_thread(self._start, stack)
        if "stock" in self._options.against and self._wants("throughput"):
            self._note(
                "stock aiosmtpd", await calibrate(self._options.pyz, messages=_at_least(2000, self._options.share))
            )
        for name, measure in MEASURES.items():
            for server, target in targets.items() if self._wants(name) else ():
                try:
                    self._note(server, await measure(target, self._options.share))
                except (OSError, asyncio.IncompleteReadError) as error:
                    print(f"{server}: {name} came to no end: {error!r}", file=sys.stderr)
        if self._options.pyz is not None and is_first:
            if self._wants("growth"):
                self._note("chatmail", await growth(self._another))
            if self._wants("expiry"):
                self._note("chatmail", await while_expiring(self._another))
            if self._wants("slow-disk"):
                self._note("chatmail", await on_slow_disk(self._another))

    def _start(self, stack: ExitStack) -> dict[str, Target]:
        options = self._options
        targets = {}
        if options.pyz is not None:
            folder = stack.enter_context(TemporaryDirectory(prefix="chatmail-bench-"))
            relay = own_relay(options.pyz, options.host, Path(folder) / "data")
            targets["chatmail"] = target_of(stack.enter_context(relay))
        else:
            given = read_accounts(options.accounts) if options.accounts else None
            domain = options.domain or f"[{options.host}]"
            made = Target(options.host, domain, options.submissions, options.imaps, tuple(options.pid), given=given)
            targets[options.host] = made
        if "postfix-dovecot" in options.against:
            targets["Postfix + Dovecot"] = stack.enter_context(PostfixDovecot(next(self._hosts))).target()
        return targets

    def _another(self, data_dir: Path) -> ServedRelay:
        """One more relay, on an address of its own."""
        return own_relay(self._options.pyz, next(self._hosts), data_dir)

    def _note(self, server: str, figures: list[Figure]) -> None:
        self.report.add(server, figures)
        for figure in figures:
            missed = "" if figure.is_met else "  MISSED"
            print(
                f"{server:<18} {figure.name:<56} {figure.value:>10.2f} {figure.unit:<4} {figure.goal}{missed}",
                flush=True,
            )


def main() -> int:
    """Run."""
    options = arguments()
    if options.compare:
        print(compare(*map(Report.read, options.compare)))
        return 0
    # Whoever ends the benchmark ends what it started: without this SIGTERM would leave servers behind.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(1))
    bench = Bench(options)
    try:
        bench.run()
    finally:
        print("\n" + bench.report.table())
        if options.json:
            bench.report.write(options.json)
        if options.plots:
            for path in plots.draw(bench.report, options.plots):
                print(f"drawn: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
