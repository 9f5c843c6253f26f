"""Binding the listening sockets, before anything else starts, and saying clearly why one cannot be bound.

Services get bound sockets and never know addresses or ports. `0.0.0.0` and `::` live side by side (IPV6_V6ONLY).
"""

import errno
import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chatmail.config import Config, ListenConfig
from chatmail.errors import OperatorError

BACKLOG: Final = 1024
"""Connections the kernel holds while we are busy; a restart brings all clients back at once."""
PROTOCOLS: Final = ("smtp", "submission", "submissions", "imap", "imaps", "https", "http")
"""The keys of `[listen]` that are ports."""
_DEFAULT_ADDRESSES: Final = ListenConfig().addresses
_NO_SUCH_ADDRESS_FAMILY: Final = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)
_FIRST_UNPRIVILEGED_PORT: Final = 1024


@dataclass(frozen=True, slots=True)
class Listeners:
    """Listening sockets by protocol; a protocol that is off has none."""

    by_protocol: Mapping[str, tuple[socket.socket, ...]]

    def sockets(self, protocol: str) -> tuple[socket.socket, ...]:
        """The sockets of one of `PROTOCOLS`."""
        return self.by_protocol[protocol]

    def close(self) -> None:
        """Close all; harmless for those a service has closed already."""
        for sockets in self.by_protocol.values():
            for one in sockets:
                one.close()


def bind_listeners(config: Config, protocols: Sequence[str] = PROTOCOLS) -> Listeners:
    """Bind every address with the port of each of `protocols`, if that is not 0.

    Raises `OperatorError` and leaves nothing bound.
    """
    bound: dict[str, tuple[socket.socket, ...]] = {}
    try:
        for protocol in protocols:
            bound[protocol] = _bind_protocol(config.listen, protocol)
    except BaseException:
        Listeners(bound).close()
        raise
    return Listeners(bound)


def _bind_protocol(listen: ListenConfig, protocol: str) -> tuple[socket.socket, ...]:
    port: int = getattr(listen, protocol)
    sockets: list[socket.socket] = []
    try:
        for address in listen.addresses if port else ():
            try:
                sockets.append(_bind(address, port))
            except OSError as error:
                if not _may_be_missing(listen, address, error):
                    raise OperatorError(_refusal(protocol, address, port, error)) from None
    except BaseException:
        for one in sockets:
            one.close()
        raise
    return tuple(sockets)


def _bind(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind((address, port))
        # Linux tells of some conflicts only here.
        bound.listen(BACKLOG)
    except BaseException:
        bound.close()
        raise
    return bound


def _may_be_missing(listen: ListenConfig, address: str, error: OSError) -> bool:
    """A machine without IPv6 is no fault as long as nobody asked for IPv6 in so many words."""
    return address == "::" and listen.addresses == _DEFAULT_ADDRESSES and error.errno in _NO_SUCH_ADDRESS_FAMILY


def _refusal(protocol: str, address: str, port: int, error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            owner = owner_of_port(port)
            by, stop = (f" by {owner}", "stop that") if owner else ("", "stop the program that uses it")
            return f"Port {port} ({protocol}) is already in use{by}; {stop}, or change {protocol} in [listen]."
        case errno.EACCES | errno.EPERM if port < _FIRST_UNPRIVILEGED_PORT:
            return (
                f"Port {port} ({protocol}) may not be opened by this user; start with the capability "
                f"CAP_NET_BIND_SERVICE (as the systemd unit does), or change {protocol} in [listen] to 1024 or above."
            )
        case errno.EADDRNOTAVAIL:
            return f"{address} is not an address of this machine; correct addresses in [listen]."
        case errno.EAFNOSUPPORT:
            return f"This machine has no IPv6, so it cannot listen on {address}; correct addresses in [listen]."
    return f"Port {port} ({protocol}) on {address} cannot be opened: {error.strerror}; correct [listen]."


def owner_of_port(port: int) -> str | None:
    """Which process listens on a TCP port, as `NAME (pid N)`; None if `/proc` does not tell this user."""
    inodes = _listening_inodes(port)
    if not inodes:
        return None
    for folder in Path("/proc").glob("[0-9]*"):
        if not inodes.isdisjoint(_sockets_of(folder)):
            return f"{_name_of(folder)} (pid {folder.name})"
    return None


def _sockets_of(process: Path) -> set[str]:
    """Inodes of the sockets a process holds; descriptors that vanish, or may not be seen, are left out."""
    links: set[str] = set()
    with suppress(OSError):
        for entry in os.listdir(process / "fd"):
            with suppress(OSError):
                links.add(os.readlink(process / "fd" / entry))
    return {link[len("socket:[") : -1] for link in links if link.startswith("socket:[")}


def _name_of(process: Path) -> str:
    try:
        name = (process / "comm").read_text().strip()
    except (OSError, ValueError):
        name = ""
    return name if name and name.isprintable() else "a process"


def _listening_inodes(port: int) -> set[str]:
    """Socket inodes in state LISTEN (0A) on `port`; see proc(5), net/tcp."""
    inodes: set[str] = set()
    for table in ("tcp", "tcp6"):
        try:
            rows = [line.split() for line in Path("/proc/net", table).read_text().splitlines()[1:]]
        except OSError:
            continue
        inodes |= {row[9] for row in rows if row[3] == "0A" and int(row[1].rpartition(":")[2], 16) == port}
    return inodes
