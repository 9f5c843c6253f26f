"""Where an accepted message goes: into the mailboxes of this server, and a bounce for what cannot go anywhere.

Door: `Router.submit`. When it returns, everything is durable: the message in every INBOX it could reach, and, if a
recipient could not be reached, a bounce in the sender's INBOX; so the caller may answer 250. A client takes one refused
recipient for the failure of the whole message, which is why unreachable ones are accepted first and bounced then.
RFC 5321 §6.1; recipient delimiter RFC 5233.

It decides nothing about whether a message may pass, and speaks to no peer.
"""

import secrets
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final

from chatmail.log import Log
from chatmail.mail.address import Address
from chatmail.mail.envelope import NO_SUCH_RECIPIENT, OVER_QUOTA, Envelope, SmtpReply
from chatmail.mail.message import HeaderBlock, header_length
from chatmail.mail.trace_headers import FailedRecipient, bounce_message
from chatmail.storage.store import DeliveryOutcome, LocalDelivery, StagedBody, Store

log = Log("routing")

NO_OTHER_SERVERS: Final = SmtpReply(550, "This server does not send to other servers yet", "5.4.4")
"""What becomes of a recipient on another server."""

_FAILURES: Final[Mapping[DeliveryOutcome, SmtpReply]] = {
    DeliveryOutcome.UNKNOWN: NO_SUCH_RECIPIENT,
    DeliveryOutcome.OVER_QUOTA: OVER_QUOTA,
}
_NULL_RETURN_PATH: Final = b"Return-Path: <>\r\n"


class Router:
    """Routes messages to the accounts of `store`, whose addresses end in `@domain`."""

    def __init__(self, store: Store, domain: str) -> None:
        """`domain` as `Address` writes it."""
        self._store = store
        self._domain = domain

    async def submit(self, envelope: Envelope, header_bytes: bytes, body: StagedBody, now: datetime) -> None:
        """Deliver a message of one of our accounts, `envelope.mail_from`.

        `body` is the staged message and begins with `header_bytes`; it belongs to the router from here on. `now` is
        when it was received (aware UTC). Raises `StorageError`: then the message is to be sent again, and who has got
        it already may get it twice.
        """
        local, remote = self._split(envelope.rcpt_tos)
        failed = [FailedRecipient(address, NO_OTHER_SERVERS) for address in remote]
        failed += await self._deliver(local, body, now)
        if failed and envelope.mail_from is not None:
            await self._bounce(envelope.mail_from, failed, header_bytes, now)

    def _split(self, recipients: Iterable[Address]) -> tuple[list[Address], list[Address]]:
        local: list[Address] = []
        remote: list[Address] = []
        for address in dict.fromkeys(recipients):
            (local if address.domain == self._domain else remote).append(address)
        return local, remote

    async def _deliver(self, local: list[Address], body: StagedBody, now: datetime) -> list[FailedRecipient]:
        """Deliver in one transaction; who did not get it."""
        if not local:
            body.discard()
            return []
        targets = {address: address.without_tag() for address in local}
        try:
            [outcomes] = await self._store.deliver([LocalDelivery(body, tuple(set(targets.values())))], now)
        finally:
            body.discard()  # what was delivered belongs to the store, and stays
        return [
            FailedRecipient(address, _FAILURES[outcome])
            for address, target in targets.items()
            if (outcome := outcomes[target]) in _FAILURES
        ]

    async def _bounce(
        self, sender: Address, failed: list[FailedRecipient], header_bytes: bytes, arrived_at: datetime
    ) -> None:
        bounce = _NULL_RETURN_PATH + bounce_message(
            domain=self._domain,
            sender=sender,
            failed=failed,
            original=HeaderBlock.parse(header_bytes),
            arrived_at=arrived_at,
            now=datetime.now(UTC),
            token=secrets.token_hex(16),
        )
        split = header_length(bounce) or len(bounce)
        body = self._store.stage(bounce[:split])
        try:
            body.write(bounce[split:])
            [outcomes] = await self._store.deliver([LocalDelivery(body, (sender.without_tag(),))], arrived_at)
        finally:
            body.discard()
        log.info("bounced", recipients=len(failed), outcome=next(iter(outcomes.values())).value)
