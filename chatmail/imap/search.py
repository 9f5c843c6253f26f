"""SEARCH: which messages match a tree of keys. RFC 9051 §6.4.4; the extensions are named in `search_keys`.

`SearchTest` is made once per command from the key and the numbers it depends on; it says whether headers or whole
messages have to be read, and then answers for one message at a time. The cheap half of a conjunction is asked first, so
that a text is only looked for in messages that everything else lets through.

Texts compare without regard to case, over decoded header fields and decoded text parts. Parts that are not text (on
this server nearly everything is encrypted) are not searched.
"""

import base64
import binascii
import quopri
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from email.errors import HeaderParseError
from email.header import decode_header
from email.utils import parsedate_to_datetime
from typing import Final

from chatmail.imap import search_keys as keys
from chatmail.imap.part_tree import Part, field_values, header_fields
from chatmail.imap.sequence_set import MessageSet, Range, SequenceSet, UidSet, merge, ranges_of
from chatmail.mail.changes import MessageRecord, SeqNum, Uid

MAX_DECODED_HEADER_BYTES: Final = 64 * 1024
"""Longer header values are compared as they stand, without decoding of encoded words."""
MAX_SEARCHED_BYTES: Final = 1 << 20
"""Of the text in one message; what an account sends in clear is far shorter."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One message to test, with as much of it as the test needs."""

    seq_num: SeqNum
    record: MessageRecord
    header: bytes = b""
    texts: Sequence[str] = ()
    """Its parts that are text, decoded."""
    email_id: str = ""


@dataclass(frozen=True, slots=True)
class SearchScope:
    """What keys refer to: the highest numbers of the view, the saved result of `$` (ascending), and the time."""

    highest_seq_num: int
    highest_uid: int
    saved: Sequence[Uid]
    now: datetime


_Test = Callable[[Candidate], bool]
_NOTHING, _HEADER, _BODY = range(3)


class SearchTest:
    """Tests messages against one key."""

    __slots__ = ("_test", "asks_modseq", "needs_body", "needs_header")

    def __init__(self, key: keys.SearchKey, scope: SearchScope) -> None:
        """`scope` is the session's at the moment of the command."""
        cost = _cost(key)
        self.needs_header = cost >= _HEADER
        self.needs_body = cost >= _BODY
        self.asks_modseq = _asks_modseq(key)
        """Whether the answer carries the highest MODSEQ of what was found (RFC 7162 §3.1.5)."""
        self._test = _compile(key, scope)

    def matches(self, candidate: Candidate) -> bool:
        """Whether the message is one of those asked for."""
        return self._test(candidate)


def cheap_part(key: keys.SearchKey) -> keys.SearchKey:
    """A key that lets through all that `key` does and needs nothing of the message: tested before anything is read."""
    if _cost(key) == _NOTHING:
        return key
    if isinstance(key, keys.And):
        return keys.And(tuple(cheap_part(each) for each in key.keys))
    return keys.All()


def _children(key: keys.SearchKey) -> tuple[keys.SearchKey, ...]:
    match key:
        case keys.And(keys=children):
            return children
        case keys.Or(left=left, right=right):
            return left, right
        case keys.Not(key=child):
            return (child,)
    return ()


def _cost(key: keys.SearchKey) -> int:
    match key:
        case keys.BodyContains() | keys.TextContains():
            return _BODY
        case keys.HeaderContains() | keys.DateIs(field=keys.DateField.SENT):
            return _HEADER
    return max(map(_cost, _children(key)), default=_NOTHING)


def _asks_modseq(key: keys.SearchKey) -> bool:
    return isinstance(key, keys.ModSeqAtLeast) or any(map(_asks_modseq, _children(key)))


# --- keys to tests ----------------------------------------------------------------------------------------------


def _compile(key: keys.SearchKey, scope: SearchScope) -> _Test:
    match key:
        case keys.All() | keys.SaveDateSupported():
            return lambda candidate: True
        case keys.Recent():
            return lambda candidate: False
        case keys.And(keys=children):
            tests = [_compile(child, scope) for child in sorted(children, key=_cost)]
            return lambda candidate: all(test(candidate) for test in tests)
        case keys.Or(left=left, right=right):
            first, second = (_compile(child, scope) for child in sorted((left, right), key=_cost))
            return lambda candidate: first(candidate) or second(candidate)
        case keys.Not(key=child):
            test = _compile(child, scope)
            return lambda candidate: not test(candidate)
        case keys.InSet(messages=messages):
            return _in_set(messages, scope)
        case keys.HeaderContains() | keys.BodyContains() | keys.TextContains():
            return _text_test(key)
    return _attribute_test(key, scope)


def _attribute_test(key: keys.SearchKey, scope: SearchScope) -> _Test:
    match key:
        case keys.HasFlag(flag=flag):
            wanted = flag.lower()
            return lambda c: flag in c.record.flags or any(each.lower() == wanted for each in c.record.flags)
        case keys.Larger(size_bytes=size):
            return lambda c: c.record.size_bytes > size
        case keys.Smaller(size_bytes=size):
            return lambda c: c.record.size_bytes < size
        case keys.Older(seconds=seconds):
            limit = _ago(scope.now, seconds)
            return lambda c: c.record.received_at <= limit
        case keys.Younger(seconds=seconds):
            limit = _ago(scope.now, seconds)
            return lambda c: c.record.received_at > limit
        case keys.ModSeqAtLeast(modseq=modseq):
            return lambda c: c.record.modseq >= modseq
        case keys.EmailId(object_id=object_id):
            return lambda c: c.email_id == object_id
        case keys.DateIs(field=field, relation=relation, day=day):
            return _date_test(field, relation, day)
    return lambda candidate: False  # THREADID: messages have none


