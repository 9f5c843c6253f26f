import pytest

from chatmail.imap import response_codes as codes
from chatmail.imap.commands import StatusItem
from chatmail.imap.responses import (
    CapabilityList,
    Continuation,
    EnabledList,
    EsearchResult,
    Exists,
    Expunged,
    FlagsDefined,
    IdFields,
    ListEntry,
    MetadataChanged,
    MetadataValues,
    Namespaces,
    QuotaRoots,
    QuotaUsage,
    RecentCount,
    Response,
    SearchNumbers,
    StatusEntry,
    Vanished,
    bad,
    bye,
    no,
    ok,
)
from chatmail.imap.sequence_set import SequenceSet, UidSet
from chatmail.mail.changes import DELETED, SEEN, ModSeq, SeqNum

UIDS = UidSet(((304, 304), (319, 320)))


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (ok(None, "ready"), b"* OK ready\r\n"),
        (ok("A1", "Logged in", codes.capability(("IMAP4rev1", "IDLE"))),
         b"A1 OK [CAPABILITY IMAP4rev1 IDLE] Logged in\r\n"),
        (no("A1", "No such mailbox", codes.TRYCREATE), b"A1 NO [TRYCREATE] No such mailbox\r\n"),
        (bad(None, "what?"), b"* BAD what?\r\n"),
        (bye("Goodbye"), b"* BYE Goodbye\r\n"),
        (ok("A1", "two\r\nlines, öne"), b"A1 OK two lines, ?ne\r\n"),
        (ok("A1", ""), b"A1 OK .\r\n"),
        (Continuation("idling"), b"+ idling\r\n"),
        (Continuation.challenge(), b"+ \r\n"),
        (Continuation.challenge(b"User Name"), b"+ VXNlciBOYW1l\r\n"),
        (CapabilityList(("IMAP4rev1", "ID")), b"* CAPABILITY IMAP4rev1 ID\r\n"),
        (EnabledList(("CONDSTORE",)), b"* ENABLED CONDSTORE\r\n"),
        (EnabledList(()), b"* ENABLED\r\n"),
        (IdFields(()), b"* ID NIL\r\n"),
        (IdFields((("name", "chatmail"),)), b'* ID ("name" "chatmail")\r\n'),
        (Namespaces((("", "/"),)), b'* NAMESPACE (("" "/")) NIL NIL\r\n'),
        (QuotaUsage("name", (("STORAGE", 10, 512), ("MESSAGE", 2, 9))),
         b'* QUOTA "name" (STORAGE 10 512 MESSAGE 2 9)\r\n'),
        (QuotaRoots("INBOX", ("name",)), b'* QUOTAROOT "INBOX" "name"\r\n'),
        (MetadataValues("INBOX", (("/private/devicetoken", b"1111"),)),
         b'* METADATA "INBOX" (/private/devicetoken {4}\r\n1111)\r\n'),
        (MetadataValues("", (("/shared/comment", None), ("/shared/admin", b"a\0"))),
         b'* METADATA "" (/shared/comment NIL /shared/admin ~{2}\r\na\0)\r\n'),
        (MetadataChanged("INBOX", ("/private/a", "/private/b")), b'* METADATA "INBOX" /private/a /private/b\r\n'),
        (ListEntry("INBOX", ("\\HasNoChildren",)), b'* LIST (\\HasNoChildren) "/" "INBOX"\r\n'),
        (ListEntry("", ("\\Noselect",)), b'* LIST (\\Noselect) "/" ""\r\n'),
        (ListEntry("Entwürfe", delimiter=None, is_lsub=True), b'* LSUB () NIL "Entw&APw-rfe"\r\n'),
        (ListEntry("Foo", child_info=("SUBSCRIBED",)), b'* LIST () "/" "Foo" ("CHILDINFO" ("SUBSCRIBED"))\r\n'),
        (ListEntry("New", old_name="Old"), b'* LIST () "/" "New" ("OLDNAME" ("Old"))\r\n'),
        (StatusEntry("INBOX", ((StatusItem.MESSAGES, 3), (StatusItem.MAILBOXID, "F1"), (StatusItem.APPENDLIMIT, None))),
         b'* STATUS "INBOX" (MESSAGES 3 MAILBOXID (F1) APPENDLIMIT NIL)\r\n'),
        (FlagsDefined((SEEN, DELETED)), b"* FLAGS (\\Deleted \\Seen)\r\n"),
        (Exists(18), b"* 18 EXISTS\r\n"),
        (RecentCount(0), b"* 0 RECENT\r\n"),
        (SearchNumbers((2, 84, 882)), b"* SEARCH 2 84 882\r\n"),
        (SearchNumbers(()), b"* SEARCH\r\n"),
        (SearchNumbers((2, 5), ModSeq(917162500)), b"* SEARCH 2 5 (MODSEQ 917162500)\r\n"),
        (EsearchResult("A282", by_uid=False, minimum=2, count=3), b'* ESEARCH (TAG "A282") MIN 2 COUNT 3\r\n'),
        (EsearchResult("A283", by_uid=True, maximum=9, all_ranges=((2, 2), (10, 11)), modseq=ModSeq(7)),
         b'* ESEARCH (TAG "A283") UID MAX 9 ALL 2,10:11 MODSEQ 7\r\n'),
        (EsearchResult("A284", by_uid=False, all_ranges=()), b'* ESEARCH (TAG "A284")\r\n'),
        (Expunged(SeqNum(3)), b"* 3 EXPUNGE\r\n"),
        (Vanished(UIDS), b"* VANISHED 304,319:320\r\n"),
        (Vanished(UIDS, earlier=True), b"* VANISHED (EARLIER) 304,319:320\r\n"),
    ],
)  # fmt: skip
def test_the_wire_form(response: Response, expected: bytes) -> None:
    assert response.encode() == expected


