"""Flags as columns."""

import pytest

from chatmail.mail.changes import DELETED, SEEN, SYSTEM_FLAGS, Flag, Flags
from chatmail.storage.flags import DELETED_BIT, SEEN_BIT, combine_flags, decode_flags, encode_flags
from chatmail.storage.store import FlagsMode


@pytest.mark.parametrize(
    "flags",
    [frozenset(), frozenset({SEEN}), frozenset(SYSTEM_FLAGS), frozenset({SEEN, Flag("$MDNSent"), Flag("Work")})],
)
def test_flags_come_back_as_they_were(flags: Flags) -> None:
    assert decode_flags(*encode_flags(flags)) == flags


def test_the_bits_that_queries_ask_for_are_those_that_are_stored() -> None:
    assert encode_flags(frozenset({SEEN})) == (SEEN_BIT, "")
    assert encode_flags(frozenset({DELETED})) == (DELETED_BIT, "")


def test_modes() -> None:
    old, flags = frozenset({SEEN}), frozenset({DELETED})
    assert combine_flags(old, FlagsMode.REPLACE, flags) == {DELETED}
    assert combine_flags(old, FlagsMode.ADD, flags) == {SEEN, DELETED}
    assert combine_flags(old | flags, FlagsMode.REMOVE, flags) == {SEEN}


def test_keywords_compare_in_any_case_and_keep_their_first_spelling() -> None:
    old = frozenset({Flag("$Work"), SEEN})
    assert combine_flags(old, FlagsMode.ADD, frozenset({Flag("$work"), Flag("$New")})) == old | {Flag("$New")}
    assert combine_flags(old, FlagsMode.REMOVE, frozenset({Flag("$WORK")})) == {SEEN}
    assert combine_flags(old, FlagsMode.REPLACE, frozenset({Flag("$WORK"), Flag("a"), Flag("A")})) == {"$Work", "A"}
