import pytest

from chatmail.imap.sequence_set import STAR, SequenceSet, UidSet, encode_ranges, merge, parse_ranges, ranges_of
from chatmail.imap.syntax import ImapSyntaxError


def uid_set(text: bytes) -> UidSet:
    ranges, end = parse_ranges(text, 0)
    assert end == len(text)
    return UidSet(ranges)


def test_a_set_is_read_as_written() -> None:
    assert uid_set(b"2,4:7,9,12:*").ranges == ((2, 2), (4, 7), (9, 9), (12, STAR))


@pytest.mark.parametrize("text", [b"1", b"*", b"1:*", b"5,3,1", b"4294967295", b"7,9:12"])
def test_a_set_is_written_as_it_was_read(text: bytes) -> None:
    assert uid_set(text).encode() == text


def test_ranges_may_be_written_backwards() -> None:
    assert uid_set(b"4:2,*:3").ranges == ((2, 4), (3, STAR))


@pytest.mark.parametrize("text", [b"", b"0", b"a", b",1", b":2", b"4294967296", b"-1", b"$"])
def test_what_is_no_set_is_refused(text: bytes) -> None:
    with pytest.raises(ImapSyntaxError):
        parse_ranges(text, 0)


@pytest.mark.parametrize("text", [b"1:", b"1,", b"1:2:3", b"1,,2"])
def test_a_set_ends_where_its_grammar_does(text: bytes) -> None:
    _ranges, end = parse_ranges(text, 0)
    assert end < len(text)


def test_ranges_are_merged_and_ascend() -> None:
    assert uid_set(b"9,1:3,2:5,6,20:30").resolve(100) == [(1, 6), (9, 9), (20, 30)]


@pytest.mark.parametrize(
    ("text", "highest", "expected"),
    [
        (b"*", 7, [(7, 7)]),
        (b"3:*", 7, [(3, 7)]),
        (b"9:*", 7, [(7, 9)]),
        (b"9:12", 7, [(9, 12)]),
        (b"1:*", 0, []),
        (b"*,2", 0, [(2, 2)]),
    ],
)
def test_a_star_is_the_highest_number_there_is(text: bytes, highest: int, expected: list[tuple[int, int]]) -> None:
    assert uid_set(text).resolve(highest) == expected


def test_whether_a_set_depends_on_the_mailbox() -> None:
    assert uid_set(b"1,5:*").has_star() and not uid_set(b"1,5").has_star()


def test_sets_of_numbers_become_ranges() -> None:
    assert ranges_of([1, 2, 3, 7, 9, 10]) == [(1, 3), (7, 7), (9, 10)]
    assert SequenceSet.of([4, 5]).encode() == b"4:5"
    assert encode_ranges([]) == b"" and merge([]) == [] and ranges_of([]) == []


def test_sequence_numbers_and_uids_are_never_equal() -> None:
    numbers: object = SequenceSet(((1, 1),))
    uids: object = UidSet(((1, 1),))
    assert numbers != uids
