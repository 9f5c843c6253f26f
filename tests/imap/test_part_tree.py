import pytest

from chatmail.imap.part_tree import MAX_DEPTH, MAX_PARTS, Part, PartScanner, parse_parameters, scan_parts

NESTED = (
    b'From: a@example.org\r\nContent-Type: multipart/mixed; boundary="x y"\r\n\r\npreamble\r\n--x y\r\n\r\nhello\r\n'
    b"world\r\n--x y \r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\nContent-Type: multipart/alternative; "
    b"boundary=in\r\n\r\n--in\r\n\r\nA\r\n--in\r\nContent-Type: text/html\r\n\r\nB\r\n--in--\r\n--x y--\r\nepilogue\r\n"
)


def bodies(message: bytes, part: Part) -> list[bytes]:
    return [message[child.body_start : child.end] for child in part.children]


def shape(part: Part) -> tuple[object, ...]:
    return (part.start, part.body_start, part.end, part.lines, part.subtype, *map(shape, part.children))


def test_parts_lie_between_their_delimiters() -> None:
    root = scan_parts(NESTED)
    text, message = root.children
    assert NESTED[text.body_start : text.end] == b"hello\r\nworld"
    assert (text.media_type, text.subtype, text.lines) == (b"text", b"plain", 1)
    assert message.is_message
    inner = message.children[0]
    assert inner.fields[b"subject"] == b"inner"
    assert bodies(NESTED, inner) == [b"A", b"B"]
    assert root.end == len(NESTED)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 64])
def test_pieces_of_any_size_give_the_same_tree(size: int) -> None:
    scanner = PartScanner()
    for start in range(0, len(NESTED), size):
        scanner.feed(NESTED[start : start + size])
    assert shape(scanner.finish()) == shape(scan_parts(NESTED))


def test_an_outer_delimiter_ends_an_unclosed_inner_multipart() -> None:
    message = (
        b"Content-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: multipart/mixed; boundary=i\n\n--i\n\none\n"
        b"--o\n\ntwo\n--o--\n"
    )
    root = scan_parts(message)
    assert bodies(message, root)[1] == b"two"
    assert bodies(message, root.children[0]) == [b"one"]


def test_a_header_ended_by_a_delimiter_has_an_empty_body() -> None:
    message = b"Content-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: text/html\n--o--\n"
    (part,) = scan_parts(message).children
    assert part.subtype == b"html"
    assert part.body_start == part.end


def test_a_delimiter_must_fill_its_line() -> None:
    message = b"Content-Type: multipart/mixed; boundary=o\n\n--o\n\na\n--ox\n --o\nb\n--o--"
    assert bodies(message, scan_parts(message)) == [b"a\n--ox\n --o\nb"]


def test_a_message_of_a_header_alone_is_read() -> None:
    root = scan_parts(b"Subject: x")
    assert root.fields == {b"subject": b"x"}
    assert root.body_start == root.end == 10


def test_a_digest_holds_messages() -> None:
    root = scan_parts(b"Content-Type: multipart/digest; boundary=o\n\n--o\n\nSubject: s\n\nx\n--o--\n")
    assert root.children[0].children[0].fields[b"subject"] == b"s"


def test_depth_and_number_of_parts_are_limited() -> None:
    deep = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (i, i) for i in range(200))
    part, depth = scan_parts(deep), 1
    while part.children:
        part, depth = part.children[0], depth + 1
    assert depth == MAX_DEPTH
    wide = b"Content-Type: multipart/mixed; boundary=o\n\n" + b"--o\n\n" * (2 * MAX_PARTS)
    assert len(scan_parts(wide).children) == MAX_PARTS - 1


def test_an_endless_line_is_not_kept() -> None:
    scanner = PartScanner()
    scanner.feed(b"Content-Type: multipart/mixed; boundary=o\n\n--o\n\n")
    for _ in range(100):
        scanner.feed(b"-" * 10000)
        assert len(scanner._buffer) - scanner._position <= 1000
    scanner.feed(b"\n--o--\n")
    root = scanner.finish()
    assert root.children[0].end - root.children[0].body_start == 1_000_000


def test_lines_that_are_nearly_delimiters_are_passed_over_wherever_a_piece_ends() -> None:
    message = (
        b"Content-Type: multipart/mixed; boundary=ab\n\n--ab\n\n--a\n--abc\n--ab-\n --ab\n--ab--x\n--ab \t\r\n\n"
        b"two\n--a\n--ab--\nend\n--ab"
    )
    whole = scan_parts(message)
    assert [message[part.body_start : part.end] for part in whole.children] == [
        b"--a\n--abc\n--ab-\n --ab\n--ab--x",
        b"two\n--a",
    ]
    for size in range(1, 12):
        scanner = PartScanner()
        for start in range(0, len(message), size):
            scanner.feed(message[start : start + size])
        assert repr(scanner.finish()) == repr(whole)


def test_no_more_parameters_are_read_than_anybody_needs() -> None:
    assert len(parse_parameters(b"; a=b" * 100_000)) < 2000
