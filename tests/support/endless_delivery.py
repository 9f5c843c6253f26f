"""Delivers until it is killed, and prints the number of each message once it is safe: the victim of `test_kill.py`.

`python -m tests.support.endless_delivery DATA_DIR FIRST_NUMBER`. Several callers deliver at once, so that commits
are shared; every eleventh body is large enough for a file; older messages are expunged on the way.
"""

import asyncio
import sys
from itertools import count
from pathlib import Path

from chatmail.mail.changes import DELETED
from chatmail.storage.store import FlagsMode, LocalDelivery, Store
from tests.support.filling import NOW, TODAY, address

CALLERS = 8
LARGE_EVERY = 11
RECIPIENTS = ("alice", "bob")
PASSING = "carol"
"""Her messages are expunged as soon as they are there."""


def header(number: int) -> bytes:
    """The header block that tells which message it is."""
    return b"Message-ID: <%d@example.org>\r\n\r\n" % number


def text(number: int) -> bytes:
    """The text of a message, from its number."""
    return b"%d\r\n" % number * (60_000 if number % LARGE_EVERY == 0 else 50)


async def deliver_for_ever(store: Store, numbers: "count[int]") -> None:
    account = await store.accounts.find(address(PASSING))
    assert account is not None
    passing = await store.mailboxes.find(account.account_id, "INBOX")
    assert passing is not None
    for number in numbers:
        body = store.stage(header(number))
        body.write(text(number))
        await store.deliver([LocalDelivery(body, tuple(map(address, (*RECIPIENTS, PASSING))))], NOW)
        print(number, flush=True)
        snapshot = await store.mailboxes.snapshot(passing.mailbox_id)
        assert snapshot is not None
        uids = [message.uid for message in snapshot.messages]
        await store.mailboxes.store_flags(passing.mailbox_id, uids, FlagsMode.ADD, frozenset({DELETED}))
        await store.mailboxes.expunge(passing.mailbox_id)


async def main() -> None:
    store = await Store.open(Path(sys.argv[1]), max_mailbox_size_bytes=1 << 40)
    for name in (*RECIPIENTS, PASSING):
        await store.accounts.create(address(name), "hash", TODAY)
    numbers = count(int(sys.argv[2]))
    await asyncio.gather(*(deliver_for_ever(store, numbers) for _ in range(CALLERS)))


if __name__ == "__main__":
    asyncio.run(main())
