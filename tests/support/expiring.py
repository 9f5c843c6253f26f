"""A process that expires what a store has, to be killed: `python -m tests.support.expiring FOLDER`.

It prints a line for each piece of work it has done.
"""

import asyncio
import sys
from pathlib import Path

from chatmail.config import Config
from chatmail.services.expiry import expire
from chatmail.storage.store import Store
from tests.support.filling import NOW


async def tell(worked_seconds: float) -> None:
    print("piece", flush=True)


async def main() -> None:
    store = await Store.open(Path(sys.argv[1]), max_mailbox_size_bytes=1 << 40)
    await expire(store, Config("example.org"), NOW, lambda _text: None, tell)
    await store.close()
    print("done", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
