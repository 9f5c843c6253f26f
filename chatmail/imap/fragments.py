"""First stage of reading: bytes become texts of commands, lines and literals put together under caps. RFC 9051 §4.3.

`receive_data` takes what came, `next_fragment` gives what it is. A literal is announced before it is read, and whoever
uses this decides its fate: `collect` it into the text, `stream` it piece by piece, `refuse` it because the client waits
for leave to send it, or `discard` it together with the rest of its command. So the octets of a literal are never read
as a command, however wrong the command is. Lines may end in CRLF or a bare LF.

It knows no grammar but the announcement at the end of a line. Nothing is kept while nothing is unfinished.
"""

import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

MAX_LITERALS: Final = 1000
"""In one command. Each costs more to find than its octets to read, so that many empty ones would be a cheap attack."""

# literal = "{" number64 ["+"] "}" CRLF *CHAR8; literal8 = "~{" number64 ["+"] "}" CRLF *OCTET
_ANNOUNCEMENT = re.compile(rb"(~?)\{([0-9]{1,40})(\+?)\}\Z")
_LONGEST_ANNOUNCEMENT: Final = 48
_CR: Final = 13
_KEPT_HEAD: Final = 256
"""What is kept of a command that is thrown away: enough for its tag."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a client may send.

    `line_bytes` bounds one line, `literal_bytes` one literal that is collected, `command_bytes` both together and
    `append_bytes` a message of APPEND. A command beyond these is read to its end and dropped, unless that end is more
    than `discard_bytes` away: then only the connection's end is left.
    """

    line_bytes: int
    literal_bytes: int
    command_bytes: int
    append_bytes: int
    discard_bytes: int

    @classmethod
    def after_login(cls, max_message_bytes: int) -> "Limits":
        """For accounts: lines longer than RFC 7162 §4 asks for (8192), literals for searches and tokens."""
        return cls(65536, 65536, 262144, max_message_bytes, 2 * max_message_bytes + 1048576)


BEFORE_LOGIN: Final = Limits(8192, 4096, 16384, 0, 65536)
"""For strangers: a name, a password, an initial response."""


@dataclass(frozen=True, slots=True)
class LiteralSize:
    """How a literal was announced: `{n}` is synchronising, `{n+}` is not, `~{n}` is binary (RFC 3516, RFC 7888)."""

    size_bytes: int
    is_synchronising: bool
    is_binary: bool


@dataclass(frozen=True, slots=True)
class CommandText:
    """A whole command: lines and collected literals, without the final line end; after a streamed literal, the rest."""

    text: bytes


@dataclass(frozen=True, slots=True)
class Announced:
    """A literal comes next. `head` is how the command begins, `text_bytes` how long it is up to the announcement."""

    head: bytes
    text_bytes: int
    literal: LiteralSize


@dataclass(frozen=True, slots=True)
class LiteralChunk:
    """The next octets of a streamed literal."""

    data: bytes


@dataclass(frozen=True, slots=True)
class LiteralEnd:
    """A streamed literal is complete."""


@dataclass(frozen=True, slots=True)
class Discarded:
    """A command has been thrown away; `head` is how it began."""

    head: bytes


@dataclass(frozen=True, slots=True)
class TooMuch:
    """The client sends more than will be read; nothing after it is understood."""

    head: bytes


Fragment = CommandText | Announced | LiteralChunk | LiteralEnd | Discarded | TooMuch


class _Mode(Enum):
    LINE = auto()
    DECIDE = auto()
    COLLECT = auto()
    STREAM = auto()
    SKIP_LITERAL = auto()
    SKIP_LINE = auto()
    DEAD = auto()


