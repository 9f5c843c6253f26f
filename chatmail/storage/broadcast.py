"""Hands committed changes to the sessions that watch a mailbox. Lives in the event loop; keeps nothing per account."""

import logging
from collections.abc import Iterable
from itertools import count

from chatmail.mail.changes import MailboxChanges, MailboxId, MailboxRemoved
from chatmail.storage.interface import ChangeListener, SubscriptionId

log = logging.getLogger(__name__)


class ChangeBroadcast:
    """`Broadcast` within one process."""

    def __init__(self) -> None:
        self._listeners: dict[MailboxId, dict[SubscriptionId, ChangeListener]] = {}
        self._mailboxes: dict[SubscriptionId, MailboxId] = {}
        self._ids = count(1)
        self._closed = 0

    @property
    def closed(self) -> int:
        """See `Broadcast.closed`."""
        return self._closed

    def subscribe(self, mailbox_id: MailboxId, listener: ChangeListener) -> SubscriptionId:
        """From now on, call `listener` with each committed change of the mailbox."""
        subscription = SubscriptionId(next(self._ids))
        self._listeners.setdefault(mailbox_id, {})[subscription] = listener
        self._mailboxes[subscription] = mailbox_id
        return subscription

    def unsubscribe(self, subscription: SubscriptionId) -> None:
        """End a subscription; ending it twice is harmless."""
        mailbox_id = self._mailboxes.pop(subscription, None)
        if mailbox_id is None:
            return
        listeners = self._listeners[mailbox_id]
        del listeners[subscription]
        if not listeners:
            del self._listeners[mailbox_id]

    def publish(self, published: Iterable[MailboxChanges]) -> None:
        """Call every listener of each mailbox, in order. One that raises is logged and costs the others nothing."""
        for changes in published:
            if MailboxRemoved in map(type, changes.changes):
                self._closed += 1
            listeners = self._listeners.get(changes.mailbox_id)
            if listeners is None:
                continue
            for listener in tuple(listeners.values()):
                try:
                    listener(changes)
                except Exception:
                    log.exception("a listener to mailbox changes failed")
