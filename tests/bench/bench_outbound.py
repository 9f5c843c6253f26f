"""Messages a second to one other server that takes all it gets, which runs in a process of its own.

    python -m tests.bench.bench_outbound [--messages 3000] [--size 5000] [--https]

Measured from a full queue to an empty one: reading, signing, sending, the commit of each outcome. `--profile FILE`
writes what a profiler saw (the figures are worthless then).
"""

import argparse
import asyncio
import cProfile
import multiprocessing
import resource
import tempfile
import time
from contextlib import nullcontext
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

import trustme
import uvloop
from cryptography.hazmat.primitives.asymmetric import rsa

from chatmail.log import set_level
from chatmail.mail.address import Address
from chatmail.mail.message import header_length
from chatmail.net.dkim_signing import DkimSigner
from chatmail.routing import Router
from chatmail.services.delivery import DeliveryService
from chatmail.storage.store import LocalDelivery, Outbound, Store
from tests.support.foreign_server import ForeignServer
from tests.support.messages import encrypted_message
from tests.support.outbound import ALICE, config, courier

PEER: Final = "127.200.0.1"
BATCH: Final = 100
"""Messages put into the queue at once, before the clock runs."""


def show(name: str, value: float, unit: str, goal: str = "") -> None:
    """One figure."""
    print(f"{name:<50} {value:>10.2f} {unit:<4} {goal}", flush=True)


def serve(pipe: Connection, ca_file: Path, https: bool, messages: int) -> None:
    """The other server: says when it is ready, and over how many connections everything came."""

    async def run() -> None:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(ca_file))
        async with ForeignServer(PEER, authority, has_https=https) as server:
            pipe.send(0)
            received = await server.until(messages, seconds=600)
            assert {one.way for one in received} == {"https" if https else "smtp"}
            pipe.send(server.connections)

    uvloop.run(run())


async def fill(store: Store, messages: int, size_bytes: int) -> None:
    """Queue messages of one account for the other server."""
    outbound = Outbound(ALICE, (Address("bob", f"[{PEER}]"),))
    for start in range(0, messages, BATCH):
        deliveries = []
        for _ in range(min(BATCH, messages - start)):
            message = encrypted_message(str(ALICE), size_bytes=size_bytes)
            split = header_length(message) or 0
            body = store.stage(message[:split])
            body.write(message[split:])
            deliveries.append(LocalDelivery(body, (), outbound=outbound))
        await store.deliver(deliveries, datetime.now(UTC))


async def measure(folder: Path, pipe: Connection, messages: int, size_bytes: int, profile: str) -> None:
    """From a full queue to an empty one."""
    store = await Store.open(folder / "data", max_mailbox_size_bytes=1 << 40)
    await fill(store, messages, size_bytes)
    signer = DkimSigner(rsa.generate_private_key(65537, 2048), "chat.example", "mail")
    stop, emptied = asyncio.Event(), asyncio.to_thread(pipe.recv)
    async with courier(config(folder / "ca.pem")) as running, asyncio.TaskGroup() as tasks:
        service = DeliveryService(
            3600,
            store=store,
            router=Router(store, "chat.example"),
            courier=running,
            signer=signer,
            chance=lambda: 0.5,
        )
        profiler = cProfile.Profile(time.process_time) if profile else None
        before, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        with profiler or nullcontext():
            tasks.create_task(service.run(stop))
            connections = await emptied
        seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
        stop.set()
    if profiler is not None:
        profiler.dump_stats(profile)
    assert not await store.queue.page(0, 1), "not all of it was taken"
    cpu_seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    show("to one peer: messages", messages / seconds, "/s", ">= 500")
    show("to one peer: CPU per message", 1000 * cpu_seconds / messages, "ms")
    show("to one peer: connections", connections, "")
    await store.close()


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.bench_outbound", description="How fast mail leaves.")
    parser.add_argument("--messages", type=int, default=3000, help="(default: %(default)s)")
    parser.add_argument("--size", type=int, default=5000, metavar="BYTES", help="of each (default: %(default)s)")
    parser.add_argument("--https", action="store_true", help="by /mxdeliv instead of SMTP")
    parser.add_argument("--profile", default="", metavar="FILE", help="write a profile")
    arguments = parser.parse_args()
    set_level("warning")
    ours, theirs = multiprocessing.Pipe()
    with tempfile.TemporaryDirectory(prefix="chatmail-bench-") as name:
        folder = Path(name)
        serving = (theirs, folder / "ca.pem", arguments.https, arguments.messages)
        peer = multiprocessing.Process(target=serve, args=serving, daemon=True)
        peer.start()
        ours.recv()
        uvloop.run(measure(folder, ours, arguments.messages, arguments.size, arguments.profile))
        peer.join()


if __name__ == "__main__":
    main()