def test_names_are_utf8_once_enabled() -> None:
    entry = ListEntry("Entwürfe")
    assert entry.encode(utf8_names=True) == '* LIST () "/" "Entwürfe"\r\n'.encode()


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (codes.READ_WRITE, b"[READ-WRITE]"),
        (codes.BAD_CHARSET, b"[BADCHARSET (US-ASCII UTF-8)]"),
        (codes.uid_validity(3857529045), b"[UIDVALIDITY 3857529045]"),
        (codes.uid_next(4392), b"[UIDNEXT 4392]"),
        (codes.unseen(12), b"[UNSEEN 12]"),
        (codes.highest_modseq(715194045007), b"[HIGHESTMODSEQ 715194045007]"),
        (codes.permanent_flags((SEEN,), new_keywords=True), b"[PERMANENTFLAGS (\\Seen \\*)]"),
        (codes.permanent_flags((), new_keywords=True), b"[PERMANENTFLAGS (\\*)]"),
        (codes.permanent_flags((), new_keywords=False), b"[PERMANENTFLAGS ()]"),
        (codes.append_uid(38505, UidSet(((3955, 3955),))), b"[APPENDUID 38505 3955]"),
        (codes.copy_uid(38505, UIDS, UidSet(((3956, 3958),))), b"[COPYUID 38505 304,319:320 3956:3958]"),
        (codes.modified(SequenceSet(((7, 7), (9, 9)))), b"[MODIFIED 7,9]"),
        (codes.mailbox_id("F2212ea87"), b"[MAILBOXID (F2212ea87)]"),
        (codes.metadata_max_size(4096), b"[METADATA MAXSIZE 4096]"),
        (codes.metadata_long_entries(2199), b"[METADATA LONGENTRIES 2199]"),
    ],
)
def test_response_codes(code: codes.ResponseCode, expected: bytes) -> None:
    assert code.encode() == expected
