import pytest

from chatmail.imap.commands import Fetch
from chatmail.imap.fetch_items import BinarySection, BinarySize, BodySection, FetchAttribute, FetchItem, Partial
from chatmail.imap.parse_fetch import MAX_ITEMS
from chatmail.imap.sequence_set import SequenceSet, UidSet
from chatmail.mail.changes import ModSeq
from tests.support.imap_text import parsed, refused

FLAGS, UID, SIZE = FetchAttribute.FLAGS, FetchAttribute.UID, FetchAttribute.RFC822_SIZE
DATE, ENVELOPE = FetchAttribute.INTERNALDATE, FetchAttribute.ENVELOPE


def items(text: bytes) -> tuple[FetchItem, ...]:
    command = parsed(b"FETCH 1 " + text)
    assert isinstance(command, Fetch)
    return command.items


def test_the_prefetch_of_the_client() -> None:
    command = parsed(
        b"UID FETCH 1:500 (UID RFC822.SIZE BODY.PEEK[HEADER.FIELDS (MESSAGE-ID DATE X-MICROSOFT-ORIGINAL-MESSAGE-ID"
        b" FROM CONTENT-TYPE SECURE-JOIN CHAT-VERSION CHAT-IS-POST-MESSAGE AUTOCRYPT-SETUP-MESSAGE)])"
    )
    assert isinstance(command, Fetch)
    assert command.messages == UidSet(((1, 500),))
    uid, size, section = command.items
    assert (uid, size) == (UID, SIZE)
    assert isinstance(section, BodySection)
    assert section.peek and section.text == "HEADER.FIELDS" and len(section.fields) == 9
    assert section.response_name == (
        b"BODY[HEADER.FIELDS (MESSAGE-ID DATE X-MICROSOFT-ORIGINAL-MESSAGE-ID FROM CONTENT-TYPE SECURE-JOIN"
        b" CHAT-VERSION CHAT-IS-POST-MESSAGE AUTOCRYPT-SETUP-MESSAGE)]"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"ALL", (FLAGS, DATE, SIZE, ENVELOPE)),
        (b"fast", (FLAGS, DATE, SIZE)),
        (b"FULL", (FLAGS, DATE, SIZE, ENVELOPE, FetchAttribute.BODY)),
        (b"FLAGS", (FLAGS,)),
        (b"(flags uid)", (FLAGS, UID)),
        (b"(BODY BODYSTRUCTURE)", (FetchAttribute.BODY, FetchAttribute.BODYSTRUCTURE)),
        (b"(RFC822 RFC822.HEADER RFC822.TEXT)",
         (FetchAttribute.RFC822, FetchAttribute.RFC822_HEADER, FetchAttribute.RFC822_TEXT)),
        (b"(MODSEQ EMAILID THREADID SAVEDATE)",
         (FetchAttribute.MODSEQ, FetchAttribute.EMAILID, FetchAttribute.THREADID, FetchAttribute.SAVEDATE)),
        (b"BODY[]", (BodySection(),)),
        (b"BODY.PEEK[]<0.1024>", (BodySection(partial=Partial(0, 1024), peek=True),)),
        (b"body[header]", (BodySection(text="HEADER"),)),
        (b"BODY[1.2.MIME]", (BodySection((1, 2), "MIME"),)),
        (b"BODY[4.2.HEADER]", (BodySection((4, 2), "HEADER"),)),
        (b"BODY[3]", (BodySection((3,)),)),
        (b"BODY[3.HEADER.FIELDS.NOT (To)]<5.6>",
         (BodySection((3,), "HEADER.FIELDS.NOT", (b"To",), Partial(5, 6)),)),
        (b'BODY[HEADER.FIELDS ("To" {2}\r\nCc)]', (BodySection((), "HEADER.FIELDS", (b"To", b"Cc")),)),
        (b"(BINARY[1] BINARY.PEEK[2]<0.5> BINARY.SIZE[3])",
         (BinarySection((1,)), BinarySection((2,), Partial(0, 5), peek=True), BinarySize((3,)))),
    ],
)  # fmt: skip
def test_items(text: bytes, expected: tuple[FetchItem, ...]) -> None:
    assert items(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        b"", b"()", b"(ALL)", b"XYZ", b"BODY[", b"BODY[1.]", b"BODY[.1]", b"BODY[MIME]", b"BODY[0]", b"BODY[HEADERS]",
        b"BODY[HEADER.FIELDS]", b"BODY[HEADER.FIELDS ()]", b"BODY[TEXT.1]", b"BODY[]<0>", b"BODY[]<0.0>",
        b"BODY[]<-1.2>",
        b"BODY[1 ]", b"BINARY[TEXT]", b"BINARY", b"FLAGS[]", b"(FLAGS", b"FLAGS)", b"(FLAGS  UID)", b"ENVELOPE UID",
        b"BODY[" + b".".join([b"1"] * 61) + b"]", b"(" + b" ".join([b"UID"] * (MAX_ITEMS + 1)) + b")", b"RFC822.SIZES",
        b"BODY[HEADER.FIELDS.NOTHING (A)]", b"BODY[9999999999]",
    ],
)  # fmt: skip
def test_what_cannot_be_fetched(text: bytes) -> None:
    assert refused(b"FETCH 1 " + text)


def test_modifiers_of_condstore_and_qresync() -> None:
    uids = UidSet(((1, 9),))
    assert parsed(b"UID FETCH 1:9 (FLAGS) (CHANGEDSINCE 12345 VANISHED)") == Fetch(
        uids, (FLAGS,), by_uid=True, changed_since=ModSeq(12345), vanished=True
    )
    assert parsed(b"FETCH 1 FLAGS (CHANGEDSINCE 1)") == Fetch(SequenceSet(((1, 1),)), (FLAGS,), changed_since=ModSeq(1))
    for text in (
        b"(CHANGEDSINCE 0)",
        b"(VANISHED)",
        b"(CHANGEDSINCE 5 VANISHED)",
        b"(OTHER)",
        b"()",
        b"CHANGEDSINCE 1",
    ):
        assert refused(b"FETCH 1 FLAGS " + text)


def test_the_answer_names_the_section_as_it_was_asked() -> None:
    names = [item.response_name for item in items(b"(BODY[1.MIME] BODY[]<7.9> BINARY[2] BINARY.SIZE[2] BODY[])")
             if not isinstance(item, FetchAttribute)]  # fmt: skip
    assert names == [b"BODY[1.MIME]", b"BODY[]<7>", b"BINARY[2]", b"BINARY.SIZE[2]", b"BODY[]"]


def test_field_names_that_are_no_atoms_are_quoted_in_the_answer() -> None:
    (section,) = items(b'BODY[HEADER.FIELDS (a "b c" "d]")]')
    assert isinstance(section, BodySection)
    assert section.response_name == b'BODY[HEADER.FIELDS (a "b c" "d]")]'
