"""What people notice of expiry: `python -m tests.bench.bench_expiry_wire --pyz dist/chatmail.pyz [--messages N]`.

Fills a store with old messages (default 1,000,000), starts the built file on it, and lets one client submit to another
that idles: seconds from the final dot to EXISTS, for a while at rest, then as long as `chatmail expire` runs.
"""

import argparse
import asyncio
import statistics
import sys
import time
from asyncio.subprocess import PIPE
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import uvloop

from tests.bench.filled_store import filled_store
from tests.bench.own_relay import own_relay, target_of
from tests.bench.target import Target
from tests.support.mail_client import ImapClient, SmtpClient
from tests.support.messages import encrypted_message
from tests.support.relay import ServedRelay

ACCOUNTS = 1000
PROBE_EVERY_SECONDS = 0.02


def show(name: str, value: float, unit: str) -> None:
    """One figure."""
    print(f"{name:<58} {value:>12,.1f} {unit}", flush=True)


async def fill_in(data_dir: Path, messages: int) -> None:
    """Write the store that the server will find."""
    started = time.perf_counter()
    await filled_store(data_dir, "example.org", accounts=ACCOUNTS, messages=messages, days_old=30)
    show(f"{messages:,} messages filled in", time.perf_counter() - started, "s")


class Probe:
    """A sender and a receiver in IDLE, both over TLS."""

    def __init__(self, smtp: SmtpClient, imap: ImapClient, sender: str, receiver: str) -> None:
        self._smtp, self._imap = smtp, imap
        self._sender, self._receiver = sender, receiver

    @classmethod
    async def of(cls, target: Target) -> "Probe":
        sender, receiver = await target.accounts(2)
        smtp, imap = await target.smtp(sender), await target.imap(receiver)
        await imap.idle()
        return cls(smtp, imap, sender.address, receiver.address)

    async def once(self) -> float:
        """Seconds from the final dot to EXISTS."""
        pushed = asyncio.create_task(self._imap.wait_exists())
        await self._smtp.send(self._sender, [self._receiver], encrypted_message(self._sender))
        _number, at = await pushed
        return at - self._smtp.final_dot_at

    async def until(self, ended: "asyncio.Future[Any]") -> list[float]:
        """Again and again."""
        latencies = []
        while not ended.done():
            latencies.append(await self.once())
            await asyncio.sleep(PROBE_EVERY_SECONDS)
        return latencies


def show_latencies(name: str, latencies: list[float]) -> None:
    """The usual quantiles."""
    cuts = statistics.quantiles(latencies, n=1000)
    for title, value in (("p50", cuts[499]), ("p99", cuts[989]), ("p99.9", cuts[998]), ("max", max(latencies))):
        show(f"final dot to EXISTS, {name}, {title} of {len(latencies):,}", 1000 * value, "ms")


async def expire(relay: ServedRelay) -> None:
    """The operator's command, its progress on stderr as people see it."""
    words = [str(relay.pyz), "expire", "--yes", "--config", str(relay.config_path)]
    process = await asyncio.create_subprocess_exec(relay.python, *words, stdout=PIPE)
    try:
        said, _ = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        raise
    print(said.decode(), end="", flush=True)
    if process.returncode != 0:
        raise SystemExit(f"expire ended with {process.returncode}")


async def measure(relay: ServedRelay, at_most_seconds: float | None) -> None:
    """At rest and during the run, or the beginning of it."""
    target = target_of(relay)
    database = relay.data_dir / "chatmail.sqlite"
    probe = await Probe.of(target)
    show("database before", database.stat().st_size / 2**20, "MiB")
    show("memory before", target.memory_bytes() / 2**20, "MiB")
    show_latencies("at rest", await probe.until(asyncio.ensure_future(asyncio.sleep(30))))
    started, cpu = time.perf_counter(), target.cpu_seconds()
    running = asyncio.ensure_future(expire(relay))
    latencies = await probe.until(asyncio.ensure_future(asyncio.wait({running}, timeout=at_most_seconds)))
    show_latencies("during expiry", latencies)
    show("expiry took" if running.done() else "expiry was watched for", time.perf_counter() - started, "s")
    show("CPU of the server meanwhile", target.cpu_seconds() - cpu, "s")
    show("memory after", target.memory_bytes() / 2**20, "MiB")
    show("database after", database.stat().st_size / 2**20, "MiB")
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


def main() -> int:
    """Run."""
    parser = argparse.ArgumentParser(description="What people notice of expiry.")
    parser.add_argument("--pyz", type=Path, required=True, help="the built file")
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, help="watch no more of the run than that (default: all)")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--folder", type=Path, help="where to measure; a temporary folder if not given")
    options = parser.parse_args()
    with TemporaryDirectory(prefix="chatmail-bench-", dir=options.folder) as folder:
        data_dir = Path(folder) / "data"
        uvloop.run(fill_in(data_dir, options.messages))
        with own_relay(options.pyz, options.host, data_dir) as relay:
            uvloop.run(measure(relay, options.seconds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