class Fragments:
    """Reads one stream."""

    __slots__ = (
        "_data",
        "_discarded",
        "_literal_bytes",
        "_literals",
        "_mode",
        "_position",
        "_scanned",
        "_text",
        "limits",
    )

    def __init__(self, limits: Limits) -> None:
        """Begin before the first byte; `limits` may be replaced between two commands."""
        self.limits = limits
        self._data: bytes | bytearray = b""
        self._position = 0
        self._scanned = 0
        self._mode = _Mode.LINE
        self._text: bytearray | None = None
        self._literal_bytes = 0
        self._literals = 0
        self._discarded = 0

    # --- bytes in ---------------------------------------------------------------------------------------------------

    def receive_data(self, data: bytes) -> None:
        """Take bytes from the peer. Without a rest from before they are not copied."""
        if self._position == len(self._data):
            self._data, self._position, self._scanned = data, 0, 0
            return
        if not isinstance(self._data, bytearray):
            self._data = bytearray(self._data)
        if self._position:
            del self._data[: self._position]
            self._scanned = max(self._scanned - self._position, 0)
            self._position = 0
        self._data += data

    def clear(self) -> None:
        """Forget everything that was received: after STARTTLS nothing of it may count (RFC 9051 §11.1)."""
        self._data, self._position, self._scanned = b"", 0, 0
        self._text, self._mode, self._literals = None, _Mode.LINE, 0

    @property
    def buffered_bytes(self) -> int:
        """How much was received and not yet read."""
        return len(self._data) - self._position

    @property
    def held_bytes(self) -> int:
        """How much of what was received is kept: what was not read, and the command that is not complete."""
        return len(self._data) + (0 if self._text is None else len(self._text))

    def _take(self, count: int) -> bytes:
        """The next `count` bytes, which are there."""
        taken = bytes(self._data[self._position : self._position + count])
        self._drop(count)
        return taken

    def _drop(self, count: int) -> None:
        """Move on; the buffer goes as soon as it is used up."""
        self._position += count
        if self._position == len(self._data):
            self._data, self._position = b"", 0
        self._scanned = self._position

    # --- fragments out ----------------------------------------------------------------------------------------------

    def next_fragment(self) -> Fragment | None:
        """What comes next, or None if more bytes are needed. After `Announced` a decision has to come first."""
        while True:
            mode = self._mode
            fragment = self._line() if mode is _Mode.LINE else self._read(mode)
            if fragment is not None or self._mode is mode:
                return fragment

    def _read(self, mode: _Mode) -> Fragment | None:
        match mode:
            case _Mode.COLLECT:
                self._collect()
                return None
            case _Mode.STREAM:
                return self._stream()
            case _Mode.SKIP_LITERAL:
                return self._skip_literal()
            case _Mode.SKIP_LINE:
                return self._skip_line()
        return None

    def _line(self) -> Fragment | None:
        """Read up to the next line end, and see whether it announces a literal."""
        limit = self._line_limit()
        end = self._data.find(b"\n", self._scanned)
        if end < 0:
            self._scanned = len(self._data)
            # One octet more may be the CR of a line end.
            if self.buffered_bytes > limit + 1:
                self._begin_skipping()
            return None
        length = end - self._position
        if length and self._data[end - 1] == _CR:
            length -= 1
        if length > limit:
            self._begin_skipping()
            return None
        line = self._take(end + 1 - self._position)
        if line[length - 1 : length] == b"}" and (match := _ANNOUNCEMENT.search(line, 0, length)):
            return self._announce(line, match)
        self._literals = 0
        if self._text is None:
            return CommandText(line[:length])
        text, self._text = bytes(self._text) + line[:length], None
        return CommandText(text)

    def _line_limit(self) -> int:
        used = len(self._text) if self._text is not None else 0
        return min(self.limits.line_bytes, self.limits.command_bytes - used)

    def _announce(self, line: bytes, match: re.Match[bytes]) -> Announced | TooMuch:
        self._literals += 1
        if self._literals > MAX_LITERALS:
            return self._give_up()
        text = self._text if self._text is not None else bytearray()
        literal = LiteralSize(int(match[2]), not match[3], bool(match[1]))
        self._literal_bytes = literal.size_bytes
        # The announcement is the last thing in the text, and `before` how far the command goes without it.
        before = len(text) + match.start()
        text += line
        self._text, self._mode = text, _Mode.DECIDE
        return Announced(bytes(text[:_KEPT_HEAD]), before, literal)

    def _collect(self) -> None:
        if self.buffered_bytes < self._literal_bytes:
            return
        assert self._text is not None
        self._text += self._take(self._literal_bytes)
        self._mode = _Mode.LINE

    def _stream(self) -> Fragment | None:
        if not self._literal_bytes:
            self._mode = _Mode.LINE
            return LiteralEnd()
        count = min(self.buffered_bytes, self._literal_bytes)
        if not count:
            return None
        self._literal_bytes -= count
        return LiteralChunk(self._take(count))

    # --- decisions --------------------------------------------------------------------------------------------------

    def text(self, length: int) -> bytes:
        """The first `length` bytes of the command so far."""
        return b"" if self._text is None else bytes(self._text[:length])

    def may_collect(self) -> bool:
        """Whether the announced literal is within the limits of one that is collected."""
        return self._literal_bytes <= min(self.limits.literal_bytes, self._line_limit())

    def collect(self) -> None:
        """The announced literal becomes part of the text."""
        self._mode = _Mode.COLLECT

    def stream(self) -> None:
        """The announced literal is handed out as it comes; the text before it is done with."""
        self._text, self._mode = None, _Mode.STREAM

    def refuse(self) -> None:
        """The client waits for leave and does not get it: the command ends here (RFC 9051 §4.3)."""
        self._text, self._mode = None, _Mode.LINE
        self._literals = 0

    def discard(self) -> None:
        """Read what is left of the literal and what follows up to the end of the command, and keep nothing.

        The next fragment is then `Discarded`, or `TooMuch`.
        """
        self._discarded = 0
        self._mode = _Mode.SKIP_LITERAL

    # --- skipping ---------------------------------------------------------------------------------------------------

    def _begin_skipping(self) -> None:
        """The line is too long: keep its head, for the tag."""
        if self._text is None:
            self._text = bytearray(self._data[self._position : self._position + _KEPT_HEAD])
        self._discarded = 0
        self._scanned = self._position
        self._mode = _Mode.SKIP_LINE

    def _skip_literal(self) -> Fragment | None:
        if self._discarded + self._literal_bytes > self.limits.discard_bytes:
            return self._give_up()
        count = min(self.buffered_bytes, self._literal_bytes)
        self._literal_bytes -= count
        self._discarded += count
        self._drop(count)
        if not self._literal_bytes:
            self._mode = _Mode.SKIP_LINE
        return None

    def _skip_line(self) -> Fragment | None:
        """Drop bytes up to a line end; the last few are kept as long as they may announce a literal."""
        end = self._data.find(b"\n", self._scanned)
        until = end + 1 if end >= 0 else max(len(self._data) - _LONGEST_ANNOUNCEMENT, self._position)
        self._discarded += until - self._position
        if self._discarded > self.limits.discard_bytes:
            return self._give_up()
        if end >= 0:
            return self._skipped(self._take(until - self._position)[-_LONGEST_ANNOUNCEMENT:])
        self._drop(until - self._position)
        self._scanned = len(self._data)
        return None

    def _skipped(self, tail: bytes) -> Fragment | None:
        """A line has been dropped; `tail` is its end."""
        match = _ANNOUNCEMENT.search(tail.removesuffix(b"\n").removesuffix(b"\r"))
        if match is not None and match[3]:
            self._literals += 1
            if self._literals > MAX_LITERALS:
                return self._give_up()
            self._literal_bytes = int(match[2])
            self._mode = _Mode.SKIP_LITERAL
            return None
        head, self._text = self.text(_KEPT_HEAD), None
        self._mode, self._literals = _Mode.LINE, 0
        return Discarded(head)

    def _give_up(self) -> TooMuch:
        head = self.text(_KEPT_HEAD)
        self.clear()
        self._mode = _Mode.DEAD
        return TooMuch(head)
