"""Who hears of changes."""

import logging

import pytest

from chatmail.mail.changes import MailboxChanges, MailboxId, MailboxRemoved, MessageExpunged, ModSeq, Uid
from chatmail.storage.broadcast import ChangeBroadcast

ONE, OTHER = MailboxId(1), MailboxId(2)
CHANGES = MailboxChanges(ONE, (MailboxRemoved(),))


def test_only_listeners_of_that_mailbox_hear_a_change() -> None:
    broadcast = ChangeBroadcast()
    heard: list[MailboxChanges] = []
    heard_of_other: list[MailboxChanges] = []
    broadcast.subscribe(ONE, heard.append)
    broadcast.subscribe(ONE, heard.append)
    broadcast.subscribe(OTHER, heard_of_other.append)
    broadcast.publish([CHANGES])
    assert (heard, heard_of_other) == ([CHANGES, CHANGES], [])


def test_a_subscription_ends_once_and_ending_it_again_is_harmless() -> None:
    broadcast = ChangeBroadcast()
    heard: list[MailboxChanges] = []
    subscription = broadcast.subscribe(ONE, heard.append)
    broadcast.unsubscribe(subscription)
    broadcast.unsubscribe(subscription)
    broadcast.publish([CHANGES])
    assert heard == []


def test_a_listener_may_unsubscribe_another_while_it_is_called() -> None:
    broadcast = ChangeBroadcast()
    heard: list[MailboxChanges] = []
    broadcast.subscribe(ONE, lambda changes: broadcast.unsubscribe(second))
    second = broadcast.subscribe(ONE, heard.append)
    broadcast.publish([CHANGES])
    broadcast.publish([CHANGES])
    assert len(heard) <= 1


def test_a_listener_that_raises_is_logged_and_costs_the_others_nothing(caplog: pytest.LogCaptureFixture) -> None:
    broadcast = ChangeBroadcast()
    heard: list[MailboxChanges] = []

    def broken(changes: MailboxChanges) -> None:
        raise RuntimeError("a bug")

    broadcast.subscribe(ONE, broken)
    broadcast.subscribe(ONE, heard.append)
    with caplog.at_level(logging.ERROR):
        broadcast.publish([CHANGES])
    assert heard == [CHANGES]
    assert "a listener to mailbox changes failed" in caplog.text


def test_mailboxes_that_close_are_counted_and_other_changes_are_not() -> None:
    broadcast = ChangeBroadcast()
    broadcast.publish([MailboxChanges(ONE, (MessageExpunged(Uid(1), ModSeq(2)),))])
    assert broadcast.closed == 0
    broadcast.publish([CHANGES, CHANGES])
    assert broadcast.closed == 2
