"""An SMTP conversation without sockets: bytes in, in pieces of any size; replies and accepted messages out."""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from chatmail.mail.envelope import SmtpReply
from chatmail.services.smtp_handler import Endable, SmtpOptions
from chatmail.services.smtp_protocol import SmtpConnection
from chatmail.turns import Turns
from tests.support.smtp_peer import RecordingHandler

OPTIONS = SmtpOptions(hostname="mx.example", max_message_bytes=10_000, max_recipients=5, login_required=False)


@dataclass
class Wire:
    """A transport that keeps what is written."""

    protocol: asyncio.Protocol | None = None
    written: bytes = b""
    is_closing: bool = False
    is_reading: bool = True
    is_aborted: bool = False

    def write(self, wire: bytes) -> None:
        assert not self.is_closing
        self.written += wire

    def close(self) -> None:
        self.is_closing = True

    def abort(self) -> None:
        self.is_closing = self.is_aborted = True

    def pause_reading(self) -> None:
        assert self.is_reading
        self.is_reading = False

    def resume_reading(self) -> None:
        assert not self.is_reading
        self.is_reading = True

    def get_extra_info(self, name: str) -> tuple[str, int] | None:
        return ("192.0.2.1", 2525) if name == "peername" else None

    @property
    def transport(self) -> asyncio.Transport:
        """As asyncio's own type, of which it has what is used."""
        return cast(asyncio.Transport, self)


@dataclass
class Owner:
    """Runs conversations as plain tasks."""

    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    turns: Turns = field(default_factory=Turns)

    def opened(self, connection: Endable, peer_host: str) -> SmtpReply | None:
        return None

    def spawn(self, conversation: Coroutine[Any, Any, None]) -> None:
        self.tasks.append(asyncio.create_task(conversation))

    def lost(self, connection: Endable) -> None:
        pass


def converse(pieces: Sequence[bytes]) -> tuple[list[str], list[bytes]]:
    """Say EHLO and then `pieces` to a server that takes everything; its replies to them, and the messages it took."""
    return asyncio.run(_converse(pieces))


async def _converse(pieces: Sequence[bytes]) -> tuple[list[str], list[bytes]]:
    handler, owner, wire = RecordingHandler(), Owner(), Wire()
    connection = SmtpConnection(handler, OPTIONS, owner, encrypted=True)
    connection.connection_made(wire.transport)
    connection.data_received(b"EHLO x\r\n")
    [conversation] = owner.tasks
    while b"SMTPUTF8\r\n" not in wire.written:
        await asyncio.sleep(0)
    wire.written = b""
    for piece in pieces:
        if wire.is_closing:
            break
        connection.data_received(piece)
        for _ in range(6):  # enough turns to use up the piece; a sink's finish takes one
            await asyncio.sleep(0)
    connection.eof_received()
    await conversation
    connection.connection_lost(None)
    return wire.written.decode().splitlines(), handler.messages
