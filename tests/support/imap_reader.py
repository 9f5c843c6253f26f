"""Reads what a server says by the letter of the grammar: strings, numbers, NIL and lists. RFC 9051 §9.

Independent of `chatmail.imap`, so that one cannot be wrong in the same way as the other.
"""

import re
from typing import Final

Value = "bytes | int | None | list[Value]"
"""A string, a number, NIL, or a list of these."""

_QUOTED: Final = re.compile(rb'"((?:[^"\\\r\n\x00\x80-\xff]|\\["\\])*)"')
_LITERAL: Final = re.compile(rb"~?\{([0-9]+)\}\r\n")
_NUMBER: Final = re.compile(rb"[0-9]+(?=[ )]|\Z)")


def read_value(text: bytes, position: int = 0) -> tuple[object, int]:
    """The value at `position` and where it ends. Raises `AssertionError` for anything a strict client would refuse."""
    if text.startswith(b"(", position):
        return _read_list(text, position + 1)
    if text.startswith(b"NIL", position):
        return None, position + 3
    if match := _QUOTED.match(text, position):
        return re.sub(rb"\\(.)", rb"\1", match[1]), match.end()
    if match := _LITERAL.match(text, position):
        end = match.end() + int(match[1])
        assert end <= len(text), "a literal is cut off"
        return text[match.end() : end], end
    match = _NUMBER.match(text, position)
    assert match, f"no value at {position}: {text[position : position + 40]!r}"
    return int(match[0]), match.end()


def _read_list(text: bytes, position: int) -> tuple[list[object], int]:
    """Values between blanks; lists may follow each other without one (`1*body`, `1*address`)."""
    values: list[object] = []
    while not text.startswith(b")", position):
        if values and text.startswith(b" ", position):
            position += 1
        elif values:
            assert text.startswith(b"(", position) and isinstance(values[-1], list), "a blank is missing"
        value, position = read_value(text, position)
        values.append(value)
    return values, position + 1


def read_whole(text: bytes) -> object:
    """The one value that `text` is."""
    value, end = read_value(text)
    assert end == len(text), f"something follows: {text[end : end + 40]!r}"
    return value
