import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone

import pytest

import chatmail.imap
from chatmail.imap.grammar import Cursor
from chatmail.imap.sequence_set import SavedResult, UidSet
from chatmail.imap.syntax import ImapSyntaxError
from chatmail.mail.changes import SEEN, Flag


def read(text: bytes, rule: Callable[[Cursor], object], *, utf8_names: bool = False) -> object:
    cursor = Cursor(text, utf8_names=utf8_names)
    value = rule(cursor)
    cursor.end()
    return value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"atom", b"atom"),
        (b"with]bracket", b"with]bracket"),
        (b"\xc3\xbc", b"\xc3\xbc"),
        (b'""', b""),
        (b'"a b"', b"a b"),
        (rb'"\"\\"', b'"\\'),
        ('"pässwörd"'.encode(), "pässwörd".encode()),
        (b"{3}\r\na\r\n", b"a\r\n"),
        (b"{3+}\nabc", b"abc"),
        (b"{0}\r\n", b""),
    ],
)
def test_an_astring_is_an_atom_a_quoted_string_or_a_literal(text: bytes, expected: bytes) -> None:
    assert read(text, Cursor.astring) == expected


@pytest.mark.parametrize(
    "text",
    [b"", b'"open', b'"a\\x"', b'"a\nb"', b'"a\0b"', b"a b", b"(", b"a*", b"{3}\r\nab", b"{1}\r\n\0", b"{-1}\r\n"],
)
def test_what_is_no_astring_is_refused(text: bytes) -> None:
    with pytest.raises(ImapSyntaxError):
        read(text, Cursor.astring)


def test_nil_is_only_nil_where_it_stands_alone() -> None:
    assert read(b"NIL", Cursor.nstring) is None
    assert read(b"nil", Cursor.nstring) is None
    assert read(b'"NIL"', Cursor.nstring) == b"NIL"
    with pytest.raises(ImapSyntaxError):
        read(b"NILS", Cursor.nstring)


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        (Cursor.number, b"4294967295", b"4294967296"),
        (Cursor.nz_number, b"1", b"0"),
        (Cursor.number64, b"9223372036854775807", b"9223372036854775808"),
        (Cursor.modseq, b"0", b"-1"),
        (Cursor.nz_modseq, b"1", b"0"),
        (Cursor.number, b"007", b"9" * 400),
    ],
)
def test_numbers_are_bounded(rule: Callable[[Cursor], int], good: bytes, bad: bytes) -> None:
    assert read(good, rule) == int(good)
    with pytest.raises(ImapSyntaxError):
        read(bad, rule)


def test_lists_are_limited_and_may_have_a_blank_at_their_end() -> None:
    def numbers(cursor: Cursor) -> list[int]:
        return cursor.items(cursor.number, limit=3)

    assert read(b"(1 2 3)", numbers) == [1, 2, 3]
    assert read(b"(1 )", numbers) == [1]
    for text in (b"()", b"(1 2 3 4)", b"(1", b"(1  2)", b"( 1)", b"1"):
        with pytest.raises(ImapSyntaxError):
            read(text, numbers)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (b"inbox", "INBOX"),
        (b'"InBox"', "INBOX"),
        (b"{5}\r\nINBOX", "INBOX"),
        (b"inbox/sub", "INBOX/sub"),
        (b"Entw&APw-rfe", "Entwürfe"),
        ("Entwürfe".encode(), "Entwürfe"),
        ('"Entwürfe & mehr"'.encode(), "Entwürfe & mehr"),
        (b"R&-D", "R&D"),
    ],
)
def test_mailbox_names_are_decoded(text: bytes, name: str) -> None:
    assert read(text, Cursor.mailbox) == name


def test_after_enabling_imap4rev2_names_are_utf8() -> None:
    assert read(b'"R&D"', Cursor.mailbox, utf8_names=True) == "R&D"
    assert read(b"Entw&APw-rfe", Cursor.mailbox, utf8_names=True) == "Entw&APw-rfe"


@pytest.mark.parametrize(
    "text", [b'""', b"x" * 1001, b"R&D", b"\xff", b'"a\x01b"', b"{3}\r\na\nb", "a\u2028b".encode(), b"&AAo-"]
)
def test_strange_mailbox_names_are_refused(text: bytes) -> None:
    with pytest.raises(ImapSyntaxError):
        read(text, Cursor.mailbox)


