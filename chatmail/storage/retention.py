"""Removal by age. Looking for what is overdue happens in a thread with a connection of its own; removing goes through
the writer in pieces that the caller makes small.

A scan of all messages reads 60 bytes each, in C and without the interpreter's lock: 0.1 s for a million.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import groupby
from typing import Final, TypeVar

from chatmail.mail.changes import AccountId, MailboxId, Uid
from chatmail.policy.push import LIFETIME_SECONDS
from chatmail.policy.retention import LARGE_BYTES, RetentionLimits
from chatmail.storage.accounts import remove_account
from chatmail.storage.database import PAGE_BYTES, Reader, among
from chatmail.storage.layout import DataLayout
from chatmail.storage.messages import Messages
from chatmail.storage.transaction import Transaction
from chatmail.storage.upkeep import Amount, MessageKey, Overdue, Space
from chatmail.storage.writer import Writer

T = TypeVar("T")

VACUUM_PAGES: Final = 16
"""Pages moved in one turn: a quarter of a megabyte."""
SLACK_PAGES: Final = 64
SLACK_SHARE: Final = 20
"""A megabyte, or one part in twenty of the file, stays free in it, where tomorrow's mail takes it."""
CORRECTED_AT_ONCE: Final = 500
_CACHE_BYTES: Final = 1 << 20

_ARRIVED: Final = "min(received_at, saved_at)"
_OLD: Final = f"{_ARRIVED} < ?1"
_ONLY_LARGE: Final = f"{_ARRIVED} >= ?1 AND size_bytes > {LARGE_BYTES} AND {_ARRIVED} < ?2"
_OVERDUE: Final = f"({_OLD} OR (size_bytes > {LARGE_BYTES} AND {_ARRIVED} < ?2))"
_DAY: Final = 86400


