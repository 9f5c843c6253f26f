"""Where an accepted message goes: into the mailboxes of this server, and into the queue for other servers.

Doors: `Router.submit`, and `Router.bounce` for what cannot go anywhere. When `submit` returns, everything is durable:
the message in every INBOX it could reach and in the queue, and, if a local recipient could not be reached, a bounce in
the sender's INBOX; so the caller may answer 250. A client takes one refused recipient for the failure of the whole
message, which is why unreachable ones are accepted first and bounced then. RFC 5321 §6.1; recipient delimiter RFC 5233.

It decides nothing about whether a message may pass, and speaks to no peer.
"""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from time import monotonic
from typing import Final

from chatmail.log import Log
from chatmail.mail.address import Address
from chatmail.mail.envelope import NO_SUCH_RECIPIENT, OVER_QUOTA, Envelope, SmtpReply
from chatmail.mail.message import HeaderBlock, header_length
from chatmail.mail.trace_headers import FailedRecipient, bounce_message
from chatmail.meters import Meters
from chatmail.storage.store import DeliveryOutcome, LocalDelivery, Outbound, StagedBody, Store

log = Log("routing")

_FAILURES: Final[Mapping[DeliveryOutcome, SmtpReply]] = {
    DeliveryOutcome.UNKNOWN: NO_SUCH_RECIPIENT,
    DeliveryOutcome.OVER_QUOTA: OVER_QUOTA,
}
_NULL_RETURN_PATH: Final = b"Return-Path: <>\r\n"


class Router:
    """Routes messages to the accounts of `store`, whose addresses end in `@domain`."""

    def __init__(self, store: Store, domain: str, meters: Meters | None = None) -> None:
        """`domain` as `Address` writes it."""
        self._meters = meters or Meters()
        self._store = store
        self._domain = domain

    async def submit(
        self, envelope: Envelope, header_bytes: bytes, body: StagedBody, now: datetime, whole_at: float = 0.0
    ) -> None:
        """Deliver a message of one of our accounts, `envelope.mail_from`.

        `body` is the staged message and begins with `header_bytes`; it belongs to the router from here on. `now` is
        when it was received (aware UTC), `whole_at` when its last byte had come (monotonic seconds, 0 if nobody
        measures). Raises `StorageError`: then the message is to be sent again, and who has got it already may get it
        twice.
        """
        local, remote = self._split(envelope.rcpt_tos)
        outbound = Outbound(envelope.mail_from, tuple(remote)) if remote else None
        failed = await self._deliver(envelope.mail_from, local, outbound, body, now, whole_at)
        if whole_at:
            self._meters.stored(monotonic() - whole_at)
        self._meters.local += bool(local)
        if failed and envelope.mail_from is not None:
            await self._send_bounce(envelope.mail_from, failed, header_bytes, now)

    def _split(self, recipients: Iterable[Address]) -> tuple[list[Address], list[Address]]:
        local: list[Address] = []
        remote: list[Address] = []
        for address in dict.fromkeys(recipients):
            (local if address.domain == self._domain else remote).append(address)
        return local, remote

    async def _deliver(
        self,
        mail_from: Address | None,
        local: list[Address],
        outbound: Outbound | None,
        body: StagedBody,
        now: datetime,
        whole_at: float,
    ) -> list[FailedRecipient]:
        """Deliver and queue in one transaction; who of the local ones did not get it."""
        sender = None if mail_from is None else mail_from.without_tag()
        targets = {address: address.without_tag() for address in local}
        recipients = tuple(set(targets.values()))
        delivery = LocalDelivery(body, recipients, sender=sender, outbound=outbound, whole_at=whole_at)
        try:
            [outcomes] = await self._store.deliver([delivery], now)
        finally:
            body.discard()  # what was delivered belongs to the store, and stays
        return [
            FailedRecipient(address, _FAILURES[outcome])
            for address, target in targets.items()
            if (outcome := outcomes[target]) in _FAILURES
        ]

    async def _send_bounce(
        self, sender: Address, failed: Sequence[FailedRecipient], header_bytes: bytes, arrived_at: datetime
    ) -> None:
        bounce = self.bounce(sender, failed, header_bytes, arrived_at)
        try:
            await self._store.deliver([bounce], arrived_at)
        finally:
            bounce.body.discard()

    def bounce(
        self, sender: Address, failed: Sequence[FailedRecipient], header_bytes: bytes, arrived_at: datetime
    ) -> LocalDelivery:
        """The bounce for `sender`, ready to be delivered: to an INBOX here, or by the queue, from the null sender.

        `header_bytes` are those of the message that arrived at `arrived_at`. The caller discards the body in the end.
        Raises `StorageError`.
        """
        is_local = sender.domain == self._domain
        message_bytes = bounce_message(
            domain=self._domain,
            sender=sender,
            failed=failed,
            original=HeaderBlock.parse(header_bytes),
            arrived_at=arrived_at,
            now=datetime.now(UTC),
            token=secrets.token_hex(16),
        )
        if is_local:
            message_bytes = _NULL_RETURN_PATH + message_bytes
        split = header_length(message_bytes) or len(message_bytes)
        body = self._store.stage(message_bytes[:split])
        body.write(message_bytes[split:])
        log.info("bounced", recipients=len(failed))
        if is_local:
            return LocalDelivery(body, (sender.without_tag(),))
        return LocalDelivery(body, (), outbound=Outbound(None, (sender,)))