def test_patterns_may_hold_wildcards_without_quotes() -> None:
    assert read(b"Archive/%", Cursor.list_mailbox) == "Archive/%"
    assert read(b'"*"', Cursor.list_mailbox) == "*"
    assert read(b'""', Cursor.list_mailbox) == ""


def test_system_flags_are_known_in_any_case_and_recent_is_passed_over() -> None:
    def flags(cursor: Cursor) -> frozenset[Flag]:
        return cursor.flag_list(limit=5)

    assert read(rb"(\seen \Recent $Junk \Odd)", flags) == {SEEN, Flag("$Junk"), Flag("\\Odd")}
    assert read(b"()", flags) == frozenset()
    for text in (b"(\\)", b"(a b c d e f)", b"(\\*)", b'("a")'):
        with pytest.raises(ImapSyntaxError):
            read(text, flags)


def test_dates_are_days_of_the_calendar() -> None:
    assert read(b"1-Feb-1994", Cursor.date) == date(1994, 2, 1)
    assert read(b'"29-FEB-2024"', Cursor.date) == date(2024, 2, 29)
    for text in (b"30-Feb-2024", b"1-Foo-2024", b'"1-Feb-2024', b"1-Feb-24", b"1-Feb-0000"):
        with pytest.raises(ImapSyntaxError):
            read(text, Cursor.date)


def test_a_moment_has_a_zone() -> None:
    west = timezone(-timedelta(hours=7))
    assert read(b'"17-Jul-1996 02:44:25 -0700"', Cursor.date_time) == datetime(1996, 7, 17, 2, 44, 25, tzinfo=west)
    assert read(b'" 7-Jul-1996 23:59:60 +0000"', Cursor.date_time) == datetime(1996, 7, 7, 23, 59, 59, tzinfo=UTC)
    for text in (
        b'"17-Jul-1996 02:44:25"',
        b'"17-Jul-1996 25:44:25 +0000"',
        b'"31-Jun-1996 02:44:25 +0000"',
        b'"01-Jan-0001 00:00:00 +0100"',
        b'"01-Jan-2020 00:00:00 +9900"',
        b'"17-Jul-1996 02:44:25 +0000',
    ):
        with pytest.raises(ImapSyntaxError):
            read(text, Cursor.date_time)


def test_a_dollar_is_the_saved_result() -> None:
    assert read(b"$", Cursor.sequence_set) == SavedResult()
    assert read(b"$", Cursor.uid_set) == SavedResult()
    assert read(b"1,2", Cursor.known_uids) == UidSet(((1, 1), (2, 2)))
    with pytest.raises(ImapSyntaxError):
        read(b"$", Cursor.known_sequence)


def test_an_error_never_tells_what_was_sent() -> None:
    with pytest.raises(ImapSyntaxError) as caught:
        read(b'"secret', Cursor.string)
    assert "secret" not in str(caught.value)


MOVING = {"fail", "skip", "at", "expect", "text_of"}
"""What moves the cursor and reads no rule."""


def grammar_functions() -> list[tuple[str, str]]:
    """Name and docstring of every rule of the cursor, and of every `parse_…` of the modules beside it."""
    found = [
        (name, inspect.getdoc(method) or "")
        for name, method in vars(Cursor).items()
        if inspect.isfunction(method) and not name.startswith("_") and name not in MOVING
    ]
    for module in pkgutil.iter_modules(chatmail.imap.__path__, "chatmail.imap."):
        for name, function in vars(importlib.import_module(module.name)).items():
            if name.startswith("parse_") and getattr(function, "__module__", "") == module.name:
                found.append((name, inspect.getdoc(function) or ""))
    return found


def test_every_function_of_the_grammar_carries_its_abnf_line() -> None:
    functions = grammar_functions()
    assert len(functions) > 50
    other_grammars = {"parse_parameters", "parse_ranges"}
    without = [
        n for n, text in functions if n not in other_grammars and not re.match(r"`[^`]*(?:=|SP|\()|`[A-Z]+`", text)
    ]
    assert without == []
