"""The conversation over one stream, without I/O: `receive_data`, `next_event`, `send`.

Theory of operation. Bytes go in by `receive_data`; `next_event` gives what they mean, one event at a time, until it
says `NEED_DATA` or `PAUSED`. One command is in hand at a time: while its tagged response has not gone through `send`,
the next event is `PAUSED`, however much the client pipelined. `send` turns a response into bytes, and is how the
connection learns what the session decided: a tagged OK or NO of LOGIN, SELECT, CLOSE… moves the state as
`states.TRANSITIONS` says, and a continuation lets the client go on with IDLE or AUTHENTICATE. What a client may not do
in its state becomes a `BadCommand`, as does what it cannot spell.

RFC 9051 §3 (states), §5.5, §6; RFC 7888 (literals). It does not know accounts, mailboxes, sockets or time-outs.
"""

from enum import Enum, auto
from typing import Final

from chatmail.imap import commands
from chatmail.imap.events import (
    NEED_DATA,
    PAUSED,
    AppendBegin,
    AppendData,
    AppendEnd,
    AppendNext,
    AuthenticateResponse,
    BadCommand,
    Event,
    IdleDone,
    LiteralAnnounced,
    Wait,
)
from chatmail.imap.fragments import (
    BEFORE_LOGIN,
    Announced,
    CommandText,
    Discarded,
    Fragments,
    Limits,
    LiteralChunk,
    LiteralSize,
    TooMuch,
)
from chatmail.imap.parse_append import parse_append, parse_append_more
from chatmail.imap.parse_command import command_name, decode_base64, parse_command, tag_of
from chatmail.imap.response_codes import TOOBIG
from chatmail.imap.responses import Condition, Continuation, EnabledList, Response, StatusResponse, bad, bye, no
from chatmail.imap.states import ALLOWED, TRANSITIONS, Append, CommandType, State, wrong_state
from chatmail.imap.syntax import ImapSyntaxError

_UTF8_CAPABILITIES: Final = frozenset(("IMAP4REV2", "IMAP4rev2", "UTF8=ACCEPT"))
MAX_WAITING_BYTES: Final = 65536
"""More than this need not be read from the socket while a command is in hand."""


class _Phase(Enum):
    """Who is to speak, and how what the client says is read."""

    READING = auto()
    """The client: a command."""
    DECIDING = auto()
    """The session: whether the announced literal of an APPEND, or of a command, may come."""
    APPENDING = auto()
    """The client: octets of a message, or what stands between two messages."""
    ANSWERING = auto()
    """The session: the tagged response."""
    CONTINUING = auto()
    """The client: a line that is no command, within IDLE or AUTHENTICATE."""
    TLS = auto()
    """Nobody: the handshake begins, and plain bytes do not count."""
    OVER = auto()


_LISTENING: Final = (_Phase.READING, _Phase.APPENDING, _Phase.CONTINUING)


