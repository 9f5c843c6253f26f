"""The MIME parts of a message and where their bytes lie, found chunk by chunk. RFC 2045, RFC 2046 §5.

`PartScanner.feed` takes the message in pieces of any size and `finish` gives the tree of `Part`s. Memory does not grow
with the message: bodies are looked at and forgotten, headers are kept up to a budget. Offsets are absolute, so a
section is afterwards read from the store as a range. Nothing is decoded, and nothing is an error: whatever the bytes
are, they have a structure, and where MIME is broken it is the one a cautious reader would see.

Depth and number of parts are limited; what lies deeper is an opaque part.
"""

import re
from dataclasses import dataclass, field
from typing import Final

MAX_DEPTH: Final = 50
MAX_PARTS: Final = 1000
MAX_KEPT_HEADER_BYTES: Final = 1 << 20
"""Over all parts of one message; the headers of parts beyond it read as empty."""
MAX_PARAMETER_BYTES: Final = 8192
"""Of one field; parameters beyond are left out."""
_MAX_DELIMITER_LINE: Final = 1000

# token := 1*<any (US-ASCII) CHAR except SPACE, CTLs, or tspecials>
_TOKEN = rb"[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]+"
_TYPE = re.compile(rb"\s*(%b)\s*/\s*(%b)" % (_TOKEN, _TOKEN))
_PARAMETER = re.compile(rb";\s*([^\s=;\"]+)\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"?|([^\s;]*))", re.DOTALL)
_FIELD = re.compile(rb"(?m)^([!-9;-~]+)[ \t]*:((?:[^\n]*\n(?=[ \t]))*[^\n]*)")
_UNFOLD = re.compile(rb"\r?\n(?=[ \t])")
_UNQUOTE = re.compile(rb"\\(.)", re.DOTALL)

_EventPattern = tuple[re.Pattern[bytes], re.Pattern[bytes]]


def _event_pattern(line: bytes) -> _EventPattern:
    """Matches whole lines, for the line at hand and for those after a line end.

    The second begins with a literal, which is what makes the search fast.
    """
    return re.compile(b"(" + line + b")"), re.compile(b"\n(" + line + b")")


_EMPTY: Final = rb"\r?\n"
_DASHES: Final = rb"--[^\n]*(?:\n|\Z)"
_HEADER_EVENT: Final = _event_pattern(_EMPTY)
_EVENTS: Final[dict[tuple[bool, bool], _EventPattern | None]] = {
    (False, False): None,
    (True, False): _HEADER_EVENT,
    (False, True): _event_pattern(_DASHES),
    (True, True): _event_pattern(_EMPTY + b"|" + _DASHES),
}
"""What is looked for, in a header or not, with delimiters or without. No boundary is part of a pattern: to compile one
for each part that begins took a tenth of a second for a message of 50 levels."""

Parameters = tuple[tuple[bytes, bytes], ...]


def header_fields(header: bytes) -> dict[bytes, bytes]:
    """The fields of a header block by lower-case name, unfolded and stripped; of a repeated field the first counts."""
    fields: dict[bytes, bytes] = {}
    for name, value in _FIELD.findall(header):
        fields.setdefault(name.lower(), _UNFOLD.sub(b"", value).strip())
    return fields


def field_values(header: bytes, name: bytes) -> list[bytes]:
    """All values of the fields called `name` (lower case), unfolded and stripped."""
    return [_UNFOLD.sub(b"", value).strip() for each, value in _FIELD.findall(header) if each.lower() == name]


def parse_parameters(value: bytes) -> Parameters:
    """The `; name=value` parameters of a structured field, quotes removed, names as written."""
    found = _PARAMETER.findall(value[:MAX_PARAMETER_BYTES])
    return tuple((name, _UNQUOTE.sub(rb"\1", quoted) if quoted else token) for name, quoted, token in found)


