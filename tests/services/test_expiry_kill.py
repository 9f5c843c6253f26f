"""kill -9 in the middle of expiry: the store stays whole, and the next run goes on."""

import random
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

from chatmail.config import Config
from chatmail.services.expiry import expire, no_pause
from chatmail.storage.store import LocalDelivery, Store
from tests.support.filling import NOW, TODAY, address, staged

ROUNDS = 8
KEPT = 30


async def fill(folder: Path) -> None:
    store = await Store.open(folder, max_mailbox_size_bytes=1 << 40)
    for number in range(12):
        day = TODAY - timedelta(days=200 if number % 2 else 0)
        await store.accounts.create(address(f"account{number}"), "hash", day)
    names = tuple(address(f"account{number}") for number in range(12))
    for age_days, count in ((30, 150), (1, KEPT)):
        bodies = [staged(store, b"x" * (300_000 if number % 15 == 0 else 2000)) for number in range(count)]
        await store.deliver([LocalDelivery(body, names) for body in bodies], NOW - timedelta(days=age_days))
    await store.close()


def expire_until_killed(folder: Path, pieces: int) -> bool:
    """Kill after so many pieces of work; whether it had ended before."""
    command = [sys.executable, "-m", "tests.support.expiring", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as victim:
        assert victim.stdout is not None
        for _ in range(pieces):
            if victim.stdout.readline() in (b"done\n", b""):
                break
        victim.send_signal(signal.SIGKILL)
        return b"done\n" in victim.stdout.readlines()


async def test_expiry_that_is_killed_leaves_a_whole_store_and_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    await fill(folder)
    chance = random.Random(5)
    for _ in range(ROUNDS):
        expire_until_killed(folder, chance.randrange(1, 12))
        store = await Store.open(folder, max_mailbox_size_bytes=1 << 40)
        assert await store.check() == ()
        await store.close()
    store = await Store.open(folder, max_mailbox_size_bytes=1 << 40)
    await expire(store, Config("example.org"), NOW, lambda _text: None, no_pause)
    assert await store.check() == ()
    rows = await store.accounts.page("", 99)
    assert [row.address for row in rows] == sorted(str(address(f"account{number}")) for number in range(0, 12, 2))
    account = await store.accounts.find(address("account0"))
    assert account is not None
    details = await store.accounts.details(account.account_id)
    assert details is not None and details.messages == KEPT
    assert len([path for path in (folder / "bodies").rglob("*") if path.is_file()]) == 2
    await store.close()
