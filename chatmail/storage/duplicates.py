"""What was delivered within a day, so that a message that comes in several ways is delivered once.

A row is a hash of author, Message-ID and recipient, none of which can be read from it, and when it was delivered. Each
delivery removes up to twice as many old rows as it adds, oldest first, so nothing has to walk the table.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from hashlib import blake2b
from typing import Final

from chatmail.mail.address import Address
from chatmail.storage.interface import DUPLICATE_SECONDS, DeliveryOutcome
from chatmail.storage.transaction import Transaction

DIGEST_BYTES: Final = 16
_PRUNED_BESIDES: Final = 8

Deliver = Callable[[Collection[Address]], Mapping[Address, DeliveryOutcome]]


def deliver_once(
    transaction: Transaction,
    duplicate_key: bytes | None,
    recipients: Collection[Address],
    now_seconds: int,
    deliver: Deliver,
) -> Mapping[Address, DeliveryOutcome]:
    """Let `deliver` deliver to those who did not get it lately; to all if there is no key."""
    if duplicate_key is None:
        return deliver(recipients)
    digests = {address: _digest(duplicate_key, address) for address in recipients}
    fresh = [address for address, digest in digests.items() if not _is_seen(transaction, digest, now_seconds)]
    outcomes = deliver(fresh) if fresh else {}
    delivered = [digests[address] for address, outcome in outcomes.items() if outcome is DeliveryOutcome.DELIVERED]
    if delivered:
        _remember(transaction, delivered, now_seconds)
    return dict.fromkeys(recipients, DeliveryOutcome.DUPLICATE) | dict(outcomes)


def _digest(duplicate_key: bytes, recipient: Address) -> bytes:
    return blake2b(b"%b\0%b" % (str(recipient).encode(), duplicate_key), digest_size=DIGEST_BYTES).digest()


def _is_seen(transaction: Transaction, digest: bytes, now_seconds: int) -> bool:
    oldest = now_seconds - DUPLICATE_SECONDS
    return transaction.row("SELECT 1 FROM seen WHERE digest = ? AND seen_at > ?", (digest, oldest)) is not None


def _remember(transaction: Transaction, digests: Sequence[bytes], now_seconds: int) -> None:
    transaction.run_many(
        "INSERT OR REPLACE INTO seen (seen_at, digest) VALUES (?, ?)", [(now_seconds, digest) for digest in digests]
    )
    transaction.run(
        "DELETE FROM seen WHERE seen_id IN (SELECT seen_id FROM seen ORDER BY seen_id LIMIT ?) AND seen_at <= ?",
        (2 * len(digests) + _PRUNED_BESIDES, now_seconds - DUPLICATE_SECONDS),
    )