def _ago(now: datetime, seconds: int) -> datetime:
    try:
        return now - timedelta(seconds=seconds)
    except OverflowError:
        return datetime.min.replace(tzinfo=now.tzinfo)


def _in_set(messages: MessageSet, scope: SearchScope) -> _Test:
    if isinstance(messages, SequenceSet):
        inside = _membership(merge(messages.resolve(scope.highest_seq_num)))
        return lambda candidate: inside(candidate.seq_num)
    if isinstance(messages, UidSet):
        inside = _membership(merge(messages.resolve(scope.highest_uid)))
    else:
        inside = _membership(ranges_of(scope.saved))
    return lambda candidate: inside(candidate.record.uid)


def _membership(ranges: list[Range]) -> Callable[[int], bool]:
    lows = [low for low, _high in ranges]

    def inside(number: int) -> bool:
        index = bisect_right(lows, number) - 1
        return index >= 0 and number <= ranges[index][1]

    return inside


# --- dates ------------------------------------------------------------------------------------------------------


def _date_test(field: keys.DateField, relation: keys.DateRelation, day: date) -> _Test:
    def test(candidate: Candidate) -> bool:
        actual = _day(field, candidate)
        return actual is not None and _compare(actual, relation, day)

    return test


def _day(field: keys.DateField, candidate: Candidate) -> date | None:
    match field:
        case keys.DateField.INTERNAL:
            return candidate.record.received_at.date()
        case keys.DateField.SAVED:
            return candidate.record.saved_at.date()
    return _sent_day(candidate.header)


def _compare(actual: date, relation: keys.DateRelation, day: date) -> bool:
    match relation:
        case keys.DateRelation.BEFORE:
            return actual < day
        case keys.DateRelation.ON:
            return actual == day
    return actual >= day


def _sent_day(header: bytes) -> date | None:
    value = header_fields(header).get(b"date")
    try:
        return parsedate_to_datetime(value.decode("ascii", "replace")).date() if value else None
    except (ValueError, IndexError, TypeError, OverflowError):
        return None


# --- texts ------------------------------------------------------------------------------------------------------


def _text_test(key: keys.HeaderContains | keys.BodyContains | keys.TextContains) -> _Test:
    wanted = key.text.casefold()
    match key:
        case keys.HeaderContains(field=field):
            name = field.lower()
            return lambda candidate: _header_contains(candidate.header, name, wanted)
        case keys.BodyContains():
            return lambda candidate: _body_contains(candidate.texts, wanted)
    return lambda candidate: (
        wanted in _decode_words(candidate.header).casefold() or _body_contains(candidate.texts, wanted)
    )


def _header_contains(header: bytes, name: bytes, wanted: str) -> bool:
    return any(wanted in _decode_words(value).casefold() for value in field_values(header, name))


def _decode_words(value: bytes) -> str:
    """Header text with its encoded words decoded (RFC 2047)."""
    text = value.decode("utf-8", "replace")
    if "=?" not in text or len(value) > MAX_DECODED_HEADER_BYTES:
        return text
    try:
        pieces = decode_header(text)
    except (HeaderParseError, binascii.Error, ValueError):
        return text
    return "".join(piece if isinstance(piece, str) else _decode_charset(piece, charset) for piece, charset in pieces)


def _decode_charset(value: bytes, charset: str | None) -> str:
    try:
        return value.decode(charset or "utf-8", "replace")
    except (LookupError, ValueError):
        return value.decode("utf-8", "replace")


def _body_contains(texts: Sequence[str], wanted: str) -> bool:
    return any(wanted in text.casefold() for text in texts)


@dataclass(frozen=True, slots=True)
class TextPart:
    """A part that is searched: its octets are `start:end` of the message."""

    start: int
    end: int
    encoding: bytes
    charset: str

    def decode(self, value: bytes) -> str:
        """Its octets as text."""
        match self.encoding:
            case b"base64":
                value = _decode_base64(value)
            case b"quoted-printable":
                value = quopri.decodestring(value)
        return _decode_charset(value, self.charset)


def text_parts(part: Part) -> list[TextPart]:
    """All that is text in a message, or as much of it as is searched."""
    found: list[TextPart] = []
    left = MAX_SEARCHED_BYTES
    for leaf in _leaves(part):
        if left > 0 and leaf.media_type.lower() == b"text":
            end = min(leaf.end, leaf.body_start + left)
            left -= end - leaf.body_start
            encoding = leaf.fields.get(b"content-transfer-encoding", b"").strip().lower()
            charset = next((value for name, value in leaf.parameters if name.lower() == b"charset"), b"utf-8")
            found.append(TextPart(leaf.body_start, end, encoding, charset.decode("ascii", "replace")))
    return found


def _leaves(part: Part) -> Iterator[Part]:
    if not part.children:
        yield part
    for child in part.children:
        yield from _leaves(child)


def _decode_base64(value: bytes) -> bytes:
    try:
        return base64.b64decode(value)
    except binascii.Error:
        return b""
