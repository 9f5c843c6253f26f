"""What changes the messages of mailboxes: functions that run inside a transaction and say what changed.

Each operation on a mailbox takes one new MODSEQ for all the messages it touches (RFC 7162 §3.1 asks no more), and
keeps `accounts.usage_bytes` and the counts of bodies exact in the same transaction.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from chatmail.errors import StorageError
from chatmail.mail.address import Address
from chatmail.mail.changes import (
    NO_FLAGS,
    Change,
    Flags,
    FlagsChanged,
    MailboxChanges,
    MailboxId,
    MessageAdded,
    MessageExpunged,
    ModSeq,
    Uid,
)
from chatmail.policy.retention import excess_bytes
from chatmail.storage.bodies import BodyTable
from chatmail.storage.database import Row, among
from chatmail.storage.flags import DELETED_BIT, combine_flags, decode_flags, encode_flags
from chatmail.storage.interface import DeliveryOutcome, FlagsMode
from chatmail.storage.outbound import Outbound
from chatmail.storage.push_queue import PushTable
from chatmail.storage.queue import QueueTable, by_domain
from chatmail.storage.room import messages_to_go
from chatmail.storage.staging import IncomingBody
from chatmail.storage.transaction import Transaction
from chatmail.storage.uid_ranges import encode_uids

EXPUNGED_MODSEQS: Final = 128
"""How far back, in MODSEQ, what was expunged from a mailbox is remembered: some two kilobytes for each at most."""

LIGHT_MESSAGES: Final = 50
"""An operation on more messages than these is heavy work for the writer: it takes a millisecond or more."""

_INSERT_MESSAGE: Final = (
    "INSERT INTO messages (mailbox_id, uid, modseq, flags, keywords, size_bytes, received_at, saved_at, body_id)"
)


@dataclass(frozen=True, slots=True)
class _Target:
    """A mailbox that messages come into: the first free UID, the operation's MODSEQ, what the account has left."""

    mailbox_id: MailboxId
    account_id: int
    uid: Uid
    modseq: ModSeq
    usage_bytes: int


class Appended(NamedTuple):
    """A message of an APPEND; `received_at` in Unix seconds."""

    body: IncomingBody
    flags: Flags
    received_at: int


class _Inbox(NamedTuple):
    """Where a delivery goes, and the UID and MODSEQ it gets there."""

    address: str
    account_id: int
    mailbox_id: MailboxId
    uid: Uid
    modseq: ModSeq


