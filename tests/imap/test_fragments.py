import pytest

from chatmail.imap.fragments import (
    BEFORE_LOGIN,
    MAX_LITERALS,
    Announced,
    CommandText,
    Discarded,
    Fragment,
    Fragments,
    Limits,
    LiteralChunk,
    LiteralEnd,
    LiteralSize,
    TooMuch,
)

SMALL = Limits(line_bytes=20, literal_bytes=10, command_bytes=40, append_bytes=100, discard_bytes=200)


def reader(data: bytes = b"", limits: Limits = SMALL) -> Fragments:
    fragments = Fragments(limits)
    if data:
        fragments.receive_data(data)
    return fragments


def rest(fragments: Fragments) -> list[Fragment]:
    return list(iter(fragments.next_fragment, None))


def announced(fragments: Fragments) -> Announced:
    fragment = fragments.next_fragment()
    assert isinstance(fragment, Announced)
    return fragment


def test_lines_end_in_crlf_or_in_a_bare_lf() -> None:
    assert rest(reader(b"a\r\nb\nc")) == [CommandText(b"a"), CommandText(b"b")]


def test_a_cr_alone_ends_nothing() -> None:
    assert rest(reader(b"a\rb\r\r\n")) == [CommandText(b"a\rb\r")]


def test_a_line_may_come_octet_by_octet() -> None:
    fragments = reader()
    found = []
    for octet in b"one\r\ntwo\n":
        fragments.receive_data(bytes((octet,)))
        found += rest(fragments)
    assert found == [CommandText(b"one"), CommandText(b"two")]


def test_a_literal_is_collected_into_the_text() -> None:
    fragments = reader(b"a {3}\r\nx\r\n b\r\n")
    assert announced(fragments) == Announced(b"a {3}\r\n", 2, LiteralSize(3, True, False))
    assert fragments.text(2) == b"a "
    assert fragments.may_collect()
    fragments.collect()
    assert rest(fragments) == [CommandText(b"a {3}\r\nx\r\n b")]


@pytest.mark.parametrize(
    ("line", "literal"),
    [
        (b"a {3+}\n", LiteralSize(3, False, False)),
        (b"a ~{0}\r\n", LiteralSize(0, True, True)),
        (b"a ~{007+}\r\n", LiteralSize(7, False, True)),
        (b"a {99999999999999999999999999}\r\n", LiteralSize(10**26 - 1, True, False)),
    ],
)
def test_announcements(line: bytes, literal: LiteralSize) -> None:
    assert announced(reader(line, BEFORE_LOGIN)).literal == literal


@pytest.mark.parametrize("line", [b'a "{3}"', b"a {3} ", b"a {}", b"a {-3}", b"a {3++}", b"{3", b"}"])
def test_what_announces_nothing(line: bytes) -> None:
    assert rest(reader(line + b"\r\n")) == [CommandText(line)]


def test_a_streamed_literal_comes_in_the_pieces_it_arrives_in() -> None:
    fragments = reader(b"a {5+}\r\nab")
    announced(fragments)
    fragments.stream()
    assert rest(fragments) == [LiteralChunk(b"ab")]
    fragments.receive_data(b"cde\r\nnext\r\n")
    assert rest(fragments) == [LiteralChunk(b"cde"), LiteralEnd(), CommandText(b""), CommandText(b"next")]


def test_an_empty_literal_ends_at_once() -> None:
    fragments = reader(b"a {0+}\r\n\r\n")
    announced(fragments)
    fragments.stream()
    assert rest(fragments) == [LiteralEnd(), CommandText(b"")]


def test_after_a_refusal_the_next_line_is_a_command() -> None:
    fragments = reader(b"a {5}\r\n")
    announced(fragments)
    fragments.refuse()
    fragments.receive_data(b"b\r\n")
    assert rest(fragments) == [CommandText(b"b")]


def test_discarding_takes_the_whole_command_with_all_its_literals() -> None:
    fragments = reader(b"a {5+}\r\nno\r\nw x {3+}\r\n\r\n\n y\r\nb\r\n")
    announced(fragments)
    fragments.discard()
    assert rest(fragments) == [Discarded(b"a {5+}\r\n"), CommandText(b"b")]


def test_a_literal_beyond_what_is_discarded_is_the_end() -> None:
    fragments = reader(b"a {201+}\r\nabc\r\nb\r\n")
    announced(fragments)
    fragments.discard()
    assert rest(fragments) == [TooMuch(b"a {201+}\r\n")]
    fragments.receive_data(b"b\r\n")
    assert rest(fragments) == []


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_line_that_is_too_long_is_dropped_and_its_head_kept(size: int) -> None:
    data = b"A1 " + b"x" * 18 + b"\r\nnext\r\n"
    fragments = reader()
    found = []
    for start in range(0, len(data), size):
        fragments.receive_data(data[start : start + size])
        found += rest(fragments)
    dropped, following = found
    assert isinstance(dropped, Discarded) and dropped.head.startswith(b"A1 xxx")
    assert following == CommandText(b"next")


def test_a_line_as_long_as_allowed_is_read() -> None:
    fragments = reader(b"x" * 20 + b"\r")
    assert rest(fragments) == []
    fragments.receive_data(b"\n")
    assert rest(fragments) == [CommandText(b"x" * 20)]


def test_the_literal_that_a_too_long_line_announces_is_dropped_too() -> None:
    assert rest(reader(b"A1 " + b"x" * 30 + b" {4+}\r\nQUIT\r\nb\r\n"))[1:] == [CommandText(b"b")]


def test_a_too_long_line_whose_literal_waits_ends_there() -> None:
    assert rest(reader(b"A1 " + b"x" * 30 + b" {4}\r\nb\r\n"))[1:] == [CommandText(b"b")]


def test_an_endless_line_is_the_end_without_growing() -> None:
    fragments = reader()
    found: list[Fragment] = []
    for _ in range(30):
        fragments.receive_data(b"x" * 10)
        found += rest(fragments)
        assert fragments.buffered_bytes <= 60
    assert found == [TooMuch(b"x" * 30)]


def test_all_the_literals_of_a_command_are_limited_together() -> None:
    fragments = reader(b"a {9+}\r\n123456789 {9+}\r\n123456789 {2+}\r\n")
    for _ in range(2):
        announced(fragments)
        assert fragments.may_collect()
        fragments.collect()
    announced(fragments)
    assert not fragments.may_collect()


def test_nothing_is_kept_between_commands() -> None:
    fragments = reader(b"a\r\n")
    rest(fragments)
    assert fragments.buffered_bytes == 0
    assert fragments.text(10) == b""


@pytest.mark.parametrize("command", [b"a ", b"x" * 3000])
def test_too_many_literals_are_the_end(command: bytes) -> None:
    fragments = reader(command + b"{0+}\r\n" * (MAX_LITERALS + 1), Limits(2000, 1000, 100_000, 0, 100_000))
    while isinstance(fragment := fragments.next_fragment(), Announced):
        fragments.collect()
    assert isinstance(fragment, TooMuch)


def test_each_command_may_have_as_many_streamed_literals_as_the_last() -> None:
    fragments = reader()
    for _ in range(MAX_LITERALS + 1):
        fragments.receive_data(b"A APPEND x {1+}\r\ny\r\n")
        announced(fragments)
        fragments.stream()
        assert rest(fragments) == [LiteralChunk(b"y"), LiteralEnd(), CommandText(b"")]
