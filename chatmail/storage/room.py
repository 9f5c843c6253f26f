"""Room in a nearly full account: its oldest mail goes, so that new mail can come. The rule is `policy/retention.py`.

It happens in the transaction that needs the room, so it is bounded: one delivery removes no more than
`ROOM_MESSAGES`, and the next goes on, unless the message would not fit at all without more.
"""

from typing import Final

from chatmail.mail.changes import MailboxId
from chatmail.policy.retention import PROTECTED_SECONDS
from chatmail.storage.database import Row
from chatmail.storage.transaction import Transaction

ROOM_MESSAGES: Final = 100
"""Messages removed for one: some milliseconds."""
MOST_MESSAGES: Final = 20_000
"""Where there is no other way: for one message that alone is as large as these."""


def messages_to_go(
    transaction: Transaction, account_id: int, wanted_bytes: int, needed_bytes: int, now_seconds: int
) -> dict[MailboxId, list[Row]]:
    """The oldest messages (uid, size, body), ascending by UID in each mailbox, that make `wanted_bytes` together.

    Fewer if only protected ones are left, or if many small ones make at least `needed_bytes`.
    """
    oldest = _oldest(transaction, account_id, ROOM_MESSAGES, now_seconds - PROTECTED_SECONDS)
    if sum(row[3] for row in oldest) < needed_bytes:
        oldest = _oldest(transaction, account_id, MOST_MESSAGES, now_seconds - PROTECTED_SECONDS)
    chosen: dict[MailboxId, list[Row]] = {}
    freed_bytes = 0
    for number, (_arrived_at, mailbox_id, uid, size_bytes, body_id) in enumerate(oldest):
        if freed_bytes >= wanted_bytes or (number >= ROOM_MESSAGES and freed_bytes >= needed_bytes):
            break
        chosen.setdefault(mailbox_id, []).append((uid, size_bytes, body_id))
        freed_bytes += size_bytes
    return {mailbox_id: sorted(rows) for mailbox_id, rows in chosen.items()}


def _oldest(transaction: Transaction, account_id: int, count: int, arrived_before: int) -> list[Row]:
    """(arrival, mailbox, uid, size, body) of the oldest messages, oldest first.

    Within a mailbox UIDs ascend as messages come, so its first ones are found without reading the rest.
    """
    mailboxes = transaction.rows("SELECT mailbox_id FROM mailboxes WHERE account_id = ?", (account_id,))
    found: list[Row] = []
    for (mailbox_id,) in mailboxes:
        found += transaction.rows(
            "SELECT min(received_at, saved_at) AS arrived_at, mailbox_id, uid, size_bytes, body_id FROM"
            " (SELECT * FROM messages WHERE mailbox_id = ? ORDER BY uid LIMIT ?) WHERE arrived_at < ?",
            (mailbox_id, count, arrived_before),
        )
    return sorted(found)[:count]
