from datetime import UTC, datetime, timedelta, timezone

import pytest

from chatmail.imap.encoding import date_time, flag_list, mailbox_name, nstring, quoted, string
from chatmail.mail.changes import DELETED, SEEN, Flag


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"", b'""'),
        (b"plain text", b'"plain text"'),
        (b'say "no\\"', b'"say \\"no\\\\\\""'),
        (b"two\r\nlines", b"{10}\r\ntwo\r\nlines"),
        (b"\xc3\xbc", b"{2}\r\n\xc3\xbc"),
        (b"a\0b", b"{2}\r\nab"),
        (b"tab\there", b"{8}\r\ntab\there"),
        (b"x" * 1001, b"{1001}\r\n" + b"x" * 1001),
    ],
)
def test_strings_are_quoted_where_every_octet_may_stand_between_quotes(value: bytes, expected: bytes) -> None:
    assert string(value) == expected


def test_nil_is_no_string() -> None:
    assert (nstring(None), nstring(b"NIL"), quoted(b"NIL")) == (b"NIL", b'"NIL"', b'"NIL"')


def test_mailbox_names_go_out_in_the_spelling_the_client_reads() -> None:
    assert mailbox_name("Entwürfe") == b'"Entw&APw-rfe"'
    assert mailbox_name("Entwürfe", utf8_names=True) == '"Entwürfe"'.encode()
    assert mailbox_name("R&D") == b'"R&-D"'
    assert mailbox_name("R&D", utf8_names=True) == b'"R&D"'
    assert mailbox_name('a"b') == b'"a\\"b"'


def test_flags_are_in_a_stable_order() -> None:
    assert flag_list(frozenset((SEEN, DELETED, Flag("$Junk")))) == b"($Junk \\Deleted \\Seen)"
    assert flag_list(()) == b"()"


def test_dates_have_a_fixed_width_and_a_zone() -> None:
    assert date_time(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)) == b'" 2-Jan-2026 03:04:05 +0000"'
    west = timezone(-timedelta(hours=3, minutes=30))
    assert date_time(datetime(1996, 12, 17, 2, 44, 25, tzinfo=west)) == b'"17-Dec-1996 02:44:25 -0330"'