@dataclass(slots=True, eq=False)
class Part:
    """One part: header in `start:body_start`, body in `body_start:end` (absolute offsets).

    `lines` counts the line ends of the body. `children` are the parts of a multipart, or the one message of a
    message/rfc822.
    """

    start: int
    body_start: int = -1
    end: int = -1
    lines: int = 0
    fields: dict[bytes, bytes] = field(default_factory=dict)
    media_type: bytes = b"text"
    subtype: bytes = b"plain"
    parameters: Parameters = ()
    children: list["Part"] = field(default_factory=list)

    @property
    def is_multipart(self) -> bool:
        """Whether the body consists of parts."""
        return self.media_type.lower() == b"multipart"

    @property
    def is_message(self) -> bool:
        """Whether the body is a message that was looked into."""
        return bool(self.children) and not self.is_multipart


@dataclass(slots=True)
class _Frame:
    """A part that is still open; `boundary` is empty unless delimiters are to be looked for."""

    part: Part
    newlines_before: int = 0
    boundary: bytes = b""
    in_digest: bool = False


class PartScanner:
    """Finds the parts of one message."""

    def __init__(self) -> None:
        """Begin at offset 0."""
        self._root = Part(0)
        self._open = [_Frame(self._root)]
        self._in_header = True
        self._header = bytearray()
        self._header_budget = MAX_KEPT_HEADER_BYTES
        self._parts = 1
        self._delimiters: dict[bytes, int] = {}
        self._event: _EventPattern | None = _HEADER_EVENT
        self._buffer = b""
        self._position = 0
        self._offset = 0
        self._newlines = 0
        self._last_two = b""
        self._is_mid_line = False

    def feed(self, chunk: bytes) -> None:
        """Look at the next bytes of the message."""
        self._buffer = self._buffer[self._position :] + chunk
        self._position = 0
        self._scan(final=False)

    def finish(self) -> Part:
        """Close everything at the end of the message and return the whole."""
        self._scan(final=True)
        if self._in_header:
            self._end_header()
        self._close(0, self._offset, self._newlines)
        return self._root

    # --- lines ------------------------------------------------------------------------------------------------------

    def _scan(self, *, final: bool) -> None:
        if self._is_mid_line:
            line_end = self._buffer.find(b"\n") + 1
            self._consume(line_end or len(self._buffer))
            self._is_mid_line = not line_end
        while not self._is_mid_line:
            found = self._next_event(final=final)
            if found is None:
                self._keep_partial_line(final=final)
                return
            self._consume(found.start(1))
            self._line(found[1], found.end())

    def _next_event(self, *, final: bool) -> re.Match[bytes] | None:
        """The next line that ends a header or delimits a part; one that may still go on does not count yet."""
        if self._event is None:
            return None
        at_line_start, after_newline = self._event
        buffer, delimiters = self._buffer, self._delimiters
        found = at_line_start.match(buffer, self._position) or after_newline.search(buffer, self._position)
        while found is not None:
            line = found[1]
            if not (final or line.endswith(b"\n")):
                return None
            text = _without_end(line)
            if not text or text in delimiters:
                return found
            # It only looks like a delimiter. The next line follows its line end.
            found = after_newline.search(buffer, found.end() - 1)
        return None

    def _keep_partial_line(self, *, final: bool) -> None:
        """Consume all but the unfinished last line; of an endless line nothing is kept."""
        end = len(self._buffer)
        line_start = end if final else self._buffer.rfind(b"\n", self._position) + 1 or self._position
        if end - line_start > _MAX_DELIMITER_LINE:
            self._is_mid_line = True
            line_start = end
        self._consume(line_start)

    def _consume(self, position: int) -> None:
        """Go on to `position` of the buffer."""
        start, self._position = self._position, position
        if position == start:
            return
        self._newlines += self._buffer.count(b"\n", start, position)
        self._offset += position - start
        self._last_two = (self._last_two + self._buffer[max(start, position - 2) : position])[-2:]
        if self._in_header and self._header_budget > 0:
            self._header_budget -= position - start
            self._header += self._buffer[start:position]

    def _line(self, line: bytes, line_end: int) -> None:
        text = _without_end(line)
        if not text:
            self._consume(line_end)
            self._end_header()
            return
        depth = self._delimiters[text]
        self._delimiter(depth, line_end, is_last=text != self._open[depth].boundary)

    def _delimiter(self, depth: int, line_end: int, *, is_last: bool) -> None:
        if self._in_header:
            self._end_header()
        # The line end before a delimiter belongs to it (RFC 2046 §5.1.1).
        before = 2 if self._last_two == b"\r\n" else 1 if self._last_two.endswith(b"\n") else 0
        self._close(depth + 1, self._offset - before, self._newlines - (before > 0))
        self._consume(line_end)
        frame = self._open[depth]
        if is_last:
            frame.boundary = b""
        elif self._parts < MAX_PARTS:
            self._begin_child(frame)
        else:
            for each in self._open:
                each.boundary = b""
        self._look_for_events()

    def _look_for_events(self) -> None:
        self._delimiters = {}
        for depth, frame in enumerate(self._open):
            if frame.boundary:
                # Of equal ones the innermost counts.
                self._delimiters[frame.boundary] = self._delimiters[frame.boundary + b"--"] = depth
        self._event = _EVENTS[self._in_header, bool(self._delimiters)]

    # --- parts ------------------------------------------------------------------------------------------------------

    def _begin_child(self, frame: _Frame) -> None:
        child = Part(self._offset)
        if frame.in_digest:
            child.media_type, child.subtype = b"message", b"rfc822"
        frame.part.children.append(child)
        self._parts += 1
        self._open.append(_Frame(child))
        self._in_header = True
        self._header = bytearray()

    def _end_header(self) -> None:
        frame = self._open[-1]
        part = frame.part
        part.body_start = self._offset
        frame.newlines_before = self._newlines
        part.fields = header_fields(bytes(self._header))
        self._header = bytearray()
        self._in_header = False
        _read_content_type(part)
        kind = part.media_type.lower(), part.subtype.lower()
        if len(self._open) < MAX_DEPTH and part.is_multipart:
            frame.boundary = _boundary(part.parameters)
            frame.in_digest = kind[1] == b"digest"
        elif len(self._open) < MAX_DEPTH and kind == (b"message", b"rfc822") and self._parts < MAX_PARTS:
            self._begin_child(frame)
        self._look_for_events()

    def _close(self, depth: int, end: int, newlines: int) -> None:
        for frame in self._open[depth:]:
            part = frame.part
            if part.body_start >= 0:
                part.lines = max(newlines - frame.newlines_before, 0)
            # A part that is all header ends before the line end of the delimiter, as does all that is in it.
            part.start = min(part.start, end)
            part.body_start = min(part.body_start, end) if part.body_start >= 0 else end
            part.end = end
        del self._open[depth:]


def _without_end(line: bytes) -> bytes:
    """`transport-padding CRLF` taken off (RFC 2046 §5.1.1)."""
    return line.removesuffix(b"\n").removesuffix(b"\r").rstrip(b" \t")


def _read_content_type(part: Part) -> None:
    value = part.fields.get(b"content-type")
    if value is None:
        return
    match = _TYPE.match(value)
    if match is None:
        part.media_type, part.subtype = b"text", b"plain"
        return
    part.media_type, part.subtype = match[1], match[2]
    part.parameters = parse_parameters(value[match.end() :])


def _boundary(parameters: Parameters) -> bytes:
    boundary = next((value for name, value in parameters if name.lower() == b"boundary"), b"")
    return b"--" + boundary.rstrip() if boundary else b""


def scan_parts(message_bytes: bytes) -> Part:
    """The parts of a message that is already in memory."""
    scanner = PartScanner()
    scanner.feed(message_bytes)
    return scanner.finish()
