import pytest

from chatmail.imap.view import NO_UPDATES, MailboxView, Updates
from chatmail.mail.changes import (
    NO_FLAGS,
    SEEN,
    FlagsChanged,
    MailboxRemoved,
    MessageAdded,
    MessageExpunged,
    ModSeq,
    SeqNum,
    Uid,
)


def view(*uids: int) -> MailboxView:
    return MailboxView(Uid(uid) for uid in uids)


def added(uid: int) -> MessageAdded:
    return MessageAdded(Uid(uid), ModSeq(9), NO_FLAGS, 100)


def expunged(uid: int) -> MessageExpunged:
    return MessageExpunged(Uid(uid), ModSeq(9))


def seen(uid: int, modseq: int = 9) -> FlagsChanged:
    return FlagsChanged(Uid(uid), ModSeq(modseq), frozenset({SEEN}))


def test_a_new_message_counts_only_once_it_is_announced() -> None:
    mailbox = view(1, 2)
    mailbox.apply(added(5), own=False)
    assert len(mailbox) == 2
    assert mailbox.seq_num(Uid(5)) is None
    assert mailbox.take_updates(allow_expunge=False) == Updates((), 3, ())
    assert mailbox.seq_num(Uid(5)) == 3
    assert mailbox.take_updates(allow_expunge=True) is NO_UPDATES


def test_an_expunged_message_keeps_its_number_until_it_may_be_told() -> None:
    mailbox = view(1, 2, 3)
    mailbox.apply(expunged(2), own=False)
    assert mailbox.take_updates(allow_expunge=False) == Updates((), None, ())
    assert mailbox.seq_num(Uid(3)) == 3
    assert mailbox.take_updates(allow_expunge=True).expunged == [(SeqNum(2), Uid(2))]
    assert mailbox.seq_num(Uid(3)) == 2
    assert mailbox.uid(SeqNum(2)) == 3


def test_expunges_are_told_from_the_highest_number_down() -> None:
    mailbox = view(10, 20, 30, 40)
    for uid in (10, 30):
        mailbox.apply(expunged(uid), own=True)
    assert mailbox.take_updates(allow_expunge=True).expunged == [(3, 30), (1, 10)]
    assert list(mailbox.uids()) == [20, 40]


def test_a_message_that_came_and_went_unannounced_is_never_mentioned() -> None:
    mailbox = view(1)
    mailbox.apply(added(2), own=False)
    mailbox.apply(expunged(2), own=False)
    assert not mailbox.has_updates


def test_exists_follows_expunge_and_counts_what_is_left() -> None:
    mailbox = view(1, 2, 3)
    mailbox.apply(added(4), own=False)
    mailbox.apply(expunged(1), own=False)
    assert mailbox.take_updates(allow_expunge=True) == Updates([(SeqNum(1), Uid(1))], 3, ())


def test_only_the_last_of_several_flag_changes_is_told() -> None:
    mailbox = view(7, 8)
    mailbox.apply(seen(8, 9), own=False)
    mailbox.apply(seen(8, 10), own=False)
    assert mailbox.take_updates(allow_expunge=False).flags == [(2, seen(8, 10))]


def test_own_flag_changes_are_not_told_twice() -> None:
    mailbox = view(7)
    mailbox.apply(seen(7), own=False)
    mailbox.apply(seen(7, 10), own=True)
    assert not mailbox.has_updates


def test_flag_changes_of_unknown_or_expunged_messages_are_dropped() -> None:
    mailbox = view(7)
    mailbox.apply(seen(99), own=False)
    mailbox.apply(seen(7), own=False)
    mailbox.apply(expunged(7), own=False)
    assert mailbox.take_updates(allow_expunge=False) == Updates((), None, ())


def test_a_removed_mailbox_is_remembered() -> None:
    mailbox = view(7)
    mailbox.apply(MailboxRemoved(), own=False)
    assert mailbox.is_removed


def test_uid_ranges_cost_what_they_find() -> None:
    mailbox = view(5, 9, 4_000_000_000)
    assert mailbox.uids_between(1, 2**32 - 1) == [5, 9, 4_000_000_000]
    assert mailbox.uids_between(6, 8) == []
    assert mailbox.highest_uid == 4_000_000_000
    assert view().highest_uid == 0


@pytest.mark.parametrize("seq_num", [0, 3, -1])
def test_a_number_outside_the_mailbox_has_no_uid(seq_num: int) -> None:
    with pytest.raises(IndexError):
        view(1, 2).uid(SeqNum(seq_num))


def test_flags_that_were_told_are_not_taken_back_by_older_ones_that_waited() -> None:
    mailbox = view(1, 2)
    for uid, modseq in ((1, 9), (2, 12)):
        mailbox.apply(seen(uid, modseq), own=False)
        mailbox.told_flags(Uid(uid), ModSeq(10))
    assert mailbox.take_updates(allow_expunge=True) == Updates((), None, [(SeqNum(2), seen(2, 12))])
    mailbox.told_flags(Uid(2), ModSeq(10))
    assert mailbox.take_updates(allow_expunge=True) is NO_UPDATES
