"""Values of the outbound queue: what is queued, what waits, and what an attempt made of it.

Services import these names from `chatmail.storage.store`, the door; nothing of SQL appears here.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import NewType

from chatmail.mail.address import Address

QueueItemId = NewType("QueueItemId", int)


@dataclass(frozen=True, slots=True)
class Outbound:
    """The recipients of one message on other servers: one item of the queue for each of their domains.

    `mail_from` is None for the null sender. A repeated recipient counts once.
    """

    mail_from: Address | None
    recipients: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class QueueItem:
    """One message waiting for one domain. Times are aware UTC, in whole seconds.

    `recipients` are those that have neither got it nor failed for good. `last_reply` says why the last of `attempts`
    did not do; empty before the first. `is_unreachable` tells that no server of the domain could be spoken to then.
    """

    item_id: QueueItemId
    domain: str
    mail_from: Address | None
    recipients: tuple[Address, ...]
    body_id: int
    size_bytes: int
    queued_at: datetime
    next_attempt_at: datetime
    attempts: int
    last_reply: str
    is_unreachable: bool


@dataclass(frozen=True, slots=True)
class Deferral:
    """What of an item is to be tried again, when, and why not now."""

    recipients: tuple[Address, ...]
    next_attempt_at: datetime
    reply: str
    is_unreachable: bool


class Direction(Enum):
    """Which way mail goes, seen from here."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


class TrafficOutcome(Enum):
    """What became of a message that came from another domain or was to go there."""

    DELIVERED = "delivered"
    DEFERRED = "deferred"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class TrafficCount:
    """How many messages, and bytes of them, had one outcome between us and one domain."""

    domain: str
    direction: Direction
    outcome: TrafficOutcome
    messages: int
    size_bytes: int
