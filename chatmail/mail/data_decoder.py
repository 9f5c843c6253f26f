"""The bytes after DATA, decoded as they arrive: finds the end, takes the dots out, refuses crooked line ends.

Doors: `feed(chunk)` gives the message bytes of that chunk; `finished`, `rest` and `fault` say how it stands. RFC 5321
§4.1.1.4 (end of data), §4.5.2 (transparency), §2.3.8 (lines end with CR LF and nothing else).

Theory of operation. The message ends at the five bytes CR LF `.` CR LF and nowhere else. What other servers take for an
end (`LF . LF`, `LF . CR LF`, `CR . CR`, …) is ordinary data here, and as it needs a CR or LF that stands alone, it
makes the message a faulty one: it is read to its true end and refused whole. So no two servers can disagree about where
our messages end, which is all that SMTP smuggling lives on.

Each chunk is handled by a few passes that run in C. Between chunks at most two bytes are held back (a CR, a dot at the
start of a line, or both), and one bit is remembered: whether the next byte starts a line. It does not change a byte of
the message but the dots, and keeps nothing.
"""

from enum import Enum
from typing import Final

from chatmail.mail.line_ends import is_crooked

_END: Final = b"\r\n.\r\n"
_STUFFED: Final = b"\r\n."


class DataFault(Enum):
    """Why a message cannot be taken."""

    LINE_ENDS = "a bare CR, a bare LF or a NUL"
    TOO_BIG = "more bytes than allowed"


class DataDecoder:
    """Decodes one DATA. After a fault it gives no more bytes but goes on looking for the end."""

    __slots__ = ("_at_line_start", "_held", "_max_size_bytes", "fault", "finished", "rest", "size_bytes")

    def __init__(self, max_size_bytes: int) -> None:
        """Begin a message of at most `max_size_bytes`, counted as `size_bytes` is."""
        self._max_size_bytes = max_size_bytes
        self._at_line_start = True
        self._held = b""
        self.size_bytes = 0
        """Message bytes so far, without the end and the taken-out dots."""
        self.finished = False
        """Whether the end has been seen."""
        self.rest = b""
        """What came behind the end: the next commands."""
        self.fault: DataFault | None = None
        """The first thing wrong with the message."""

    def feed(self, chunk: bytes) -> bytes:
        """Decode the next bytes from the peer; not to be called any more once `finished`."""
        # A line start is shown to the searches below as the CR LF before it, which has been given out already.
        prefix = b"\r\n" + self._held if self._at_line_start else self._held
        work = prefix + chunk if prefix else chunk
        given = 2 if self._at_line_start else 0
        stuffed = work.find(_STUFFED)
        end = work.find(_END, stuffed) if stuffed >= 0 else -1
        if end >= 0:
            self.finished = True
            self._held, self.rest = b"", work[end + len(_END) :]
            work = work[: end + 2]
        else:
            work = self._hold_back(work)
        if self.fault is not None:
            return b""
        if is_crooked(work):
            self.fault = DataFault.LINE_ENDS
            return b""
        if stuffed >= 0:
            work = work.replace(_STUFFED, b"\r\n")
        return self._count(work[given:] if given else work)

    def _hold_back(self, work: bytes) -> bytes:
        """Keep the last bytes that may belong to the end, or to a CR LF, for the next chunk."""
        if work.endswith(b"\n"):
            held, self._at_line_start = 0, work.endswith(b"\r\n")
        elif work.endswith((_STUFFED, b"\r\n.\r")):
            held, self._at_line_start = (1 if work.endswith(b".") else 2), True
        else:
            held, self._at_line_start = (1 if work.endswith(b"\r") else 0), False
        self._held = work[len(work) - held :]
        return work[: len(work) - held] if held else work

    def _count(self, decoded: bytes) -> bytes:
        self.size_bytes += len(decoded)
        if self.size_bytes > self._max_size_bytes:
            self.fault = DataFault.TOO_BIG
            return b""
        return decoded
