"""What the store gives and takes: values and `Protocol` classes, in the field's words.

Services import these names from `chatmail.storage.store`, the door. A second store, over another database, would
implement exactly this file; so nothing of SQL or SQLite may appear in it.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from typing import Final, NewType, Protocol

from chatmail.mail.address import Address
from chatmail.mail.changes import (
    AccountId,
    Flags,
    MailboxChanges,
    MailboxId,
    MessageRecord,
    ModSeq,
    Uid,
)
from chatmail.storage.outbound import Outbound

# --- accounts ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Account:
    """One account. `last_login_on` is kept by day only, for privacy."""

    account_id: AccountId
    address: Address
    password_hash: str
    created_on: date
    last_login_on: date
    blocked: bool


@dataclass(frozen=True, slots=True)
class AccountSummary:
    """One row of a list of accounts."""

    address: str
    created_on: date
    last_login_on: date
    blocked: bool
    usage_bytes: int


@dataclass(frozen=True, slots=True)
class AccountDetails:
    """What an operator may know of one account: amounts, never content."""

    summary: AccountSummary
    messages: int
    mailboxes: int
    device_tokens: int


class AccountStore(Protocol):
    """Accounts and what belongs to the account as a whole."""

    async def find(self, address: Address) -> Account | None:
        """The account of exactly this address, blocked or not."""

    async def create(self, address: Address, password_hash: str, today: date) -> Account | None:
        """Create the account with its mailboxes (INBOX, Sent, Trash, DeltaChat), atomically.

        None if the address exists, or was blocked for ever: of simultaneous creators exactly one gets the account.
        """

    async def record_login(self, account_id: AccountId, today: date) -> None:
        """Remember the day of the last login; a no-op if the day is already known."""

    async def set_password_hash(self, account_id: AccountId, password_hash: str) -> None:
        """Replace the password; its sessions end as if their mailboxes were removed."""

    async def set_blocked(self, account_id: AccountId, blocked: bool) -> None:
        """Block or unblock; mail to a blocked account is discarded, and its name stays taken for ever.

        Its sessions end as if their mailboxes were removed.
        """

    async def remove(self, account_id: AccountId) -> None:
        """Remove the account and everything of it; its sessions see `MailboxRemoved`."""

    async def usage_bytes(self, account_id: AccountId) -> int:
        """Sum of the sizes of all its messages: what the quota counts."""

    async def has_room(self, account_id: AccountId, size_bytes: int, now: datetime) -> bool:
        """Whether a message would fit, perhaps in the place of old ones. Raises `StorageError` if it is gone."""

    async def page(self, after: str, limit: int) -> Sequence[AccountSummary]:
        """The next accounts by address, behind `after` (empty: from the first)."""

    async def details(self, account_id: AccountId) -> AccountDetails | None:
        """None if it is gone."""

    async def add_device_token(self, account_id: AccountId, token: str, now: datetime) -> None:
        """Add a push token, or refresh the date of the one already there."""

    async def device_tokens(self, account_id: AccountId) -> tuple[str, ...]:
        """All tokens, oldest first."""


# --- bodies -----------------------------------------------------------------------------------------------------


class StagedBody(Protocol):
    """A message being received: bytes go in chunk by chunk, beyond a threshold to a file, never all in memory.

    The whole is `header_bytes` (up to and including the empty line) followed by the chunks. Call `discard()` if it
    is not delivered; after a delivery it belongs to the store.
    """

    size_bytes: int

    def write(self, chunk: bytes) -> None:
        """Append. Raises `StorageFullError` or `StorageError`."""

    def rest(self) -> None:
        """No more is written for now, and it may take long: hold neither memory nor an open file meanwhile.

        Raises `StorageFullError` or `StorageError`.
        """

    def discard(self) -> None:
        """Throw the bytes away. Harmless after a delivery, during one, and twice."""


class StoredBody(Protocol):
    """A message body to be read. `size_bytes` is exact."""

    size_bytes: int

    async def read(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset`; immediate for small bodies. Large ones are read in pieces of the file."""


# --- delivery ---------------------------------------------------------------------------------------------------


DUPLICATE_SECONDS: Final = 24 * 3600
"""How long a delivery with a `duplicate_key` is remembered."""


class DeliveryOutcome(Enum):
    """What became of one recipient of a delivery."""

    DELIVERED = "delivered"
    UNKNOWN = "unknown"
    OVER_QUOTA = "over quota"
    DISCARDED = "discarded"
    """The account is blocked: mail to it is silently dropped."""
    DUPLICATE = "duplicate"
    """It got the same message within `DUPLICATE_SECONDS` before, and does not get it again."""


@dataclass(frozen=True, slots=True)
class LocalDelivery:
    """One body for the INBOXes of any number of local accounts; a repeated recipient gets it once.

    Two deliveries with the same `duplicate_key` are the same message, of which nobody gets a second one; None if
    that is not to be looked at.
    """

    body: StagedBody
    recipients: tuple[Address, ...]
    sender: Address | None = None
    """Whose message it is; a copy for oneself wakes no phone."""
    duplicate_key: bytes | None = None
    outbound: Outbound | None = None
    """Who else is to get it, on other servers: queued in the same transaction."""
    whole_at: float = 0.0
    """When its last byte had come, in monotonic seconds; 0 if nobody measures. Its changes carry it on."""


# --- mailboxes --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One mailbox of an account. `special_use` is an attribute such as `\\Sent`, or empty (RFC 6154)."""

    mailbox_id: MailboxId
    name: str
    uid_validity: int
    subscribed: bool
    special_use: str


