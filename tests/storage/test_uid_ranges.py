"""UIDs as text."""

from hypothesis import given
from hypothesis import strategies as st

from chatmail.mail.changes import Uid
from chatmail.storage.uid_ranges import decode_uids, encode_uids


def test_consecutive_uids_become_a_range() -> None:
    assert encode_uids([Uid(uid) for uid in (3, 4, 5, 7, 9, 10)]) == "3:5,7,9:10"


@given(st.sets(st.integers(1, 60), min_size=1))
def test_uids_come_back_as_they_were(uids: set[int]) -> None:
    ascending = [Uid(uid) for uid in sorted(uids)]
    assert list(decode_uids(encode_uids(ascending))) == ascending
