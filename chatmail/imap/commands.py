"""The commands of a client, frozen. `parse_command` makes them; a session answers them with one `match`.

RFC 3501, RFC 9051, and: RFC 2177 IDLE, 2342 NAMESPACE, 2971 ID, 3502 MULTIAPPEND, 3691 UNSELECT, 4315 UIDPLUS,
4978 COMPRESS, 5161 ENABLE, 5182 SEARCHRES, 5258 LIST-EXTENDED, 5464 METADATA, 5819 LIST-STATUS, 6154 SPECIAL-USE,
6851 MOVE, 7162 CONDSTORE and QRESYNC, 8438 STATUS=SIZE, 9208 QUOTA.

Mailbox names are decoded (modified UTF-7 or UTF-8), INBOX is in capitals. APPEND is not here: its message is handed out
piece by piece, as events of `connection`.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from chatmail.imap.fetch_items import FetchItem
from chatmail.imap.search_keys import SearchKey, SearchReturn
from chatmail.imap.sequence_set import MessageSet, SavedResult, SequenceSet, UidSet
from chatmail.mail.changes import Flag, ModSeq

# --- any state --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Capability:
    """CAPABILITY. RFC 9051 §6.1.1."""


@dataclass(frozen=True, slots=True)
class Noop:
    """NOOP. RFC 9051 §6.1.2."""


@dataclass(frozen=True, slots=True)
class Logout:
    """LOGOUT. RFC 9051 §6.1.3."""


@dataclass(frozen=True, slots=True)
class Id:
    """ID with the client's fields, in its order; empty for `ID NIL`. RFC 2971."""

    fields: tuple[tuple[str, str | None], ...]


# --- not authenticated ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StartTls:
    """STARTTLS. RFC 9051 §6.2.1."""


@dataclass(frozen=True, slots=True)
class Authenticate:
    """AUTHENTICATE, mechanism in capitals; `initial_response` is decoded, None if absent. RFC 9051 §6.2.2."""

    mechanism: str
    initial_response: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Login:
    """LOGIN. RFC 9051 §6.2.3."""

    user: str
    password: str = field(repr=False)


# --- authenticated ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Enable:
    """ENABLE, names in capitals. RFC 9051 §6.3.1."""

    capabilities: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class QresyncParameters:
    """What the client last knew: `QRESYNC (uid_validity modseq [known_uids [(seq-set uid-set)]])`. RFC 7162 §3.2.5."""

    uid_validity: int
    modseq: ModSeq
    known_uids: UidSet | None = None
    known_sequence: tuple[SequenceSet, UidSet] | None = None


@dataclass(frozen=True, slots=True)
class Select:
    """SELECT, or EXAMINE with `read_only`. RFC 9051 §6.3.2, §6.3.3; `condstore` and `qresync`: RFC 7162."""

    mailbox: str
    read_only: bool = False
    condstore: bool = False
    qresync: QresyncParameters | None = None


@dataclass(frozen=True, slots=True)
class Create:
    """CREATE; `special_uses` of RFC 6154 §3, such as `\\Sent`."""

    mailbox: str
    special_uses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Delete:
    """DELETE a mailbox."""

    mailbox: str


@dataclass(frozen=True, slots=True)
class Rename:
    """RENAME."""

    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Subscribe:
    """SUBSCRIBE."""

    mailbox: str


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """UNSUBSCRIBE."""

    mailbox: str


class StatusItem(Enum):
    """`status-att`: RFC 9051 §6.3.11, RECENT of RFC 3501, and those of RFC 7162, 7889, 8474, 9208."""

    MESSAGES = b"MESSAGES"
    UIDNEXT = b"UIDNEXT"
    UIDVALIDITY = b"UIDVALIDITY"
    UNSEEN = b"UNSEEN"
    DELETED = b"DELETED"
    SIZE = b"SIZE"
    RECENT = b"RECENT"
    HIGHESTMODSEQ = b"HIGHESTMODSEQ"
    APPENDLIMIT = b"APPENDLIMIT"
    MAILBOXID = b"MAILBOXID"
    DELETED_STORAGE = b"DELETED-STORAGE"


class ListSelect(Enum):
    """LIST selection options. RFC 9051 §6.3.9.1, RFC 6154 §5.1."""

    SUBSCRIBED = b"SUBSCRIBED"
    REMOTE = b"REMOTE"
    RECURSIVEMATCH = b"RECURSIVEMATCH"
    SPECIAL_USE = b"SPECIAL-USE"


class ListReturn(Enum):
    """LIST return options without arguments. RFC 9051 §6.3.9.2, RFC 6154 §5.2."""

    SUBSCRIBED = b"SUBSCRIBED"
    CHILDREN = b"CHILDREN"
    SPECIAL_USE = b"SPECIAL-USE"


@dataclass(frozen=True, slots=True)
class List:
    """LIST. `is_extended` tells the extended form, which is answered differently (RFC 9051 §6.3.9).

    `status_items` is `RETURN (STATUS (…))` (RFC 5819); empty if not asked for.
    """

    reference: str
    patterns: tuple[str, ...]
    select: frozenset[ListSelect] = frozenset()
    returns: frozenset[ListReturn] = frozenset()
    status_items: tuple[StatusItem, ...] = ()
    is_extended: bool = False


