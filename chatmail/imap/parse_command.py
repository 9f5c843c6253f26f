"""One whole command: `parse_command(text) -> TaggedCommand`. RFC 9051 §9 `command`.

`text` is the command as `fragments` put it together: literals in place, without the final line end. Anything that is
not a command raises `ImapSyntaxError`; `tag_of` then says which tag the BAD must carry. Which command may stand in
which state is the business of `connection`.
"""

import re
from base64 import b64decode
from collections.abc import Callable
from typing import Final

from chatmail.imap import commands
from chatmail.imap.commands import Command, Copy, Expunge, Store, StoreMode, TaggedCommand
from chatmail.imap.grammar import Cursor
from chatmail.imap.parse_fetch import parse_fetch
from chatmail.imap.parse_mailbox import (
    parse_create,
    parse_delete,
    parse_getquota,
    parse_getquotaroot,
    parse_list,
    parse_lsub,
    parse_rename,
    parse_select,
    parse_setquota,
    parse_status,
    parse_subscribe,
    parse_unsubscribe,
)
from chatmail.imap.parse_metadata import parse_getmetadata, parse_setmetadata
from chatmail.imap.parse_search import parse_search
from chatmail.imap.syntax import ImapSyntaxError
from chatmail.mail.changes import ModSeq

MAX_TAG_OCTETS: Final = 128
MAX_FLAGS: Final = 100
MAX_CAPABILITIES: Final = 50

# command = tag SP (command-any / …) CRLF; tag = 1*<any ASTRING-CHAR except "+">
_TAG = re.compile(rb"[!#$&',\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]{1,%d}(?= |\Z)" % MAX_TAG_OCTETS)
_NAME = re.compile(rb" ((?i:UID) )?([A-Za-z0-9-]{1,20})(?= |\Z)")
_STORE_ITEM = re.compile(rb"([+-]?)(?i:FLAGS)((?i:\.SILENT)?) ")
_STORE_MODES: Final = {b"": StoreMode.REPLACE, b"+": StoreMode.ADD, b"-": StoreMode.REMOVE}


def tag_of(text: bytes) -> str | None:
    """The tag that `text` begins with, for the answer to a bad command; None if there is none."""
    match = _TAG.match(text)
    return match[0].decode("ascii") if match else None


def command_name(text: bytes) -> bytes:
    """The name of the command in capitals, such as `APPEND` or `UID FETCH`; empty if there is none."""
    tag = _TAG.match(text)
    match = _NAME.match(text, tag.end()) if tag else None
    return match[0][1:].upper() if match else b""


def parse_command(text: bytes, *, utf8_names: bool = False) -> TaggedCommand:
    """`command = tag SP (command-any / command-auth / …) CRLF`: the command `text` is. Raises `ImapSyntaxError`."""
    tag = _TAG.match(text)
    if tag is None:
        raise ImapSyntaxError("expected a tag")
    name = _NAME.match(text, tag.end())
    if name is None:
        raise ImapSyntaxError("expected a command")
    uid, word = name.groups()
    read = (_UID_COMMANDS if uid else _COMMANDS).get(word.upper())
    if read is None:
        raise ImapSyntaxError("unknown command")
    cursor = Cursor(text, name.end(), utf8_names=utf8_names)
    command = read(cursor)
    cursor.end()
    return TaggedCommand(tag[0].decode("ascii"), command)


def _without_arguments(command: Command) -> Callable[[Cursor], Command]:
    return lambda _cursor: command


# --- any state, not authenticated -------------------------------------------------------------------------------


def _id(cursor: Cursor) -> commands.Id:
    """`id = "ID" SP id-params-list`; `id-params-list = "(" [string SP nstring *(SP string SP nstring)] ")" / nil`."""
    cursor.space()
    if cursor.nil():
        return commands.Id(())

    def read_pair() -> tuple[str, str | None]:
        name = cursor.text_of(cursor.string())
        cursor.space()
        value = cursor.nstring()
        return name, None if value is None else cursor.text_of(value)

    # RFC 2971 §3.3 allows thirty fields.
    return commands.Id(tuple(cursor.items(read_pair, limit=30, may_be_empty=True)))


def _authenticate(cursor: Cursor) -> commands.Authenticate:
    """`authenticate = "AUTHENTICATE" SP auth-type [SP initial-resp]`; `initial-resp = base64 / "="`."""
    cursor.space()
    mechanism = cursor.keyword().decode("ascii")
    if not cursor.skip(b" "):
        return commands.Authenticate(mechanism)
    if cursor.skip(b"="):
        return commands.Authenticate(mechanism, b"")
    return commands.Authenticate(mechanism, decode_base64(cursor.base64()))


def decode_base64(text: bytes) -> bytes:
    """`base64 = *(4base64-char) [base64-terminal]`, decoded. Raises `ImapSyntaxError`."""
    try:
        return b64decode(text, validate=True)
    except ValueError:
        raise ImapSyntaxError("expected base64") from None


def _login(cursor: Cursor) -> commands.Login:
    """`login = "LOGIN" SP userid SP password`, both `astring`."""
    cursor.space()
    user = cursor.text_of(cursor.astring())
    cursor.space()
    return commands.Login(user, cursor.text_of(cursor.astring()))


# --- authenticated ----------------------------------------------------------------------------------------------


def _enable(cursor: Cursor) -> commands.Enable:
    """`enable = "ENABLE" 1*(SP capability)`."""
    cursor.space()
    names = [cursor.keyword().decode("ascii")]
    while len(names) < MAX_CAPABILITIES and cursor.skip(b" "):
        names.append(cursor.keyword().decode("ascii"))
    return commands.Enable(tuple(names))


