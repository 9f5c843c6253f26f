"""The attackers' process: `python -m tests.hostile.attacker NAME`, its arena on standard input, its tally on output.

It says `ready` when all is prepared, and begins at the next line it is sent; at the one after it ends, and its
connections with it, all at once. Its own interpreter keeps the honest client's clock free of the attackers' work.
"""

import asyncio
import json
import os
import sys
import time

import uvloop

from tests.hostile.arena import Arena, Attack, Tally
from tests.hostile.catalogue import ATTACKS


async def attack_until_told(attack: Attack, arena: Arena) -> None:
    """Say what was counted when the time is over, go on until the next line comes, and hang up."""
    loop = asyncio.get_running_loop()
    # What a library says of a connection that was cut in the middle is of no interest here.
    loop.set_exception_handler(lambda _loop, _context: None)
    tally, began = Tally(), time.process_time()
    task = asyncio.ensure_future(attack.run(arena, tally))
    await asyncio.wait({task}, timeout=arena.seconds)
    if task.done():
        task.result()
    tally["ms of their CPU"] = round(1000 * (time.process_time() - began))
    print(json.dumps(tally), flush=True)
    await loop.run_in_executor(None, sys.stdin.readline)
    os._exit(0)


def main() -> None:
    """Run."""
    attack, arena = ATTACKS[sys.argv[1]], Arena.from_json(sys.stdin.readline())
    uvloop.run(attack.prepare(arena))
    print("ready", flush=True)
    if sys.stdin.readline():
        uvloop.run(attack_until_told(attack, arena))


if __name__ == "__main__":
    main()
