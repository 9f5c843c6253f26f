"""Stores that hold much already: made once through the store's own door, kept in a cache folder, copied for each use.

Account N is `fNNNNNNN` with the password of all, so that a client can log in to any of them. Bodies are shared by
`SHARED_BY` messages each, as in groups, and are of the size of chat messages.
"""

import asyncio
import os
import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import gettempdir
from typing import Final

from chatmail.login import hash_password
from chatmail.mail.address import Address
from chatmail.storage.store import LocalDelivery, Store
from tests.bench.target import Login
from tests.support.messages import encrypted_message

PASSWORD: Final = "the-same-password-for-all"
SHARED_BY: Final = 10
BODY_BYTES: Final = 5000
_BATCH: Final = 50
_VERSION: Final = 1


def cache_folder() -> Path:
    """Where made stores lie until the machine is restarted; several hundred megabytes for a million messages."""
    return Path(gettempdir()) / f"chatmail-bench-stores-{os.getuid()}"


def login(number: int, domain: str) -> Login:
    """The credentials of one of its accounts."""
    return Login(f"f{number:07}@{domain}", PASSWORD)


async def filled_store(target: Path, domain: str, *, accounts: int, messages: int, days_old: int = 1) -> None:
    """Copy a store of that size to `target`; make it first if there is none yet."""
    name = f"v{_VERSION}-{domain.strip('[]')}-{accounts}-{messages}-{days_old}-{date.today()}"
    cached = cache_folder() / name
    if not cached.exists():
        unfinished = cached.with_name(f"{name}.{os.getpid()}.partial")
        unfinished.parent.mkdir(mode=0o700, exist_ok=True)
        await _fill(unfinished, domain, accounts, messages, datetime.now(UTC) - timedelta(days=days_old))
        unfinished.rename(cached)
    await asyncio.to_thread(shutil.copytree, cached, target)


async def _fill(folder: Path, domain: str, accounts: int, messages: int, received_at: datetime) -> None:
    store = await Store.open(folder, max_mailbox_size_bytes=1 << 50)
    try:
        password_hash = hash_password(PASSWORD)
        addresses = [Address(f"f{number:07}", domain) for number in range(accounts)]
        for first in range(0, accounts, 1000):
            some = addresses[first : first + 1000]
            await asyncio.gather(*(store.accounts.create(one, password_hash, date.today()) for one in some))
        bodies = messages // SHARED_BY
        for first in range(0, bodies, _BATCH):
            numbers = range(first, min(first + _BATCH, bodies))
            await store.deliver([_delivery(store, addresses, number) for number in numbers], received_at)
    finally:
        await store.close()


def _delivery(store: Store, addresses: list[Address], number: int) -> LocalDelivery:
    message = encrypted_message("group@example.org", size_bytes=BODY_BYTES)
    split = message.index(b"\r\n\r\n") + 4
    body = store.stage(message[:split])
    body.write(message[split:])
    first = number * SHARED_BY
    return LocalDelivery(body, tuple(addresses[(first + place) % len(addresses)] for place in range(SHARED_BY)))
