"""Mail from other servers on its way into the mailboxes, whichever way it came: port 25 and `/mxdeliv` alike.

Doors: `Reception` answers for senders and recipients, and begins an `IncomingMail` for each message, whose body goes
through signature check and encryption gate as it comes in. What may pass is decided in `chatmail.policy.inbound`.

There is no way from here to another server: recipients are accounts of this one or refused, and no report is sent, for
whoever is refused learns it in the reply.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from time import monotonic
from typing import Final

from chatmail.config import Config
from chatmail.errors import StorageError
from chatmail.intake import Intake, Opening, storage_reply
from chatmail.log import ConnectionId, Log
from chatmail.mail.address import Address
from chatmail.mail.envelope import NO_SUCH_RECIPIENT, OVER_QUOTA, Envelope, SmtpReply
from chatmail.mail.message import HeaderBlock, parse_from
from chatmail.meters import Meters
from chatmail.net.dkim import DkimCheck, DkimVerifier
from chatmail.policy.encryption import Direction, EncryptionGate
from chatmail.policy.inbound import (
    NOT_RELAYED,
    DkimResult,
    check_author,
    check_dkim,
    check_envelope_sender,
    check_message,
    duplicate_key,
    inbound_headers,
    must_be_signed,
    return_path,
)
from chatmail.policy.refusals import reason_of
from chatmail.policy.verdict import Accept, Verdict
from chatmail.storage.store import DeliveryOutcome, LocalDelivery, StagedBody, Store, TrafficOutcome
from chatmail.storage.store import Direction as TrafficDirection
from chatmail.storage.traffic import OTHER_DOMAINS

log = Log("inbound")

ACCEPTED: Final = SmtpReply(250, "Message accepted", "2.0.0")
RECIPIENT_CHANGED: Final = SmtpReply(451, "A recipient has changed meanwhile, please try again", "4.2.0")
"""Some of the recipients got it; the next try, told at RCPT, sorts out the others, and nobody gets it twice."""

_FAILURES: Final[Mapping[DeliveryOutcome, SmtpReply]] = {
    DeliveryOutcome.UNKNOWN: NO_SUCH_RECIPIENT,
    DeliveryOutcome.OVER_QUOTA: OVER_QUOTA,
}


class Reception:
    """Takes mail for the accounts of one server."""

    def __init__(self, config: Config, store: Store, verifier: DkimVerifier, meters: Meters | None = None) -> None:
        """`verifier` looks up keys for all messages."""
        self._meters = meters or Meters()
        self._own_domain = config.address_domain
        self._blocked_domains = frozenset(config.federation.blocked_domains)
        self.store = store
        """Where it all goes."""
        self._verifier = verifier

    def refuse_sender(self, sender: Address | None) -> SmtpReply | None:
        """Why mail of this envelope sender cannot come in at all; None if it may."""
        refusal = _refusal(check_envelope_sender(sender, self._blocked_domains))
        if refusal is not None:
            self.count_refusal(refusal)
        return refusal

    async def refuse_recipient(self, to: Address, size_bytes: int) -> SmtpReply | None:
        """Why a message of `size_bytes` (0 if that is not known) cannot go there; None if it can.

        For a blocked account it seemingly can: the store throws it away.
        """
        refusal = await self._refuse_recipient(to, size_bytes)
        if refusal is not None:
            self.count_refusal(refusal)
        return refusal

    async def _refuse_recipient(self, to: Address, size_bytes: int) -> SmtpReply | None:
        if to.domain != self._own_domain:
            return NOT_RELAYED
        try:
            account = await self.store.accounts.find(to.without_tag())
            if account is None:
                return NO_SUCH_RECIPIENT
            if account.blocked:
                return None
            has_room = await self.store.accounts.has_room(account.account_id, max(size_bytes, 1), datetime.now(UTC))
        except StorageError as error:
            return self.storage_reply(error)
        return None if has_room else OVER_QUOTA

    def begin(self, envelope: Envelope, connection_id: ConnectionId) -> "IncomingMail":
        """Take a message for recipients that were not refused."""
        return IncomingMail(self, envelope, connection_id)

    def judge_author(self, author: Address) -> SmtpReply | None:
        """Why mail from this From address cannot come from outside; None if it may."""
        return _refusal(check_author(author, self._own_domain, self._blocked_domains))

    def begin_check(self, headers: HeaderBlock, author: Address, now: datetime) -> DkimCheck | None:
        """The check of the author's signature; None where there is nothing that could be checked."""
        if not must_be_signed(author):
            return None
        return self._verifier.begin(headers, author.domain, int(now.timestamp()))

    def count(self, author: Address | None, reply: SmtpReply, size_bytes: int) -> None:
        """Count a message for the operator: under its domain only if that is known to be true."""
        domain = OTHER_DOMAINS if author is None else author.domain
        if reply is ACCEPTED:
            self._meters.inbound += 1
            outcome = TrafficOutcome.DELIVERED
        else:
            self.count_refusal(reply)
            outcome = TrafficOutcome.REFUSED if reply.is_permanent else TrafficOutcome.DEFERRED
        self.store.traffic.record(domain, TrafficDirection.INBOUND, outcome, size_bytes)

    def count_refusal(self, reply: SmtpReply) -> None:
        """Count by its reason what is refused before there is a message to count, or on the way."""
        self._meters.refuse(reason_of(reply))

    def storage_reply(self, error: StorageError) -> SmtpReply:
        """What the peer is told when the store cannot serve; the operator hears of it too."""
        log.error("store_failed", error=error)
        return storage_reply(error, self._meters)

    async def deliver(
        self, body: StagedBody, recipients: Sequence[Address], author: Address, key: bytes | None, whole_at: float
    ) -> SmtpReply:
        """Deliver to all in one transaction. Raises `StorageError`: nobody got it.

        `whole_at` is when the last byte had come, in monotonic seconds.
        """
        targets = tuple({address.without_tag() for address in recipients})
        delivery = LocalDelivery(body, targets, sender=author, duplicate_key=key, whole_at=whole_at)
        try:
            [outcomes] = await self.store.deliver([delivery], datetime.now(UTC))
        finally:
            body.discard()  # what was delivered belongs to the store, and stays
        self._meters.stored(monotonic() - whole_at)
        failures = [_FAILURES[outcome] for outcome in outcomes.values() if outcome in _FAILURES]
        if not failures:
            return ACCEPTED
        return failures[0] if len(failures) == len(outcomes) else RECIPIENT_CHANGED


