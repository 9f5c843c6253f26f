from datetime import UTC, datetime

import pytest

from chatmail.imap.fetch import BodyRange, FetchedRecord, FetchPlan, UnknownEncodingError
from chatmail.imap.fetch_items import BinarySection, BinarySize, BodySection, FetchAttribute, FetchItem, Partial
from chatmail.imap.part_tree import scan_parts
from chatmail.mail.changes import SEEN, MessageRecord, ModSeq, Uid

HEADER = b"From: <a@b.example>\r\nSubject: one\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n"
MESSAGE = (
    HEADER
    + b"--o\r\nContent-Transfer-Encoding: base64\r\n\r\naGVs\r\nbG8=\r\n"
    + b"--o\r\nContent-Transfer-Encoding: x-strange\r\n\r\n?\r\n"
    + b"--o\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\nDate: today\r\n\r\nbody\r\n--o--\r\n"
)
MOMENT = datetime(2026, 11, 3, 4, 5, 6, tzinfo=UTC)
RECORD = MessageRecord(Uid(7), ModSeq(42), frozenset({SEEN}), len(MESSAGE), MOMENT, MOMENT, 1)


def fetched(*items: FetchItem) -> list[bytes]:
    """The items as they go out, ranges read from the message."""
    message = FetchedRecord(RECORD, HEADER, scan_parts(MESSAGE), "M1")
    values = []
    for item in FetchPlan(items).items(message):
        if isinstance(item, BodyRange):
            octets = MESSAGE[item.start : item.end]
            values.append(item.name + b" " + (item.convert(octets) if item.convert else octets))
        else:
            values.append(item)
    return values


def test_items_come_in_the_order_asked_for_and_once() -> None:
    assert fetched(FetchAttribute.FLAGS, FetchAttribute.UID, FetchAttribute.FLAGS) == [b"FLAGS (\\Seen)", b"UID 7"]


def test_attributes_of_the_record() -> None:
    assert fetched(
        FetchAttribute.RFC822_SIZE,
        FetchAttribute.INTERNALDATE,
        FetchAttribute.SAVEDATE,
        FetchAttribute.MODSEQ,
        FetchAttribute.EMAILID,
        FetchAttribute.THREADID,
    ) == [
        b"RFC822.SIZE %d" % len(MESSAGE),
        b'INTERNALDATE " 3-Nov-2026 04:05:06 +0000"',
        b'SAVEDATE " 3-Nov-2026 04:05:06 +0000"',
        b"MODSEQ (42)",
        b"EMAILID (M1)",
        b"THREADID NIL",
    ]


def test_header_fields_are_echoed_by_the_name_that_was_asked_for() -> None:
    section = BodySection(text="HEADER.FIELDS", fields=(b"SUBJECT", b"Date"), peek=True)
    assert fetched(section) == [b"BODY[HEADER.FIELDS (SUBJECT Date)] {16}\r\nSubject: one\r\n\r\n"]


def test_partials_are_cut_inside_what_is_there() -> None:
    assert fetched(BodySection(partial=Partial(2, 4))) == [b"BODY[]<2> " + MESSAGE[2:6]]
    assert fetched(BodySection(partial=Partial(10**6, 4))) == [b"BODY[]<1000000> "]
    assert fetched(BodySection(text="HEADER", partial=Partial(0, 4))) == [b"BODY[HEADER]<0> {4}\r\nFrom"]
    nested = BodySection(path=(3,), text="HEADER.FIELDS", fields=(b"Date",), partial=Partial(0, 4))
    assert fetched(nested) == [b"BODY[3.HEADER.FIELDS (Date)]<0> Date"]


def test_old_names_mean_sections() -> None:
    assert fetched(FetchAttribute.RFC822_HEADER)[0].endswith(b"\r\n" + HEADER)
    assert fetched(FetchAttribute.RFC822, FetchAttribute.RFC822_TEXT) == [
        b"RFC822 " + MESSAGE,
        b"RFC822.TEXT " + MESSAGE[len(HEADER) :],
    ]


def test_sections_of_a_nested_message() -> None:
    assert fetched(
        BodySection(path=(3,), text="HEADER.FIELDS.NOT", fields=(b"date",)), BodySection(path=(3, 1)), BodySection((9,))
    ) == [
        b"BODY[3.HEADER.FIELDS.NOT (date)] Subject: inner\r\n\r\n",
        b"BODY[3.1] body",
        b"BODY[9] NIL",
    ]


def test_binary_decodes_a_part() -> None:
    assert fetched(BinarySection(path=(1,)), BinarySection(path=(1,), partial=Partial(1, 2))) == [
        b"BINARY[1] hello",
        b"BINARY[1]<1> el",
    ]
    size = FetchPlan([BinarySize(path=(1,))]).items(FetchedRecord(RECORD, HEADER, scan_parts(MESSAGE)))[0]
    assert isinstance(size, BodyRange)
    assert size.is_size_only


def test_an_unknown_encoding_is_refused() -> None:
    with pytest.raises(UnknownEncodingError):
        fetched(BinarySection(path=(2,)))


@pytest.mark.parametrize(
    ("item", "header", "parts", "body", "seen"),
    [
        (FetchAttribute.FLAGS, False, False, False, False),
        (FetchAttribute.ENVELOPE, True, False, False, False),
        (FetchAttribute.BODYSTRUCTURE, False, True, True, False),
        (FetchAttribute.RFC822, False, False, True, True),
        (FetchAttribute.RFC822_HEADER, True, False, False, False),
        (BodySection(text="HEADER.FIELDS", fields=(b"a",), peek=True), True, False, False, False),
        (BodySection(peek=True), False, False, True, False),
        (BodySection(), False, False, True, True),
        (BodySection(text="TEXT", peek=True), True, False, True, False),
        (BodySection(path=(1,), text="MIME", peek=True), False, True, True, False),
        (BinarySection(path=(1,)), False, True, True, True),
    ],
)
def test_a_plan_knows_what_must_be_read(item: FetchItem, header: bool, parts: bool, body: bool, seen: bool) -> None:
    plan = FetchPlan([item])
    assert (plan.needs_header, plan.needs_parts, plan.needs_body, plan.sets_seen) == (header, parts, body, seen)
