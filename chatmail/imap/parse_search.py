"""SEARCH and UID SEARCH. RFC 9051 §6.4.4; `search`, `search-key` of §9; RFC 3501 for `NEW`, `OLD`, `RECENT`.

Depth and number of keys are limited: each key is tested on each message.
"""

from collections.abc import Callable
from typing import Final

from chatmail.imap.commands import Search
from chatmail.imap.grammar import Cursor
from chatmail.imap.search_keys import (
    All,
    And,
    BodyContains,
    DateField,
    DateIs,
    DateRelation,
    EmailId,
    HasFlag,
    HeaderContains,
    InSet,
    Larger,
    ModSeqAtLeast,
    Not,
    Older,
    Or,
    Recent,
    SaveDateSupported,
    SearchKey,
    SearchReturn,
    Smaller,
    TextContains,
    ThreadId,
    Younger,
)
from chatmail.imap.syntax import ImapSyntaxError
from chatmail.mail.changes import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN

MAX_DEPTH: Final = 40
MAX_KEYS: Final = 300

_RETURNS: Final = {option.value: option for option in SearchReturn}
_PLAIN_KEYS: Final[dict[bytes, SearchKey]] = {
    b"ALL": All(),
    b"ANSWERED": HasFlag(ANSWERED),
    b"DELETED": HasFlag(DELETED),
    b"DRAFT": HasFlag(DRAFT),
    b"FLAGGED": HasFlag(FLAGGED),
    b"SEEN": HasFlag(SEEN),
    b"UNANSWERED": Not(HasFlag(ANSWERED)),
    b"UNDELETED": Not(HasFlag(DELETED)),
    b"UNDRAFT": Not(HasFlag(DRAFT)),
    b"UNFLAGGED": Not(HasFlag(FLAGGED)),
    b"UNSEEN": Not(HasFlag(SEEN)),
    b"RECENT": Recent(),
    b"NEW": And((Recent(), Not(HasFlag(SEEN)))),
    b"OLD": Not(Recent()),
    b"SAVEDATESUPPORTED": SaveDateSupported(),
}
_DATE_KEYS: Final = {
    prefix + relation.name.encode(): (field, relation)
    for prefix, field in ((b"", DateField.INTERNAL), (b"SENT", DateField.SENT), (b"SAVED", DateField.SAVED))
    for relation in DateRelation
}
_HEADER_KEYS: Final = (b"FROM", b"TO", b"CC", b"BCC", b"SUBJECT")


def parse_search(cursor: Cursor, *, by_uid: bool) -> Search:
    """`search = "SEARCH" [search-return-opts] SP ["CHARSET" SP charset SP] search-key *(SP search-key)`."""
    cursor.space()
    returns = _return_options(cursor)
    charset = _charset(cursor)
    _check_charset(cursor, charset)
    key = _Keys(cursor).program()
    return Search(key, by_uid, returns, charset)


def _return_options(cursor: Cursor) -> frozenset[SearchReturn] | None:
    """`search-return-opts = SP "RETURN" SP "(" [search-return-opt *(SP search-return-opt)] ")"`."""
    if cursor.text[cursor.position : cursor.position + 8].upper() != b"RETURN (":
        return None
    cursor.position += 7

    def read_option() -> SearchReturn:
        option = _RETURNS.get(cursor.keyword())
        if option is None:
            cursor.fail("a RETURN option")
        return option

    options = frozenset(cursor.items(read_option, limit=10, may_be_empty=True))
    cursor.space()
    return options or frozenset((SearchReturn.ALL,))


def _charset(cursor: Cursor) -> str | None:
    """`"CHARSET" SP charset SP`; `charset = atom / quoted`."""
    if cursor.text[cursor.position : cursor.position + 8].upper() != b"CHARSET ":
        return None
    cursor.position += 8
    charset = cursor.text_of(cursor.astring()).upper()
    cursor.space()
    return charset


def _check_charset(cursor: Cursor, charset: str | None) -> None:
    """Texts must be what the command says they are; of other charsets nothing is known here."""
    if charset in (None, "UTF-8"):
        cursor.text_of(cursor.text[cursor.position :])
    elif charset == "US-ASCII" and not cursor.text[cursor.position :].isascii():
        cursor.fail("text in US-ASCII")


