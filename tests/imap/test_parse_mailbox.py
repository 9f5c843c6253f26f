import pytest

from chatmail.imap.commands import (
    Command,
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
from chatmail.imap.sequence_set import SequenceSet, UidSet
from chatmail.mail.changes import ModSeq
from tests.support.imap_text import parsed, refused

SUBSCRIBED, RECURSIVE = ListSelect.SUBSCRIBED, ListSelect.RECURSIVEMATCH
KNOWN = UidSet(((41, 211),))


@pytest.mark.parametrize(
    ("text", "command"),
    [
        (b'SELECT "INBOX"', Select("INBOX")),
        (b"SELECT inbox", Select("INBOX")),
        (b"EXAMINE Trash", Select("Trash", read_only=True)),
        (b"SELECT INBOX (CONDSTORE)", Select("INBOX", condstore=True)),
        (b"SELECT INBOX (QRESYNC (67890007 20050715194045000))",
         Select("INBOX", qresync=QresyncParameters(67890007, ModSeq(20050715194045000)))),
        (b"SELECT INBOX (QRESYNC (67890007 90060115194045000 41:211))",
         Select("INBOX", qresync=QresyncParameters(67890007, ModSeq(90060115194045000), KNOWN))),
        (b"SELECT INBOX (QRESYNC (7 9 41:211 (1,5 3,9)) CONDSTORE)",
         Select("INBOX", condstore=True, qresync=QresyncParameters(
             7, ModSeq(9), KNOWN, (SequenceSet(((1, 1), (5, 5))), UidSet(((3, 3), (9, 9))))))),
        (b"SELECT INBOX (QRESYNC (7 9 (1 3)))",
         Select("INBOX", qresync=QresyncParameters(
             7, ModSeq(9), None, (SequenceSet(((1, 1),)), UidSet(((3, 3),)))))),
        (b"CREATE DeltaChat", Create("DeltaChat")),
        (rb"CREATE Mine (USE (\Drafts \Sent))", Create("Mine", ("\\Drafts", "\\Sent"))),
        (b"DELETE blurdybloop", Delete("blurdybloop")),
        (b"RENAME blurdybloop sarasoop", Rename("blurdybloop", "sarasoop")),
        (b"SUBSCRIBE #news.comp.mail.mime", Subscribe("#news.comp.mail.mime")),
        (b"UNSUBSCRIBE #news", Unsubscribe("#news")),
        (b'LSUB "#news." "comp.mail.*"', Lsub("#news.", "comp.mail.*")),
        (b"STATUS blurdybloop (UIDNEXT MESSAGES uidnext)",
         Status("blurdybloop", (StatusItem.UIDNEXT, StatusItem.MESSAGES))),
        (b"STATUS INBOX (SIZE DELETED-STORAGE HIGHESTMODSEQ MAILBOXID APPENDLIMIT RECENT)",
         Status("INBOX", (StatusItem.SIZE, StatusItem.DELETED_STORAGE, StatusItem.HIGHESTMODSEQ,
                          StatusItem.MAILBOXID, StatusItem.APPENDLIMIT, StatusItem.RECENT))),
        (b'GETQUOTA ""', GetQuota("")),
        (b'GETQUOTAROOT "INBOX"', GetQuotaRoot("INBOX")),
        (b'SETQUOTA "" (STORAGE 512)', SetQuota("", (("STORAGE", 512),))),
        (b"SETQUOTA root ()", SetQuota("root", ())),
    ],
)  # fmt: skip
def test_commands_on_mailboxes(text: bytes, command: Command) -> None:
    assert parsed(text) == command


@pytest.mark.parametrize(
    ("text", "command"),
    [
        (b'LIST "" "*"', List("", ("*",))),
        (b'LIST "" ""', List("", ("",))),
        (b"LIST ~/Mail/ %", List("~/Mail/", ("%",))),
        (b'LIST (SUBSCRIBED) "" "*"', List("", ("*",), frozenset((SUBSCRIBED,)), is_extended=True)),
        (b'LIST () "" ("INBOX" "Drafts" "Sent/%")', List("", ("INBOX", "Drafts", "Sent/%"), is_extended=True)),
        (b'LIST (SUBSCRIBED RECURSIVEMATCH) "" "*" RETURN (CHILDREN)',
         List("", ("*",), frozenset((SUBSCRIBED, RECURSIVE)), frozenset((ListReturn.CHILDREN,)), is_extended=True)),
        (b'LIST "" % RETURN (STATUS (MESSAGES UNSEEN) SPECIAL-USE)',
         List("", ("%",), returns=frozenset((ListReturn.SPECIAL_USE,)),
              status_items=(StatusItem.MESSAGES, StatusItem.UNSEEN), is_extended=True)),
        (b'LIST "" * RETURN ()', List("", ("*",), is_extended=True)),
    ],
)  # fmt: skip
def test_list(text: bytes, command: Command) -> None:
    assert parsed(text) == command


@pytest.mark.parametrize(
    "text",
    [
        b"SELECT", b'SELECT ""', b"SELECT INBOX ()", b"SELECT INBOX (OTHER)", b"SELECT INBOX (QRESYNC)",
        b"SELECT INBOX (QRESYNC (0 1))", b"SELECT INBOX (QRESYNC (1 0))", b"SELECT INBOX (QRESYNC (1 1 (1 2)",
        b"CREATE", b"CREATE x (USE)", b"CREATE x (OTHER (a))", b"RENAME a", b"STATUS INBOX", b"STATUS INBOX ()",
        b"STATUS INBOX (XYZ)", b"STATUS INBOX MESSAGES", b'LIST ""', b'LIST (XYZ) "" *', b'LIST "" * RETURN',
        b'LIST "" * RETURN (XYZ)', b'LIST "" * XYZ', b'LIST (RECURSIVEMATCH) "" *',
        b'LIST (RECURSIVEMATCH REMOTE) "" *',
        b'LIST "" ()', b'LIST "" (' + b" ".join([b"a"] * 51) + b")", b"LSUB x", b"SETQUOTA x (STORAGE)", b"GETQUOTA",
        b"DELETE &U,BTFw-&ZeVnLIqe-",
    ],
)  # fmt: skip
def test_what_is_refused(text: bytes) -> None:
    assert refused(text)
