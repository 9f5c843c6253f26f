"""The outbound queue: what waits for other servers, durable from the transaction that accepted it to its end.

An item is one message for one domain. `QueueTable` is what a transaction does (a delivery puts items in), and
`OutboundQueue` what the delivery loop and the operator see. An item names its body like a message in a mailbox does, so
the body stays as long as anybody waits for it.

An item ends together with what follows from its end: the bounce is delivered by the transaction that removes the item,
so that a kill leaves either both or none.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from chatmail.mail.address import Address
from chatmail.storage.bodies import BodyReader, BodyTable
from chatmail.storage.database import Reader, Row, among
from chatmail.storage.interface import LocalDelivery, StoredBody
from chatmail.storage.outbound import Deferral, Outbound, QueueItem, QueueItemId
from chatmail.storage.staging import IncomingBody, Stage, own_body
from chatmail.storage.transaction import Transaction
from chatmail.storage.writer import Writer

_COLUMNS: Final = (
    "item_id, domain, mail_from, recipients, body_id, size_bytes, queued_at, next_attempt_at, attempts, last_reply,"
    " is_unreachable"
)
DUE_RECIPIENTS: Final = 2000
"""Handed out at once for one domain: the items with a thousand recipients each come in twos."""
_BATCH_ITEMS: Final = 200
"""Items changed in one transaction on the operator's word."""

QueueListener = Callable[[Collection[str], bool], None]
"""Called in the event loop with the domains that have new work, and whether the operator wants it tried in any case;
must be quick and must not raise."""
Deliver = Callable[[Transaction, IncomingBody, LocalDelivery, int], Mapping[Address, Any]]


class QueueTable:
    """The rows of the queue, as transactions change them."""

    def __init__(self, bodies: BodyTable) -> None:
        self._bodies = bodies
        self.listeners: list[QueueListener] = []

    def insert(
        self, transaction: Transaction, body_id: int, size_bytes: int, outbound: Outbound, now_seconds: int
    ) -> None:
        """Queue a stored body; it must have been counted once for each domain of `outbound`."""
        mail_from = "" if outbound.mail_from is None else str(outbound.mail_from)
        domains = by_domain(outbound.recipients)
        transaction.run_many(
            "INSERT INTO queue_items (domain, mail_from, recipients, body_id, size_bytes, queued_at, next_attempt_at,"
            " attempts, last_reply, is_unreachable) VALUES (?, ?, ?, ?, ?, ?, ?, 0, '', 0)",
            [
                (domain, mail_from, _joined(recipients), body_id, size_bytes, now_seconds, now_seconds)
                for domain, recipients in domains.items()
            ],
        )
        transaction.when_committed(lambda: self.announce(domains))

    def announce(self, domains: Collection[str], by_operator: bool = False) -> None:
        """Tell everybody who listens that these domains have new work."""
        for listener in self.listeners:
            listener(domains, by_operator)

    def defer(self, transaction: Transaction, item: QueueItem, deferral: Deferral) -> bool:
        """Keep what is left of an item for later; False if it was dropped meanwhile."""
        changed = transaction.run(
            "UPDATE queue_items SET recipients = ?, next_attempt_at = ?, attempts = attempts + 1, last_reply = ?,"
            " is_unreachable = ? WHERE item_id = ?",
            (
                _joined(deferral.recipients),
                int(deferral.next_attempt_at.timestamp()),
                deferral.reply,
                deferral.is_unreachable,
                item.item_id,
            ),
        )
        return changed > 0

    def remove(self, transaction: Transaction, item_ids: Collection[int]) -> int:
        """End items, and let go of their bodies; how many there were."""
        which, numbers = among(item_ids)
        rows = transaction.rows(f"DELETE FROM queue_items WHERE item_id {which} RETURNING body_id", (numbers,))
        if rows:
            self._bodies.release(transaction, (body_id for (body_id,) in rows))
        return len(rows)


