"""Commands on mailboxes as such: SELECT, CREATE, LIST, STATUS and their kin. RFC 9051 §6.3, §9.

SELECT parameters: RFC 7162 §3.1.8, §3.2.5. Extended LIST: RFC 5258, 5819, 6154. CREATE with special use: RFC 6154 §3.
"""

from typing import Final

from chatmail.imap.commands import (
    Create,
    Delete,
    GetQuota,
    GetQuotaRoot,
    List,
    ListReturn,
    ListSelect,
    Lsub,
    QresyncParameters,
    Rename,
    Select,
    SetQuota,
    Status,
    StatusItem,
    Subscribe,
    Unsubscribe,
)
from chatmail.imap.grammar import Cursor
from chatmail.imap.sequence_set import SequenceSet, UidSet
from chatmail.imap.syntax import ImapSyntaxError
from chatmail.mail.changes import ModSeq

MAX_PATTERNS: Final = 50

_STATUS_ITEMS: Final = {item.value: item for item in StatusItem}
_LIST_SELECTS: Final = {option.value: option for option in ListSelect}
_LIST_RETURNS: Final = {option.value: option for option in ListReturn}


def _spaced_mailbox(cursor: Cursor) -> str:
    cursor.space()
    return cursor.mailbox()


def parse_select(cursor: Cursor, *, read_only: bool) -> Select:
    """`select = "SELECT" SP mailbox [SP "(" select-param *(SP select-param) ")"]`; EXAMINE is alike. RFC 4466 §2.4."""
    mailbox = _spaced_mailbox(cursor)
    if not cursor.skip(b" "):
        return Select(mailbox, read_only)
    condstore = False
    qresync: QresyncParameters | None = None

    def read_parameter() -> None:
        nonlocal condstore, qresync
        match cursor.keyword():
            case b"CONDSTORE":
                condstore = True
            case b"QRESYNC":
                cursor.space()
                qresync = _qresync(cursor)
            case _:
                cursor.fail("CONDSTORE or QRESYNC")

    cursor.items(read_parameter, limit=4)
    return Select(mailbox, read_only, condstore, qresync)


def _qresync(cursor: Cursor) -> QresyncParameters:
    """`"(" uidvalidity SP mod-sequence-value [SP known-uids] [SP seq-match-data] ")"`. RFC 7162 §7."""
    cursor.expect(b"(", "an opening parenthesis")
    uid_validity = cursor.nz_number()
    cursor.space()
    modseq: ModSeq = cursor.nz_modseq()
    known_uids: UidSet | None = None
    known_sequence: tuple[SequenceSet, UidSet] | None = None
    if cursor.skip(b" ("):
        known_sequence = _known_sequence(cursor)
    elif cursor.skip(b" "):
        known_uids = cursor.known_uids()
        if cursor.skip(b" ("):
            known_sequence = _known_sequence(cursor)
    cursor.expect(b")", "a closing parenthesis")
    return QresyncParameters(uid_validity, modseq, known_uids, known_sequence)


def _known_sequence(cursor: Cursor) -> tuple[SequenceSet, UidSet]:
    """`seq-match-data = "(" known-sequence-set SP known-uid-set ")"`."""
    sequence = cursor.known_sequence()
    cursor.space()
    uids = cursor.known_uids()
    cursor.expect(b")", "a closing parenthesis")
    return sequence, uids


def parse_create(cursor: Cursor) -> Create:
    """`create = "CREATE" SP mailbox [SP "(" "USE" SP "(" [use-attr *(SP use-attr)] ")" ")"]`. RFC 6154 §6."""
    mailbox = _spaced_mailbox(cursor)
    if not cursor.skip(b" "):
        return Create(mailbox)
    cursor.expect(b"(", "an opening parenthesis")
    if cursor.keyword() != b"USE":
        cursor.fail("USE")
    cursor.space()
    uses = cursor.items(cursor.flag, limit=10, may_be_empty=True)
    cursor.expect(b")", "a closing parenthesis")
    return Create(mailbox, tuple(use for use in uses if use is not None))


def parse_delete(cursor: Cursor) -> Delete:
    """`delete = "DELETE" SP mailbox`."""
    return Delete(_spaced_mailbox(cursor))


def parse_rename(cursor: Cursor) -> Rename:
    """`rename = "RENAME" SP mailbox SP mailbox`."""
    return Rename(_spaced_mailbox(cursor), _spaced_mailbox(cursor))


def parse_subscribe(cursor: Cursor) -> Subscribe:
    """`subscribe = "SUBSCRIBE" SP mailbox`."""
    return Subscribe(_spaced_mailbox(cursor))


