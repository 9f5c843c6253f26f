"""A run: sessions on one mailbox, mail coming in, and the reckoning at the end."""

import asyncio
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from random import Random
from time import perf_counter

from tests.stress.ledger import Ledger
from tests.stress.session import IDENTITY, Session
from tests.stress.view import UID
from tests.support.mail_client import ImapClient, SmtpClient, accept_any_certificate
from tests.support.relay import Credentials, Relay

PACE_SECONDS = 0.1
"""Between two messages that come in."""
PATIENCE_SECONDS = 60.0
"""From the end of the run until the last client must have heard its last answer."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done."""

    seconds: float
    commands: Mapping[str, int]
    submitted: int
    put_in: int
    uids: int
    expunged: int
    left: int
    reconnects: int

    def __str__(self) -> str:
        kinds = ", ".join(f"{name} {count:,}" for name, count in sorted(self.commands.items()))
        return (
            f"{self.seconds:.0f} s, {sum(self.commands.values()):,} commands, {self.reconnects} lost connections;"
            f" {self.put_in} messages put in ({self.submitted} of them by submission), {self.uids} UIDs,"
            f" {self.expunged} expunged, {self.left} left\n{kinds}"
        )


async def stress(relay: Relay, account: Credentials, *, seconds: float, sessions: int, seed: int) -> Outcome:
    """Raises `AssertionError` as soon as a client is told what cannot be."""
    ledger = Ledger(Random(seed))

    async def connect() -> ImapClient:
        client = await ImapClient.connect(relay.host, relay.port(993), accept_any_certificate())
        await client.login(account.address, account.password)
        return client

    clients = [
        Session(connect, ledger, Random(f"{seed} {number}"), account.address, uses_qresync=number % 3 == 0)
        for number in range(sessions)
    ]
    stop = asyncio.Event()
    began = perf_counter()
    for client in clients:
        await client.begin()
    async with asyncio.TaskGroup() as tasks:
        submitting = tasks.create_task(_submit(relay, account, ledger, stop))
        for client in clients:
            tasks.create_task(client.work(stop))
        await asyncio.sleep(seconds)
        stop.set()
        watch = asyncio.get_running_loop().call_later(PATIENCE_SECONDS, _give_up, asyncio.current_task(), clients)
    watch.cancel()
    present = await _reckon(clients, ledger)
    for client in clients:
        client.client.close()
    return Outcome(
        perf_counter() - began,
        dict(ledger.commands),
        submitting.result(),
        len(ledger.confirmed),
        len(ledger.uids),
        len(ledger.gone),
        len(present),
        sum(client.reconnects for client in clients),
    )


def _give_up(run: "asyncio.Task[Outcome] | None", clients: list[Session]) -> None:
    """A client goes on and on: show what it says."""
    for client in clients:
        print("\n".join(line.decode("ascii", "replace").rstrip() for line in client.transcript), "\n", file=sys.stderr)
    if run is not None:
        run.cancel("a client does not come to an end")


async def _submit(relay: Relay, account: Credentials, ledger: Ledger, stop: asyncio.Event) -> int:
    smtp = await SmtpClient.connect(relay.host, relay.port(465), accept_any_certificate())
    await smtp.login(account.address, account.password)
    count = 0
    while not stop.is_set():
        sent, message = ledger.new_message(account.address)
        await smtp.send(account.address, [account.address], message)
        ledger.confirmed.add(sent.identity)
        count += 1
        await asyncio.sleep(PACE_SECONDS)
    smtp.close()
    return count


async def _reckon(clients: list[Session], ledger: Ledger) -> dict[int, str]:
    """Compare what each client believes with what a new one is told; what is left, by UID."""
    for client in clients:
        await client.settle()
    fresh = Session(clients[0].connect, ledger, Random(0), clients[0].sender, uses_qresync=False)
    await fresh.begin()
    truth = fresh.knowledge()
    for number, client in enumerate(clients):
        assert client.knowledge() == truth, f"client {number} believes something else"
    ledger.check_end({uid: ledger.uids[uid] for uid in truth})
    trash = await _identities(fresh, "Trash")
    assert trash == ledger.moved, "what was moved is not what is in the other mailbox"
    fresh.client.close()
    return {uid: ledger.uids[uid] for uid in truth}


async def _identities(session: Session, mailbox: str) -> dict[int, str]:
    client = await session.connect()
    await client.command(f"EXAMINE {mailbox}")
    parts = await client.command("UID FETCH 1:* (UID BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")
    client.close()
    found: dict[int, str] = {}
    for line, literal in pairwise(parts):
        uid, identity = UID.search(line), IDENTITY.search(literal)
        if uid and identity and line.startswith(b"* "):
            found[int(uid[1])] = identity[1].decode()
    return found