class OutboundQueue:
    """The queue as the delivery loop and the operator see it. Reading takes place in the event loop, by an index."""

    def __init__(
        self,
        writer: Writer,
        reader: Reader,
        stage: Stage,
        bodies: BodyReader,
        table: QueueTable,
        deliver: Deliver,
    ) -> None:
        """`deliver` puts a bounce where it belongs, inside the transaction that ends its item."""
        self._writer = writer
        self._reader = reader
        self._stage = stage
        self._bodies = bodies
        self._table = table
        self._deliver = deliver

    def listen(self, listener: QueueListener) -> None:
        """From now on, call `listener` with the domains of every committed change that brings new work."""
        self._table.listeners.append(listener)

    async def due_domains(self, now: datetime) -> Sequence[str]:
        """The domains with items to be tried now. Raises `StorageError`, as all of these do."""
        rows = self._reader.rows(
            "SELECT DISTINCT domain FROM queue_items WHERE next_attempt_at <= ?", (int(now.timestamp()),)
        )
        return [domain for (domain,) in rows]

    async def next_attempt_after(self, now: datetime) -> datetime | None:
        """When the next item that is not due yet will be."""
        row = self._reader.row(
            "SELECT min(next_attempt_at) FROM queue_items WHERE next_attempt_at > ?", (int(now.timestamp()),)
        )
        return None if row is None or row[0] is None else _time(row[0])

    async def due(
        self, domain: str, now: datetime, limit: int, under_way: Collection[QueueItemId]
    ) -> Sequence[QueueItem]:
        """Up to `limit` items of a domain to be tried now, longest due first, but for `under_way`."""
        rows = self._reader.rows(
            f"SELECT {_COLUMNS} FROM queue_items WHERE domain = ? AND next_attempt_at <= ?"
            " ORDER BY next_attempt_at, item_id LIMIT ?",
            (domain, int(now.timestamp()), limit + len(under_way)),
        )
        items: list[QueueItem] = []
        recipients = 0
        for row in rows:
            if len(items) == limit or recipients >= DUE_RECIPIENTS:
                break
            if row[0] not in under_way:
                items.append(_item(row))
                recipients += len(items[-1].recipients)
        return items

    async def body(self, item: QueueItem) -> StoredBody | None:
        """The message; None if the item was dropped meanwhile."""
        return await self._bodies.body(item.body_id)

    async def settle(
        self, item: QueueItem, now: datetime, *, deferral: Deferral | None = None, bounce: LocalDelivery | None = None
    ) -> None:
        """Keep what an attempt left of an item, or end it, and deliver the bounce, in one transaction.

        An item that the operator dropped meanwhile stays dropped, and nobody gets a bounce.
        """
        bodies = [] if bounce is None else [own_body(bounce.body)]
        seconds = int(now.timestamp())

        def job(transaction: Transaction) -> None:
            if deferral is None:
                is_there = self._table.remove(transaction, [item.item_id]) > 0
            else:
                is_there = self._table.defer(transaction, item, deferral)
            if is_there and bounce is not None:
                self._deliver(transaction, bodies[0], bounce, seconds)

        await self._stage.store(bodies, job)

    async def reached(self, domain: str, now: datetime) -> None:
        """A server of `domain` can be spoken to: what waits only because none could is due now."""
        seconds = int(now.timestamp())
        sql = (
            "UPDATE queue_items SET next_attempt_at = ?1 WHERE domain = ?2 AND is_unreachable AND next_attempt_at > ?1"
        )
        await self._change(sql, (seconds, domain), [domain])

    async def _change(self, sql: str, parameters: Sequence[object], domains: Collection[str]) -> int:
        def job(transaction: Transaction) -> int:
            changed = transaction.run(sql, parameters)
            if changed:
                transaction.when_committed(lambda: self._table.announce(domains))
            return changed

        return await self._writer.submit(job)

    # --- for the operator ---

    async def page(self, after: int, limit: int) -> Sequence[QueueItem]:
        """Up to `limit` items with numbers above `after`, ascending."""
        rows = self._reader.rows(
            f"SELECT {_COLUMNS} FROM queue_items WHERE item_id > ? ORDER BY item_id LIMIT ?", (after, limit)
        )
        return [_item(row) for row in rows]

    async def select(self, *, item_id: int | None = None, domain: str | None = None) -> Sequence[QueueItemId]:
        """The numbers of one item, of all items of a domain, or of all there are."""
        rows = self._reader.rows(
            "SELECT item_id FROM queue_items WHERE (?1 IS NULL OR item_id = ?1) AND (?2 IS NULL OR domain = ?2)",
            (item_id, domain),
        )
        return [QueueItemId(number) for (number,) in rows]

    async def retry(self, item_ids: Sequence[QueueItemId], now: datetime) -> int:
        """Have these items tried now; how many there were."""

        def job(transaction: Transaction, chunk: Sequence[int]) -> int:
            which, numbers = among(chunk)
            rows = transaction.rows(
                "UPDATE queue_items SET next_attempt_at = ?1"
                f" WHERE item_id {which.replace('?', '?2')} RETURNING domain",
                (int(now.timestamp()), numbers),
            )
            transaction.when_committed(lambda: self._table.announce({domain for (domain,) in rows}, by_operator=True))
            return len(rows)

        return await self._in_chunks(item_ids, job)

    async def drop(self, item_ids: Sequence[QueueItemId]) -> int:
        """Remove these items; nobody is told. How many there were."""
        return await self._in_chunks(item_ids, self._table.remove)

    async def _in_chunks(
        self, item_ids: Sequence[QueueItemId], job: Callable[[Transaction, Sequence[int]], int]
    ) -> int:
        count = 0
        for at in range(0, len(item_ids), _BATCH_ITEMS):
            chunk = item_ids[at : at + _BATCH_ITEMS]
            count += await self._writer.submit(lambda transaction, chunk=chunk: job(transaction, chunk))  # type: ignore[misc]
        return count


def by_domain(recipients: Iterable[Address]) -> dict[str, list[Address]]:
    """Recipients by their domain, each once, in their order."""
    domains: dict[str, list[Address]] = {}
    for address in dict.fromkeys(recipients):
        domains.setdefault(address.domain, []).append(address)
    return domains


def _joined(recipients: Iterable[Address]) -> str:
    """No address holds a line end."""
    return "\n".join(map(str, recipients))


def _address(text: str) -> Address:
    localpart, _, domain = text.rpartition("@")
    return Address(localpart, domain)


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _item(row: Row) -> QueueItem:
    item_id, domain, mail_from, recipients, body_id, size_bytes, queued_at, next_attempt_at, *rest = row
    attempts, last_reply, is_unreachable = rest
    return QueueItem(
        QueueItemId(item_id),
        domain,
        _address(mail_from) if mail_from else None,
        tuple(map(_address, recipients.split("\n"))),
        body_id,
        size_bytes,
        _time(queued_at),
        _time(next_attempt_at),
        attempts,
        last_reply,
        bool(is_unreachable),
    )
