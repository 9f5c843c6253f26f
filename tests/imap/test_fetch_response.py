from chatmail.imap.fetch_response import (
    END_FETCH,
    FetchedMessage,
    begin_fetch_literal,
    fetch_flags,
    fetch_literal,
    fetch_modseq,
    fetch_nil,
)
from chatmail.mail.changes import SEEN, ModSeq, SeqNum

ONE = SeqNum(1)


def test_items_stand_in_their_order() -> None:
    items = [b"UID 7", fetch_flags((SEEN,)), fetch_modseq(ModSeq(12)), fetch_nil(b"SAVEDATE")]
    assert FetchedMessage(ONE, items).encode() == (b"* 1 FETCH (UID 7 FLAGS (\\Seen) MODSEQ (12) SAVEDATE NIL)\r\n")


def test_octets_of_messages_are_literals() -> None:
    assert fetch_literal(b"BODY[TEXT]", b"hi\r\n") == b"BODY[TEXT] {4}\r\nhi\r\n"
    assert fetch_literal(b"BODY[TEXT]", b"") == b"BODY[TEXT] {0}\r\n"


def test_decoded_octets_with_nul_are_binary_literals() -> None:
    assert fetch_literal(b"BINARY[1]", b"a\0") == b"BINARY[1] ~{2}\r\na\0"
    assert fetch_literal(b"BINARY[1]", b"ab") == b"BINARY[1] {2}\r\nab"


def test_a_streamed_literal_gives_the_same_bytes_as_a_whole_one() -> None:
    whole = FetchedMessage(ONE, [b"UID 7", fetch_literal(b"BODY[]", b"octets")]).encode()
    assert begin_fetch_literal(ONE, [b"UID 7"], b"BODY[]", 6) + b"octets" + END_FETCH == whole
    assert begin_fetch_literal(ONE, [], b"BODY[]", 0) + END_FETCH == b"* 1 FETCH (BODY[] {0}\r\n)\r\n"
