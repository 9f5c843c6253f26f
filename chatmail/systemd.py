"""Telling systemd how we are: READY, STOPPING and the watchdog, as sd_notify(3) and systemd.service(5) define them.

Where there is no systemd every call does nothing.
"""

import os
import socket
from collections.abc import Mapping
from typing import Final

_MICROSECONDS: Final = 1_000_000


class ServiceManager:
    """Speaks to the socket named by NOTIFY_SOCKET."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """`environment` is `os.environ`."""
        address = environment.get("NOTIFY_SOCKET", "")
        # A leading "@" stands for the zero byte of an abstract socket (unix(7)).
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self.watchdog_seconds = _watchdog_seconds(environment)
        """How often we must be heard of; None if nobody watches."""

    def ready(self) -> None:
        """All listeners are bound and served."""
        self._send("READY=1")

    def stopping(self) -> None:
        """The end has begun."""
        self._send("STOPPING=1")

    def alive(self) -> None:
        """Sent in time, this keeps the watchdog quiet."""
        self._send("WATCHDOG=1")

    def _send(self, state: str) -> None:
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as to_manager:
            try:
                to_manager.sendto(state.encode(), self._address)
            except OSError:
                return  # nobody listens: then nobody waits for it either


def _watchdog_seconds(environment: Mapping[str, str]) -> float | None:
    pid = environment.get("WATCHDOG_PID", "")
    microseconds = environment.get("WATCHDOG_USEC", "")
    is_ours = not pid or pid == str(os.getpid())
    return int(microseconds) / _MICROSECONDS if is_ours and microseconds.isdecimal() and int(microseconds) else None
