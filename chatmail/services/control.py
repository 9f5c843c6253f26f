"""The control socket: the operator's commands, answered by the running server.

Doors: `ControlService.run`, and the table of commands handed in; this file knows none of them. Only root and the user
the server runs as may speak here (the mode of the socket, and the peer's credentials as the kernel tells them). A
second service of the kind, for a group of people who may only read, is made with `readers`; there everybody may
connect, and the kernel tells who belongs to the group.
"""

import asyncio
import grp
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from chatmail.control_protocol import (
    MAX_LINE_BYTES,
    ControlProtocolError,
    Progress,
    Refusal,
    Result,
    decode_request,
    encode_answer,
)
from chatmail.errors import ChatmailError, OperatorError
from chatmail.log import Log

REQUEST_SECONDS: Final = 10.0
MAX_CONNECTIONS: Final = 32
_PEER_CREDENTIALS: Final = struct.Struct("3i")
_SO_PEERGROUPS: Final = 59
"""socket(7), since Linux 4.13; the module `socket` has no name for it."""
_GROUP: Final = struct.Struct("I")
_MAX_GROUPS: Final = 256
"""All that Python lets be asked for; who is in more groups is no reader."""
_NOT_A_READER: Final = (
    "Only root and members of the group {0} may look at the server: adduser NAME {0}, then log in anew."
)

Report = Callable[[str], None]
Handler = Callable[[Mapping[str, Any], Report], Awaitable[Any]]
"""Takes the arguments and a way to report progress; returns what JSON holds; `ChatmailError` is a refusal."""

_log = Log("control")


class ControlService:
    """Serves the table of commands."""

    def __init__(self, path: Path, commands: Mapping[str, Handler], *, readers: str = "") -> None:
        """Bind the socket, so that it answers from the moment the server calls itself ready. Raises `OperatorError`.

        `commands` are by the words of the command line, such as `cert renew`. `readers` is a group whose members are
        heard too; where there is no such group, nobody else is.
        """
        self._path = path
        self._readers = readers
        self._listener = bind_socket(path, 0o666 if readers else 0o600)
        self._commands = commands
        self._connections: set[asyncio.Task[None]] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Listen until `stop`, then let go of every connection."""
        server = await asyncio.start_unix_server(self._accept, sock=self._listener, limit=MAX_LINE_BYTES)
        try:
            await stop.wait()
        finally:
            server.close()
            self._path.unlink(missing_ok=True)
            for task in self._connections:
                task.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            if not may_speak(writer, self._readers):
                writer.write(encode_answer(Refusal(_NOT_A_READER.format(self._readers))) if self._readers else b"")
            elif len(self._connections) <= MAX_CONNECTIONS:
                await self._serve(reader, writer)
        except (ConnectionError, TimeoutError, asyncio.LimitOverrunError, ValueError):
            pass
        except asyncio.CancelledError:
            # The server ends; asyncio would report a cancelled callback as an error.
            pass
        except Exception as error:
            _log.bug(error)
        finally:
            self._connections.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(REQUEST_SECONDS):
            line = await reader.readline()
        if not line:
            return

        def report(text: str) -> None:
            writer.write(encode_answer(Progress(text)))

        try:
            request = decode_request(line)
            handler = self._commands.get(request.command)
            if handler is None:
                raise ControlProtocolError(f"This server does not know the command {request.command!r}.")
            answer = encode_answer(Result(await handler(request.arguments, report)))
        except ChatmailError as error:
            answer = encode_answer(Refusal(str(error)))
        except Exception as error:
            _log.bug(error)
            answer = encode_answer(Refusal("The server met a bug while doing this; its log has the details."))
        writer.write(answer)
        await writer.drain()


def bind_socket(path: Path, mode: int = 0o600) -> socket.socket:
    """A listening socket at `path` with `mode`, in the place of one that a killed server left.

    Raises `OperatorError` if there cannot be one.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.parent.mkdir(mode=0o755, exist_ok=True)
        # The lock on the data folder says that no other server of this folder runs.
        path.unlink(missing_ok=True)
        listener.bind(str(path))
        path.chmod(mode)
        listener.listen()
    except OSError as error:
        listener.close()
        why = error.strerror or "the path is too long"
        raise OperatorError(
            f"The control socket {path} cannot be made ({why}); check that its folder is ours."
        ) from None
    listener.setblocking(False)
    return listener


def may_speak(writer: asyncio.StreamWriter, readers: str = "") -> bool:
    """Whether the peer is root, the user this server runs as, or a member of the group `readers`."""
    peer: socket.socket = writer.get_extra_info("socket")
    raw = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER_CREDENTIALS.size)
    _pid, uid, gid = _PEER_CREDENTIALS.unpack(raw)
    if uid in (0, os.geteuid()):
        return True
    try:
        return bool(readers) and grp.getgrnam(readers).gr_gid in (gid, *_peer_groups(peer))
    except (KeyError, OSError):
        return False


def _peer_groups(peer: socket.socket) -> Iterable[int]:
    """The supplementary groups of the process that connected, when it did."""
    raw = peer.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _MAX_GROUPS * _GROUP.size)
    return (group for (group,) in _GROUP.iter_unpack(raw))