class _Keys:
    """Reads the keys of one SEARCH, counting them."""

    __slots__ = ("_count", "_cursor")

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor
        self._count = 0

    def program(self) -> SearchKey:
        """`search-key *(SP search-key)` up to the end of the command."""
        cursor = self._cursor
        keys = [self._key(0)]
        while cursor.skip(b" "):
            keys.append(self._key(0))
        return keys[0] if len(keys) == 1 else And(tuple(keys))

    def _key(self, depth: int) -> SearchKey:
        """`search-key = "ALL" / "ANSWERED" / … / sequence-set / "(" search-key *(SP search-key) ")"`."""
        self._count += 1
        if depth > MAX_DEPTH or self._count > MAX_KEYS:
            raise ImapSyntaxError("a SEARCH that is too deep or too long")
        cursor = self._cursor
        if cursor.at(b"("):
            keys = cursor.items(lambda: self._key(depth + 1), limit=MAX_KEYS)
            return keys[0] if len(keys) == 1 else And(tuple(keys))
        if cursor.text[cursor.position : cursor.position + 1] in _SET_STARTS:
            return InSet(cursor.sequence_set())
        word = cursor.keyword()
        plain = _PLAIN_KEYS.get(word)
        return plain if plain is not None else self._with_argument(word, depth)

    def _with_argument(self, word: bytes, depth: int) -> SearchKey:
        cursor = self._cursor
        if word == b"NOT":
            cursor.space()
            return Not(self._key(depth + 1))
        if word == b"OR":
            cursor.space()
            left = self._key(depth + 1)
            cursor.space()
            return Or(left, self._key(depth + 1))
        if word in _DATE_KEYS:
            cursor.space()
            field, relation = _DATE_KEYS[word]
            return DateIs(field, relation, cursor.date())
        read = _ARGUMENT_KEYS.get(word)
        if read is None:
            cursor.fail("a SEARCH key")
        cursor.space()
        return read(cursor)


_SET_STARTS: Final = frozenset(bytes((octet,)) for octet in b"0123456789*$")


def _search_text(cursor: Cursor) -> str:
    """`astring`, as text; charsets are judged by whoever searches."""
    return cursor.astring().decode("utf-8", "surrogateescape")


def _keyword(cursor: Cursor) -> SearchKey:
    """`"KEYWORD" SP flag-keyword`."""
    flag = cursor.flag()
    return Recent() if flag is None else HasFlag(flag)


def _header(cursor: Cursor) -> SearchKey:
    """`"HEADER" SP header-fld-name SP astring`."""
    field = cursor.astring()
    cursor.space()
    return HeaderContains(field, _search_text(cursor))


def _header_key(field: bytes) -> Callable[[Cursor], SearchKey]:
    return lambda cursor: HeaderContains(field, _search_text(cursor))


def _modseq(cursor: Cursor) -> SearchKey:
    """`search-modsequence = "MODSEQ" [SP entry-name SP entry-type-req] SP mod-sequence-valzer`. RFC 7162 §7."""
    if cursor.at(b'"'):
        cursor.quoted()
        cursor.space()
        if cursor.keyword() not in (b"PRIV", b"SHARED", b"ALL"):
            cursor.fail("priv, shared or all")
        cursor.space()
    return ModSeqAtLeast(cursor.modseq())


_ARGUMENT_KEYS: Final[dict[bytes, Callable[[Cursor], SearchKey]]] = {
    b"BODY": lambda cursor: BodyContains(_search_text(cursor)),
    b"TEXT": lambda cursor: TextContains(_search_text(cursor)),
    b"HEADER": _header,
    b"KEYWORD": _keyword,
    b"UNKEYWORD": lambda cursor: Not(_keyword(cursor)),
    b"LARGER": lambda cursor: Larger(cursor.number64()),
    b"SMALLER": lambda cursor: Smaller(cursor.number64()),
    b"UID": lambda cursor: InSet(cursor.uid_set()),
    b"OLDER": lambda cursor: Older(cursor.nz_number()),
    b"YOUNGER": lambda cursor: Younger(cursor.nz_number()),
    b"MODSEQ": _modseq,
    b"EMAILID": lambda cursor: EmailId(cursor.atom_text()),
    b"THREADID": lambda cursor: ThreadId(cursor.atom_text()),
    **{name: _header_key(name) for name in _HEADER_KEYS},
}
