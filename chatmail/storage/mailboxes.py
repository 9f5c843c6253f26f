"""Mailboxes: the async door to them. What changes messages is in `messages.py`, where bodies lie in `bodies.py`.

Metadata is read in the event loop: a snapshot of 1,000 messages takes about 2 ms, of which SQLite needs a third; a
helper thread would add its hand-over and save nothing while Python builds the records. Large mailboxes are looked at by
`long_reading`, so that nobody else waits for them.
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, TypeVar

from chatmail.errors import StorageError
from chatmail.mail.changes import (
    AccountId,
    Flags,
    MailboxChanges,
    MailboxId,
    MailboxRemoved,
    MessageRecord,
    ModSeq,
    Uid,
)
from chatmail.storage.accounts import new_uid_validity
from chatmail.storage.bodies import BodyReader
from chatmail.storage.database import Reader, Row, among
from chatmail.storage.flags import DELETED_BIT, SEEN_BIT, decode_flags
from chatmail.storage.interface import (
    FlagsMode,
    Mailbox,
    MailboxSnapshot,
    MailboxStatus,
    NewMessage,
    StagedBody,
    StoredBody,
)
from chatmail.storage.long_reading import LongReading
from chatmail.storage.messages import EXPUNGED_MODSEQS, LIGHT_MESSAGES, Appended, Messages
from chatmail.storage.staging import Stage, own_body
from chatmail.storage.subscriptions import keep_gone, rename_all, take_gone
from chatmail.storage.transaction import Transaction
from chatmail.storage.uid_ranges import decode_uids
from chatmail.storage.writer import Writer

MAX_MAILBOXES: Final = 256
"""Of one account."""
LARGE_MAILBOX_MESSAGES: Final = 2000
"""From here on a look at all of them does not belong into the event loop."""
EXPUNGE_SLICE: Final = 500
"""Messages expunged in one transaction: others wait no longer than some ten milliseconds for their turn."""

T = TypeVar("T")

_MAILBOX: Final = "mailbox_id, name, uid_validity, subscribed, special_use"
_RECORD: Final = "uid, modseq, flags, keywords, size_bytes, received_at, saved_at, body_id"


class Mailboxes:
    """`MailboxStore` over SQLite."""

    def __init__(
        self,
        writer: Writer,
        reader: Reader,
        messages: Messages,
        stage: Stage,
        bodies: BodyReader,
        long_reading: LongReading,
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._messages = messages
        self._stage = stage
        self._bodies = bodies
        self._long_reading = long_reading

    # --- mailboxes ---

    async def list(self, account_id: AccountId) -> Sequence[Mailbox]:
        """All of an account, INBOX first, then by name."""
        rows = self._reader.rows(
            f"SELECT {_MAILBOX} FROM mailboxes WHERE account_id = ? ORDER BY name != 'INBOX', name", (account_id,)
        )
        return [_mailbox(row) for row in rows]

    async def find(self, account_id: AccountId, name: str) -> Mailbox | None:
        """See `MailboxStore.find`."""
        row = self._reader.row(
            f"SELECT {_MAILBOX} FROM mailboxes WHERE account_id = ? AND name = ?", (account_id, _canonical(name))
        )
        return None if row is None else _mailbox(row)

    async def create(self, account_id: AccountId, name: str) -> Mailbox | None:
        """See `MailboxStore.create`; also None if the account has `MAX_MAILBOXES` already, or is gone."""
        name = _canonical(name)

        def job(transaction: Transaction) -> Mailbox | None:
            subscribed = take_gone(transaction, account_id, name)
            row = transaction.row(
                "INSERT INTO mailboxes (account_id, name, uid_validity, special_use, subscribed)"
                " SELECT account_id, ?2, ?3, '', ?5 FROM accounts WHERE account_id = ?1"
                " AND (SELECT count(*) FROM mailboxes WHERE account_id = ?1) < ?4"
                f" ON CONFLICT DO NOTHING RETURNING {_MAILBOX}",
                (account_id, name, new_uid_validity(), MAX_MAILBOXES, subscribed),
            )
            if row is None and subscribed:
                keep_gone(transaction, account_id, name)
            return None if row is None else _mailbox(row)

        return await self._writer.submit(job)

    async def remove(self, mailbox_id: MailboxId) -> None:
        """See `MailboxStore.remove`. The messages become unreachable at once and leave the disk soon after."""
        await self._writer.submit(lambda transaction: _remove(transaction, mailbox_id), heavy=True)

    async def rename(self, account_id: AccountId, names: Mapping[MailboxId, str]) -> bool:
        """See `MailboxStore.rename`."""
        new_names = {mailbox_id: _canonical(name) for mailbox_id, name in names.items()}

        def job(transaction: Transaction) -> bool:
            return rename_all(transaction, account_id, new_names)

        return await self._writer.submit(job)

    async def set_subscribed(self, mailbox_id: MailboxId, subscribed: bool) -> None:
        """See `MailboxStore.set_subscribed`."""
        sql = "UPDATE mailboxes SET subscribed = ? WHERE mailbox_id = ?"
        await self._writer.submit(lambda transaction: transaction.run(sql, (int(subscribed), mailbox_id)))

    async def gone_subscriptions(self, account_id: AccountId) -> Sequence[str]:
        """See `MailboxStore.gone_subscriptions`."""
        sql = "SELECT name FROM gone_subscriptions WHERE account_id = ? ORDER BY name"
        return [name for (name,) in self._reader.rows(sql, (account_id,))]

    async def forget_subscription(self, account_id: AccountId, name: str) -> bool:
        """See `MailboxStore.forget_subscription`."""
        return await self._writer.submit(lambda transaction: take_gone(transaction, account_id, name))

    # --- reading ---

    async def status(self, mailbox_id: MailboxId) -> MailboxStatus:
        """See `MailboxStore.status`. Raises `StorageError` if the mailbox is gone."""
        status = await self._ask(mailbox_id, lambda reader: _status(reader, mailbox_id))
        if status is None:
            raise StorageError("the mailbox is gone")
        return status

    async def snapshot(self, mailbox_id: MailboxId) -> MailboxSnapshot | None:
        """See `MailboxStore.snapshot`."""
        return await self._ask(mailbox_id, lambda reader: _snapshot(reader, mailbox_id))

    async def _ask(self, mailbox_id: MailboxId, question: Callable[[Reader], T]) -> T:
        """Here, or where it takes as long as it may."""
        row = self._reader.row(
            "SELECT count(*) FROM (SELECT 1 FROM messages WHERE mailbox_id = ? LIMIT ?)",
            (mailbox_id, LARGE_MAILBOX_MESSAGES),
        )
        is_large = row is not None and row[0] == LARGE_MAILBOX_MESSAGES
        return await self._long_reading.ask(question) if is_large else question(self._reader)

    async def records(self, mailbox_id: MailboxId, uids: Collection[Uid]) -> Sequence[MessageRecord]:
        """See `MailboxStore.records`."""
        if not uids:
            return []
        low, high = min(uids), max(uids)
        # Without gaps, as most often, a range says the same: a fifth of the time of looking each one up.
        which, numbers = ("BETWEEN ? AND ?", (low, high)) if high - low < len(uids) else _among_uids(uids)
        rows = self._reader.rows(
            f"SELECT {_RECORD} FROM messages WHERE mailbox_id = ? AND uid {which} ORDER BY uid", (mailbox_id, *numbers)
        )
        return [_record(row) for row in rows]

    async def expunged_since(self, mailbox_id: MailboxId, modseq: ModSeq) -> Sequence[Uid] | None:
        """See `MailboxStore.expunged_since`."""
        with self._reader.one_moment():
            row = self._reader.row("SELECT highest_modseq FROM mailboxes WHERE mailbox_id = ?", (mailbox_id,))
            rows = self._reader.rows(
                "SELECT uids FROM expunged WHERE mailbox_id = ? AND modseq > ?", (mailbox_id, modseq)
            )
        if row is None or modseq < row[0] - EXPUNGED_MODSEQS:
            return None
        return sorted(uid for (uids,) in rows for uid in decode_uids(uids))

    async def headers(self, body_ids: Collection[int]) -> Mapping[int, bytes]:
        """See `MailboxStore.headers`."""
        return await self._bodies.headers(body_ids)

    async def body(self, body_id: int) -> StoredBody | None:
        """See `MailboxStore.body`."""
        return await self._bodies.body(body_id)

    # --- messages ---

    async def append(
        self, mailbox_id: MailboxId, body: StagedBody, flags: Flags, received_at: datetime, *, origin: object = None
    ) -> Uid | None:
        """See `MailboxStore.append`. Times are kept in whole seconds. Raises `StorageError` if the mailbox is gone."""
        uids = await self.append_all(mailbox_id, (NewMessage(body, flags, received_at),), origin=origin)
        return uids[0] if uids else None

    async def append_all(
        self, mailbox_id: MailboxId, messages: Sequence[NewMessage], *, origin: object = None
    ) -> Sequence[Uid] | None:
        """See `MailboxStore.append_all`."""
        bodies = [own_body(message.body) for message in messages]
        incoming = [
            Appended(body, message.flags, int(message.received_at.timestamp()))
            for body, message in zip(bodies, messages, strict=True)
        ]
        now = int(time.time())

        def job(transaction: Transaction) -> Sequence[Uid] | None:
            return self._messages.append(transaction, mailbox_id, incoming, now, origin)

        return await self._stage.store(bodies, job, heavy=len(bodies) > LIGHT_MESSAGES)

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
        """See `MailboxStore.store_flags`. A message whose flags stay the same keeps its MODSEQ and is not announced."""

        def job(transaction: Transaction) -> frozenset[Uid]:
            return self._messages.store_flags(transaction, mailbox_id, uids, mode, flags, unchanged_since, origin)

        return await self._writer.submit(job, heavy=len(uids) > LIGHT_MESSAGES)

    async def expunge(
        self, mailbox_id: MailboxId, uids: Collection[Uid] | None = None, *, origin: object = None
    ) -> Sequence[Uid]:
        """See `MailboxStore.expunge`. Many messages go in several transactions, so that nobody else waits long."""

        def job(transaction: Transaction) -> Sequence[Uid]:
            return self._messages.expunge(transaction, mailbox_id, uids, limit, origin)

        # Most often one message or a few go: a slice that is light is tried first.
        gone: list[Uid] = []
        limit = LIGHT_MESSAGES
        while True:
            slice_gone = await self._writer.submit(job, heavy=limit > LIGHT_MESSAGES)
            gone += slice_gone
            if len(slice_gone) < limit:
                return gone
            limit = EXPUNGE_SLICE

    async def copy(
        self, mailbox_id: MailboxId, uids: Collection[Uid], target: MailboxId, *, move: bool, origin: object = None
    ) -> Mapping[Uid, Uid] | None:
        """See `MailboxStore.copy`. Raises `StorageError` if the target is gone."""
        now = int(time.time())

        def job(transaction: Transaction) -> Mapping[Uid, Uid] | None:
            return self._messages.copy(transaction, mailbox_id, uids, target, move, now, origin)

        return await self._writer.submit(job, heavy=len(uids) > LIGHT_MESSAGES)


def _among_uids(uids: Collection[Uid]) -> tuple[str, tuple[int | str, ...]]:
    which, numbers = among(uids)
    return which, (numbers,)


def _status(reader: Reader, mailbox_id: MailboxId) -> MailboxStatus | None:
    with reader.one_moment():
        row = reader.row(
            "SELECT uid_next, uid_validity, highest_modseq FROM mailboxes WHERE mailbox_id = ?", (mailbox_id,)
        )
        counts = reader.row(
            "SELECT count(*), count(*) FILTER (WHERE NOT flags & ?), count(*) FILTER (WHERE flags & ?),"
            " ifnull(sum(size_bytes), 0), ifnull(sum(size_bytes) FILTER (WHERE flags & ?), 0)"
            " FROM messages WHERE mailbox_id = ?",
            (SEEN_BIT, DELETED_BIT, DELETED_BIT, mailbox_id),
        )
    return None if row is None or counts is None else MailboxStatus(*counts, *row)


def _snapshot(reader: Reader, mailbox_id: MailboxId) -> MailboxSnapshot | None:
    with reader.one_moment():
        row = reader.row(
            f"SELECT {_MAILBOX}, uid_next, highest_modseq FROM mailboxes WHERE mailbox_id = ?", (mailbox_id,)
        )
        rows = reader.rows(f"SELECT {_RECORD} FROM messages WHERE mailbox_id = ? ORDER BY uid", (mailbox_id,))
    if row is None:
        return None
    *mailbox, uid_next, highest_modseq = row
    records = tuple(_record(row) for row in rows)
    return MailboxSnapshot(_mailbox(tuple(mailbox)), Uid(uid_next), ModSeq(highest_modseq), records)


def _canonical(name: str) -> str:
    return "INBOX" if name.upper() == "INBOX" else name


def _mailbox(row: Row) -> Mailbox:
    mailbox_id, name, uid_validity, subscribed, special_use = row
    return Mailbox(MailboxId(mailbox_id), name, uid_validity, bool(subscribed), special_use)


def _record(row: Row) -> MessageRecord:
    uid, modseq, mask, keywords, size_bytes, received_at, saved_at, body_id = row
    received = saved = datetime.fromtimestamp(received_at, UTC)
    if saved_at != received_at:
        saved = datetime.fromtimestamp(saved_at, UTC)
    return MessageRecord(uid, modseq, decode_flags(mask, keywords), size_bytes, received, saved, body_id)


def _remove(transaction: Transaction, mailbox_id: MailboxId) -> None:
    row = transaction.row(
        "DELETE FROM mailboxes WHERE mailbox_id = ? RETURNING account_id, name, subscribed", (mailbox_id,)
    )
    if row is None:
        return
    account_id, name, subscribed = row
    if subscribed:
        keep_gone(transaction, account_id, name)
    transaction.run(
        "UPDATE accounts SET usage_bytes = usage_bytes -"
        " (SELECT ifnull(sum(size_bytes), 0) FROM messages WHERE mailbox_id = ?) WHERE account_id = ?",
        (mailbox_id, account_id),
    )
    transaction.run("INSERT INTO doomed_mailboxes VALUES (?)", (mailbox_id,))
    transaction.changes.append(MailboxChanges(mailbox_id, (MailboxRemoved(),)))
    transaction.leave_work()
