"""Commands as a client writes them: the inverse of `parse_command`, for round trips."""

from chatmail.imap import commands as c
from chatmail.imap import search_keys as k
from chatmail.imap.commands import Command
from chatmail.imap.encoding import flag_list, literal, mailbox_name, string
from chatmail.imap.fetch_items import BinarySection, BinarySize, BodySection, FetchAttribute, FetchItem, Partial
from chatmail.imap.search_keys import DateField, SearchKey
from chatmail.imap.sequence_set import UidSet
from chatmail.mail.changes import SYSTEM_FLAGS

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _list(items: list[bytes]) -> bytes:
    return b"(" + b" ".join(items) + b")"


def _text(text: str) -> bytes:
    return string(text.encode())


def encode_command(command: Command) -> bytes:
    """`command` without tag and line end."""
    match command:
        case c.Login(user, password):
            return b"LOGIN %b %b" % (_text(user), _text(password))
        case c.Select():
            return _select(command)
        case c.Rename(source, target):
            return b"RENAME %b %b" % (mailbox_name(source), mailbox_name(target))
        case c.Status(mailbox, items):
            return b"STATUS %b %b" % (mailbox_name(mailbox), _list([item.value for item in items]))
        case c.List():
            return _extended_list(command)
        case c.SetMetadata(mailbox, entries):
            pairs = [entry.encode() + b" " + _value(value) for entry, value in entries]
            return b"SETMETADATA %b %b" % (mailbox_name(mailbox), _list(pairs))
        case c.Fetch():
            return _fetch(command)
        case c.Store():
            return _store(command)
        case c.Copy(messages, mailbox, by_uid, move):
            name = b"MOVE" if move else b"COPY"
            return b"%b%b %b %b" % (_uid(by_uid), name, messages.encode(), mailbox_name(mailbox))
        case c.Search(key, by_uid, None, None):
            return b"%bSEARCH %b" % (_uid(by_uid), _key(key))
    raise NotImplementedError(command)


def _uid(by_uid: bool) -> bytes:
    return b"UID " if by_uid else b""


def _value(value: bytes | None) -> bytes:
    if value is None:
        return b"NIL"
    return b"~" + literal(value) if b"\0" in value else string(value)


def _select(command: c.Select) -> bytes:
    name = b"EXAMINE" if command.read_only else b"SELECT"
    parameters = [b"CONDSTORE"] if command.condstore else []
    if command.qresync is not None:
        known = command.qresync
        parts = [b"%d %d" % (known.uid_validity, known.modseq)]
        parts += [known.known_uids.encode()] if known.known_uids else []
        parts += (
            [_list([known.known_sequence[0].encode(), known.known_sequence[1].encode()])]
            if known.known_sequence
            else []
        )
        parameters.append(b"QRESYNC " + _list(parts))
    return b"%b %b" % (name, mailbox_name(command.mailbox)) + (b" " + _list(parameters) if parameters else b"")


def _extended_list(command: c.List) -> bytes:
    returns = [option.value for option in command.returns]
    if command.status_items:
        returns.append(b"STATUS " + _list([item.value for item in command.status_items]))
    return b"LIST %b %b %b RETURN %b" % (
        _list([option.value for option in command.select]),
        mailbox_name(command.reference),
        _list([mailbox_name(pattern) for pattern in command.patterns]),
        _list(returns),
    )


def _fetch(command: c.Fetch) -> bytes:
    encoded = b"%bFETCH %b %b" % (
        _uid(command.by_uid), command.messages.encode(), _list([_item(item) for item in command.items])
    )  # fmt: skip
    if command.changed_since is None:
        return encoded
    return encoded + b" (CHANGEDSINCE %d%b)" % (command.changed_since, b" VANISHED" if command.vanished else b"")


def _item(item: FetchItem) -> bytes:
    if isinstance(item, FetchAttribute):
        return item.value
    if isinstance(item, BinarySize):
        return item.response_name
    name, _bracket, rest = item.response_name.partition(b"[")
    return name + (b".PEEK[" if item.peek else b"[") + rest.partition(b"]<")[0] + _partial(item)


def _partial(item: BodySection | BinarySection) -> bytes:
    match item.partial:
        case Partial(offset, length):
            return b"]<%d.%d>" % (offset, length)
    return b""


def _store(command: c.Store) -> bytes:
    return b"%bSTORE %b %b%b%b %b" % (
        _uid(command.by_uid),
        command.messages.encode(),
        b"" if command.unchanged_since is None else b"(UNCHANGEDSINCE %d) " % command.unchanged_since,
        command.mode.value.encode(),
        b".SILENT" if command.silent else b"",
        flag_list(command.flags),
    )


def _key(key: SearchKey) -> bytes:
    match key:
        case k.And(keys):
            return _list([_key(one) for one in keys])
        case k.Or(left, right):
            return b"OR %b %b" % (_key(left), _key(right))
        case k.Not(one):
            return b"NOT " + _key(one)
        case k.HasFlag(flag):
            return flag[1:].encode() if flag in SYSTEM_FLAGS else b"KEYWORD " + flag.encode()
        case k.InSet(messages):
            return (b"UID " if isinstance(messages, UidSet) else b"") + messages.encode()
        case k.HeaderContains(field, text):
            return b"HEADER %b %b" % (string(field), _text(text))
        case k.BodyContains(text):
            return b"BODY " + _text(text)
        case k.DateIs(field, relation, day):
            prefix = b"" if field is DateField.INTERNAL else field.name.encode()
            return b"%b%b %d-%b-%04d" % (
                prefix,
                relation.name.encode(),
                day.day,
                MONTHS[day.month - 1].encode(),
                day.year,
            )
        case k.Larger(size_bytes):
            return b"LARGER %d" % size_bytes
        case k.Younger(seconds):
            return b"YOUNGER %d" % seconds
        case k.ModSeqAtLeast(modseq):
            return b"MODSEQ %d" % modseq
        case k.All():
            return b"ALL"
    raise NotImplementedError(key)