@dataclass(frozen=True, slots=True)
class Messages:
    """The operations, with what they all need."""

    bodies: BodyTable
    queue: QueueTable
    max_mailbox_size_bytes: int
    push: PushTable | None
    """Where deliveries are notified; None if nobody is."""

    # --- delivery ---

    def deliver(
        self,
        transaction: Transaction,
        body: IncomingBody,
        recipients: Collection[Address],
        now_seconds: int,
        sender: Address | None = None,
        outbound: Outbound | None = None,
        whole_at: float = 0.0,
    ) -> dict[Address, DeliveryOutcome]:
        """One body for many INBOXes and the queue, with the same few statements whatever their number."""
        outcomes = dict.fromkeys(recipients, DeliveryOutcome.UNKNOWN)
        by_text = {str(address): address for address in outcomes}
        inboxes: list[_Inbox] = []
        for text, blocked, usage_bytes, account_id, mailbox_id, uid, modseq in self._with_room(
            transaction, by_text, body.size_bytes, now_seconds
        ):
            if blocked:
                outcome = DeliveryOutcome.DISCARDED
            elif usage_bytes + body.size_bytes > self.max_mailbox_size_bytes:
                outcome = DeliveryOutcome.OVER_QUOTA
            else:
                outcome = DeliveryOutcome.DELIVERED
                inboxes.append(_Inbox(text, account_id, mailbox_id, uid, modseq))
            outcomes[by_text[text]] = outcome
        items = 0 if outbound is None else len(by_domain(outbound.recipients))
        if inboxes or items:
            body_id = self.bodies.insert(transaction, body, len(inboxes) + items)
            if inboxes:
                self._put_into(transaction, body_id, body.size_bytes, inboxes, now_seconds, whole_at)
            if outbound is not None:
                self.queue.insert(transaction, body_id, body.size_bytes, outbound, now_seconds)
        if self.push is not None:
            own = str(sender)
            to_wake = [inbox.account_id for inbox in inboxes if inbox.address != own]
            if to_wake:
                self.push.enqueue(transaction, to_wake, now_seconds)
        return outcomes

    def _with_room(
        self, transaction: Transaction, addresses: Collection[str], size_bytes: int, now_seconds: int
    ) -> list[Row]:
        """The accounts of these addresses as `deliver` needs them, after the nearly full ones have made room."""
        which, texts = among(addresses)
        sql = (
            "SELECT address, blocked, usage_bytes, accounts.account_id, mailbox_id, uid_next, highest_modseq + 1"
            f" FROM accounts JOIN mailboxes ON mailbox_id = inbox_id WHERE address {which}"
        )
        rows = transaction.rows(sql, (texts,))
        for _text, blocked, usage_bytes, account_id, *_rest in rows:
            if not blocked and self._make_room(transaction, account_id, usage_bytes, size_bytes, now_seconds):
                rows = transaction.rows(sql, (texts,))
        return rows

    def _make_room(
        self, transaction: Transaction, account_id: int, usage_bytes: int, size_bytes: int, now_seconds: int
    ) -> bool:
        """Whether old mail went. It does only if the message then fits: what is refused costs nobody anything."""
        excess = excess_bytes(usage_bytes, size_bytes, self.max_mailbox_size_bytes)
        if not excess:
            return False
        needed = usage_bytes + size_bytes - self.max_mailbox_size_bytes
        to_go = messages_to_go(transaction, account_id, excess, needed, now_seconds)
        if sum(row[1] for rows in to_go.values() for row in rows) < needed:
            return False
        for mailbox_id, rows in to_go.items():
            self.remove(transaction, mailbox_id, rows, None)
        return bool(to_go)

    def _put_into(
        self,
        transaction: Transaction,
        body_id: int,
        size_bytes: int,
        inboxes: Sequence[_Inbox],
        now_seconds: int,
        whole_at: float,
    ) -> None:
        transaction.run_many(
            f"{_INSERT_MESSAGE} VALUES (?, ?, ?, 0, '', ?, ?, ?, ?)",
            [
                (inbox.mailbox_id, inbox.uid, inbox.modseq, size_bytes, now_seconds, now_seconds, body_id)
                for inbox in inboxes
            ],
        )
        which, numbers = among([inbox.mailbox_id for inbox in inboxes])
        transaction.run(
            "UPDATE mailboxes SET uid_next = uid_next + 1, highest_modseq = highest_modseq + 1"
            f" WHERE mailbox_id {which}",
            (numbers,),
        )
        which, numbers = among([inbox.account_id for inbox in inboxes])
        transaction.run(
            f"UPDATE accounts SET usage_bytes = usage_bytes + ? WHERE account_id {which}", (size_bytes, numbers)
        )
        transaction.changes += [
            MailboxChanges(
                inbox.mailbox_id, (MessageAdded(inbox.uid, inbox.modseq, NO_FLAGS, size_bytes),), whole_at=whole_at
            )
            for inbox in inboxes
        ]

    def append(
        self,
        transaction: Transaction,
        mailbox_id: MailboxId,
        incoming: Sequence[Appended],
        now_seconds: int,
        origin: object,
    ) -> list[Uid] | None:
        """Messages into one mailbox, all of them; None if the account has no room left."""
        size_bytes = sum(each.body.size_bytes for each in incoming)
        target = self._open_target(transaction, mailbox_id)
        if self._make_room(transaction, target.account_id, target.usage_bytes, size_bytes, now_seconds):
            target = self._open_target(transaction, mailbox_id)
        if target.usage_bytes + size_bytes > self.max_mailbox_size_bytes:
            return None
        self._advance(transaction, target, len(incoming), size_bytes)
        added = []
        for uid, each in enumerate(incoming, target.uid):
            size = each.body.size_bytes
            body_id = self.bodies.insert(transaction, each.body, 1)
            columns = (*encode_flags(each.flags), size, each.received_at, now_seconds, body_id)
            transaction.run(
                f"{_INSERT_MESSAGE} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (mailbox_id, uid, target.modseq, *columns)
            )
            added.append(MessageAdded(Uid(uid), target.modseq, each.flags, size))
        transaction.changes.append(MailboxChanges(mailbox_id, tuple(added), origin))
        return [change.uid for change in added]

    # --- flags ---

    def store_flags(
        self,
        transaction: Transaction,
        mailbox_id: MailboxId,
        uids: Collection[Uid],
        mode: FlagsMode,
        flags: Flags,
        unchanged_since: ModSeq | None,
        origin: object,
    ) -> frozenset[Uid]:
        """Change flags; a message that already has them keeps its MODSEQ. Returns what `unchanged_since` kept back."""
        kept_back: list[Uid] = []
        changed: list[tuple[Uid, Flags]] = []
        which, numbers = among(uids)
        for uid, modseq, mask, keywords in transaction.rows(
            f"SELECT uid, modseq, flags, keywords FROM messages WHERE mailbox_id = ? AND uid {which} ORDER BY uid",
            (mailbox_id, numbers),
        ):
            old = decode_flags(mask, keywords)
            new = combine_flags(old, mode, flags)
            if unchanged_since is not None and modseq > unchanged_since:
                kept_back.append(uid)
            elif new != old:
                changed.append((uid, new))
        if changed:
            self._write_flags(transaction, mailbox_id, changed, origin)
        return frozenset(kept_back)

    def _write_flags(
        self, transaction: Transaction, mailbox_id: MailboxId, changed: Sequence[tuple[Uid, Flags]], origin: object
    ) -> None:
        modseq = _next_modseq(transaction, mailbox_id)
        transaction.run_many(
            "UPDATE messages SET modseq = ?, flags = ?, keywords = ? WHERE mailbox_id = ? AND uid = ?",
            [(modseq, *encode_flags(flags), mailbox_id, uid) for uid, flags in changed],
        )
        changes = tuple(FlagsChanged(uid, modseq, flags) for uid, flags in changed)
        transaction.changes.append(MailboxChanges(mailbox_id, changes, origin))

    # --- expunge ---

    def expunge(
        self,
        transaction: Transaction,
        mailbox_id: MailboxId,
        uids: Collection[Uid] | None,
        limit: int,
        origin: object,
    ) -> list[Uid]:
        """Remove the first `limit` messages that are `\\Deleted`; their UIDs, ascending."""
        which, numbers = ("> ?", 0) if uids is None else among(uids)
        rows = transaction.rows(
            "SELECT uid, size_bytes, body_id FROM messages"
            f" WHERE mailbox_id = ? AND uid {which} AND flags & ? ORDER BY uid LIMIT ?",
            (mailbox_id, numbers, DELETED_BIT, limit),
        )
        return self.remove(transaction, mailbox_id, rows, origin)

    def remove(self, transaction: Transaction, mailbox_id: MailboxId, rows: Sequence[Row], origin: object) -> list[Uid]:
        """Take out the messages `rows` (uid, size, body), ascending by UID, and all that hangs on them."""
        if not rows:
            return []
        uids = [Uid(uid) for uid, _size, _body in rows]
        which, numbers = among(uids)
        transaction.run(f"DELETE FROM messages WHERE mailbox_id = ? AND uid {which}", (mailbox_id, numbers))
        modseq = _next_modseq(transaction, mailbox_id)
        transaction.run(
            "UPDATE accounts SET usage_bytes = usage_bytes - ?"
            " WHERE account_id = (SELECT account_id FROM mailboxes WHERE mailbox_id = ?)",
            (sum(size_bytes for _uid, size_bytes, _body in rows), mailbox_id),
        )
        self.bodies.release(transaction, (body_id for _uid, _size, body_id in rows))
        _remember_expunged(transaction, mailbox_id, modseq, uids)
        changes: tuple[Change, ...] = tuple(MessageExpunged(uid, modseq) for uid in uids)
        transaction.changes.append(MailboxChanges(mailbox_id, changes, origin))
        return uids

    # --- copy and move ---

    def copy(
        self,
        transaction: Transaction,
        mailbox_id: MailboxId,
        uids: Collection[Uid],
        target_id: MailboxId,
        move: bool,
        now_seconds: int,
        origin: object,
    ) -> dict[Uid, Uid] | None:
        """Copy or move `uids` in ascending order; None if the account has no room for the copies."""
        which, numbers = among(uids)
        rows = transaction.rows(
            "SELECT uid, size_bytes, flags, keywords, received_at, body_id FROM messages"
            f" WHERE mailbox_id = ? AND uid {which} ORDER BY uid",
            (mailbox_id, numbers),
        )
        target = self._open_target(transaction, target_id)
        size_bytes = sum(row[1] for row in rows)
        if not rows:
            return {}
        if not move and target.usage_bytes + size_bytes > self.max_mailbox_size_bytes:
            return None
        self._advance(transaction, target, len(rows), size_bytes)
        copied = {Uid(row[0]): Uid(target.uid + position) for position, row in enumerate(rows)}
        transaction.run_many(
            f"{_INSERT_MESSAGE} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (target_id, copied[uid], target.modseq, mask, keywords, size, received_at, now_seconds, body_id)
                for uid, size, mask, keywords, received_at, body_id in rows
            ],
        )
        self.bodies.share(transaction, (row[5] for row in rows))
        changes = tuple(
            MessageAdded(copied[uid], target.modseq, decode_flags(mask, keywords), size)
            for uid, size, mask, keywords, _received_at, _body_id in rows
        )
        transaction.changes.append(MailboxChanges(target_id, changes, origin))
        if move:
            self.remove(transaction, mailbox_id, [(row[0], row[1], row[5]) for row in rows], origin)
        return copied

    # --- common to what comes in ---

    def _open_target(self, transaction: Transaction, mailbox_id: MailboxId) -> _Target:
        row = transaction.row(
            "SELECT account_id, uid_next, highest_modseq + 1, usage_bytes"
            " FROM mailboxes JOIN accounts USING (account_id) WHERE mailbox_id = ?",
            (mailbox_id,),
        )
        if row is None:
            raise StorageError("the mailbox is gone")
        account_id, uid_next, modseq, usage_bytes = row
        return _Target(mailbox_id, account_id, Uid(uid_next), ModSeq(modseq), usage_bytes)

    def _advance(self, transaction: Transaction, target: _Target, messages: int, size_bytes: int) -> None:
        transaction.run(
            "UPDATE mailboxes SET uid_next = uid_next + ?, highest_modseq = ? WHERE mailbox_id = ?",
            (messages, target.modseq, target.mailbox_id),
        )
        transaction.run(
            "UPDATE accounts SET usage_bytes = usage_bytes + ? WHERE account_id = ?", (size_bytes, target.account_id)
        )


def _next_modseq(transaction: Transaction, mailbox_id: MailboxId) -> ModSeq:
    row = transaction.row(
        "UPDATE mailboxes SET highest_modseq = highest_modseq + 1 WHERE mailbox_id = ? RETURNING highest_modseq",
        (mailbox_id,),
    )
    if row is None:
        raise StorageError("the mailbox is gone")
    return ModSeq(row[0])


def _remember_expunged(transaction: Transaction, mailbox_id: MailboxId, modseq: ModSeq, uids: Sequence[Uid]) -> None:
    transaction.run("INSERT INTO expunged VALUES (?, ?, ?)", (mailbox_id, modseq, encode_uids(uids)))
    transaction.run(
        "DELETE FROM expunged WHERE mailbox_id = ? AND modseq <= ?", (mailbox_id, modseq - EXPUNGED_MODSEQS)
    )