class Retention:
    """`RetentionStore` over SQLite."""

    def __init__(self, layout: DataLayout, writer: Writer, messages: Messages) -> None:
        self._layout = layout
        self._writer = writer
        self._messages = messages
        self._reader = Reader(layout.database, cache_bytes=_CACHE_BYTES)
        self._thread = ThreadPoolExecutor(1, "chatmail-retention")

    async def _read(self, read: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, read)

    # --- what is overdue ---

    async def survey(self, limits: RetentionLimits) -> Overdue:
        """See `RetentionStore.survey`."""
        return await self._read(lambda: self._survey(limits))

    def _survey(self, limits: RetentionLimits) -> Overdue:
        with self._reader.one_moment():
            old, old_bytes, large, large_bytes = self._reader.rows(
                f"SELECT count(*) FILTER (WHERE {_OLD}), ifnull(sum(size_bytes) FILTER (WHERE {_OLD}), 0),"
                f" count(*) FILTER (WHERE {_ONLY_LARGE}), ifnull(sum(size_bytes) FILTER (WHERE {_ONLY_LARGE}), 0)"
                f" FROM messages WHERE {_OVERDUE} AND mailbox_id NOT IN (SELECT mailbox_id FROM doomed_mailboxes)"
                " AND mailbox_id NOT IN (SELECT mailbox_id FROM mailboxes JOIN accounts USING (account_id)"
                " WHERE last_login_on < ?3)",
                (limits.mail_before, limits.large_mail_before, limits.last_login_before),
            )[0]
            accounts, account_bytes = self._reader.rows(
                "SELECT count(*), ifnull(sum(usage_bytes), 0) FROM accounts WHERE last_login_on < ?",
                (limits.last_login_before,),
            )[0]
            ((tokens,),) = self._reader.rows(
                "SELECT count(*) FROM device_tokens WHERE refreshed_at_microseconds < ?",
                (limits.tokens_before * 1_000_000,),
            )
        return Overdue(Amount(old, old_bytes), Amount(large, large_bytes), Amount(accounts, account_bytes), tokens)

    async def overdue_mail(
        self, limits: RetentionLimits, after: MessageKey | None, limit: int
    ) -> Sequence[tuple[MessageKey, int]]:
        """See `RetentionStore.overdue_mail`."""
        mailbox_id, uid = (after.mailbox_id, after.uid) if after is not None else (0, 0)
        rows = await self._read(
            lambda: self._reader.rows(
                f"SELECT mailbox_id, uid, size_bytes FROM messages WHERE (mailbox_id, uid) > (?3, ?4) AND {_OVERDUE}"
                " ORDER BY mailbox_id, uid LIMIT ?5",
                (limits.mail_before, limits.large_mail_before, mailbox_id, uid, limit),
            )
        )
        return [(MessageKey(MailboxId(mailbox_id), Uid(uid)), size) for mailbox_id, uid, size in rows]

    # --- removing it ---

    async def expire_mail(self, keys: Sequence[MessageKey], limits: RetentionLimits) -> Amount:
        """See `RetentionStore.expire_mail`. All in one transaction: so let there be few."""
        by_mailbox = [(mailbox, [key.uid for key in group]) for mailbox, group in groupby(keys, _mailbox_of)]

        def job(transaction: Transaction) -> Amount:
            removed = Amount()
            for mailbox_id, uids in by_mailbox:
                removed += self._expire_in(transaction, mailbox_id, uids, limits)
            return removed

        return await self._writer.submit(job, heavy=True)

    def _expire_in(
        self, transaction: Transaction, mailbox_id: MailboxId, uids: list[Uid], limits: RetentionLimits
    ) -> Amount:
        which, numbers = among(uids)
        # A mailbox that is gone meanwhile is worked off with its messages in the background.
        rows = transaction.rows(
            f"SELECT uid, size_bytes, body_id FROM messages WHERE mailbox_id = ?3 AND uid {which.replace('?', '?4')}"
            f" AND {_OVERDUE} AND EXISTS (SELECT 1 FROM mailboxes WHERE mailbox_id = ?3) ORDER BY uid",
            (limits.mail_before, limits.large_mail_before, mailbox_id, numbers),
        )
        self._messages.remove(transaction, mailbox_id, rows, None)
        return Amount(len(rows), sum(row[1] for row in rows))

    async def expire_accounts(self, limits: RetentionLimits, limit: int) -> Amount:
        """See `RetentionStore.expire_accounts`. Their mail leaves the disk in the background."""

        def job(transaction: Transaction) -> Amount:
            rows = transaction.rows(
                "SELECT account_id, usage_bytes FROM accounts WHERE last_login_on < ? LIMIT ?",
                (limits.last_login_before, limit),
            )
            for account_id, _usage in rows:
                remove_account(transaction, AccountId(account_id), self._messages.bodies)
            return Amount(len(rows), sum(usage for _id, usage in rows))

        overdue = await self._read(
            lambda: self._reader.row(
                "SELECT 1 FROM accounts WHERE last_login_on < ? LIMIT 1", (limits.last_login_before,)
            )
        )
        return Amount() if overdue is None else await self._writer.submit(job, heavy=True)

    async def expire_device_tokens(self, limits: RetentionLimits) -> int:
        """See `RetentionStore.expire_device_tokens`."""

        def job(transaction: Transaction) -> int:
            transaction.run("DELETE FROM push_queue WHERE queued_at < ?", (limits.now - LIFETIME_SECONDS,))
            return transaction.run(
                "DELETE FROM device_tokens WHERE refreshed_at_microseconds < ?", (limits.tokens_before * 1_000_000,)
            )

        return await self._writer.submit(job, heavy=True)

    async def correct_future(self, limits: RetentionLimits) -> int:
        """See `RetentionStore.correct_future`. INTERNALDATE never changes (RFC 9051 §2.3.3), SAVEDATE does."""
        too_late, today = limits.now + _DAY, limits.now // _DAY + _UNIX_DAY_ORDINAL
        corrected = 0
        while True:
            rows = await self._read(
                lambda: self._reader.rows(
                    f"SELECT mailbox_id, uid FROM messages WHERE {_ARRIVED} > ? LIMIT ?", (too_late, CORRECTED_AT_ONCE)
                )
            )
            await self._writer.submit(partial(_correct, rows=rows, now=limits.now, today=today), heavy=True)
            corrected += len(rows)
            if len(rows) < CORRECTED_AT_ONCE:
                return corrected

    # --- space ---

    async def doomed(self) -> int:
        """See `RetentionStore.doomed`."""
        sql = "SELECT (SELECT count(*) FROM doomed_mailboxes) + (SELECT count(*) FROM doomed_files)"
        ((count,),) = await self._read(lambda: self._reader.rows(sql))
        return int(count)

    async def sweep_orphans(self) -> int:
        """See `RetentionStore.sweep_orphans`."""
        return await self._read(self._sweep_orphans)

    def _sweep_orphans(self) -> int:
        # The files first: one that a commit names afterwards has a number the database has not given out yet.
        files = [path for path in self._layout.body_files() if path.name.isdigit()]
        with self._reader.one_moment():
            known = {row[0] for row in self._reader.rows("SELECT body_id FROM bodies WHERE in_file")}
            known |= {row[0] for row in self._reader.rows("SELECT body_id FROM doomed_files")}
            last = self._reader.row("SELECT seq FROM sqlite_sequence WHERE name = 'bodies'") or (0,)
        strays = [path for path in files if int(path.name) <= last[0] and int(path.name) not in known]
        for path in strays:
            path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # other bodies are left in the shard
                path.parent.rmdir()
        return len(strays)

    async def give_back(self) -> bool:
        """See `RetentionStore.give_back`. The file itself shrinks with the writer's next checkpoint."""
        return await self._writer.submit(_give_back, heavy=True)

    async def space(self) -> Space:
        """See `RetentionStore.space`."""

        def job(transaction: Transaction) -> Space:
            free, pages = _free_and_all_pages(transaction)
            return Space(pages * PAGE_BYTES, free * PAGE_BYTES)

        return await self._writer.submit(job, heavy=True)

    def close(self) -> None:
        """End the thread and close its connection."""
        self._thread.shutdown()
        self._reader.close()


_UNIX_DAY_ORDINAL: Final = 719163
"""1970-01-01 as a proleptic ordinal."""


def _correct(transaction: Transaction, rows: Sequence[tuple[int, int]], now: int, today: int) -> None:
    transaction.run_many(
        "UPDATE messages SET saved_at = ? WHERE mailbox_id = ? AND uid = ?", [(now, *key) for key in rows]
    )
    transaction.run("UPDATE accounts SET last_login_on = ?1 WHERE last_login_on > ?1 + 1", (today,))


def _free_and_all_pages(transaction: Transaction) -> tuple[int, int]:
    (free,), (pages,) = transaction.row("PRAGMA freelist_count") or (0,), transaction.row("PRAGMA page_count") or (0,)
    return free, pages


def _give_back(transaction: Transaction) -> bool:
    free, pages = _free_and_all_pages(transaction)
    spare = free - max(SLACK_PAGES, pages // SLACK_SHARE)
    if spare <= 0:
        return False
    transaction.rows(f"PRAGMA incremental_vacuum({min(spare, VACUUM_PAGES)})")
    return _free_and_all_pages(transaction)[0] < free


def _mailbox_of(key: MessageKey) -> MailboxId:
    return key.mailbox_id
