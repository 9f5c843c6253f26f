"""A connection to the first of several addresses that answers, so that a broken way costs a moment and not a timeout.

Door: `first_connection`. RFC 8305 §5: attempts begin a quarter of a second after each other, in the order given, or at
once when the one before has failed, and the first that succeeds ends the others.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

STAGGER_SECONDS: Final = 0.25

P = TypeVar("P", bound=asyncio.Protocol)
_Attempt = asyncio.Task[tuple[asyncio.BaseTransport, P]]


async def first_connection(protocol: Callable[[], P], addresses: Sequence[str], port: int) -> tuple[str, P]:
    """Connect to one of the IP `addresses`: which, and its protocol. Raises `OSError` if none answers.

    That may take as long as one of them does not even refuse.
    """
    loop = asyncio.get_running_loop()
    left = list(addresses)
    attempts: dict[_Attempt[P], str] = {}
    try:
        while left or attempts:
            if left:
                address = left.pop(0)
                attempts[loop.create_task(loop.create_connection(protocol, address, port))] = address
            done, _ = await asyncio.wait(
                attempts, timeout=STAGGER_SECONDS if left else None, return_when=asyncio.FIRST_COMPLETED
            )
            for attempt in done:
                address = attempts.pop(attempt)
                if attempt.exception() is None:
                    return address, attempt.result()[1]
        raise OSError("none of the addresses answers")
    finally:
        for attempt in attempts:
            attempt.add_done_callback(_abandon)
            attempt.cancel()


def _abandon(attempt: _Attempt[P]) -> None:
    """It may have succeeded in the same moment as another one."""
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result()[0].abort()  # type: ignore[attr-defined]
