"""The tree a SEARCH asks for: frozen values, made by `parse_search`, tested by `search`. RFC 9051 §6.4.4.

Extensions: WITHIN (RFC 5032), MODSEQ (RFC 7162), OBJECTID (RFC 8474), SAVEDATE (RFC 8514), SEARCHRES (RFC 5182).
`UNSEEN`, `NEW` and the like are spelled out with `Not` and `And`, so that `search` has few cases.

Texts are decoded as UTF-8 with `surrogateescape`; whoever searches refuses unknown charsets before looking at them.
"""

from dataclasses import dataclass
from datetime import date
from enum import Enum

from chatmail.imap.sequence_set import MessageSet
from chatmail.mail.changes import Flag, ModSeq


@dataclass(frozen=True, slots=True)
class All:
    """Every message."""


@dataclass(frozen=True, slots=True)
class And:
    """All of `keys`: juxtaposition, or a list in parentheses."""

    keys: "tuple[SearchKey, ...]"


@dataclass(frozen=True, slots=True)
class Or:
    """One of the two."""

    left: "SearchKey"
    right: "SearchKey"


@dataclass(frozen=True, slots=True)
class Not:
    """Not `key`."""

    key: "SearchKey"


@dataclass(frozen=True, slots=True)
class HasFlag:
    """`ANSWERED`, `SEEN`… or `KEYWORD keyword`; keywords compare in any case."""

    flag: Flag


@dataclass(frozen=True, slots=True)
class Recent:
    """`RECENT`: IMAP4rev1 only; this server never sets `\\Recent`."""


@dataclass(frozen=True, slots=True)
class InSet:
    """The messages of a sequence set, of `UID set`, or of `$`."""

    messages: MessageSet


@dataclass(frozen=True, slots=True)
class HeaderContains:
    """`HEADER field text`, and FROM, TO, CC, BCC, SUBJECT; an empty text asks whether the field is there."""

    field: bytes
    text: str


@dataclass(frozen=True, slots=True)
class BodyContains:
    """`BODY text`: in the body, decoded."""

    text: str


@dataclass(frozen=True, slots=True)
class TextContains:
    """`TEXT text`: in the header or the body."""

    text: str


class DateField(Enum):
    """Which date is compared: INTERNALDATE, the Date header, or when it came into this mailbox (RFC 8514)."""

    INTERNAL = "internal"
    SENT = "sent"
    SAVED = "saved"


class DateRelation(Enum):
    """Days are compared without regard to time and zone."""

    BEFORE = "before"
    ON = "on"
    SINCE = "since"


@dataclass(frozen=True, slots=True)
class DateIs:
    """`BEFORE`, `ON`, `SINCE`, and with `SENT` or `SAVED` before them."""

    field: DateField
    relation: DateRelation
    day: date


@dataclass(frozen=True, slots=True)
class SaveDateSupported:
    """`SAVEDATESUPPORTED`: whether this mailbox knows save dates."""


@dataclass(frozen=True, slots=True)
class Larger:
    """RFC822.SIZE above `size_bytes`."""

    size_bytes: int


@dataclass(frozen=True, slots=True)
class Smaller:
    """RFC822.SIZE below `size_bytes`."""

    size_bytes: int


@dataclass(frozen=True, slots=True)
class Older:
    """INTERNALDATE at least `seconds` ago. RFC 5032."""

    seconds: int


@dataclass(frozen=True, slots=True)
class Younger:
    """INTERNALDATE less than `seconds` ago. RFC 5032."""

    seconds: int


@dataclass(frozen=True, slots=True)
class ModSeqAtLeast:
    """`MODSEQ n`. RFC 7162 §3.1.5; the optional entry name is read and has no effect here."""

    modseq: ModSeq


@dataclass(frozen=True, slots=True)
class EmailId:
    """`EMAILID id`. RFC 8474 §5.1."""

    object_id: str


@dataclass(frozen=True, slots=True)
class ThreadId:
    """`THREADID id`. RFC 8474 §5.2."""

    object_id: str


SearchKey = (
    All
    | And
    | Or
    | Not
    | HasFlag
    | Recent
    | InSet
    | HeaderContains
    | BodyContains
    | TextContains
    | DateIs
    | SaveDateSupported
    | Larger
    | Smaller
    | Older
    | Younger
    | ModSeqAtLeast
    | EmailId
    | ThreadId
)


class SearchReturn(Enum):
    """`RETURN (…)` options. RFC 9051 §6.4.4."""

    MIN = b"MIN"
    MAX = b"MAX"
    ALL = b"ALL"
    COUNT = b"COUNT"
    SAVE = b"SAVE"
