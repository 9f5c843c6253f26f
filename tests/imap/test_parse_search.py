from datetime import date

import pytest

from chatmail.imap import search_keys as keys
from chatmail.imap.commands import Search
from chatmail.imap.parse_search import MAX_DEPTH, MAX_KEYS
from chatmail.imap.search_keys import And, DateField, DateIs, DateRelation, HasFlag, InSet, Not, Or, SearchReturn
from chatmail.imap.sequence_set import STAR, SavedResult, SequenceSet, UidSet
from chatmail.mail.changes import DELETED, FLAGGED, SEEN, Flag, ModSeq
from tests.support.imap_text import parsed, refused


def key(text: bytes) -> keys.SearchKey:
    command = parsed(b"SEARCH " + text)
    assert isinstance(command, Search)
    return command.key


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"ALL", keys.All()),
        (b"seen", HasFlag(SEEN)),
        (b"UNSEEN", Not(HasFlag(SEEN))),
        (b"NEW", And((keys.Recent(), Not(HasFlag(SEEN))))),
        (b"KEYWORD $Junk", HasFlag(Flag("$Junk"))),
        (b"UNKEYWORD $Junk", Not(HasFlag(Flag("$Junk")))),
        (b"1:5,9:*", InSet(SequenceSet(((1, 5), (9, STAR))))),
        (b"UID 7", InSet(UidSet(((7, 7),)))),
        (b"$", InSet(SavedResult())),
        (b"UID $", InSet(SavedResult())),
        (b"* SEEN", And((InSet(SequenceSet(((STAR, STAR),))), HasFlag(SEEN)))),
        (b"FROM alice", keys.HeaderContains(b"FROM", "alice")),
        (b'SUBJECT "two words"', keys.HeaderContains(b"SUBJECT", "two words")),
        (b'HEADER Message-ID ""', keys.HeaderContains(b"Message-ID", "")),
        (b"BODY {3}\r\nabc", keys.BodyContains("abc")),
        ("TEXT schön".encode(), keys.TextContains("schön")),
        (b"SINCE 1-Feb-1994", DateIs(DateField.INTERNAL, DateRelation.SINCE, date(1994, 2, 1))),
        (b'SENTON "1-Feb-1994"', DateIs(DateField.SENT, DateRelation.ON, date(1994, 2, 1))),
        (b"SAVEDBEFORE 1-Feb-1994", DateIs(DateField.SAVED, DateRelation.BEFORE, date(1994, 2, 1))),
        (b"SAVEDATESUPPORTED", keys.SaveDateSupported()),
        (b"LARGER 5", keys.Larger(5)),
        (b"SMALLER 5000000000", keys.Smaller(5000000000)),
        (b"OLDER 60", keys.Older(60)),
        (b"YOUNGER 60", keys.Younger(60)),
        (b"MODSEQ 620162338", keys.ModSeqAtLeast(ModSeq(620162338))),
        (rb'MODSEQ "/flags/\\draft" all 620162338', keys.ModSeqAtLeast(ModSeq(620162338))),
        (b"EMAILID M1", keys.EmailId("M1")),
        (b"THREADID T1", keys.ThreadId("T1")),
        (b"NOT SEEN", Not(HasFlag(SEEN))),
        (b"OR SEEN (FLAGGED DELETED)", Or(HasFlag(SEEN), And((HasFlag(FLAGGED), HasFlag(DELETED))))),
        (b"(SEEN)", HasFlag(SEEN)),
        (b"NOT (OR SEEN FLAGGED)", Not(Or(HasFlag(SEEN), HasFlag(FLAGGED)))),
    ],
)
def test_keys(text: bytes, expected: keys.SearchKey) -> None:
    assert key(text) == expected


def test_options_charset_and_uid() -> None:
    assert parsed(b"SEARCH UNSEEN") == Search(Not(HasFlag(SEEN)))
    assert parsed(b"UID SEARCH RETURN (MIN COUNT) CHARSET utf-8 SEEN") == Search(
        HasFlag(SEEN), by_uid=True, returns=frozenset((SearchReturn.MIN, SearchReturn.COUNT)), charset="UTF-8"
    )
    assert parsed(b"SEARCH RETURN () ALL") == Search(keys.All(), returns=frozenset((SearchReturn.ALL,)))
    assert parsed(b'SEARCH CHARSET "KOI8-R" ALL') == Search(keys.All(), charset="KOI8-R")


def test_text_in_another_charset_is_kept_for_whoever_refuses_it() -> None:
    assert key(b'CHARSET KOI8-R BODY "\xf0"') == keys.BodyContains("\udcf0")


@pytest.mark.parametrize(
    "text",
    [
        b"", b"XYZ", b"()", b"(", b"NOT", b"OR SEEN", b"OR SEEN ", b"FROM", b"SINCE 31-Feb-2020", b"LARGER -1",
        b"OLDER 0",
        b"SEEN  FLAGGED", b"RETURN (XYZ) ALL", b"RETURN (ALL)", b"CHARSET UTF-8", b"MODSEQ", b"UID", b"0", b"1:",
        b"SEEN)",
        b'MODSEQ "/flags/x" mine 3', b"HEADER Subject",
    ],
)  # fmt: skip
def test_what_cannot_be_searched(text: bytes) -> None:
    assert refused(b"SEARCH " + text)


def test_depth_and_number_of_keys_are_limited() -> None:
    assert key(b"NOT " * MAX_DEPTH + b"SEEN")
    assert refused(b"SEARCH " + b"NOT " * (MAX_DEPTH + 1) + b"SEEN")
    assert refused(b"SEARCH " + b"(" * 5000 + b"SEEN" + b")" * 5000)
    assert refused(b"SEARCH " + b"OR " * 5000 + b"SEEN")
    assert refused(b"SEARCH" + b" SEEN" * (MAX_KEYS + 1))
