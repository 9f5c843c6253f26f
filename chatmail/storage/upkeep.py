"""What the store gives to those who look after it: expiry, the push queue, invitations, settings, listings.

Like `interface.py` it is the contract of the store, in the field's words and without anything of SQL; services import
these names from `chatmail.storage.store`.
"""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from chatmail.mail.address import Address
from chatmail.mail.changes import AccountId, MailboxId, Uid
from chatmail.policy.retention import RetentionLimits
from chatmail.storage.interface import Account

# --- expiry -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MessageKey:
    """One message in one mailbox."""

    mailbox_id: MailboxId
    uid: Uid


@dataclass(frozen=True, slots=True)
class Amount:
    """How many, and the sum of their sizes as the quota counts them."""

    count: int = 0
    size_bytes: int = 0

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(self.count + other.count, self.size_bytes + other.size_bytes)


@dataclass(frozen=True, slots=True)
class Overdue:
    """What is over its time. `accounts.size_bytes` is their mail, which `messages` and `large` do not count again."""

    messages: Amount
    """Of any size, by their age."""
    large: Amount
    """Kept longer if they were smaller."""
    accounts: Amount
    device_tokens: int


@dataclass(frozen=True, slots=True)
class Space:
    """What the store takes on the disk. `free_bytes` is in the database file for new mail."""

    database_bytes: int
    free_bytes: int


class RetentionStore(Protocol):
    """Removal by age, in pieces small enough that nobody else waits; the caller pauses between them."""

    async def survey(self, limits: RetentionLimits) -> Overdue:
        """Count what is overdue, without removing anything."""

    async def overdue_mail(
        self, limits: RetentionLimits, after: MessageKey | None, limit: int
    ) -> Sequence[tuple[MessageKey, int]]:
        """The next overdue messages behind `after`, in the store's order, with their sizes."""

    async def expire_mail(self, keys: Sequence[MessageKey], limits: RetentionLimits) -> Amount:
        """Remove those that are still there and still overdue; sessions see them expunged."""

    async def expire_accounts(self, limits: RetentionLimits, limit: int) -> Amount:
        """Remove up to `limit` accounts with everything of them; zero when none is overdue."""

    async def expire_device_tokens(self, limits: RetentionLimits) -> int:
        """Remove tokens that were not set again for too long, and notifications nobody asked for any more."""

    async def correct_future(self, limits: RetentionLimits) -> int:
        """Date what claims to come from a later day (the clock went back meanwhile) to now; how many there were."""

    async def doomed(self) -> int:
        """How many mailboxes and files of removed accounts are still to be worked off in the background."""

    async def sweep_orphans(self) -> int:
        """Remove body files that no message names; how many there were. A correct store has none."""

    async def give_back(self) -> bool:
        """Give some unused space of the database back to the disk; False if there is little left to give."""

    async def space(self) -> Space:
        """What the database takes."""


# --- push -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PushItem:
    """One notification to be sent. `deliveries` tells whether more mail came while it was on its way."""

    account_id: AccountId
    token: str
    deliveries: int
    queued_at: int
    failures: int


class PushQueue(Protocol):
    """Notifications by token, put in by the transaction that delivers. Times are Unix seconds."""

    changed: asyncio.Event
    """Set whenever a delivery has put something in."""

    async def due(self, now: int, limit: int, under_way: Collection[tuple[AccountId, str]]) -> Sequence[PushItem]:
        """The next that are due, without those `under_way`."""

    async def next_due_at(self) -> int | None:
        """When the next one is due; None if there is none."""

    async def sent(self, item: PushItem, now: int) -> None:
        """It was taken; mail that came meanwhile is notified anew."""

    async def postpone(self, item: PushItem, due_at: int) -> None:
        """It failed; try again at `due_at`."""

    async def drop(self, item: PushItem) -> None:
        """It will not be tried again."""

    async def forget_token(self, item: PushItem) -> None:
        """The token is no longer valid: remove it from the account, and its notification."""

    async def counts(self) -> tuple[int, int]:
        """Notifications that wait, and device tokens of all accounts."""


# --- registration -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Invitation:
    """A token that makes accounts where not everybody may. `note` is the operator's own."""

    token: str
    uses_left: int
    expires_at: datetime | None
    note: str
    created_at: datetime


class InvitationStore(Protocol):
    """Invitations."""

    async def add(self, invitation: Invitation) -> None:
        """Keep it."""

    async def all(self) -> Sequence[Invitation]:
        """All that are not used up or expired and swept, oldest first."""

    async def revoke(self, token: str) -> bool:
        """Whether there was such a one."""

    async def is_valid(self, token: str, now: datetime) -> bool:
        """Whether it would make an account now."""

    async def redeem(self, token: str, address: Address, password_hash: str, now: datetime) -> Account | None:
        """Use it once and create the account, both or nothing; None if it is not valid or the name is taken."""

    async def sweep(self, now: datetime) -> int:
        """Remove what is used up or expired."""


class SettingStore(Protocol):
    """What an operator chose while the server ran: short texts by name."""

    async def get(self, name: str) -> str | None:
        """None if it was never set."""

    async def put(self, name: str, value: str | None) -> None:
        """Set, or with None forget."""
