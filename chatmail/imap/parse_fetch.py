"""FETCH and UID FETCH. RFC 9051 §6.4.5; `fetch`, `fetch-att`, `section` of §9; modifiers of RFC 7162 §3.1.4, §3.2.6.

The number of items is limited, so that a short command cannot ask for one message thousands of times.
"""

import re
from typing import Final

from chatmail.imap.commands import Fetch
from chatmail.imap.fetch_items import (
    BinarySection,
    BinarySize,
    BodySection,
    FetchAttribute,
    FetchItem,
    Partial,
    SectionText,
)
from chatmail.imap.grammar import Cursor
from chatmail.imap.syntax import ImapSyntaxError
from chatmail.mail.changes import ModSeq

MAX_ITEMS: Final = 100
MAX_FIELD_NAMES: Final = 300
_MAX_PATH: Final = 60

_ATTRIBUTE = re.compile(rb"[A-Za-z0-9]+(?:\.[A-Za-z0-9]+)?")
_ATTRIBUTES: Final = {attribute.value: attribute for attribute in FetchAttribute}
_MACROS: Final[dict[bytes, tuple[FetchItem, ...]]] = {
    b"FAST": (FetchAttribute.FLAGS, FetchAttribute.INTERNALDATE, FetchAttribute.RFC822_SIZE),
    b"ALL": (FetchAttribute.FLAGS, FetchAttribute.INTERNALDATE, FetchAttribute.RFC822_SIZE, FetchAttribute.ENVELOPE),
    b"FULL": (
        FetchAttribute.FLAGS,
        FetchAttribute.INTERNALDATE,
        FetchAttribute.RFC822_SIZE,
        FetchAttribute.ENVELOPE,
        FetchAttribute.BODY,
    ),
}
_SECTION_TEXTS: Final[dict[bytes, SectionText]] = {
    b"HEADER": "HEADER",
    b"HEADER.FIELDS": "HEADER.FIELDS",
    b"HEADER.FIELDS.NOT": "HEADER.FIELDS.NOT",
    b"TEXT": "TEXT",
    b"MIME": "MIME",
}
_PATH = re.compile(rb"[1-9][0-9]{0,8}(?:\.[1-9][0-9]{0,8})*")
_SECTION_TEXT = re.compile(rb"(?i:HEADER(?:\.FIELDS(?:\.NOT)?)?|TEXT|MIME)(?=[\] ])")
_PARTIAL = re.compile(rb"<([0-9]{1,18})\.([0-9]{1,18})>")


def parse_fetch(cursor: Cursor, *, by_uid: bool) -> Fetch:
    """`fetch = "FETCH" SP sequence-set SP (macro / fetch-att / "(" fetch-att *(SP fetch-att) ")")`."""
    messages = cursor.uid_set() if by_uid else cursor.sequence_set()
    cursor.space()
    items = _macro(cursor) or _items(cursor)
    if not cursor.skip(b" "):
        return Fetch(messages, items, by_uid)
    changed_since, vanished = _modifiers(cursor)
    if vanished and (not by_uid or changed_since is None):
        raise ImapSyntaxError("VANISHED belongs to UID FETCH with CHANGEDSINCE")
    return Fetch(messages, items, by_uid, changed_since, vanished)


def _macro(cursor: Cursor) -> tuple[FetchItem, ...] | None:
    """`"ALL" / "FULL" / "FAST"`, which stand alone."""
    match = _ATTRIBUTE.match(cursor.text, cursor.position)
    items = _MACROS.get(match[0].upper()) if match else None
    if match and items:
        cursor.position = match.end()
    return items


def _items(cursor: Cursor) -> tuple[FetchItem, ...]:
    if cursor.at(b"("):
        return tuple(cursor.items(lambda: _item(cursor), limit=MAX_ITEMS))
    return (_item(cursor),)


