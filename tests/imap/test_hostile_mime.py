"""BODYSTRUCTURE and ENVELOPE of messages made to hurt or to mislead: always a structure, and the one that is true."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatmail.imap.bodystructure import body_structure
from chatmail.imap.envelope_structure import envelope_structure
from chatmail.imap.part_tree import MAX_DEPTH, MAX_PARTS, Part, scan_parts
from chatmail.imap.sections import section_range
from tests.support.imap_message_oracles import check_structure
from tests.support.imap_reader import read_whole


def described(message: bytes) -> object:
    return read_whole(body_structure(scan_parts(message), extended=False))


def depth(part: Part) -> int:
    return 1 + max(map(depth, part.children), default=0)


def count(part: Part) -> int:
    return 1 + sum(map(count, part.children))


# --- limits -----------------------------------------------------------------------------------------------------


def nested_multiparts(levels: int) -> bytes:
    return b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (level, level) for level in range(levels)
    )


@pytest.mark.parametrize(
    "message",
    [
        nested_multiparts(5000),
        b"Content-Type: message/rfc822\r\n\r\n" * 5000,
        b"Content-Type: multipart/digest; boundary=b\r\n\r\n" + b"--b\r\n\r\nSubject: x\r\n\r\n" * 5000,
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\n" * 20_000,
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n" * 20_000 + b"--b--\r\n",
    ],
    ids=[
        "multiparts in multiparts",
        "messages in messages",
        "a digest",
        "many parts",
        "parts without an end of header",
    ],
)
def test_depth_and_parts_are_limited_and_all_is_described(message: bytes) -> None:
    root = scan_parts(message)
    assert depth(root) <= MAX_DEPTH
    assert count(root) <= MAX_PARTS + 1
    assert len(body_structure(root, extended=True)) < 200 * (MAX_PARTS + 1)
    read_whole(body_structure(root, extended=True))


@pytest.mark.parametrize(
    "header",
    [
        b"To: " + b"(" * 50_000,
        b"To: " + b'"' * 50_001,
        b"To: " + b"a@b," * 50_000,
        b"To: " + b"g:" * 50_000,
        b"To: " + b"<" * 50_000,
        b"Content-Type: a/b" + b";x" * 50_000,
        b"Content-Type: a/b" + b'; x="' * 50_000,
        b"Content-Type: a/b;" + b" " * 100_000,
        b"Content-Disposition: " + b"\\" * 100_000,
        b"Content-Language: " + b"," * 100_000,
        b"X\r\n " * 30_000,
        b"A:" + b"\r\n\t" * 50_000,
    ],
    ids=lambda header: header[:30].decode(),
)
def test_long_headers_are_described_without_backtracking(header: bytes) -> None:
    """With time that grows with the square of the length none of these would end before the test's time is up."""
    message = header + b"\r\n\r\n"
    read_whole(envelope_structure(message))
    read_whole(body_structure(scan_parts(message), extended=True))


# --- what misleads ----------------------------------------------------------------------------------------------

TEXT = [b"text", b"plain", None, None, None, b"7bit"]


@pytest.mark.parametrize(
    ("body", "sizes"),
    [
        (b"--b\r\n\r\none\r\n--bb\r\n\r\nno part\r\n--b--\r\n", [20]),  # a longer line is no delimiter
        (b"--b \t\r\n\r\none\r\n--b--  \r\n", [3]),  # blanks behind one are
        (b"--b\n\none\n--b--\n", [3]),
        (b"--b\r\n\r\none\r\n--b--\r\n--b\r\n\r\nepilogue\r\n", [3]),
        (b" --b\r\n\r\nnone\r\n", None),
        (b"--b\r\nContent-Type: text/plain\r\n--b\r\n\r\ntwo\r\n--b--", [0, 3]),  # a part that is all header
        (b"--b\r\n\r\none", [3]),  # not closed
        (b"--b\r\r\n\r\none", None),
    ],
)
def test_delimiters_are_whole_lines(body: bytes, sizes: list[int] | None) -> None:
    message = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + body
    structure = described(message)
    assert isinstance(structure, list)
    parts = [part for part in structure if isinstance(part, list)]
    assert [part[6] for part in parts] == (sizes or [0])


