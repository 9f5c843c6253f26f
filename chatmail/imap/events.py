"""What `Connection.next_event` gives: the only way out of the core, besides the bytes of `send`.

A `TaggedCommand` is answered with any number of untagged responses and one tagged; until then the next one waits.
"""

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from chatmail.imap.commands import AppendMessage, TaggedCommand
from chatmail.imap.responses import StatusResponse


class Wait(Enum):
    """There is no event now."""

    NEED_DATA = auto()
    PAUSED = auto()


NEED_DATA: Final = Wait.NEED_DATA
"""The client has to send more."""
PAUSED: Final = Wait.PAUSED
"""The session has to answer first, or the conversation is over."""


@dataclass(frozen=True, slots=True)
class BadCommand:
    """The client broke the protocol: send `response`, and count.

    With `is_fatal` close the connection then. In the middle of an APPEND or an IDLE this ends it: whoever holds a
    half-received message has to let it go.
    """

    response: StatusResponse
    is_fatal: bool = False


@dataclass(frozen=True, slots=True)
class LiteralAnnounced:
    """The client waits for leave to send a literal that is within the limits: write what `accept_literal` gives."""


@dataclass(frozen=True, slots=True)
class AuthenticateResponse:
    """What the client says to a challenge, decoded; None: it cancels, and wants a tagged BAD. RFC 9051 §6.2.2."""

    data: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class IdleDone:
    """DONE: the IDLE wants its tagged answer."""

    tag: str


@dataclass(frozen=True, slots=True)
class AppendBegin:
    """APPEND and its first message. Write what `accept_literal` gives, or send a tagged NO.

    After a NO the rest of the command, where it comes all the same, is read and dropped.
    """

    tag: str
    mailbox: str
    message: AppendMessage


@dataclass(frozen=True, slots=True)
class AppendNext:
    """A further message of the same APPEND (RFC 3502); the one before is complete. To be answered like the first."""

    message: AppendMessage


@dataclass(frozen=True, slots=True)
class AppendData:
    """The next octets of the message."""

    data: bytes


@dataclass(frozen=True, slots=True)
class AppendEnd:
    """All messages are complete: store them, all or none, and send the tagged answer."""

    tag: str


Event = (
    TaggedCommand
    | BadCommand
    | LiteralAnnounced
    | AuthenticateResponse
    | IdleDone
    | AppendBegin
    | AppendNext
    | AppendData
    | AppendEnd
)
