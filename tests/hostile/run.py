"""One attack on a relay of its own: quiet, attack, recovery; and what was seen meanwhile."""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from time import perf_counter
from typing import Final

from chatmail.status_snapshot import StatusSnapshot
from tests.hostile import hostile_mail
from tests.hostile.arena import SOURCES, Arena, Attack
from tests.hostile.honest import Honest, Relay
from tests.hostile.outcome import Outcome, Quantiles
from tests.hostile.watch import Watch, connections, cpu_seconds, events, resident_bytes, snapshot
from tests.support.relay import ServedRelay

ROOT: Final = Path(__file__).resolve().parent.parent.parent
SETTINGS: Final = """
[mail]
max_user_send_per_minute = 100000
max_user_send_burst_size = 100000
max_mailbox_size = "4G"
"""
LIMITS: Final = "max_load_1m = 0\nmin_available_memory = 0\nmin_free_disk_space = 0\n"
QUIET_SECONDS: Final = 3.0
PREPARE_SECONDS: Final = 120.0
LEAVE_SECONDS: Final = 60.0
OURS: Final = {"imap": 3, "submission": 2, "mx": 0, "http": 0}
"""Connections of the honest client, one that is just opened or closed included."""


async def run(attack: Attack, pyz: Path, host: str, folder: Path, share: float) -> Outcome:
    """Do it."""
    settings = f"{attack.settings}{SETTINGS}[limits]\n{attack.limits}{LIMITS}"
    relay = ServedRelay(pyz, host, folder / attack.name, settings=settings)
    address, password = f"hostilexx@[{host}]", "a password of the attacker"
    if attack.fills:
        await hostile_mail.fill(relay.data_dir, address, password)
    await asyncio.to_thread(relay.start)
    try:
        seconds = max(attack.least_seconds, attack.seconds * share)
        sources = 1 if attack.from_beside else SOURCES
        arena = Arena(host, relay.port_base, address, password, f"victimxxx@[{host}]", sources, share, seconds)
        source = arena.source(0) if attack.from_beside else str(IPv4Address(host) + 1)
        return await _Run(attack, arena, relay, Honest(Relay(host, relay.port_base, source))).outcome()
    finally:
        await asyncio.to_thread(relay.stop)


@dataclass(slots=True)
class _Run:
    attack: Attack
    arena: Arena
    relay: ServedRelay
    honest: Honest

    async def outcome(self) -> Outcome:
        pid = self.relay.pid
        await self._make_accounts()
        async with _running(self.honest), _attackers(self.attack, self.arena) as attackers:
            await attackers.prepare()
            self.honest.phase()
            await asyncio.sleep(QUIET_SECONDS)
            quiet = self.honest.phase()
            watch, before_bytes, cpu = Watch(self.relay), resident_bytes(pid), cpu_seconds(pid)
            refused = Counter((await snapshot(self.relay)).refusals)
            logged = events(self.relay)
            began = perf_counter()
            async with _running(watch):
                tally = await attackers.attack()
                seconds, cpu = perf_counter() - began, cpu_seconds(pid) - cpu
                seen, at_the_end = self.honest.phase(), await snapshot(self.relay)
            await attackers.leave()
            ended = perf_counter()
            now = await self._all_gone()
            recovered_seconds, first_login = perf_counter() - ended, await self.honest.first_login()
            self.honest.phase()
            await asyncio.sleep(QUIET_SECONDS)
            after = self.honest.phase()
            return Outcome(
                self.attack.name,
                self.attack.does,
                round(seconds, 1),
                Quantiles.of(quiet.exists),
                Quantiles.of(seen.exists),
                Quantiles.of(seen.logins),
                seen.failures,
                seen.failed_logins,
                before_bytes,
                watch.highest_bytes,
                resident_bytes(pid),
                at_the_end.machine.loop_lag_ms,
                now.machine.loop_lag_ms,
                round(100 * cpu / seconds, 1),
                watch.most_connections,
                tally,
                (Counter(now.refusals) - refused) + (events(self.relay) - logged),
                round(recovered_seconds, 2),
                Quantiles.of(after.exists),
                round(1000 * first_login, 1),
                self._bugs(),
            )

    async def _make_accounts(self) -> None:
        await self.honest.prepare()
        for address in (self.arena.address, self.arena.victim):
            client = await self.honest.relay.imap()
            await client.login(address, self.arena.password)
            client.close()

    async def _all_gone(self) -> StatusSnapshot:
        """Wait until the attackers' connections are; the state then, or after a while."""
        until = perf_counter() + LEAVE_SECONDS
        while True:
            now = await snapshot(self.relay)
            if perf_counter() > until or all(count <= OURS[name] for name, count in connections(now).items()):
                return now
            await asyncio.sleep(0.1)

    def _bugs(self) -> tuple[str, ...]:
        lines = self.relay.log_path.read_text().splitlines()
        return tuple(line for line in lines if " bug " in line or "Traceback" in line)[:5]


@asynccontextmanager
async def _running(work: Honest | Watch) -> AsyncIterator[None]:
    """`work.run()` beside what is done meanwhile; its faults are faults of the run."""
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(work.run())
        yield
        task.cancel()


@dataclass(slots=True)
class _Attackers:
    """The attackers' process."""

    process: asyncio.subprocess.Process
    arena: Arena

    async def prepare(self) -> None:
        await self._say(self.arena.to_json())
        async with asyncio.timeout(PREPARE_SECONDS):
            ready = await self._line()
        assert ready == "ready\n", "the attackers could not prepare"

    async def attack(self) -> dict[str, int]:
        """What they counted."""
        await self._say("go")
        async with asyncio.timeout(self.arena.seconds + LEAVE_SECONDS):
            tally: dict[str, int] = json.loads(await self._line())
        return tally

    async def leave(self) -> None:
        """All hang up."""
        await self._say("leave")
        await self.process.wait()

    async def _say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")
        await self.process.stdin.drain()

    async def _line(self) -> str:
        assert self.process.stdout is not None
        return (await self.process.stdout.readline()).decode()


@asynccontextmanager
async def _attackers(attack: Attack, arena: Arena) -> AsyncIterator[_Attackers]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.hostile.attacker", attack.name, stdin=pipe, stdout=pipe, cwd=ROOT
    )
    try:
        yield _Attackers(process, arena)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
