"""Whatever a client sends, and in whatever pieces, the conversation goes the same way."""

from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.imap_oracles import check_conversation

LINES = [
    b"A1 NOOP", b"A2 CAPABILITY", b"A3 IDLE", b"DONE", b"A4 LOGOUT", b"*", b"A5 AUTHENTICATE PLAIN", b"AGEAYg==", b"",
    b"A6 SELECT INBOX", b"A7 UID FETCH 1:* (FLAGS BODY[])", b"A8 CLOSE", b"A9 ENABLE IMAP4rev2", b"B1 STARTTLS", b"\0",
    b"B2 LOGIN u p", b"B3 XYZZY {5}", b"B4 LOGIN {1+}", b"B5 APPEND INBOX {3}", b"B6 APPEND INBOX (\\Seen) {4+}",
    b" {2+}", b"B7 APPEND INBOX ~{3+}", b"B8 APPEND {5+}", b"INBOX {2}", b"B9 APPEND INBOX {99999}",
    b"C1 APPEND INBOX {6000+}",
    b"C2 NOOP {999999+}", b"C3 SEARCH {1500+}", b"x" * 300, b"C4 " + b"y" * 2100, b"C5 " + b"z" * 2100 + b" {3+}",
    b"ab", b"C6 COMPRESS DEFLATE",
]  # fmt: skip

lines = st.tuples(st.sampled_from(LINES), st.sampled_from([b"\r\n", b"\n", b"\r", b""])).map(b"".join)


@given(st.lists(lines | st.binary(max_size=20), max_size=12).map(b"".join))
@example(b"B5 APPEND INBOX {3+}\r\nabc {6000+}\r\n" + b"x" * 6000 + b"\r\nA1 NOOP\r\n")
@example(b"A3 IDLE\r\nC5 " + b"z" * 2100 + b" {3+}\r\nabc\r\nA1 NOOP\r\n")
def test_whole_and_octet_by_octet_come_to_the_same(data: bytes) -> None:
    check_conversation(data)
