"""Numbers that must not mix, flags, and the typed mutations of a mailbox that sessions receive (`Change`).

RFC 9051 §2.3 (message attributes), RFC 7162 (MODSEQ).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple, NewType

AccountId = NewType("AccountId", int)
MailboxId = NewType("MailboxId", int)
Uid = NewType("Uid", int)
"""Unique identifier of a message in one mailbox; ascending, never reused (RFC 9051 §2.3.1.1)."""
SeqNum = NewType("SeqNum", int)
"""Position of a message in one session's view, from 1 (RFC 9051 §2.3.1.2)."""
ModSeq = NewType("ModSeq", int)
"""Per-mailbox modification sequence (RFC 7162 §3.1.1), 63 bits, ascending."""
Flag = NewType("Flag", str)
"""A system flag such as `\\Seen`, in its canonical case, or a keyword as the client wrote it."""

SEEN: Final = Flag("\\Seen")
ANSWERED: Final = Flag("\\Answered")
FLAGGED: Final = Flag("\\Flagged")
DELETED: Final = Flag("\\Deleted")
DRAFT: Final = Flag("\\Draft")
SYSTEM_FLAGS: Final = (SEEN, ANSWERED, FLAGGED, DELETED, DRAFT)

Flags = frozenset[Flag]
NO_FLAGS: Final[Flags] = frozenset()


@dataclass(frozen=True, slots=True)
class MessageAdded:
    """A message came into the mailbox."""

    uid: Uid
    modseq: ModSeq
    flags: Flags
    size_bytes: int


@dataclass(frozen=True, slots=True)
class FlagsChanged:
    """A message's flags are now `flags`."""

    uid: Uid
    modseq: ModSeq
    flags: Flags


@dataclass(frozen=True, slots=True)
class MessageExpunged:
    """A message left the mailbox for good; its UID is never used again."""

    uid: Uid
    modseq: ModSeq


@dataclass(frozen=True, slots=True)
class MailboxRemoved:
    """The mailbox itself is gone (deleted, or its account was removed): sessions that selected it must leave."""


Change = MessageAdded | FlagsChanged | MessageExpunged | MailboxRemoved


@dataclass(frozen=True, slots=True)
class MailboxChanges:
    """The changes one committed operation made to one mailbox, in order.

    `origin` is the token the operation was called with, so that a session knows its own work; None for deliveries.
    `whole_at` is when the last byte of a delivered message had come, in monotonic seconds; 0 if that is not known.
    """

    mailbox_id: MailboxId
    changes: tuple[Change, ...]
    origin: object | None = None
    whole_at: float = 0.0


class MessageRecord(NamedTuple):
    """What the store knows of one message without reading it.

    `size_bytes` is the exact length of BODY[] (RFC822.SIZE); `received_at` is INTERNALDATE (aware UTC);
    `saved_at` is when it came into this mailbox (SAVEDATE, RFC 8514). A tuple, because a mailbox has thousands, and a
    frozen dataclass takes four times as long to make.
    """

    uid: Uid
    modseq: ModSeq
    flags: Flags
    size_bytes: int
    received_at: datetime
    saved_at: datetime
    body_id: int
