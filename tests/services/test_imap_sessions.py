"""Several sessions on one mailbox at the same time: each keeps its own numbers, and all agree in the end.

Every client keeps a model of what it was told, as RFC 9051 §7.5 says a client may: UIDs by position, moved by EXPUNGE
and EXISTS alone. Whatever the sessions do in whatever order, what a FETCH says must fit the model.
"""

import asyncio
import random
import re
from pathlib import Path

import pytest

from tests.support.imap import ImapPeer, ImapServer, imap_server, plain_message

FETCHED = re.compile(rb"\* (\d+) FETCH \((?:.* )?UID (\d+)(?:[ )].*)?$")
NUMBER = re.compile(rb"\* (\d+) (EXISTS|EXPUNGE)$")


class Watcher:
    """One session and what it knows: the UID at each position, None while it has not asked."""

    def __init__(self, peer: ImapPeer) -> None:
        self.peer = peer
        self.uids: list[int | None] = []

    def hear(self, line: bytes, *, by_number: bool = False) -> None:
        """Keep the model in step with one untagged line."""
        number = NUMBER.match(line)
        if number is not None:
            self._count(int(number[1]), number[2], by_number=by_number)
        fetched = FETCHED.match(line)
        if fetched is not None:
            self._identify(int(fetched[1]), int(fetched[2]))

    def _count(self, number: int, kind: bytes, *, by_number: bool) -> None:
        if kind == b"EXISTS":
            assert number >= len(self.uids), "EXISTS must not take messages away"
            self.uids += [None] * (number - len(self.uids))
            return
        assert not by_number, "no EXPUNGE in answer to FETCH, STORE or SEARCH by number"
        assert 1 <= number <= len(self.uids)
        del self.uids[number - 1]

    def _identify(self, number: int, uid: int) -> None:
        assert 1 <= number <= len(self.uids), "no FETCH of what was not announced"
        known = self.uids[number - 1]
        assert known in (None, uid), f"position {number} was {known} and is said to be {uid}"
        self.uids[number - 1] = uid
        told = [each for each in self.uids if each is not None]
        assert told == sorted(set(told)), "UIDs ascend and are unique"

    async def do(self, command: str) -> None:
        """One command; a refusal is an answer too."""
        by_number = command.startswith(("FETCH", "STORE", "SEARCH"))
        lines = await self.peer.run(command)
        for line in lines[:-1]:
            self.hear(line, by_number=by_number)

    async def settle(self) -> None:
        """Learn the whole state."""
        await self.do("NOOP")
        await self.do("UID FETCH 1:* (UID FLAGS)")


def command(chance: random.Random, size: int) -> str:
    """One of the things clients do, about messages that may or may not be there."""
    first = chance.randint(1, max(size, 1))
    uids = f"{chance.randint(1, 60)}:{chance.choice(['*', '30', '60'])}"
    flag = chance.choice(["\\Seen", "\\Deleted", "\\Flagged", "$Work"])
    sign = chance.choice(["+", "-", ""])
    return chance.choice(
        [
            f"FETCH {first} (UID FLAGS)",
            f"UID FETCH {uids} (FLAGS)",
            f"STORE {first} {sign}FLAGS ({flag})",
            f"UID STORE {uids} {sign}FLAGS.SILENT ({flag})",
            "SEARCH DELETED",
            f"UID SEARCH RETURN (COUNT) {first}",
            "EXPUNGE",
            f"UID EXPUNGE {uids}",
            f"UID COPY {first} INBOX",
            f"MOVE {first} Trash",
            "NOOP",
        ]
    )


async def misbehave(watcher: Watcher, chance: random.Random, rounds: int) -> None:
    for _ in range(rounds):
        if chance.random() < 0.1:
            await watcher.peer.idle_for_a_turn(watcher.hear)
        else:
            await watcher.do(command(chance, len(watcher.uids)))


async def deliver(server: ImapServer, chance: random.Random, count: int) -> None:
    for number in range(count):
        await server.deliver(plain_message(f"number{number}"))
        for _ in range(chance.randint(0, 30)):
            await asyncio.sleep(0)


@pytest.mark.parametrize("seed", range(6))
async def test_every_session_sees_a_consistent_mailbox(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    async with imap_server(tmp_path / "data") as server:
        watchers = [Watcher(await server.logged_in()) for _ in range(4)]
        for _ in range(10):
            await server.deliver(plain_message())
        for watcher in watchers:
            await watcher.do("SELECT INBOX")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(deliver(server, chance, 30))
            for number, watcher in enumerate(watchers):
                tasks.create_task(misbehave(watcher, random.Random(f"{seed} {number}"), 60))
        for watcher in watchers:
            await watcher.settle()
        (truth,) = await watchers[0].peer.ok("UID SEARCH ALL")
        uids = [int(number) for number in truth.split()[2:]]
        assert [watcher.uids for watcher in watchers] == [uids] * len(watchers)


async def test_no_conditional_store_loses_an_update(tmp_path: Path) -> None:
    async with imap_server(tmp_path / "data") as server:
        clients = [await server.logged_in() for _ in range(5)]
        await server.deliver(plain_message())
        for client in clients:
            await client.ok("SELECT INBOX")

        async def add_keyword(client: ImapPeer, keyword: str) -> None:
            """Read, modify, write, until nobody came between."""
            while True:
                (line,) = [each for each in await client.ok("UID FETCH 1 (FLAGS MODSEQ)") if b" FETCH (UID" in each][
                    -1:
                ]
                found = re.search(rb"FLAGS \((.*?)\).*MODSEQ \((\d+)\)", line)
                assert found is not None
                flags = f"{found[1].decode()} {keyword}".strip()
                answer = await client.run(f"UID STORE 1 (UNCHANGEDSINCE {int(found[2])}) FLAGS.SILENT ({flags})")
                if b"[MODIFIED" not in answer[-1]:
                    return

        async with asyncio.TaskGroup() as tasks:
            for number, client in enumerate(clients):
                tasks.create_task(add_keyword(client, f"$k{number}"))
        lines = await clients[0].ok("UID FETCH 1 FLAGS")
        assert all(b"$k%d" % number in lines[-1] for number in range(len(clients)))
