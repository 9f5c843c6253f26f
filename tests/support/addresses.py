"""Loopback addresses for test servers: each its own, so that all can use the same ports at the same time."""

import os
import socket
from collections.abc import Iterator

from tests.support.tools import lacking


def loopback_addresses() -> Iterator[str]:
    """Addresses out of 127.0.0.0/8 that no other process of a test run on this machine uses at the moment.

    The process id chooses the /24; an abstract socket holds each address as long as this process lives.
    """
    for offset in range(1 << 16):
        network = (os.getpid() + offset // 254) % 65_000 + 256
        address = f"127.{network >> 8}.{network & 255}.{offset % 254 + 1}"
        holder = socket.socket(socket.AF_UNIX)
        try:
            holder.bind(f"\0chatmail-tests-{address}")
        except OSError:
            holder.close()
            continue
        _held.append(holder)
        yield address
    lacking("a free loopback address")


_held: list[socket.socket] = []
