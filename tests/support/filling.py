"""Short ways to put accounts and messages into a store, and to read them back."""

from datetime import UTC, date, datetime

from chatmail.mail.address import Address
from chatmail.mail.changes import MailboxId, MessageRecord
from chatmail.storage.store import Account, DeliveryOutcome, LocalDelivery, Mailbox, StagedBody, Store

QUOTA_BYTES = 1_000_000
TODAY = date(2026, 3, 1)
NOW = datetime(2026, 3, 1, 12, 30, 15, tzinfo=UTC)
HEADER = b"Subject: [...]\r\nMessage-ID: <one@example.org>\r\n\r\n"
TEXT = b"Hello\r\n"


def address(localpart: str) -> Address:
    return Address(localpart, "example.org")


async def add_account(store: Store, localpart: str) -> Account:
    account = await store.accounts.create(address(localpart), "hash", TODAY)
    assert account is not None
    return account


async def inbox(store: Store, account: Account) -> Mailbox:
    mailbox = await store.mailboxes.find(account.account_id, "INBOX")
    assert mailbox is not None
    return mailbox


def staged(store: Store, text: bytes = TEXT, header: bytes = HEADER) -> StagedBody:
    body = store.stage(header)
    body.write(text)
    return body


async def deliver(store: Store, *localparts: str, text: bytes = TEXT) -> dict[str, DeliveryOutcome]:
    delivery = LocalDelivery(staged(store, text), tuple(map(address, localparts)))
    (outcomes,) = await store.deliver([delivery], NOW)
    return {recipient.localpart: outcome for recipient, outcome in outcomes.items()}


async def messages(store: Store, mailbox_id: MailboxId) -> tuple[MessageRecord, ...]:
    snapshot = await store.mailboxes.snapshot(mailbox_id)
    assert snapshot is not None
    return snapshot.messages


async def whole(store: Store, body_id: int) -> bytes:
    body = await store.mailboxes.body(body_id)
    assert body is not None
    pieces = []
    offset = 0
    while offset < body.size_bytes:
        pieces.append(await body.read(offset, 100_000))
        offset += len(pieces[-1])
    return b"".join(pieces)
