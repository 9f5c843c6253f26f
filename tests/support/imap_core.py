"""An IMAP connection with a session that says yes to nearly everything, for tests of the core and for fuzzing it."""

from dataclasses import dataclass, field

from chatmail.imap import commands
from chatmail.imap.commands import TaggedCommand
from chatmail.imap.connection import Connection
from chatmail.imap.events import (
    AppendBegin,
    AppendEnd,
    AppendNext,
    AuthenticateResponse,
    BadCommand,
    Event,
    IdleDone,
    LiteralAnnounced,
    Wait,
)
from chatmail.imap.fragments import Limits
from chatmail.imap.responses import Continuation, EnabledList, bad, no, ok

SMALL = Limits(line_bytes=2000, literal_bytes=1000, command_bytes=4000, append_bytes=5000, discard_bytes=12000)
"""Limits that tests can reach."""


@dataclass(slots=True)
class YesSession:
    """Feeds a connection, answers each event at once, and keeps what happened and what was written."""

    connection: Connection
    events: list[Event] = field(default_factory=list)
    written: bytearray = field(default_factory=bytearray)
    is_closed: bool = False
    tag: str = ""

    def feed(self, data: bytes) -> None:
        """Give `data` and answer all that follows from it."""
        self.connection.receive_data(data)
        while not self.is_closed and not isinstance(event := self.connection.next_event(), Wait):
            self.events.append(event)
            self.written += self.answer(event)

    def answer(self, event: Event) -> bytes:
        """The bytes this session says to `event`."""
        send = self.connection.send
        match event:
            case TaggedCommand(tag, commands.Idle()):
                return send(Continuation("idling"))
            case TaggedCommand(tag, commands.Authenticate(initial_response=None)):
                self.tag = tag
                return send(Continuation.challenge())
            case TaggedCommand(tag, commands.Enable(names)):
                return send(EnabledList(names)) + send(ok(tag, "done"))
            case TaggedCommand(tag, commands.StartTls() | commands.Compress()):
                return send(no(tag, "bytes stay as they are"))
            case TaggedCommand(tag) | IdleDone(tag) | AppendEnd(tag):
                return send(ok(tag, "done"))
            case AuthenticateResponse(data):
                return send(bad(self.tag, "cancelled") if data is None else ok(self.tag, "done"))
            case LiteralAnnounced() | AppendBegin() | AppendNext():
                return self.connection.accept_literal()
            case BadCommand(response, is_fatal):
                self.is_closed = is_fatal
                return send(response)
        return b""


def yes_session(data: bytes = b"", *, logged_in: bool = True) -> YesSession:
    """A session that has been fed `data`, after a login without traces if so wanted."""
    session = YesSession(Connection(SMALL))
    if logged_in:
        session.feed(b"L LOGIN user password\r\n")
        session.events.clear()
        session.written.clear()
    session.feed(data)
    return session
