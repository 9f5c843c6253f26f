"""The attackers' process: `python -m tests.hostile.attacker NAME`, its arena on standard input, its tally on output.

It says `ready` when all is prepared, and begins at the next line it is sent. At the end its connections go with it, all
at once. Its own interpreter keeps the honest client's clock free of the attackers' work.
"""

import asyncio
import json
import os
import sys
import time
from contextlib import suppress

import uvloop

from tests.hostile.arena import Arena, Attack, Tally
from tests.hostile.catalogue import ATTACKS


async def attack_for(attack: Attack, arena: Arena, tally: Tally) -> None:
    """Until the time is over."""
    # What a library says of a connection that was cut in the middle is of no interest here.
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
    with suppress(TimeoutError):
        async with asyncio.timeout(arena.seconds):
            await attack.run(arena, tally)


def main() -> None:
    """Run."""
    attack, arena = ATTACKS[sys.argv[1]], Arena.from_json(sys.stdin.readline())
    uvloop.run(attack.prepare(arena))
    print("ready", flush=True)
    if not sys.stdin.readline():
        return
    tally, began = Tally(), time.process_time()
    uvloop.run(attack_for(attack, arena, tally))
    tally["ms of their CPU"] = round(1000 * (time.process_time() - began))
    print(json.dumps(tally), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
