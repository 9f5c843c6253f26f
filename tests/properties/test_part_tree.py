from hypothesis import given
from hypothesis import strategies as st

from chatmail.imap.bodystructure import body_structure
from chatmail.imap.envelope_structure import address_list
from chatmail.imap.part_tree import Part, PartScanner, scan_parts

PIECES = st.sampled_from(
    [
        b"--a", b"--b", b"--a--", b"--b--", b"\r\n", b"\n", b"\r", b" ", b"x", b"--", b"\0", b"\xff", b"(", b'"',
        b"Content-Type: multipart/mixed; boundary=a\r\n", b"Content-Type: multipart/digest; boundary=b\n",
        b"Content-Type: message/rfc822\r\n", b"Content-Disposition: inline; filename=\"x", b"From: a <b@c>, d:;\r\n",
    ]
)  # fmt: skip
MESSAGES = st.lists(PIECES, max_size=60).map(b"".join)


def shape(part: Part) -> tuple[object, ...]:
    return (part.start, part.body_start, part.end, part.lines, part.fields, *map(shape, part.children))


def assert_inside(part: Part, end: int) -> None:
    assert 0 <= part.start <= part.body_start <= part.end <= end
    assert part.lines >= 0
    for child in part.children:
        assert_inside(child, part.end)


@given(MESSAGES)
def test_every_part_lies_inside_its_parent(message: bytes) -> None:
    root = scan_parts(message)
    assert root.end == len(message)
    assert_inside(root, len(message))


@given(MESSAGES, st.integers(1, 9))
def test_whole_is_the_same_as_in_pieces(message: bytes, size: int) -> None:
    scanner = PartScanner()
    for start in range(0, len(message), size):
        scanner.feed(message[start : start + size])
    assert shape(scanner.finish()) == shape(scan_parts(message))


@given(MESSAGES)
def test_every_message_has_a_structure_with_balanced_parentheses(message: bytes) -> None:
    for extended in (False, True):
        structure = body_structure(scan_parts(message), extended=extended)
        assert structure.startswith(b"(")
        assert structure.endswith(b")")


@given(st.binary(max_size=200))
def test_any_bytes_are_some_address_list(value: bytes) -> None:
    encoded = address_list(value)
    assert encoded == b"NIL" or (encoded.startswith(b"((") and encoded.endswith(b"))"))
