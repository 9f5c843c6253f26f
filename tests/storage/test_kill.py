"""kill -9 at any moment: what was acknowledged is there exactly once, and nothing half."""

import random
import signal
import subprocess
import sys
from pathlib import Path

from chatmail.mail.changes import Uid
from chatmail.storage.store import Store
from tests.support.endless_delivery import RECIPIENTS, header, text
from tests.support.filling import address, inbox, messages, whole

ROUNDS = 6
MANY = 1 << 40


def deliver_until_killed(folder: Path, first_number: int, acknowledged: int) -> list[int]:
    """Kill the victim as soon as it has acknowledged so many; the numbers it did acknowledge."""
    command = [sys.executable, "-m", "tests.support.endless_delivery", str(folder), str(first_number)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as victim:
        assert victim.stdout is not None
        lines: list[bytes] = []
        while len(lines) < acknowledged:
            lines.append(victim.stdout.readline())
        victim.send_signal(signal.SIGKILL)
        # What is in the pipe was printed before the end.
        lines += victim.stdout.readlines()
    return [int(line) for line in lines if line.endswith(b"\n")]


async def stored_numbers(store: Store, localpart: str) -> dict[Uid, int]:
    """The messages of an INBOX by UID; every one is compared byte by byte."""
    account = await store.accounts.find(address(localpart))
    assert account is not None
    found = {}
    for message in await messages(store, (await inbox(store, account)).mailbox_id):
        message_bytes = await whole(store, message.body_id)
        number = int(message_bytes[len(b"Message-ID: <") : message_bytes.index(b"@")])
        assert message_bytes == header(number) + text(number)
        found[message.uid] = number
    return found


async def test_every_acknowledged_message_survives_kill_9_exactly_once(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    chance = random.Random(20260301)
    acknowledged: set[int] = set()
    before: dict[str, dict[Uid, int]] = {name: {} for name in RECIPIENTS}
    for killed in range(ROUNDS):
        acknowledged.update(deliver_until_killed(folder, 1 + killed * 100_000, chance.randrange(1, 120)))
        store = await Store.open(folder, max_mailbox_size_bytes=MANY)
        assert list((folder / "tmp").iterdir()) == []
        for name in RECIPIENTS:
            found = await stored_numbers(store, name)
            numbers = list(found.values())
            assert len(numbers) == len(set(numbers))
            assert acknowledged <= set(numbers)
            # UIDs given out earlier still mean the same messages.
            assert before[name].items() <= found.items()
            before[name] = found
        assert await store.check() == ()
        await store.close()
