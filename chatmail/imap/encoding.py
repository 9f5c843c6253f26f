"""Primitives of what the server writes: strings, literals, flags, dates, mailbox names. RFC 9051 §4, §9.

What cannot stand between quotes (8-bit octets, CR, LF) becomes a literal; NUL, which no string may hold, is dropped.
"""

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from chatmail.imap import utf7
from chatmail.mail.changes import Flag

MAX_QUOTED_OCTETS: Final = 1000
"""Longer strings are written as literals, so that no line of ours is longer than clients like."""

_PLAIN: Final = re.compile(rb"[\x20\x21\x23-\x5b\x5d-\x7e]{0,%d}" % MAX_QUOTED_OCTETS)
_QUOTABLE: Final = re.compile(rb"[\x20-\x7e]{0,%d}" % MAX_QUOTED_OCTETS)
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def quoted(value: bytes) -> bytes:
    """`quoted = DQUOTE *QUOTED-CHAR DQUOTE`, of octets that may stand there."""
    return b'"' + value.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def literal(value: bytes) -> bytes:
    """`literal = "{" number64 "}" CRLF *CHAR8`; the server's are always synchronising in form."""
    return b"{%d}\r\n%b" % (len(value), value)


def string(value: bytes) -> bytes:
    """`string = quoted / literal`, whichever the octets allow."""
    if _PLAIN.fullmatch(value):
        return b'"' + value + b'"'
    if _QUOTABLE.fullmatch(value):
        return quoted(value)
    return literal(value.replace(b"\0", b""))


def nstring(value: bytes | None) -> bytes:
    """`nstring = string / nil`."""
    return b"NIL" if value is None else string(value)


def mailbox_name(name: str, *, utf8_names: bool = False) -> bytes:
    """`mailbox`, always as a string: modified UTF-7, or UTF-8 between quotes once the client enabled it.

    RFC 3501 §5.1.3; RFC 9051 §5.1 and §9 (`QUOTED-CHAR` with UTF-8).
    """
    if utf8_names and name.isprintable() and not name.isascii():
        return quoted(name.encode())
    return string(name.encode() if utf8_names else utf7.encode(name))


def flag_list(flags: Iterable[Flag]) -> bytes:
    """`flag-list = "(" [flag *(SP flag)] ")"`, in a stable order."""
    return b"(%b)" % " ".join(sorted(flags)).encode()


def number_list(numbers: Iterable[int]) -> bytes:
    """Numbers between blanks."""
    return b" ".join([b"%d" % number for number in numbers])


def date_time(moment: datetime) -> bytes:
    """`date-time = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE`, of an aware datetime."""
    return (
        f'"{moment.day:2}-{_MONTHS[moment.month - 1]}-{moment.year:04} '
        f'{moment.hour:02}:{moment.minute:02}:{moment.second:02} {_zone(moment)}"'
    ).encode("ascii")


def _zone(moment: datetime) -> str:
    """`zone = ("+" / "-") 4DIGIT`."""
    offset = moment.utcoffset()
    if not offset:
        return "+0000"
    minutes = round(offset.total_seconds()) // 60
    hours, rest = divmod(abs(minutes), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02}{rest:02}"