def _append(cursor: Cursor) -> Command:
    """An APPEND that ends without its literal; whole ones are streamed and never come here."""
    cursor.fail("a message as a literal")


def _compress(cursor: Cursor) -> commands.Compress:
    """`compress = "COMPRESS" SP algorithm`. RFC 4978 §5."""
    cursor.space()
    return commands.Compress(cursor.keyword().decode("ascii"))


# --- selected ---------------------------------------------------------------------------------------------------


def _uid_expunge(cursor: Cursor) -> Expunge:
    """`uid-expunge = "UID" SP "EXPUNGE" SP sequence-set`."""
    cursor.space()
    return Expunge(cursor.uid_set())


def _fetch(by_uid: bool) -> Callable[[Cursor], Command]:
    def read(cursor: Cursor) -> Command:
        cursor.space()
        return parse_fetch(cursor, by_uid=by_uid)

    return read


def _search(by_uid: bool) -> Callable[[Cursor], Command]:
    return lambda cursor: parse_search(cursor, by_uid=by_uid)


def _store(by_uid: bool) -> Callable[[Cursor], Command]:
    def read(cursor: Cursor) -> Store:
        """`store = "STORE" SP sequence-set [store-modifiers] SP store-att-flags`. RFC 4466 §2.5."""
        cursor.space()
        messages = cursor.uid_set() if by_uid else cursor.sequence_set()
        cursor.space()
        unchanged_since = _unchanged_since(cursor) if cursor.at(b"(") else None
        item = _STORE_ITEM.match(cursor.text, cursor.position)
        if item is None:
            cursor.fail("FLAGS, +FLAGS or -FLAGS")
        cursor.position = item.end()
        flags = cursor.flag_list(limit=MAX_FLAGS) if cursor.at(b"(") else cursor.bare_flags(limit=MAX_FLAGS)
        return Store(messages, _STORE_MODES[item[1]], flags, bool(item[2]), by_uid, unchanged_since)

    return read


def _unchanged_since(cursor: Cursor) -> ModSeq:
    """`store-modifiers = SP "(" "UNCHANGEDSINCE" SP mod-sequence-valzer ")"`. RFC 7162 §7."""
    cursor.position += 1
    if cursor.keyword() != b"UNCHANGEDSINCE":
        cursor.fail("UNCHANGEDSINCE")
    cursor.space()
    modseq = cursor.modseq()
    cursor.expect(b") ", "a closing parenthesis")
    return modseq


def _copy(by_uid: bool, move: bool) -> Callable[[Cursor], Command]:
    def read(cursor: Cursor) -> Copy:
        """`copy = "COPY" SP sequence-set SP mailbox`; `move = "MOVE" SP sequence-set SP mailbox`."""
        cursor.space()
        messages = cursor.uid_set() if by_uid else cursor.sequence_set()
        cursor.space()
        return Copy(messages, cursor.mailbox(), by_uid, move)

    return read


_Reader = Callable[[Cursor], Command]

_COMMANDS: Final[dict[bytes, _Reader]] = {
    b"CAPABILITY": _without_arguments(commands.Capability()),
    b"NOOP": _without_arguments(commands.Noop()),
    b"LOGOUT": _without_arguments(commands.Logout()),
    b"ID": _id,
    b"STARTTLS": _without_arguments(commands.StartTls()),
    b"AUTHENTICATE": _authenticate,
    b"LOGIN": _login,
    b"ENABLE": _enable,
    b"SELECT": lambda cursor: parse_select(cursor, read_only=False),
    b"EXAMINE": lambda cursor: parse_select(cursor, read_only=True),
    b"CREATE": parse_create,
    b"DELETE": parse_delete,
    b"RENAME": parse_rename,
    b"SUBSCRIBE": parse_subscribe,
    b"UNSUBSCRIBE": parse_unsubscribe,
    b"LIST": parse_list,
    b"LSUB": parse_lsub,
    b"NAMESPACE": _without_arguments(commands.Namespace()),
    b"STATUS": parse_status,
    b"APPEND": _append,
    b"IDLE": _without_arguments(commands.Idle()),
    b"GETQUOTA": parse_getquota,
    b"GETQUOTAROOT": parse_getquotaroot,
    b"SETQUOTA": parse_setquota,
    b"GETMETADATA": parse_getmetadata,
    b"SETMETADATA": parse_setmetadata,
    b"COMPRESS": _compress,
    b"CHECK": _without_arguments(commands.Check()),
    b"CLOSE": _without_arguments(commands.Close()),
    b"UNSELECT": _without_arguments(commands.Unselect()),
    b"EXPUNGE": _without_arguments(Expunge()),
    b"SEARCH": _search(by_uid=False),
    b"FETCH": _fetch(by_uid=False),
    b"STORE": _store(by_uid=False),
    b"COPY": _copy(by_uid=False, move=False),
    b"MOVE": _copy(by_uid=False, move=True),
}
_UID_COMMANDS: Final[dict[bytes, _Reader]] = {
    b"EXPUNGE": _uid_expunge,
    b"SEARCH": _search(by_uid=True),
    b"FETCH": _fetch(by_uid=True),
    b"STORE": _store(by_uid=True),
    b"COPY": _copy(by_uid=True, move=False),
    b"MOVE": _copy(by_uid=True, move=True),
}
