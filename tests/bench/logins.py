"""Logins: the first of an account, those after it, resumed TLS sessions, and everybody at once after a restart."""

import asyncio
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

from tests.bench.figure import Figure
from tests.bench.target import Login, Target
from tests.support.mail_client import ImapClient, accept_any_certificate

PARALLEL = 16
STORM_CONNECTING = 200
"""Handshakes the load generator has under way at once in a storm: all clients want to, this process is one."""


async def logins(target: Target, *, first: int, known: int) -> list[Figure]:
    """New connections with login per second, and the server's CPU for each."""
    fresh = [target.fresh_login() for _ in range(first)]
    again = [fresh[index % first] for index in range(known)]
    return [
        *await _rate(target, "first logins", fresh, ">= 200"),
        *await _rate(target, "known logins", again, ">= 600"),
        *await _resumed(target, again),
    ]


async def _rate(target: Target, name: str, work: list[Login], goal: str) -> list[Figure]:
    queue = list(work)

    async def worker() -> None:
        while queue:
            login = queue.pop()
            client = await ImapClient.connect(target.host, target.imaps, target.context)
            await client.login(login.address, login.password)
            client.close()

    began, cpu = perf_counter(), target.cpu_seconds()
    await asyncio.gather(*(worker() for _ in range(PARALLEL)))
    seconds, cpu = perf_counter() - began, target.cpu_seconds() - cpu
    return [
        Figure(name, len(work) / seconds, "/s", goal),
        Figure(f"{name}: server CPU each", cpu / len(work) * 1000, "ms"),
    ]


async def _resumed(target: Target, work: list[Login]) -> list[Figure]:
    """Like known logins, each with the TLS ticket of the worker's connection before."""
    queue = list(work)
    resumed = 0

    def worker() -> int:
        context, session, count = accept_any_certificate(), None, 0
        while queue:
            login = queue.pop()
            session, reused = _log_in(target, context, session, login)
            count += reused
        return count

    began, cpu = perf_counter(), target.cpu_seconds()
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(PARALLEL) as pool:
        resumed = sum(await asyncio.gather(*(loop.run_in_executor(pool, worker) for _ in range(PARALLEL))))
    seconds, cpu = perf_counter() - began, target.cpu_seconds() - cpu
    return [
        Figure("known logins, TLS resumed", len(work) / seconds, "/s"),
        Figure("known logins, TLS resumed: server CPU each", cpu / len(work) * 1000, "ms"),
        Figure("known logins, TLS resumed: share that was", 100 * resumed / len(work), "%"),
    ]


def _log_in(
    target: Target, context: ssl.SSLContext, session: ssl.SSLSession | None, login: Login
) -> tuple[ssl.SSLSession | None, bool]:
    with (
        socket.create_connection((target.host, target.imaps), timeout=60) as plain,
        context.wrap_socket(plain, session=session) as client,
    ):
        client.recv(4096)
        client.sendall(f'A1 LOGIN "{login.address}" "{login.password}"\r\n'.encode())
        said = b""
        while b"A1 " not in said:
            chunk = client.recv(4096)
            if not chunk:
                raise ConnectionResetError("closed by the server")
            said += chunk
        if b"A1 OK" not in said:
            raise AssertionError(said.decode())
        return client.session, client.session_reused or False


async def reconnect_storm(target: Target, *, clients: int) -> list[Figure]:
    """All clients back in IDLE after the server was restarted (or, where it cannot be, after they were cut off)."""
    accounts = await target.accounts(clients)
    gate = asyncio.Semaphore(STORM_CONNECTING)
    again = 0

    async def one(login: Login) -> ImapClient:
        nonlocal again
        while True:
            try:
                async with gate:
                    client = await target.imap(login)
                    await client.idle()
                    return client
            except OSError:
                again += 1
                await asyncio.sleep(0.2)

    async def everybody() -> list[ImapClient]:
        return list(await asyncio.gather(*map(one, accounts)))

    for client in await everybody():
        client.close()
    if target.restart is not None:
        await asyncio.to_thread(target.restart)
    again = 0
    began, cpu = perf_counter(), target.cpu_seconds()
    back = await everybody()
    seconds, cpu = perf_counter() - began, target.cpu_seconds() - cpu
    peak = target.memory_bytes()
    for client in back:
        client.close()
    name = f"{clients:,} clients back after a restart" if target.restart else f"{clients:,} clients back"
    return [
        Figure(name, seconds, "s"),
        Figure(f"{name}: server CPU", cpu, "s"),
        Figure(f"{name}: connections tried again", again, ""),
        Figure(f"{name}: memory then", peak / 2**20, "MiB"),
    ]