def _item(cursor: Cursor) -> FetchItem:
    """`fetch-att = "ENVELOPE" / "FLAGS" / … / "BODY" section ["<" number64 "." nz-number64 ">"] / …`."""
    match = _ATTRIBUTE.match(cursor.text, cursor.position)
    if match is None:
        cursor.fail("a FETCH item")
    name = match[0].upper()
    cursor.position = match.end()
    if cursor.at(b"["):
        return _with_section(cursor, name)
    attribute = _ATTRIBUTES.get(name)
    if attribute is None:
        cursor.fail("a FETCH item")
    return attribute


def _with_section(cursor: Cursor, name: bytes) -> FetchItem:
    match name:
        case b"BODY" | b"BODY.PEEK":
            return _body_section(cursor, peek=name == b"BODY.PEEK")
        case b"BINARY" | b"BINARY.PEEK":
            return BinarySection(_binary_path(cursor), _partial(cursor), peek=name == b"BINARY.PEEK")
        case b"BINARY.SIZE":
            return BinarySize(_binary_path(cursor))
    cursor.fail("a FETCH item")


def _body_section(cursor: Cursor, *, peek: bool) -> BodySection:
    """`section = "[" [section-spec] "]"`; `section-spec = section-msgtext / (section-part ["." section-text])`."""
    cursor.position += 1
    path = _path(cursor)
    text: SectionText = ""
    fields: tuple[bytes, ...] = ()
    if cursor.skip(b".") if path else not cursor.at(b"]"):
        text, fields = _section_text(cursor)
    if text == "MIME" and not path:
        cursor.fail("a part number before MIME")
    cursor.expect(b"]", "a closing bracket")
    return BodySection(path, text, fields, _partial(cursor), peek)


def _path(cursor: Cursor) -> tuple[int, ...]:
    """`section-part = nz-number *("." nz-number)`, or nothing."""
    match = _PATH.match(cursor.text, cursor.position)
    if match is None:
        return ()
    cursor.position = match.end()
    path = tuple(map(int, match[0].split(b".")))
    if len(path) > _MAX_PATH:
        raise ImapSyntaxError("a part number is too deep")
    return path


def _section_text(cursor: Cursor) -> tuple[SectionText, tuple[bytes, ...]]:
    """`section-text = section-msgtext / "MIME"`; `header-list = "(" header-fld-name *(SP header-fld-name) ")"`."""
    match = _SECTION_TEXT.match(cursor.text, cursor.position)
    if match is None:
        cursor.fail("a section")
    cursor.position = match.end()
    text = _SECTION_TEXTS[match[0].upper()]
    if not text.startswith("HEADER.FIELDS"):
        return text, ()
    cursor.space()
    return text, tuple(cursor.items(cursor.astring, limit=MAX_FIELD_NAMES))


def _binary_path(cursor: Cursor) -> tuple[int, ...]:
    """`section-binary = "[" [section-part] "]"`."""
    cursor.position += 1
    path = _path(cursor)
    cursor.expect(b"]", "a closing bracket")
    return path


def _partial(cursor: Cursor) -> Partial | None:
    """`partial = "<" number64 "." nz-number64 ">"`, or nothing."""
    if not cursor.at(b"<"):
        return None
    match = _PARTIAL.match(cursor.text, cursor.position)
    if match is None or not int(match[2]):
        cursor.fail("a partial range")
    cursor.position = match.end()
    return Partial(int(match[1]), int(match[2]))


def _modifiers(cursor: Cursor) -> tuple[ModSeq | None, bool]:
    """`fetch-modifiers = SP "(" fetch-modifier *(SP fetch-modifier) ")"`. RFC 4466 §2.4, RFC 7162 §7."""
    found: dict[bytes, ModSeq | None] = {}

    def read_modifier() -> None:
        name = cursor.keyword()
        if name == b"CHANGEDSINCE":
            cursor.space()
            found[name] = cursor.nz_modseq()
        elif name == b"VANISHED":
            found[name] = None
        else:
            cursor.fail("a FETCH modifier")

    cursor.items(read_modifier, limit=4)
    return found.get(b"CHANGEDSINCE"), b"VANISHED" in found
