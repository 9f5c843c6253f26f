from datetime import datetime, timedelta, timezone

import pytest

from chatmail.imap.commands import AppendMessage
from chatmail.imap.fragments import LiteralSize
from chatmail.imap.parse_append import parse_append, parse_append_more
from chatmail.imap.syntax import ImapSyntaxError
from chatmail.mail.changes import NO_FLAGS, SEEN

LITERAL = LiteralSize(310, is_synchronising=True, is_binary=False)
MOMENT = datetime(1994, 2, 7, 21, 52, 25, tzinfo=timezone(-timedelta(hours=8)))


@pytest.mark.parametrize(
    ("text", "mailbox", "message"),
    [
        (b"saved-messages (\\Seen) ", "saved-messages", AppendMessage(frozenset((SEEN,)), None, 310)),
        (b"inbox ", "INBOX", AppendMessage(NO_FLAGS, None, 310)),
        (b'INBOX " 7-Feb-1994 21:52:25 -0800" ', "INBOX", AppendMessage(NO_FLAGS, MOMENT, 310)),
        (b'{5}\r\nTrash () " 7-Feb-1994 21:52:25 -0800" ', "Trash", AppendMessage(NO_FLAGS, MOMENT, 310)),
    ],
)
def test_what_stands_before_the_first_message(text: bytes, mailbox: str, message: AppendMessage) -> None:
    assert parse_append(text, LITERAL, utf8_names=False) == (mailbox, message)


def test_what_stands_before_the_next_message() -> None:
    binary = LiteralSize(7, is_synchronising=False, is_binary=True)
    assert parse_append_more(b" (\\Seen) ", binary) == AppendMessage(frozenset((SEEN,)), None, 7, is_binary=True)
    assert parse_append_more(b" ", LITERAL) == AppendMessage(NO_FLAGS, None, 310)


@pytest.mark.parametrize(
    "text", [b"", b"INBOX", b"INBOX  ", b"INBOX (", b"INBOX \\Seen ", b'INBOX "x" ', b"INBOX UTF8 ("]
)
def test_what_is_refused(text: bytes) -> None:
    with pytest.raises(ImapSyntaxError):
        parse_append(text, LITERAL, utf8_names=False)


@pytest.mark.parametrize("text", [b"", b"(\\Seen) ", b" INBOX ", b"  "])
def test_what_is_refused_between_messages(text: bytes) -> None:
    with pytest.raises(ImapSyntaxError):
        parse_append_more(text, LITERAL)