class IncomingMail:
    """One message on its way in. Exactly one of `finish` and `discard` ends it."""

    __slots__ = (
        "_author",
        "_author_is_true",
        "_check",
        "_connection_id",
        "_duplicate_key",
        "_envelope",
        "_intake",
        "_reception",
    )

    def __init__(self, reception: Reception, envelope: Envelope, connection_id: ConnectionId) -> None:
        """Nothing has come yet."""
        self._reception = reception
        self._envelope = envelope
        self._connection_id = connection_id
        self._author: Address | None = None
        self._author_is_true = False
        self._check: DkimCheck | None = None
        self._duplicate_key: bytes | None = None
        self._intake = Intake(reception.store, self._open)

    @property
    def size_bytes(self) -> int:
        """How many have come."""
        return self._intake.size_bytes

    def feed(self, chunk: bytes) -> None:
        """The next bytes of the message: CR LF line ends and no other CR, LF or NUL."""
        self._intake.feed(chunk)

    def _open(self, headers: HeaderBlock) -> Opening | SmtpReply:
        """See whose message it is. Its signature is checked to the end even when the gate is shut: it comes first."""
        author = self._author = parse_from(headers)
        refusal = self._reception.judge_author(author)
        check = self._check = self._reception.begin_check(headers, author, datetime.now(UTC))
        if refusal is None and check is not None and check.early_result is not None:
            refusal = _refusal(check_dkim(check.early_result))
        if refusal is not None:
            return refusal
        sender = return_path(self._envelope.mail_from, author)
        self._duplicate_key = duplicate_key(author, headers)
        gate = EncryptionGate(headers, Direction.INBOUND, Envelope(sender, self._envelope.rcpt_tos))
        return Opening(gate, inbound_headers(headers, sender), None if check is None else check.feed)

    async def finish(self) -> SmtpReply:
        """The message is whole: judge and deliver it. 250 only when it is durable."""
        try:
            reply = await self._finish(monotonic())
        except StorageError as error:
            reply = self._reception.storage_reply(error)
        finally:
            self._intake.discard()
        self._reception.count(self._author if self._author_is_true else None, reply, self.size_bytes)
        event = "message_accepted" if reply is ACCEPTED else "message_refused"
        log.info(
            event,
            connection=self._connection_id,
            code=reply.code,
            size_bytes=self.size_bytes,
            recipients=len(self._envelope.rcpt_tos),
        )
        return reply

    async def _finish(self, whole_at: float) -> SmtpReply:
        refusal = self._intake.finish()
        if refusal is not None:
            return refusal
        assert self._author is not None
        result = None if self._check is None else await self._check.finish()
        refusal = _refusal(check_message(result, self._intake.gate))
        self._author_is_true = result is DkimResult.VALID or refusal is None
        if refusal is not None:
            return refusal
        body = self._intake.take_body()
        return await self._reception.deliver(body, self._envelope.rcpt_tos, self._author, self._duplicate_key, whole_at)

    def discard(self) -> None:
        """It will not become whole."""
        self._intake.discard()


def _refusal(verdict: Verdict) -> SmtpReply | None:
    return None if isinstance(verdict, Accept) else verdict.reply
