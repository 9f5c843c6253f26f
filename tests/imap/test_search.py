from base64 import b64encode
from datetime import UTC, date, datetime, timedelta

import pytest

from chatmail.imap import search_keys as keys
from chatmail.imap.search import Candidate, SearchScope, SearchTest, cheap_part
from chatmail.imap.sequence_set import SavedResult, SequenceSet, UidSet
from chatmail.mail.changes import SEEN, Flag, MessageRecord, ModSeq, SeqNum, Uid
from tests.support.imap_message_oracles import texts_of

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
HEADER = (
    b"From: =?utf-8?q?J=C3=BCrgen?= <j@b.example>\r\nSubject: Greetings\r\n"
    b"Date: Sun, 22 Nov 2026 23:42:23 -0500\r\nX-Empty:\r\n\r\n"
)
MESSAGE = HEADER + b"A Needle here\r\n"
SCOPE = SearchScope(highest_seq_num=5, highest_uid=50, saved=[Uid(10), Uid(20)], now=NOW)


def candidate(uid: int = 30, seq_num: int = 3, message: bytes = MESSAGE) -> Candidate:
    flags = frozenset({SEEN, Flag("$Junk")})
    received = NOW - timedelta(hours=2)
    record = MessageRecord(Uid(uid), ModSeq(9), flags, 1000, received, NOW - timedelta(days=3), 1)
    header = message[: message.index(b"\r\n\r\n") + 4]
    return Candidate(SeqNum(seq_num), record, header, texts_of(message), "M1")


def found(key: keys.SearchKey, message: Candidate | None = None) -> bool:
    return SearchTest(key, SCOPE).matches(message or candidate())


SENT, INTERNAL, SAVED = keys.DateField.SENT, keys.DateField.INTERNAL, keys.DateField.SAVED
BEFORE, ON, SINCE = keys.DateRelation.BEFORE, keys.DateRelation.ON, keys.DateRelation.SINCE


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (keys.All(), True),
        (keys.Recent(), False),
        (keys.HasFlag(SEEN), True),
        (keys.HasFlag(Flag("$junk")), True),
        (keys.HasFlag(Flag("\\Flagged")), False),
        (keys.Not(keys.HasFlag(SEEN)), False),
        (keys.Or(keys.Recent(), keys.All()), True),
        (keys.And((keys.All(), keys.Recent())), False),
        (keys.InSet(SequenceSet(((2, 3),))), True),
        (keys.InSet(UidSet(((2, 3),))), False),
        (keys.InSet(UidSet(((30, 1 << 32),))), True),
        (keys.InSet(SavedResult()), False),
        (keys.Larger(999), True),
        (keys.Larger(1000), False),
        (keys.Smaller(1001), True),
        (keys.Older(7200), True),
        (keys.Older(7201), False),
        (keys.Younger(7201), True),
        (keys.Younger(7200), False),
        (keys.Older(10**12), False),
        (keys.ModSeqAtLeast(ModSeq(9)), True),
        (keys.ModSeqAtLeast(ModSeq(10)), False),
        (keys.EmailId("M1"), True),
        (keys.ThreadId("T1"), False),
        (keys.SaveDateSupported(), True),
        (keys.DateIs(INTERNAL, ON, date(2026, 11, 24)), True),
        (keys.DateIs(SAVED, BEFORE, date(2026, 11, 22)), True),
        (keys.DateIs(SENT, ON, date(2026, 11, 22)), True),
        (keys.DateIs(SENT, SINCE, date(2026, 11, 23)), False),
        (keys.HeaderContains(b"SUBJECT", "greet"), True),
        (keys.HeaderContains(b"from", "JÜRGEN"), True),
        (keys.HeaderContains(b"x-empty", ""), True),
        (keys.HeaderContains(b"missing", ""), False),
        (keys.BodyContains("needle"), True),
        (keys.BodyContains("greetings"), False),
        (keys.TextContains("greetings"), True),
    ],
)
def test_keys(key: keys.SearchKey, expected: bool) -> None:
    assert found(key) is expected


def test_a_message_without_a_readable_date_was_never_sent() -> None:
    for value in (b"", b"Date: nonsense\r\n", b"Date: 99 Foo 9999999 99:99\r\n"):
        message = candidate(message=value + b"\r\n\r\n" if not value else value + b"\r\n")
        assert not found(keys.DateIs(SENT, SINCE, date(1990, 1, 1)), message)


def test_all_fields_of_a_name_are_searched() -> None:
    message = candidate(message=b"Received: one\r\nReceived: two\r\n\r\n")
    assert found(keys.HeaderContains(b"received", "two"), message)


def test_decoded_text_parts_are_searched() -> None:
    encoded = b64encode("Grüße".encode("latin-1"))
    message = candidate(
        message=b"Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n"
        b"Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + encoded
        + b"\r\n--o\r\nContent-Type: application/octet-stream\r\n\r\nsecret\r\n--o--\r\n"
    )
    assert found(keys.BodyContains("GRÜSSE"), message)
    assert not found(keys.BodyContains("secret"), message)


def test_a_strange_charset_or_encoding_is_read_as_well_as_possible() -> None:
    message = candidate(message=b"Subject: =?x-none?b?!!?= \r\nContent-Type: text/plain; charset=x-none\r\n\r\nabc\r\n")
    assert found(keys.BodyContains("abc"), message)
    assert not found(keys.HeaderContains(b"subject", "abc"), message)


def test_what_must_be_read_is_known() -> None:
    cheap, costly = keys.HasFlag(SEEN), keys.BodyContains("x")
    assert not SearchTest(cheap, SCOPE).needs_header
    assert SearchTest(keys.Not(keys.HeaderContains(b"a", "b")), SCOPE).needs_header
    assert SearchTest(keys.Or(cheap, costly), SCOPE).needs_body
    assert SearchTest(keys.Not(keys.ModSeqAtLeast(ModSeq(1))), SCOPE).asks_modseq


def test_the_cheap_part_lets_through_at_least_what_the_whole_does() -> None:
    cheap, costly = keys.HasFlag(SEEN), keys.BodyContains("x")
    assert cheap_part(keys.And((cheap, costly))) == keys.And((cheap, keys.All()))
    assert cheap_part(keys.Not(costly)) == keys.All()
    assert cheap_part(keys.Or(cheap, costly)) == keys.All()