@dataclass(frozen=True, slots=True)
class MailboxStatus:
    """The counts STATUS reports (RFC 9051 §6.3.11)."""

    messages: int
    unseen: int
    deleted: int
    size_bytes: int
    deleted_bytes: int
    uid_next: Uid
    uid_validity: int
    highest_modseq: ModSeq


@dataclass(frozen=True, slots=True)
class MailboxSnapshot:
    """A mailbox at one moment, as SELECT needs it: `messages` ascend by UID."""

    mailbox: Mailbox
    uid_next: Uid
    highest_modseq: ModSeq
    messages: tuple[MessageRecord, ...]


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message that APPEND brings, with what the client says of it."""

    body: StagedBody
    flags: Flags
    received_at: datetime


class FlagsMode(Enum):
    """How STORE combines flags (RFC 9051 §6.4.6)."""

    REPLACE = "FLAGS"
    ADD = "+FLAGS"
    REMOVE = "-FLAGS"


class MailboxStore(Protocol):
    """Mailboxes and the messages in them. `origin` marks the caller's own changes in the broadcast."""

    async def list(self, account_id: AccountId) -> Sequence[Mailbox]:
        """All of an account, INBOX first, then by name."""

    async def find(self, account_id: AccountId, name: str) -> Mailbox | None:
        """By name; INBOX in any case."""

    async def create(self, account_id: AccountId, name: str) -> Mailbox | None:
        """None if it exists."""

    async def remove(self, mailbox_id: MailboxId) -> None:
        """Remove with all messages; sessions see `MailboxRemoved`."""

    async def rename(self, account_id: AccountId, names: Mapping[MailboxId, str]) -> bool:
        """Give all these mailboxes new names at once, or none: False if one of the names is in use."""

    async def set_subscribed(self, mailbox_id: MailboxId, subscribed: bool) -> None:
        """SUBSCRIBE or UNSUBSCRIBE. Subscriptions are to names, and outlive their mailbox (RFC 9051 §6.3.7)."""

    async def gone_subscriptions(self, account_id: AccountId) -> Sequence[str]:
        """The names that are subscribed to though there is no such mailbox any more, in order."""

    async def forget_subscription(self, account_id: AccountId, name: str) -> bool:
        """End a subscription whose mailbox is gone; False if there is none."""

    async def status(self, mailbox_id: MailboxId) -> MailboxStatus:
        """The counts of now. Raises `StorageError` if it is gone."""

    async def snapshot(self, mailbox_id: MailboxId) -> MailboxSnapshot | None:
        """None if it is gone.

        A change that is committed may be in the snapshot before it is broadcast: whoever subscribed first has to
        pass over changes whose `modseq` is not above `highest_modseq`.
        """

    async def records(self, mailbox_id: MailboxId, uids: Collection[Uid]) -> Sequence[MessageRecord]:
        """Those of `uids` that exist, ascending."""

    async def expunged_since(self, mailbox_id: MailboxId, modseq: ModSeq) -> Sequence[Uid] | None:
        """The UIDs expunged after `modseq`, ascending; None if that is further back than is remembered (RFC 7162)."""

    async def headers(self, body_ids: Collection[int]) -> Mapping[int, bytes]:
        """Header blocks (up to and including the empty line) by `body_id`; recent ones come from memory."""

    async def body(self, body_id: int) -> StoredBody | None:
        """None if the message is gone meanwhile."""

    async def append(
        self, mailbox_id: MailboxId, body: StagedBody, flags: Flags, received_at: datetime, *, origin: object = None
    ) -> Uid | None:
        """Store one message (APPEND); None if the account has no room left."""

    async def append_all(
        self, mailbox_id: MailboxId, messages: Sequence[NewMessage], *, origin: object = None
    ) -> Sequence[Uid] | None:
        """Store all of them in one transaction (RFC 3502), or none: None if the account has no room left."""

    async def store_flags(
        self,
        mailbox_id: MailboxId,
        uids: Collection[Uid],
        mode: FlagsMode,
        flags: Flags,
        *,
        unchanged_since: ModSeq | None = None,
        origin: object = None,
    ) -> frozenset[Uid]:
        """Change flags in one transaction. Returns the UIDs left alone by `unchanged_since` (RFC 7162 §3.1.3)."""

    async def expunge(
        self, mailbox_id: MailboxId, uids: Collection[Uid] | None = None, *, origin: object = None
    ) -> Sequence[Uid]:
        """Remove all `\\Deleted` messages (of `uids` if given); returns the UIDs gone, ascending."""

    async def copy(
        self, mailbox_id: MailboxId, uids: Collection[Uid], target: MailboxId, *, move: bool, origin: object = None
    ) -> Mapping[Uid, Uid] | None:
        """Copy or move; the map old UID → new UID, ascending; None if the account has no room for the copies."""


# --- changes ----------------------------------------------------------------------------------------------------

ChangeListener = Callable[[MailboxChanges], None]
"""Called in the event loop; must be quick and must not raise."""

SubscriptionId = NewType("SubscriptionId", int)


class Broadcast(Protocol):
    """Hands committed changes to the sessions that watch a mailbox."""

    @property
    def closed(self) -> int:
        """How often a mailbox was removed, or closed to those who are in it, since the store was opened.

        While it stays the same no account was blocked, removed or given another password.
        """

    def subscribe(self, mailbox_id: MailboxId, listener: ChangeListener) -> SubscriptionId:
        """From now on, call `listener` with each committed change of the mailbox."""

    def unsubscribe(self, subscription: SubscriptionId) -> None:
        """End a subscription; ending it twice is harmless."""
