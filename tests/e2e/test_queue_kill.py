"""`kill -9` at every point of an outgoing message's way, among other servers that know where each message is.

Counted: what was answered 250 is never lost, and nobody gets more than the one second copy that SMTP permits, which
there is only where the other server had the message and we had not yet made that durable. One kill meets a message at
each point; a lock on the store's database keeps those that lie between a reply and our commit where they are.
"""

import asyncio
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trustme

from chatmail.net.control_client import ask_server
from tests.support.foreign_server import ForeignServer
from tests.support.mail_client import ImapClient, SmtpClient, UnexpectedReplyError, accept_any_certificate
from tests.support.messages import encrypted_message
from tests.support.relay import Credentials, ServedRelay

SETTINGS = """
[federation]
smtp_port = 2525
https_port = 2443
[mail]
max_user_send_per_minute = 1000000
max_user_send_burst_size = 1000000
"""
PATIENCE_SECONDS = 60.0
LARGE_BYTES = 12_000_000
"""More than lies between two programs, so that one has to wait until the other reads."""
SENDERS = 4
BROKEN = (OSError, asyncio.IncompleteReadError, UnexpectedReplyError)


def said(word: str) -> Callable[[ForeignServer], bool]:
    return lambda server: any(line.startswith(word) for line in server.commands)


def has_it(server: ForeignServer) -> bool:
    return bool(server.received)


@dataclass(frozen=True, eq=False)
class Point:
    """Where a message is when we are killed, and how many copies its recipient has in the end."""

    name: str
    copies: int
    behaviour: dict[str, Any] = field(default_factory=dict)
    """Of the other server."""
    is_reached: Callable[[ForeignServer], bool] = has_it
    size_bytes: int = 5000
    is_held: bool = False
    """The other server's reply has come, and our commit has not."""


BEFORE_OUR_250 = Point("before our 250", 0)
BEFORE_THE_FIRST_ATTEMPT = Point("after our 250, before the first attempt", 1)
CONNECTED = Point("connected, nothing said", 1, {"silent_at": "greeting"}, lambda server: server.connections > 0)
PUT_OFF = Point("put off by its 451, to be tried again", 1, {"final_reply": "451 4.3.0 later"}, said("DATA"))
DELIVERED = Point("delivered", 1)
REFUSED = Point("its 550 is here and not committed", 0, {"final_reply": "550 5.7.1 no"}, said("DATA"), is_held=True)
DURING_AN_ATTEMPT = (
    CONNECTED,
    Point("in the middle of the envelope", 1, {"silent_at": "MAIL"}, said("MAIL")),
    Point(
        "in the middle of the message",
        1,
        {"silent_at": "body", "extensions": ["PIPELINING"]},
        said("DATA"),
        LARGE_BYTES,
    ),
    Point("it has the message, its 250 is not here", 2, {"silent_at": "dot"}),
    Point("its 250 is here and not committed", 2, is_held=True),
    REFUSED,
    PUT_OFF,
    DELIVERED,
)
POINTS = (BEFORE_OUR_250, BEFORE_THE_FIRST_ATTEMPT, *DURING_AN_ATTEMPT)