def parse_unsubscribe(cursor: Cursor) -> Unsubscribe:
    """`unsubscribe = "UNSUBSCRIBE" SP mailbox`."""
    return Unsubscribe(_spaced_mailbox(cursor))


def parse_lsub(cursor: Cursor) -> Lsub:
    """`lsub = "LSUB" SP mailbox SP list-mailbox`."""
    cursor.space()
    reference = cursor.mailbox_or_server()
    cursor.space()
    return Lsub(reference, cursor.list_mailbox())


def parse_list(cursor: Cursor) -> List:
    """`list = "LIST" [SP list-select-opts] SP mailbox SP mbox-or-pat [SP list-return-opts]`."""
    cursor.space()
    is_extended = cursor.at(b"(")
    select: frozenset[ListSelect] = frozenset()
    if is_extended:
        select = frozenset(cursor.items(lambda: _list_select(cursor), limit=10, may_be_empty=True))
        cursor.space()
    if ListSelect.RECURSIVEMATCH in select and select <= {ListSelect.RECURSIVEMATCH, ListSelect.REMOTE}:
        raise ImapSyntaxError("RECURSIVEMATCH stands beside another selection option")
    reference = cursor.mailbox_or_server()
    cursor.space()
    if cursor.at(b"("):
        is_extended = True
        patterns = tuple(cursor.items(cursor.list_mailbox, limit=MAX_PATTERNS))
    else:
        patterns = (cursor.list_mailbox(),)
    if not cursor.skip(b" "):
        return List(reference, patterns, select, is_extended=is_extended)
    returns, status_items = _list_returns(cursor)
    return List(reference, patterns, select, returns, status_items, is_extended=True)


def _list_select(cursor: Cursor) -> ListSelect:
    """`list-select-opt = "SUBSCRIBED" / "REMOTE" / "RECURSIVEMATCH" / "SPECIAL-USE"`."""
    option = _LIST_SELECTS.get(cursor.keyword())
    if option is None:
        cursor.fail("a LIST selection option")
    return option


def _list_returns(cursor: Cursor) -> tuple[frozenset[ListReturn], tuple[StatusItem, ...]]:
    """`list-return-opts = "RETURN" SP "(" [return-option *(SP return-option)] ")"`."""
    if cursor.keyword() != b"RETURN":
        cursor.fail("RETURN")
    cursor.space()
    returns: set[ListReturn] = set()
    status_items: tuple[StatusItem, ...] = ()

    def read_option() -> None:
        nonlocal status_items
        name = cursor.keyword()
        if name == b"STATUS":
            status_items = _status_items(cursor)
        elif name in _LIST_RETURNS:
            returns.add(_LIST_RETURNS[name])
        else:
            cursor.fail("a LIST return option")

    cursor.items(read_option, limit=10, may_be_empty=True)
    return frozenset(returns), status_items


def parse_status(cursor: Cursor) -> Status:
    """`status = "STATUS" SP mailbox SP "(" status-att *(SP status-att) ")"`."""
    return Status(_spaced_mailbox(cursor), _status_items(cursor))


def _status_items(cursor: Cursor) -> tuple[StatusItem, ...]:
    """`SP "(" status-att *(SP status-att) ")"`, each once."""
    cursor.space()

    def read_item() -> StatusItem:
        item = _STATUS_ITEMS.get(cursor.keyword())
        if item is None:
            cursor.fail("a STATUS item")
        return item

    return tuple(dict.fromkeys(cursor.items(read_item, limit=30)))


def parse_getquota(cursor: Cursor) -> GetQuota:
    """`getquota = "GETQUOTA" SP quota-root-name`. RFC 9208 §7."""
    cursor.space()
    return GetQuota(cursor.text_of(cursor.astring()))


def parse_getquotaroot(cursor: Cursor) -> GetQuotaRoot:
    """`getquotaroot = "GETQUOTAROOT" SP mailbox`. RFC 9208 §7."""
    return GetQuotaRoot(_spaced_mailbox(cursor))


def parse_setquota(cursor: Cursor) -> SetQuota:
    """`setquota = "SETQUOTA" SP quota-root-name SP setquota-list`. RFC 9208 §7."""
    cursor.space()
    root = cursor.text_of(cursor.astring())
    cursor.space()

    def read_limit() -> tuple[str, int]:
        name = cursor.keyword().decode("ascii")
        cursor.space()
        return name, cursor.number64()

    return SetQuota(root, tuple(cursor.items(read_limit, limit=10, may_be_empty=True)))
