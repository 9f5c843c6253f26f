"""Removal in slices: what `doomed_mailboxes` and `doomed_files` list, done in the background of the writer.

A removed account or mailbox is out of sight with its own small transaction; a hundred thousand messages behind it
then leave in slices of `SLICE_MESSAGES`, between which everybody else's work goes on. The queues are tables, so a
start goes on where the last run ended.
"""

import contextlib
from typing import Final

from chatmail.storage.bodies import BodyTable
from chatmail.storage.layout import DataLayout
from chatmail.storage.transaction import Transaction

SLICE_MESSAGES: Final = 200
"""Messages removed in one turn: a few milliseconds."""
SLICE_MAILBOXES: Final = 16
"""Mailboxes removed in one turn: most of an account are empty."""
SLICE_FILES: Final = 4
"""Files unlinked in one turn: about a millisecond for a large one."""


class Purge:
    """Works the queues off: the writer's background work."""

    def __init__(self, layout: DataLayout, bodies: BodyTable) -> None:
        self._layout = layout
        self._bodies = bodies

    def step(self, transaction: Transaction) -> bool:
        """Do one slice; False if there was nothing to do."""
        return self._purge_mailboxes(transaction) or self._purge_files(transaction)

    def _purge_mailboxes(self, transaction: Transaction) -> bool:
        doomed = transaction.rows("SELECT mailbox_id FROM doomed_mailboxes LIMIT ?", (SLICE_MAILBOXES,))
        left = SLICE_MESSAGES
        for (mailbox_id,) in doomed:
            left -= self._purge_messages(transaction, mailbox_id, left)
            if left <= 0:
                break
            transaction.run("DELETE FROM expunged WHERE mailbox_id = ?", (mailbox_id,))
            transaction.run("DELETE FROM doomed_mailboxes WHERE mailbox_id = ?", (mailbox_id,))
        return bool(doomed)

    def _purge_messages(self, transaction: Transaction, mailbox_id: int, limit: int) -> int:
        """Remove up to `limit` messages of a mailbox; how many there were."""
        rows = transaction.rows(
            "DELETE FROM messages WHERE mailbox_id = ?1 AND uid IN"
            " (SELECT uid FROM messages WHERE mailbox_id = ?1 ORDER BY uid LIMIT ?2) RETURNING body_id",
            (mailbox_id, limit),
        )
        self._bodies.release(transaction, (body_id for (body_id,) in rows))
        return len(rows)

    def _purge_files(self, transaction: Transaction) -> bool:
        rows = transaction.rows("SELECT body_id FROM doomed_files LIMIT ?", (SLICE_FILES,))
        if not rows:
            return False
        # A crash before the commit only means that the next start finds the files gone already.
        for (body_id,) in rows:
            path = self._layout.body(body_id)
            path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # other bodies are left in the shard
                path.parent.rmdir()
        transaction.run_many("DELETE FROM doomed_files WHERE body_id = ?", rows)
        return True
