"""GETMETADATA and SETMETADATA. RFC 5464 §4.2, §4.3, §5.

Read generously, as clients and tests of chatmail write it: a single entry may stand without parentheses, a blank may
stand before `)`, and options may come before the mailbox (the grammar) or after it (the examples).
"""

from typing import Final

from chatmail.imap.commands import GetMetadata, SetMetadata
from chatmail.imap.grammar import Cursor

MAX_ENTRIES: Final = 100


def parse_getmetadata(cursor: Cursor) -> GetMetadata:
    """`getmetadata = "GETMETADATA" [SP getmetadata-options] SP mailbox SP entries`."""
    cursor.space()
    options = _Options()
    if cursor.at(b"("):
        options.read(cursor)
        cursor.space()
    mailbox = cursor.mailbox_or_server()
    cursor.space()
    if cursor.at(b"(") and not _is_entry_list(cursor):
        options.read(cursor)
        cursor.space()
    return GetMetadata(mailbox, _entries(cursor), options.max_size_bytes, options.depth)


def _is_entry_list(cursor: Cursor) -> bool:
    """Entry names begin with a slash, also as strings; options never do."""
    return cursor.text[cursor.position + 1 : cursor.position + 2] in (b"/", b'"', b"{")


class _Options:
    """`getmetadata-options = "(" getmetadata-option *(SP getmetadata-option) ")"`."""

    __slots__ = ("depth", "max_size_bytes")

    def __init__(self) -> None:
        self.max_size_bytes: int | None = None
        self.depth: int | None = 0

    def read(self, cursor: Cursor) -> None:
        cursor.items(lambda: self._option(cursor), limit=4)

    def _option(self, cursor: Cursor) -> None:
        """`maxsize-opt = "MAXSIZE" SP number`; `scope-opt = "DEPTH" SP ("0" / "1" / "infinity")`."""
        name = cursor.keyword()
        cursor.space()
        if name == b"MAXSIZE":
            self.max_size_bytes = cursor.number()
        elif name == b"DEPTH":
            self.depth = _depth(cursor)
        else:
            cursor.fail("MAXSIZE or DEPTH")


def _depth(cursor: Cursor) -> int | None:
    depths: dict[bytes, int | None] = {b"0": 0, b"1": 1, b"INFINITY": None}
    value = cursor.keyword()
    if value not in depths:
        cursor.fail("0, 1 or infinity")
    return depths[value]


def _entries(cursor: Cursor) -> tuple[str, ...]:
    """`entries = entry / "(" entry *(SP entry) ")"`."""
    if cursor.at(b"("):
        return tuple(cursor.items(lambda: _entry(cursor), limit=MAX_ENTRIES))
    return (_entry(cursor),)


def _entry(cursor: Cursor) -> str:
    """`entry = astring`: a path of ASCII without wildcards, empty components or a slash at its end; in lower case."""
    name = cursor.astring()
    if not (name.isascii() and name.startswith(b"/") and not name.endswith(b"/")):
        cursor.fail("an entry name")
    text = name.decode("ascii").lower()
    if "//" in text or "*" in text or "%" in text or not text.isprintable() or " " in text:
        cursor.fail("an entry name")
    return text


def parse_setmetadata(cursor: Cursor) -> SetMetadata:
    """`setmetadata = "SETMETADATA" SP mailbox SP entry-values`."""
    cursor.space()
    mailbox = cursor.mailbox_or_server()
    cursor.space()

    def read_pair() -> tuple[str, bytes | None]:
        """`entry-value = entry SP value`."""
        entry = _entry(cursor)
        cursor.space()
        return entry, _value(cursor)

    if cursor.at(b"("):
        return SetMetadata(mailbox, tuple(cursor.items(read_pair, limit=MAX_ENTRIES)))
    return SetMetadata(mailbox, (read_pair(),))


def _value(cursor: Cursor) -> bytes | None:
    """`value = nstring / literal8`."""
    return cursor.literal8() if cursor.at(b"~{") else cursor.nstring()
