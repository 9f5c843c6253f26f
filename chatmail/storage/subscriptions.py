"""Subscriptions are to names, not to mailboxes: they outlive a mailbox and do not follow it (RFC 9051 §6.3.6, §6.3.7).

While a mailbox has the name, the subscription is a column of it; when it goes or is renamed, the name alone is kept.
"""

from collections.abc import Mapping
from typing import Final

from chatmail.mail.changes import AccountId, MailboxId
from chatmail.storage.database import among
from chatmail.storage.transaction import Transaction

MAX_GONE: Final = 1000
"""Names without a mailbox that are kept for an account; beyond it a subscription goes with its mailbox."""


def keep_gone(transaction: Transaction, account_id: AccountId, name: str) -> None:
    """The mailbox of this name was subscribed to, and has it no more."""
    transaction.run(
        "INSERT OR IGNORE INTO gone_subscriptions SELECT ?1, ?2"
        " WHERE (SELECT count(*) FROM gone_subscriptions WHERE account_id = ?1) < ?3",
        (account_id, name, MAX_GONE),
    )


def take_gone(transaction: Transaction, account_id: AccountId, name: str) -> bool:
    """Whether the name was subscribed to; the caller is to keep that with the mailbox that gets it, or forget it."""
    sql = "DELETE FROM gone_subscriptions WHERE account_id = ? AND name = ?"
    return transaction.run(sql, (account_id, name)) > 0


def rename_all(transaction: Transaction, account_id: AccountId, names: Mapping[MailboxId, str]) -> bool:
    """Give mailboxes new names, all or none: False, with nothing changed, if a name is in use."""
    which, texts = among(names.values())
    if transaction.row(f"SELECT 1 FROM mailboxes WHERE account_id = ? AND name {which}", (account_id, texts)):
        return False
    which, numbers = among(names)
    rows = transaction.rows(f"SELECT mailbox_id, name, subscribed FROM mailboxes WHERE mailbox_id {which}", (numbers,))
    for mailbox_id, old_name, subscribed in rows:
        new_name = names[mailbox_id]
        if subscribed:
            keep_gone(transaction, account_id, old_name)
        is_subscribed = take_gone(transaction, account_id, new_name)
        transaction.run(
            "UPDATE mailboxes SET name = ?, subscribed = ? WHERE mailbox_id = ?", (new_name, is_subscribed, mailbox_id)
        )
    return True
