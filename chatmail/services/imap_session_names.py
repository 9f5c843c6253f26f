"""Mailboxes as a client names and sees them: normal forms of names, LIST responses, MAILBOXID.

Names are kept in composed form (NFC). A client that writes one otherwise finds the mailbox all the same; if it
speaks IMAP4rev2 it is told the name by a LIST with OLDNAME (RFC 9051 §5.1, §6.3.9.7).
"""

import unicodedata
from collections.abc import Sequence

from chatmail.imap.commands import List
from chatmail.imap.list_match import ListedMailbox, list_entries
from chatmail.imap.responses import ListEntry
from chatmail.mail.changes import AccountId
from chatmail.services.imap_session_state import SessionState
from chatmail.storage.store import Mailbox


def normal_name(name: str) -> str:
    """The form in which a name is kept."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def mailbox_object_id(mailbox: Mailbox) -> str:
    """MAILBOXID: names a mailbox through renames, and never another one (RFC 8474 §4)."""
    return f"F{mailbox.mailbox_id}-{mailbox.uid_validity}"


async def listed_mailboxes(state: SessionState, account_id: AccountId) -> Sequence[ListedMailbox]:
    """All that LIST may name: the mailboxes, and the names that are subscribed to though their mailbox is gone."""
    mailboxes = state.context.store.mailboxes
    listed = [ListedMailbox(each.name, each.subscribed, each.special_use) for each in await mailboxes.list(account_id)]
    gone = await mailboxes.gone_subscriptions(account_id)
    return [*listed, *(ListedMailbox(name, True, "", exists=False) for name in gone)]


async def tell_name(state: SessionState, name: str, asked: str) -> None:
    """The LIST response of SELECT, CREATE and RENAME in IMAP4rev2; with OLDNAME where `asked` is another name."""
    listed = await listed_mailboxes(state, state.require_account())
    for entry in list_entries(List("", (name,), is_extended=True), listed):
        state.send(ListEntry(entry.name, entry.attributes, old_name=None if asked == name else asked))