@pytest.mark.parametrize("boundary", [b"a.*b", b"(x)", b"[a", b"a b", b"$", b"x" * 70, b"--", b"a\\\\b"])
def test_a_boundary_means_itself_and_nothing_else(boundary: bytes) -> None:
    plain = boundary.replace(b"\\\\", b"\\")
    message = b'Content-Type: multipart/mixed; boundary="%b"\r\n\r\n--%b\r\n\r\none\r\n--aXXb\r\n--%b--\r\n' % (
        boundary,
        plain,
        plain,
    )
    assert described(message) == [[*TEXT, 11, 1], b"mixed"]


def test_of_two_fields_the_first_counts_and_comments_are_no_parameters() -> None:
    message = b"Content-Type: text/html; charset=a\r\nContent-Type: image/png\r\n\r\n"
    assert described(message) == [b"text", b"html", [b"charset", b"a"], None, None, b"7bit", 0, 0]


def test_an_outer_boundary_ends_what_an_inner_one_left_open() -> None:
    message = (
        b"Content-Type: multipart/mixed; boundary=outer\r\n\r\n--outer\r\n"
        b"Content-Type: multipart/alternative; boundary=inner\r\n\r\n--inner\r\n\r\nin\r\n"
        b"--outer\r\n\r\nout\r\n--inner\r\nstill out\r\n--outer--\r\n"
    )
    assert described(message) == [[[*TEXT, 2, 0], b"alternative"], [*TEXT, 23, 2], b"mixed"]


# --- exact ------------------------------------------------------------------------------------------------------


@dataclass
class Made:
    """A part that is known, for it was made: `expected` is its `body`, `octets` what its section holds."""

    raw: bytes
    octets: bytes
    expected: list[object]
    children: "list[Made]" = field(default_factory=list)


lines = st.lists(st.sampled_from([b"text", b"", b"-- ", b"--x", b"From x", b"\xc3\xa4", b"a" * 80]), max_size=5)


def leaf(body: list[bytes], kind: tuple[bytes, bytes]) -> Made:
    octets = b"\r\n".join(body)
    expected: list[object] = [*kind, [b"name", b"a b"], None, None, b"7bit", len(octets)]
    if kind[0] == b"text":
        expected.append(octets.count(b"\n"))
    return Made(b'Content-Type: %b/%b; name="a b"\r\n\r\n%b' % (*kind, octets), octets, expected)


def multipart(children: list[Made], number: int) -> Made:
    boundary = b"%d-%d" % (number, sum(len(child.raw) for child in children))
    octets = b"".join(b"--%b\r\n%b\r\n" % (boundary, child.raw) for child in children) + b"--%b--" % boundary
    raw = b"Content-Type: multipart/mixed; boundary=%b\r\n\r\n%b" % (boundary, octets)
    return Made(raw, octets, [*(child.expected for child in children), b"mixed"], children)


def message(child: Made, subject: bytes) -> Made:
    octets = b"Subject: %b\r\n%b" % (subject, child.raw)
    envelope = [None, subject, *[None] * 8]
    head: list[object] = [b"message", b"rfc822", None, None, None, b"7bit", len(octets)]
    expected = [*head, envelope, child.expected, octets.count(b"\n")]
    return Made(b"Content-Type: message/rfc822\r\n\r\n" + octets, octets, expected, [child])


kinds = st.sampled_from([(b"text", b"plain"), (b"image", b"gif"), (b"application", b"octet-stream")])
parts = st.recursive(
    st.builds(leaf, lines, kinds),
    lambda inner: (
        st.builds(multipart, st.lists(inner, min_size=1, max_size=3), st.integers(10, 10**6))
        | st.builds(message, inner, st.sampled_from([b"one", b"two"]))
    ),
    max_leaves=8,
)


@given(parts)
def test_a_message_that_was_made_is_described_exactly_and_its_sections_are_what_was_put_in(made: Made) -> None:
    assert described(made.raw) == made.expected
    check_structure(made.raw)
    for path, part in numbered(made):
        found = section_range(scan_parts(made.raw), path, "")
        assert found is not None
        assert made.raw[found[0] : found[1]] == part.octets


def numbered(made: Made, path: tuple[int, ...] = ()) -> Iterator[tuple[tuple[int, ...], Made]]:
    """The parts of multiparts, by their numbers."""
    for number, child in enumerate(made.children if made.expected[-1] == b"mixed" else (), 1):
        yield (*path, number), child
        yield from numbered(child, (*path, number))
