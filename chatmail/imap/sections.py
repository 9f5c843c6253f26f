"""Which bytes a section of a message is. RFC 9051 §6.4.5.1 (`section-spec`), §6.4.5 (`HEADER.FIELDS`).

`section_range` finds a section in the tree of parts as a range of the message; `fields_selector` makes what takes
fields out of a header block. The fields are echoed byte for byte, in the order of the message.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from chatmail.imap.part_tree import Part

MAX_ALTERNATIVES: Final = 40
"""Longer lists of names are looked up instead of being tried one after the other."""
MAX_PATTERN_BYTES: Final = 1000
"""Longer names too: patterns are remembered, by us and by `re`, and nobody may fill memory with theirs."""

_FIELD: Final = re.compile(rb"(?m)^(([!-9;-~]++)[ \t]*+:[^\n]*+(?:\n[ \t][^\n]*+)*+\n?)")


@lru_cache(maxsize=64)
def _named_fields(names: tuple[bytes, ...]) -> re.Pattern[bytes]:
    """Matches whole fields of these names; clients ask for the same few lists all day."""
    alternatives = b"|".join(map(re.escape, names))
    return re.compile(rb"(?im)^(?:" + alternatives + rb")[ \t]*+:[^\n]*+(?:\n[ \t][^\n]*+)*+\n?")


def fields_selector(names: tuple[bytes, ...]) -> Callable[[bytes], bytes]:
    """Takes from a header block only the fields called `names`, in any case, and the empty line that ends it."""
    if len(names) > MAX_ALTERNATIVES or sum(map(len, names)) > MAX_PATTERN_BYTES:
        wanted = frozenset(name.lower() for name in names)
        return lambda header: _terminated(
            b"".join([text for text, name in _FIELD.findall(header) if name.lower() in wanted])
        )
    find, join = _named_fields(names).findall, b"".join
    return lambda header: _terminated(join(find(header)))


def other_fields_selector(names: tuple[bytes, ...]) -> Callable[[bytes], bytes]:
    """Takes from a header block all fields but those called `names`, and the empty line that ends it."""
    excluded = frozenset(name.lower() for name in names)
    return lambda header: _terminated(
        b"".join([text for text, name in _FIELD.findall(header) if name.lower() not in excluded])
    )


def _terminated(fields: bytes) -> bytes:
    return fields + b"\r\n" if not fields or fields.endswith(b"\n") else fields + b"\r\n\r\n"


def find_part(root: Part, path: tuple[int, ...]) -> Part | None:
    """The part numbered `path`, or None. The one part of a message that is no multipart has number 1."""
    part, is_whole = root, True
    for number in path:
        if part.is_message and not is_whole:
            part, is_whole = part.children[0], True
        if part.is_multipart:
            if not 1 <= number <= len(part.children):
                return None
            part, is_whole = part.children[number - 1], False
        elif is_whole and number == 1:
            is_whole = False
        else:
            return None
    return part


def section_range(root: Part, path: tuple[int, ...], text: str) -> tuple[int, int] | None:
    """Start and end of a section; `text` is `""`, `HEADER`, `TEXT` or `MIME`. None if there is no such section."""
    part = find_part(root, path)
    if part is None:
        return None
    if path and text in ("HEADER", "TEXT"):
        if not part.is_message:
            return None
        part = part.children[0]
    match text:
        case "HEADER" | "MIME":
            return part.start, part.body_start
        case "TEXT":
            return part.body_start, part.end
    return (part.body_start, part.end) if path else (part.start, part.end)
