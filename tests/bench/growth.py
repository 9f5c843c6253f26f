"""The same figures on stores of several sizes: what stored mail and accounts that are not connected cost."""

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Final

from tests.bench.figure import Figure, quantile
from tests.bench.filled_store import filled_store
from tests.bench.latency import Pair
from tests.bench.own_relay import target_of
from tests.bench.target import Target
from tests.bench.throughput import throughput
from tests.support.relay import ServedRelay

SIZES: Final = ((0, 0), (1_000, 10_000), (10_000, 100_000), (10_000, 1_000_000))
"""Accounts and messages."""
ROUNDS: Final = 3
"""All servers run at once and are measured in turns, so that the machine's moods hit them alike."""
LATENCY_MESSAGES: Final = 150
THROUGHPUT_MESSAGES: Final = 1500
NAMES: Final = ("start", "final dot to EXISTS p50", "server CPU per message", "messages", "memory at rest")
UNITS: Final = dict(zip(NAMES, ("s", "ms", "ms", "/s", "MiB"), strict=True))

Start = Callable[[Path], ServedRelay]


async def growth(start: Start) -> list[Figure]:
    """Each figure for each size, best of some rounds, and the largest store's as a ratio of the empty one's."""
    found: dict[tuple[str, int], list[float]] = {}
    with ExitStack() as stack:
        targets = []
        for accounts, messages in SIZES:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="chatmail-bench-")))
            relay = start(folder / "data")
            if messages:
                await filled_store(folder / "data", f"[{relay.host}]", accounts=accounts, messages=messages)
            began = perf_counter()
            await asyncio.to_thread(stack.enter_context, relay)
            target = target_of(relay)
            found["start", messages] = [perf_counter() - began]
            found["memory at rest", messages] = [target.memory_bytes() / 2**20]
            targets.append((messages, target))
        for _ in range(ROUNDS):
            for messages, target in targets:
                for name, value in (await _round(target)).items():
                    found.setdefault((name, messages), []).append(value)
    return _figures(found)


async def _round(target: Target) -> dict[str, float]:
    pair = await Pair.of(target)
    for _ in range(LATENCY_MESSAGES):
        await pair.chat()
    pair.close()
    rate, cpu, *_ = await throughput(target, messages=THROUGHPUT_MESSAGES)
    return {
        "final dot to EXISTS p50": quantile(pair.exists, 0.5) * 1000,
        "server CPU per message": cpu.value,
        "messages": rate.value,
    }


def _figures(found: dict[tuple[str, int], list[float]]) -> list[Figure]:
    figures = []
    for name in NAMES:
        best = max if name == "messages" else min
        for _accounts, messages in SIZES:
            value = best(found[name, messages])
            figures.append(Figure(f"{name} with {messages:,} stored", value, UNITS[name]))
        ratio = best(found[name, SIZES[-1][1]]) / best(found[name, 0])
        goal = "" if name in ("start", "memory at rest") else (">= 0.77" if name == "messages" else "<= 1.3")
        figures.append(Figure(f"{name}: {SIZES[-1][1]:,} stored against none", ratio, "×", goal))
    return figures
