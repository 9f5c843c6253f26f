import pytest

from chatmail.imap.part_tree import scan_parts
from chatmail.imap.sections import _named_fields, fields_selector, other_fields_selector, section_range

HEADER = b"From: a@b.c\r\nSUBJECT: one\r\n two\r\nX-Long : v\r\nDate: today\r\n\r\n"
MESSAGE = (
    b"Subject: outer\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n"
    b"--o\r\nContent-Language: de\r\n\r\none\r\n"
    b"--o\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nplain\r\n"
    b"--o\r\nContent-Type: message/rfc822\r\n\r\nContent-Type: multipart/mixed; boundary=i\r\n\r\n"
    b"--i\r\n\r\nA\r\n--i\r\n\r\nB\r\n--i--\r\n--o--\r\n"
)


def section(path: tuple[int, ...], text: str, message: bytes = MESSAGE) -> bytes | None:
    found = section_range(scan_parts(message), path, text)
    return None if found is None else message[found[0] : found[1]]


def test_fields_come_in_the_order_of_the_message_with_an_empty_line() -> None:
    assert fields_selector((b"DATE", b"subject", b"Missing"))(HEADER) == (
        b"SUBJECT: one\r\n two\r\nDate: today\r\n\r\n"
    )
    assert fields_selector((b"x-long",))(HEADER) == b"X-Long : v\r\n\r\n"
    assert fields_selector((b"missing",))(HEADER) == b"\r\n"


def test_long_lists_of_names_select_the_same() -> None:
    many = tuple(b"X-%d" % number for number in range(1000))
    assert fields_selector((*many, b"DATE", b"subject"))(HEADER) == fields_selector((b"subject", b"date"))(HEADER)


def test_a_list_as_long_as_a_command_leaves_no_pattern_in_memory() -> None:
    before = _named_fields.cache_info().misses
    assert fields_selector((b"x" * 2000, b"date"))(HEADER) == b"Date: today\r\n\r\n"
    assert _named_fields.cache_info().misses == before


def test_excluded_fields_leave_the_others() -> None:
    assert other_fields_selector((b"subject", b"x-long"))(HEADER) == b"From: a@b.c\r\nDate: today\r\n\r\n"


def test_a_header_without_an_end_is_ended() -> None:
    assert fields_selector((b"subject",))(b"Subject: x") == b"Subject: x\r\n\r\n"


def test_a_name_is_never_a_pattern() -> None:
    assert fields_selector((b".*",))(HEADER) == b"\r\n"


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ((), "", MESSAGE),
        ((), "HEADER", b"Subject: outer\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n"),
        ((1,), "", b"one"),
        ((1,), "MIME", b"Content-Language: de\r\n\r\n"),
        ((1,), "HEADER", None),
        ((1, 1), "", None),
        ((2,), "", b"Subject: inner\r\n\r\nplain"),
        ((2,), "HEADER", b"Subject: inner\r\n\r\n"),
        ((2,), "TEXT", b"plain"),
        ((2, 1), "", b"plain"),
        ((2, 2), "", None),
        ((2, 1, 1), "", None),
        ((3, 2), "", b"B"),
        ((4,), "", None),
        ((0,), "", None),
    ],
)
def test_sections(path: tuple[int, ...], text: str, expected: bytes | None) -> None:
    assert section(path, text) == expected


def test_the_only_part_of_a_simple_message_is_number_one() -> None:
    simple = b"Subject: x\r\n\r\nbody\r\n"
    assert section((1,), "", simple) == section((), "TEXT", simple) == b"body\r\n"
    assert section((1,), "MIME", simple) == b"Subject: x\r\n\r\n"
    assert section((2,), "", simple) is None
