"""Mail from another server: `python -m tests.bench.bench_inbound --pyz dist/chatmail.pyz`. Needs root and nsd.

A relay from the built file, a real name server with the sender's key, STARTTLS, messages of 5 KB signed beforehand.
One at a time: final dot to 250 and to EXISTS at an idling receiver. In bulk: ten connections to ten receivers, until
each receiver has seen all of its own.
"""

import argparse
import asyncio
import statistics
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Final

import uvloop

from tests.bench.lean_client import Sender, Watcher
from tests.bench.own_relay import own_relay, target_of
from tests.bench.target import Login, Target
from tests.support.dkim_samples import FOREIGN, SELECTOR, record, sign
from tests.support.mail_client import SmtpClient, accept_any_certificate
from tests.support.messages import encrypted_message
from tests.support.name_server import NameServer

HOST: Final = "127.0.67.1"
DNS: Final = "127.0.67.53"
SENDER: Final = f"alice@{FOREIGN}"
CONNECTIONS: Final = 10


async def connect(port: int) -> SmtpClient:
    """A server's connection to ours, encrypted."""
    client = await SmtpClient.connect(HOST, port, None)
    await client.command("STARTTLS", "220")
    await client.writer.start_tls(accept_any_certificate())
    await client.command("EHLO mx.other.example", "250")
    return client


def show(name: str, value: float, unit: str, goal: str = "") -> None:
    """One figure."""
    print(f"{name:<50} {value:>10.2f} {unit:<4} {goal}", flush=True)


async def latency(target: Target, port: int, messages: int) -> None:
    """One at a time; the first one, which asks the DNS, apart."""
    receiver = await target.account()
    imap, smtp = await target.imap(receiver), await connect(port)
    accepted, exists = [], []
    for wire in [sign(encrypted_message(SENDER)) for _ in range(messages + 1)]:
        await imap.idle()
        pushed = asyncio.create_task(imap.wait_exists())
        await smtp.send(SENDER, [receiver.address], wire)
        accepted.append((perf_counter() - smtp.final_dot_at) * 1000)
        exists.append(((await pushed)[1] - smtp.final_dot_at) * 1000)
        await imap.done()
    show("port 25: first message, key not cached", exists[0], "ms")
    show("port 25: final dot to 250, p50", statistics.median(accepted[1:]), "ms")
    show("port 25: final dot to EXISTS, p50", statistics.median(exists[1:]), "ms", "<= 6")
    show("port 25: final dot to EXISTS, p99", statistics.quantiles(exists[1:], n=100)[98], "ms")


async def throughput(target: Target, port: int, messages: int) -> None:
    """All connections at once."""
    receivers = await target.accounts(CONNECTIONS)
    wires = [[sign(encrypted_message(SENDER)) for _ in range(messages // CONNECTIONS)] for _ in receivers]
    peers = [Sender(await connect(port)) for _ in receivers]

    async def send(peer: Sender, to: Login, own: list[bytes]) -> None:
        for wire in own:
            await peer.send(SENDER, [to.address], wire)

    arrivals = []
    for to in receivers:
        imap = await target.imap(to)
        await imap.idle()
        arrivals.append(Watcher(imap, messages // CONNECTIONS).wait())
    began, cpu = perf_counter(), target.cpu_seconds()
    await asyncio.gather(*map(send, peers, receivers, wires), *arrivals)
    seconds, cpu = perf_counter() - began, target.cpu_seconds() - cpu
    show("port 25: messages in bulk", messages / seconds, "/s", ">= 500")
    show("port 25: server CPU per message", cpu / messages * 1000, "ms")


async def measure(target: Target, port: int, messages: int) -> None:
    """Both."""
    await latency(target, port, min(messages, 300))
    await throughput(target, port, messages)


def main() -> int:
    """Run."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.bench_inbound", description=__doc__)
    parser.add_argument("--pyz", type=Path, required=True, help="the built file")
    parser.add_argument("--messages", type=int, default=1000, help="in bulk (default: %(default)s)")
    options = parser.parse_args()
    with TemporaryDirectory(prefix="chatmail-bench-") as folder:
        zone = Path(folder) / "dns"
        zone.mkdir()
        key = " ".join(f'"{record()[start : start + 200].decode()}"' for start in range(0, len(record()), 200))
        relay = own_relay(options.pyz, HOST, Path(folder) / "data", settings=f'[dns]\nresolvers = ["{DNS}"]\n')
        with NameServer(zone, DNS, {FOREIGN: f"{SELECTOR}._domainkey IN TXT {key}\n"}), relay:
            uvloop.run(measure(target_of(relay), relay.port(25), options.messages))
    return 0


if __name__ == "__main__":
    sys.exit(main())
