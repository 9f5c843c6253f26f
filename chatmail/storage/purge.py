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
SLICE_FILES: Final = 4
"""Files unlinked in one turn: about a millisecond for a large one."""


class Purge:
    """Works the queues off: the writer's background work."""

    def __init__(self, layout: DataLayout, bodies: BodyTable) -> None:
        self._layout = layout
        self._bodies = bodies

    def step(self, transaction: Transaction) -> bool:
        """Do one slice; False if there was nothing to do."""
        return self._purge_mailbox(transaction) or self._purge_files(transaction)

    def _purge_mailbox(self, transaction: Transaction) -> bool:
        doomed = transaction.row("SELECT mailbox_id FROM doomed_mailboxes LIMIT 1")
        if doomed is None:
            return False
        (mailbox_id,) = doomed
        rows = transaction.rows(
            "DELETE FROM messages WHERE mailbox_id = ?1 AND uid IN"
            " (SELECT uid FROM messages WHERE mailbox_id = ?1 ORDER BY uid LIMIT ?2) RETURNING body_id",
            (mailbox_id, SLICE_MESSAGES),
        )
        self._bodies.release(transaction, (body_id for (body_id,) in rows))
        if len(rows) < SLICE_MESSAGES:
            transaction.run("DELETE FROM expunged WHERE mailbox_id = ?", (mailbox_id,))
            transaction.run("DELETE FROM doomed_mailboxes WHERE mailbox_id = ?", (mailbox_id,))
        return True

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