class Connection:
    """One stream's conversation."""

    __slots__ = (
        "_after_login",
        "_command_type",
        "_fragments",
        "_is_answered",
        "_literal",
        "_phase",
        "_refusal",
        "_tag",
        "state",
        "utf8_names",
    )

    def __init__(self, after_login: Limits, before_login: Limits = BEFORE_LOGIN) -> None:
        """Begin before the greeting. The limits are those of strangers until a login succeeds."""
        self.state = State.NOT_AUTHENTICATED
        self.utf8_names = False
        """Mailbox names are UTF-8 in both directions: ENABLE IMAP4rev2 or UTF8=ACCEPT was answered."""
        self._after_login = after_login
        self._fragments = Fragments(before_login)
        self._phase = _Phase.READING
        self._tag: str | None = None
        self._command_type: CommandType | None = None
        self._literal: LiteralSize | None = None
        self._refusal: StatusResponse | None = None
        self._is_answered = False

    # --- bytes in, events out ---------------------------------------------------------------------------------------

    def receive_data(self, data: bytes) -> None:
        """Take bytes from the peer; what comes when nothing may come is dropped."""
        if self._phase is not _Phase.OVER and self._phase is not _Phase.TLS:
            self._fragments.receive_data(data)

    @property
    def wants_data(self) -> bool:
        """False when enough waits already: pause reading until the command in hand is answered."""
        return self._fragments.buffered_bytes < MAX_WAITING_BYTES

    @property
    def held_bytes(self) -> int:
        """What is kept of what the client has said and not ended."""
        return self._fragments.held_bytes

    @property
    def is_appending(self) -> bool:
        """Whether a message is coming in."""
        return self._phase is _Phase.APPENDING

    @property
    def is_idling(self) -> bool:
        """Whether the client is within IDLE and may be told of changes at any moment."""
        return self._phase is _Phase.CONTINUING and self._command_type is commands.Idle

    def next_event(self) -> Event | Wait:
        """What the client said next. Never raises, whatever the client says."""
        while self._phase in _LISTENING:
            fragment = self._fragments.next_fragment()
            event: Event | None = None
            match fragment:
                case CommandText(text):
                    event = self._text(text)
                case None:
                    return NEED_DATA
                case LiteralChunk(data):
                    event = self._append_data(data)
                case Announced():
                    event = self._announced(fragment)
                case Discarded(head):
                    event = self._discarded(head)
                case TooMuch():
                    self._phase = _Phase.OVER
                    event = BadCommand(bye("You send too much", TOOBIG), is_fatal=True)
            if event is not None:
                return event
        return PAUSED

    def _text(self, text: bytes) -> Event:
        match self._phase:
            case _Phase.CONTINUING:
                return self._continued(text)
            case _Phase.APPENDING:
                return self._append_end(text)
        return self._command(text)

    def _command(self, text: bytes) -> Event:
        try:
            tagged = parse_command(text, utf8_names=self.utf8_names)
        except ImapSyntaxError as error:
            return self._bad(bad(tag_of(text), f"Syntax error: {error}"))
        command_type = type(tagged.command)
        if self.state not in ALLOWED[command_type]:
            return self._bad(bad(tagged.tag, wrong_state(self.state)))
        self._tag, self._command_type, self._phase = tagged.tag, command_type, _Phase.ANSWERING
        return tagged

    def _bad(self, response: StatusResponse) -> BadCommand:
        if self._tag is not None:
            self._phase = _Phase.ANSWERING
        return BadCommand(response)

    def _continued(self, text: bytes) -> Event:
        """`idle = "IDLE" CRLF "DONE"`; `authenticate = … *(CRLF base64)`, `*` to cancel (RFC 9051 §6.2.2, §6.3.13)."""
        assert self._tag is not None
        self._phase = _Phase.ANSWERING
        if self._command_type is commands.Idle:
            return IdleDone(self._tag) if text.upper() == b"DONE" else BadCommand(bad(self._tag, "Expected DONE"))
        if text == b"*":
            return AuthenticateResponse(None)
        try:
            return AuthenticateResponse(decode_base64(text))
        except ImapSyntaxError as error:
            return BadCommand(bad(self._tag, f"Syntax error: {error}"))

    # --- literals ---------------------------------------------------------------------------------------------------

    def _announced(self, announced: Announced) -> Event | None:
        literal = announced.literal
        match self._phase:
            case _Phase.CONTINUING:
                return self._refuse(literal, bad(self._tag, "Expected a line without a literal"))
            case _Phase.APPENDING:
                return self._append_next(announced)
        tag = tag_of(announced.head)
        if tag is not None and command_name(announced.head) == b"APPEND":
            arguments = self._fragments.text(announced.text_bytes)[len(tag) + len(" APPEND") :]
            if arguments != b" ":
                return self._append_begin(tag, arguments[1:], literal)
        return self._collect(tag, literal)

    def _collect(self, tag: str | None, literal: LiteralSize) -> Event | None:
        if tag is None:
            return self._refuse(literal, bad(None, "Syntax error: expected a tag"))
        if not self._fragments.may_collect():
            return self._refuse(literal, bad(tag, "Literal is too long", TOOBIG))
        if not literal.is_synchronising:
            self._fragments.collect()
            return None
        self._literal, self._phase = literal, _Phase.DECIDING
        return LiteralAnnounced()

    def _refuse(self, literal: LiteralSize, response: StatusResponse) -> Event | None:
        """Answer `response`: now if the client waits, or when all that it sends without waiting is dropped."""
        if literal.is_synchronising:
            self._fragments.refuse()
            return self._bad(response)
        self._refusal = response
        self._fragments.discard()
        return None

    def _discarded(self, head: bytes) -> Event | None:
        """A command was thrown away: for its literal, for the length of a line, or since it was answered already."""
        refusal, self._refusal = self._refusal, None
        if self._is_answered:
            self._is_answered = False
            return None
        return self._bad(refusal or bad(self._tag or tag_of(head), "Line is too long"))

    def accept_literal(self) -> bytes:
        """Let the announced literal come; the bytes to write, which are none if the client does not wait for them."""
        assert self._phase is _Phase.DECIDING
        assert self._literal is not None
        if self._command_type is Append:
            self._fragments.stream()
            self._phase = _Phase.APPENDING
        else:
            self._fragments.collect()
            self._phase = _Phase.READING
        return b"+ OK\r\n" if self._literal.is_synchronising else b""

    # --- APPEND -----------------------------------------------------------------------------------------------------

    def _append_begin(self, tag: str, arguments: bytes, literal: LiteralSize) -> Event | None:
        if self.state not in ALLOWED[Append]:
            return self._refuse(literal, bad(tag, wrong_state(self.state)))
        try:
            mailbox, message = parse_append(arguments, literal, utf8_names=self.utf8_names)
        except ImapSyntaxError as error:
            return self._refuse(literal, bad(tag, f"Syntax error: {error}"))
        if literal.size_bytes > self._fragments.limits.append_bytes:
            return self._refuse(literal, no(tag, "Message is too large", TOOBIG))
        self._tag, self._command_type = tag, Append
        self._literal, self._phase = literal, _Phase.DECIDING
        return AppendBegin(tag, mailbox, message)

    def _append_next(self, announced: Announced) -> Event | None:
        literal = announced.literal
        try:
            message = parse_append_more(self._fragments.text(announced.text_bytes), literal)
        except ImapSyntaxError as error:
            return self._refuse(literal, bad(self._tag, f"Syntax error: {error}"))
        if literal.size_bytes > self._fragments.limits.append_bytes:
            return self._refuse(literal, no(self._tag, "Message is too large", TOOBIG))
        self._literal, self._phase = literal, _Phase.DECIDING
        return AppendNext(message)

    def _append_data(self, data: bytes) -> Event:
        """`literal = … *CHAR8`, `literal8 = … *OCTET`: NUL is no CHAR8."""
        assert self._literal is not None
        if b"\0" not in data or self._literal.is_binary:
            return AppendData(data)
        self._fragments.discard()
        self._is_answered = True
        return self._bad(bad(self._tag, "Syntax error: NUL in a literal that is not binary"))

    def _append_end(self, text: bytes) -> Event:
        assert self._tag is not None
        self._phase = _Phase.ANSWERING
        return (
            BadCommand(bad(self._tag, "Syntax error: expected the end of the command"))
            if text
            else AppendEnd(self._tag)
        )

    # --- responses out ----------------------------------------------------------------------------------------------

    def send(self, response: Response) -> bytes:
        """The bytes to write for `response`; a tagged one ends the command in hand."""
        match response:
            case StatusResponse():
                self._said(response)
            case Continuation():
                self._go_on()
            case EnabledList(names) if not _UTF8_CAPABILITIES.isdisjoint(names):
                self.utf8_names = True
        return response.encode(utf8_names=self.utf8_names)

    def _go_on(self) -> None:
        if self._phase is _Phase.ANSWERING and self._command_type in (commands.Idle, commands.Authenticate):
            self._phase = _Phase.CONTINUING

    def _said(self, response: StatusResponse) -> None:
        if response.tag is None:
            self._said_untagged(response.condition)
        elif response.tag == self._tag:
            self._said_tagged(response.condition)

    def _said_untagged(self, condition: Condition) -> None:
        if condition is Condition.PREAUTH:
            self._enter(State.AUTHENTICATED)
        elif condition is Condition.BYE:
            self.state = State.LOGOUT
            if self._command_type is not commands.Logout:
                self._phase = _Phase.OVER

    def _said_tagged(self, condition: Condition) -> None:
        command_type, phase = self._command_type, self._phase
        self._tag = self._command_type = None
        self._phase = _Phase.READING
        if command_type is Append:
            self._drop_append(phase)
        elif command_type is not None:
            self._enter(TRANSITIONS.get((command_type, condition), self.state))
        if condition is Condition.OK and command_type in (commands.StartTls, commands.Compress):
            self._fragments.clear()
            self._phase = _Phase.TLS if command_type is commands.StartTls else _Phase.READING

    def _drop_append(self, phase: _Phase) -> None:
        """The APPEND was answered before it was complete: what still comes of it is dropped."""
        if phase is _Phase.DECIDING and self._literal is not None and self._literal.is_synchronising:
            self._fragments.refuse()
        elif phase in (_Phase.DECIDING, _Phase.APPENDING):
            self._fragments.discard()
            self._is_answered = True

    def _enter(self, state: State) -> None:
        self.state = state
        if state is State.LOGOUT:
            self._phase = _Phase.OVER
        elif state is not State.NOT_AUTHENTICATED:
            self._fragments.limits = self._after_login

    def tls_started(self) -> None:
        """The handshake after STARTTLS is done: the client begins anew (RFC 9051 §6.2.1)."""
        self._phase = _Phase.READING

    def deselect(self) -> None:
        """The selected mailbox is gone."""
        if self.state is State.SELECTED:
            self.state = State.AUTHENTICATED