@dataclass
class Scene:
    """Our relay, and an account on it."""

    relay: ServedRelay
    sender: Credentials

    async def client(self) -> SmtpClient:
        """A connection, logged in."""
        client = await SmtpClient.connect(self.relay.host, self.relay.port(465), accept_any_certificate())
        try:
            await client.login(self.sender.address, self.sender.password)
        except BaseException:
            client.close()
            raise
        return client

    async def send(self, client: SmtpClient, name: str, server: ForeignServer, size_bytes: int = 5000) -> None:
        """Send the message `name` to somebody at `server`. It is answered 250, or this raises one of `BROKEN`."""
        message_id = name.replace(" ", "_")
        message = encrypted_message(self.sender.address, message_id=message_id, size_bytes=size_bytes)
        await client.send(self.sender.address, [f"bob@[{server.address}]"], message)

    async def submit(self, name: str, server: ForeignServer, size_bytes: int = 5000) -> None:
        """The same over a connection of its own."""
        client = await self.client()
        try:
            await self.send(client, name, server, size_bytes)
        finally:
            client.close()

    async def ask(self, command: str, **arguments: object) -> Any:  # noqa: ANN401 — JSON
        return await asyncio.to_thread(ask_server, self.relay.data_dir / "control.sock", command, arguments)

    async def attempts(self) -> dict[str, int]:
        """How often what waits has been tried, by the address of the server it is for."""
        return {item["domain"].strip("[]"): item["attempts"] for item in (await self.ask("queue list"))["items"]}

    async def until_queue(self, condition: Callable[[dict[str, int]], bool]) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not condition(await self.attempts()):
                pass

    async def drain(self) -> None:
        """Have everything tried until nothing waits any more."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await self.attempts():
                await self.ask("queue retry", all=True)

    async def until_logged(self, event: str, count: int) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self.relay.log_path.read_text().count(event) < count:
                await asyncio.sleep(0.02)

    @contextmanager
    def store_held(self) -> Iterator[None]:
        """Nothing is committed meanwhile."""
        connection = sqlite3.connect(self.relay.data_dir / "chatmail.sqlite", isolation_level=None, timeout=5)
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield
        finally:
            connection.close()

    async def inbox(self) -> list[bytes]:
        client = await ImapClient.connect(self.relay.host, self.relay.port(993), accept_any_certificate())
        await client.login(self.sender.address, self.sender.password)
        await client.command('SELECT "INBOX"')
        found = await client.literals("UID FETCH 1:* (BODY.PEEK[])")
        client.close()
        return found


@pytest.fixture
async def scene(pyz: Path, free_loopback_address: str, tmp_path: Path) -> AsyncIterator[Scene]:
    relay = ServedRelay(pyz, free_loopback_address, tmp_path / "data", settings=SETTINGS)
    await asyncio.to_thread(relay.start)
    try:
        yield Scene(relay, await asyncio.to_thread(relay.new_account))
    finally:
        await asyncio.to_thread(relay.stop)


NewServer = Callable[..., Awaitable[ForeignServer]]


@pytest.fixture
async def new_server(_addresses: Iterator[str]) -> AsyncIterator[NewServer]:
    authority = trustme.CA()
    async with AsyncExitStack() as stack:

        async def make(**behaviour: Any) -> ForeignServer:  # noqa: ANN401 — its fields
            return await stack.enter_async_context(ForeignServer(next(_addresses), authority, **behaviour))

        yield make


def copies(servers: list[ForeignServer]) -> Counter[str]:
    """How often they got which message, by the name in its Message-ID."""
    ids = (
        one.content.partition(b"Message-ID: <")[2].partition(b"@")[0] for server in servers for one in server.received
    )
    return Counter(message_id.decode().replace("_", " ") for message_id in ids)


async def kill_at_all_points(scene: Scene, servers: dict[Point, ForeignServer], kills: int) -> None:
    """Bring a message to each point, then kill; no server has changed its mind yet."""
    for point, server in servers.items():
        if point.is_held:
            server.may_answer.clear()
        await scene.submit(point.name, server, point.size_bytes)
        await server.until_true(lambda point=point, server=server: point.is_reached(server))  # type: ignore[misc]
    # Nobody else tries a server while one message is still waiting for its first word.
    await scene.submit(BEFORE_THE_FIRST_ATTEMPT.name, servers[CONNECTED])
    put_off, delivered = servers[PUT_OFF].address, servers[DELIVERED].address
    await scene.until_queue(lambda attempts: attempts[put_off] == 1 and delivered not in attempts)
    client = await scene.client()
    with scene.store_held():
        held = [server for point, server in servers.items() if point.is_held]
        for server in held:
            server.may_answer.set()
        await scene.until_logged("outcome_not_stored", kills * len(held))
        unanswered = asyncio.create_task(scene.send(client, BEFORE_OUR_250.name, servers[DELIVERED]))
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not client.final_dot_at:
                await asyncio.sleep(0)
        scene.relay.kill()
        with pytest.raises(BROKEN):
            await unanswered
    client.close()


@pytest.mark.parametrize("kills", [1, pytest.param(20, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
async def test_at_every_point_nothing_is_lost_and_at_most_the_permitted_copy_is_second(
    scene: Scene, new_server: NewServer, kills: int
) -> None:
    for kill in range(1, kills + 1):
        servers = {point: await new_server(**point.behaviour) for point in DURING_AN_ATTEMPT}
        await kill_at_all_points(scene, servers, kill)
        for server in servers.values():
            server.silent_at = ""
            server.drop_connections()
        servers[PUT_OFF].final_reply = "250 2.0.0 OK"
        await asyncio.to_thread(scene.relay.start)
        await scene.drain()
        counted = copies(list(servers.values()))
        assert {point.name: counted[point.name] for point in POINTS} == {point.name: point.copies for point in POINTS}
        bounces = await scene.inbox()
        assert len(bounces) == kill and REFUSED.name.replace(" ", "_").encode() in bounces[-1]


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_at_any_moment_under_load(scene: Scene, new_server: NewServer) -> None:
    servers = [await new_server() for _ in range(3)]
    accepted: list[str] = []
    twice = 0

    async def send(sender: int) -> None:
        with suppress(*BROKEN):
            while True:
                name = f"s{sender}n{len(accepted)}"
                await scene.submit(name, servers[len(accepted) % len(servers)])
                accepted.append(name)

    for _ in range(20):
        goal = len(accepted) + 40
        tasks = [asyncio.create_task(send(sender)) for sender in range(SENDERS)]
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(accepted) < goal:
                await asyncio.sleep(0.001)
        scene.relay.kill()
        await asyncio.gather(*tasks)
        await asyncio.to_thread(scene.relay.start)
        await scene.drain()
        counted = copies(servers)
        assert counted.keys() >= set(accepted) and max(counted.values()) <= 2
        twice = sum(count == 2 for count in counted.values())
    print(f"{len(accepted)} accepted, {twice} of them twice, none lost")
    assert twice < len(accepted) / 10
