"""Several addresses of a host, of which some refuse and some never answer."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from chatmail.net.first_connection import first_connection

PORT = 2526


@contextmanager
def listening(address: str, *, is_full: bool = False) -> Iterator[socket.socket]:
    """A listener that accepts nobody; if it is full, connecting to it comes to no end."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind((address, PORT))
        listener.listen(0 if is_full else 100)
        while is_full:
            client = stack.enter_context(socket.socket())
            client.settimeout(0.2)
            try:
                client.connect((address, PORT))
            except TimeoutError:
                break
        yield listener


async def connected_to(*addresses: str) -> str:
    """Which of them it was."""
    transports: list[asyncio.BaseTransport] = []

    class Peer(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            transports.append(transport)

    async with asyncio.timeout(10):
        address, _ = await first_connection(Peer, addresses, PORT)
    assert [transport.get_extra_info("peername")[0] for transport in transports] == [address]
    transports[0].close()
    return address


async def test_the_first_that_answers_is_taken(_addresses: Iterator[str]) -> None:
    refuses, full, good, also_good = (next(_addresses) for _ in range(4))
    with listening(full, is_full=True), listening(good), listening(also_good):
        assert await connected_to(good, also_good) == good
        assert await connected_to(refuses, good) == good
        assert await connected_to(full, good, also_good) == good
        assert await connected_to(full, refuses, also_good) == also_good


async def test_if_none_answers_that_is_an_error(_addresses: Iterator[str]) -> None:
    with pytest.raises(OSError, match="none of the addresses"):
        await connected_to(next(_addresses), next(_addresses))
    with pytest.raises(OSError, match="none of the addresses"):
        await connected_to()


async def test_whoever_loses_patience_leaves_nothing_behind(_addresses: Iterator[str]) -> None:
    address = next(_addresses)
    with listening(address, is_full=True), pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await connected_to(address)
    others = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.gather(*others, return_exceptions=True)
    assert all(task.cancelled() for task in others)