@dataclass(frozen=True, slots=True)
class Lsub:
    """LSUB. RFC 3501 §6.3.9."""

    reference: str
    pattern: str


@dataclass(frozen=True, slots=True)
class Namespace:
    """NAMESPACE. RFC 9051 §6.3.10."""


@dataclass(frozen=True, slots=True)
class Status:
    """STATUS. RFC 9051 §6.3.11."""

    mailbox: str
    items: tuple[StatusItem, ...]


@dataclass(frozen=True, slots=True)
class Idle:
    """IDLE. RFC 9051 §6.3.13; its end is the event `IdleDone` of `connection`."""


@dataclass(frozen=True, slots=True)
class GetQuota:
    """GETQUOTA. RFC 9208 §4.1.1."""

    root: str


@dataclass(frozen=True, slots=True)
class GetQuotaRoot:
    """GETQUOTAROOT. RFC 9208 §4.1.2."""

    mailbox: str


@dataclass(frozen=True, slots=True)
class SetQuota:
    """SETQUOTA with (resource, limit) pairs. RFC 9208 §4.1.3."""

    root: str
    limits: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class GetMetadata:
    """GETMETADATA; `mailbox` is empty for the server; `depth` 0, 1 or None for infinity. RFC 5464 §4.2.

    Entry names are in lower case, as they compare in any case.
    """

    mailbox: str
    entries: tuple[str, ...]
    max_size_bytes: int | None = None
    depth: int | None = 0


@dataclass(frozen=True, slots=True)
class SetMetadata:
    """SETMETADATA; the value None removes an entry. RFC 5464 §4.3."""

    mailbox: str
    entries: tuple[tuple[str, bytes | None], ...]


@dataclass(frozen=True, slots=True)
class Compress:
    """COMPRESS, algorithm in capitals. RFC 4978."""

    algorithm: str


# --- selected ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Check:
    """CHECK. RFC 3501 §6.4.1."""


@dataclass(frozen=True, slots=True)
class Close:
    """CLOSE. RFC 9051 §6.4.1."""


@dataclass(frozen=True, slots=True)
class Unselect:
    """UNSELECT. RFC 9051 §6.4.2."""


@dataclass(frozen=True, slots=True)
class Expunge:
    """EXPUNGE, or UID EXPUNGE where `messages` is not None. RFC 9051 §6.4.3, §6.4.9."""

    messages: UidSet | SavedResult | None = None


@dataclass(frozen=True, slots=True)
class Search:
    """SEARCH or UID SEARCH.

    `returns` is None without RETURN: the answer is then a SEARCH response for IMAP4rev1 (RFC 3501 §6.4.4), and
    `RETURN ()` means ALL, which is what stands here then. `charset` is in capitals, None if not given.
    """

    key: SearchKey
    by_uid: bool = False
    returns: frozenset[SearchReturn] | None = None
    charset: str | None = None


@dataclass(frozen=True, slots=True)
class Fetch:
    """FETCH or UID FETCH; UID is not added to `items` for the latter. RFC 9051 §6.4.5; the rest: RFC 7162."""

    messages: MessageSet
    items: tuple[FetchItem, ...]
    by_uid: bool = False
    changed_since: ModSeq | None = None
    vanished: bool = False


class StoreMode(Enum):
    """How STORE combines flags; the values are those of the store's `FlagsMode`."""

    REPLACE = "FLAGS"
    ADD = "+FLAGS"
    REMOVE = "-FLAGS"


@dataclass(frozen=True, slots=True)
class Store:
    """STORE or UID STORE. RFC 9051 §6.4.6; `unchanged_since`: RFC 7162 §3.1.3."""

    messages: MessageSet
    mode: StoreMode
    flags: frozenset[Flag]
    silent: bool = False
    by_uid: bool = False
    unchanged_since: ModSeq | None = None


@dataclass(frozen=True, slots=True)
class Copy:
    """COPY or UID COPY, or MOVE or UID MOVE with `move`. RFC 9051 §6.4.7, §6.4.8."""

    messages: MessageSet
    mailbox: str
    by_uid: bool = False
    move: bool = False


AnyStateCommand = Capability | Noop | Logout | Id
NotAuthenticatedCommand = StartTls | Authenticate | Login
AuthenticatedCommand = (
    Enable
    | Select
    | Create
    | Delete
    | Rename
    | Subscribe
    | Unsubscribe
    | List
    | Lsub
    | Namespace
    | Status
    | Idle
    | GetQuota
    | GetQuotaRoot
    | SetQuota
    | GetMetadata
    | SetMetadata
    | Compress
)
SelectedCommand = Check | Close | Unselect | Expunge | Search | Fetch | Store | Copy
Command = AnyStateCommand | NotAuthenticatedCommand | AuthenticatedCommand | SelectedCommand


@dataclass(frozen=True, slots=True)
class TaggedCommand:
    """A whole command as it came, with the tag its answer must carry."""

    tag: str
    command: Command


@dataclass(frozen=True, slots=True)
class AppendMessage:
    """What stands before the literal of an APPEND: one of its messages. RFC 9051 §6.3.12, RFC 3502, RFC 3516.

    `received_at` is None where the client gave no date. `is_binary` tells `~{n}`.
    """

    flags: frozenset[Flag]
    received_at: datetime | None
    size_bytes: int
    is_binary: bool = False
