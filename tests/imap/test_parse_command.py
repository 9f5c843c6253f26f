import pytest

from chatmail.imap import commands
from chatmail.imap.commands import Copy, Expunge, Id, Login, Store, StoreMode
from chatmail.imap.parse_command import command_name, parse_command, tag_of
from chatmail.imap.sequence_set import STAR, SavedResult, SequenceSet, UidSet
from chatmail.imap.syntax import ImapSyntaxError
from chatmail.mail.changes import DELETED, SEEN, Flag, ModSeq
from tests.support.imap_text import parsed, refused

FIVE = UidSet(((5, 5),))


@pytest.mark.parametrize(
    ("text", "command"),
    [
        (b"CAPABILITY", commands.Capability()),
        (b"noop", commands.Noop()),
        (b"Logout", commands.Logout()),
        (b"STARTTLS", commands.StartTls()),
        (b"NAMESPACE", commands.Namespace()),
        (b"IDLE", commands.Idle()),
        (b"CHECK", commands.Check()),
        (b"CLOSE", commands.Close()),
        (b"UNSELECT", commands.Unselect()),
        (b"EXPUNGE", Expunge()),
        (b"ENABLE CONDSTORE imap4rev2", commands.Enable(("CONDSTORE", "IMAP4REV2"))),
        (b"COMPRESS DEFLATE", commands.Compress("DEFLATE")),
    ],
)
def test_short_commands(text: bytes, command: commands.Command) -> None:
    assert parsed(text) == command


@pytest.mark.parametrize(
    ("text", "user", "password"),
    [
        (b'LOGIN "user@dom" "pass word"', "user@dom", "pass word"),
        (rb'LOGIN user "a\"b\\c%d"', "user", 'a"b\\c%d'),
        ('LOGIN "user@dom" "pässwörd"'.encode(), "user@dom", "pässwörd"),
        (b"LOGIN {8}\r\nuser@dom {4+}\r\npass", "user@dom", "pass"),
    ],
)
def test_login(text: bytes, user: str, password: str) -> None:
    assert parsed(text) == Login(user, password)


@pytest.mark.parametrize(
    "text", [b"LOGIN a", b"LOGIN a b c", b'LOGIN "a" "b', b"LOGIN", b'LOGIN a "\xff"', b"LOGIN  a b"]
)
def test_what_is_no_login(text: bytes) -> None:
    assert refused(text)


def test_no_password_shows_in_a_representation() -> None:
    assert "hidden" not in repr(parsed(b"LOGIN user hidden"))
    assert "hidden" not in repr(commands.Authenticate("PLAIN", b"hidden"))


def test_authenticate_may_bring_its_first_response() -> None:
    assert parsed(b"AUTHENTICATE plain") == commands.Authenticate("PLAIN")
    assert parsed(b"AUTHENTICATE PLAIN AGEAYg==") == commands.Authenticate("PLAIN", b"\0a\0b")
    assert parsed(b"AUTHENTICATE PLAIN =") == commands.Authenticate("PLAIN", b"")
    assert refused(b"AUTHENTICATE PLAIN AGE")
    assert refused(b"AUTHENTICATE PLAIN A GE")


def test_id_has_fields_or_nil() -> None:
    assert parsed(b'ID ("name" "Delta Chat" "os" NIL)') == Id((("name", "Delta Chat"), ("os", None)))
    assert parsed(b"ID NIL") == parsed(b"ID ()") == Id(())
    assert refused(b'ID ("name")')
    assert refused(b"ID (" + b" ".join([b'"a" "b"'] * 31) + b")")


@pytest.mark.parametrize(
    ("text", "command"),
    [
        (rb"UID STORE 5 +FLAGS (\Deleted)", Store(FIVE, StoreMode.ADD, frozenset((DELETED,)), by_uid=True)),
        (rb"UID STORE 5 -FLAGS.SILENT (\seen $x)",
         Store(FIVE, StoreMode.REMOVE, frozenset((SEEN, Flag("$x"))), silent=True, by_uid=True)),
        (rb"STORE 1:* flags \Seen \Deleted",
         Store(SequenceSet(((1, STAR),)), StoreMode.REPLACE, frozenset((SEEN, DELETED)))),
        (b"STORE $ FLAGS ()", Store(SavedResult(), StoreMode.REPLACE, frozenset())),
        (rb"UID STORE 5 (UNCHANGEDSINCE 12121230045) +FLAGS (\Deleted)",
         Store(FIVE, StoreMode.ADD, frozenset((DELETED,)), by_uid=True, unchanged_since=ModSeq(12121230045))),
        (b"UID EXPUNGE 5", Expunge(FIVE)),
        (b"UID EXPUNGE $", Expunge(SavedResult())),
        (b"COPY 5 Trash", Copy(SequenceSet(((5, 5),)), "Trash")),
        (b"uid move 5 inbox", Copy(FIVE, "INBOX", by_uid=True, move=True)),
        (b"UID COPY 5 {5}\r\nTrash", Copy(FIVE, "Trash", by_uid=True)),
        (b"MOVE 5 Trash", Copy(SequenceSet(((5, 5),)), "Trash", move=True)),
    ],
)  # fmt: skip
def test_commands_on_messages(text: bytes, command: commands.Command) -> None:
    assert parsed(text) == command


@pytest.mark.parametrize(
    "text",
    [
        b"", b"UID", b"UID NOOP", b"XYZZY", b"NOOP 1", b"NOOP ", b"IDLE\r", b"STORE 5 +FLAGS", b"STORE 5 *FLAGS (a)",
        b"STORE 0 FLAGS (a)", b"STORE 5 FLAGS.LOUD (a)", b"STORE 5 (UNCHANGED 4) FLAGS (a)", b"COPY 5", b"EXPUNGE 5",
        b"STORE 5 FLAGS (" + b" ".join([b"k%d" % n for n in range(101)]) + b")", b"UID  STORE 5 FLAGS (a)",
        b"STORE 5 FLAGS " + b" ".join([b"k%d" % n for n in range(102)]), b"APPEND INBOX", b"NO\0OP", b"UID FETCH",
        b"ENABLE", b"COMPRESS", b"ENABLE" + b" X" * 51,
    ],
)  # fmt: skip
def test_what_is_no_command(text: bytes) -> None:
    assert refused(text)


@pytest.mark.parametrize(
    "text", [b"", b"A1", b"+ NOOP", b"A+ NOOP", b" NOOP", b"A" * 129 + b" NOOP", b"A1\tNOOP", b"{ NOOP"]
)
def test_a_command_needs_a_tag_and_a_name(text: bytes) -> None:
    with pytest.raises(ImapSyntaxError):
        parse_command(text)


def test_the_tag_of_a_bad_command_is_known_where_there_is_one() -> None:
    assert tag_of(b"A1 bogus {") == "A1"
    assert tag_of(b"A1") == "A1"
    assert tag_of(b"+ x") is tag_of(b"") is tag_of(b"GET\tx") is None


def test_the_name_is_known_before_the_command_is_whole() -> None:
    assert command_name(b"A1 append INBOX ") == b"APPEND"
    assert command_name(b"A1 uid fetch 1 ") == b"UID FETCH"
    assert command_name(b"nonsense") == b""
