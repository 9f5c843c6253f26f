"""Mail from other servers on its way into the mailboxes, whichever way it came: port 25 and `/mxdeliv` alike.

Doors: `Reception` answers for senders and recipients, and begins an `IncomingMail` for each message. That takes the
bytes chunk by chunk: the header block first, then the body through signature check and encryption gate into the stage,
so memory does not grow with the message. What may pass is decided in `chatmail.policy.inbound`.

There is no way from here to another server: recipients are accounts of this one or refused, and no report is sent, for
whoever is refused learns it in the reply.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from time import monotonic
from typing import Final

from chatmail.config import Config
from chatmail.errors import StorageError, StorageFullError
from chatmail.log import ConnectionId, Log
from chatmail.mail.address import Address
from chatmail.mail.envelope import (
    NO_SUCH_RECIPIENT,
    OVER_QUOTA,
    STORAGE_FULL,
    STORAGE_UNAVAILABLE,
    Envelope,
    SmtpReply,
)
from chatmail.mail.message import HeaderBlock, MessageError, header_length, parse_from
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
        self._store = store
        self._verifier = verifier

    def refuse_sender(self, sender: Address | None) -> SmtpReply | None:
        """Why mail of this envelope sender cannot come in at all; None if it may."""
        refusal = _refusal(check_envelope_sender(sender, self._blocked_domains))
        if refusal is not None:
            self._meters.refuse(reason_of(refusal))
        return refusal

    async def refuse_recipient(self, to: Address, size_bytes: int) -> SmtpReply | None:
        """Why a message of `size_bytes` (0 if that is not known) cannot go there; None if it can.

        For a blocked account it seemingly can: the store throws it away.
        """
        refusal = await self._refuse_recipient(to, size_bytes)
        if refusal is not None:
            self._meters.refuse(reason_of(refusal))
        return refusal

    async def _refuse_recipient(self, to: Address, size_bytes: int) -> SmtpReply | None:
        if to.domain != self._own_domain:
            return NOT_RELAYED
        try:
            account = await self._store.accounts.find(to.without_tag())
            if account is None:
                return NO_SUCH_RECIPIENT
            if account.blocked:
                return None
            has_room = await self._store.accounts.has_room(account.account_id, max(size_bytes, 1), datetime.now(UTC))
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
            self._meters.refuse(reason_of(reply))
            outcome = TrafficOutcome.REFUSED if reply.is_permanent else TrafficOutcome.DEFERRED
        self._store.traffic.record(domain, TrafficDirection.INBOUND, outcome, size_bytes)

    def storage_reply(self, error: StorageError) -> SmtpReply:
        """What the peer is told when the store cannot serve; the operator hears of it too."""
        log.error("store_failed", error=error)
        self._meters.fail_store(str(error), datetime.now(UTC))
        return STORAGE_FULL if isinstance(error, StorageFullError) else STORAGE_UNAVAILABLE

    def stage(self, header_bytes: bytes) -> StagedBody:
        """Begin to keep a message."""
        return self._store.stage(header_bytes)

    async def deliver(
        self, body: StagedBody, recipients: Sequence[Address], author: Address, key: bytes | None, whole_at: float
    ) -> SmtpReply:
        """Deliver to all in one transaction. Raises `StorageError`: nobody got it.

        `whole_at` is when the last byte had come, in monotonic seconds.
        """
        targets = tuple({address.without_tag() for address in recipients})
        delivery = LocalDelivery(body, targets, sender=author, duplicate_key=key, whole_at=whole_at)
        try:
            [outcomes] = await self._store.deliver([delivery], datetime.now(UTC))
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
        "_body",
        "_check",
        "_connection_id",
        "_duplicate_key",
        "_envelope",
        "_gate",
        "_head",
        "_reception",
        "_refusal",
        "_whole_at",
        "size_bytes",
    )

    def __init__(self, reception: Reception, envelope: Envelope, connection_id: ConnectionId) -> None:
        """Nothing has come yet."""
        self._reception = reception
        self._envelope = envelope
        self._connection_id = connection_id
        self._head = b""
        self._author: Address | None = None
        self._author_is_true = False
        self._check: DkimCheck | None = None
        self._gate: EncryptionGate | None = None
        self._body: StagedBody | None = None
        self._duplicate_key: bytes | None = None
        self._refusal: SmtpReply | None = None
        self._whole_at = 0.0
        self.size_bytes = 0
        """How many have come."""

    def feed(self, chunk: bytes) -> None:
        """The next bytes of the message: CR LF line ends and no other CR, LF or NUL."""
        self.size_bytes += len(chunk)
        if self._refusal is not None:
            return
        try:
            if self._gate is None:
                chunk = self._read_header(chunk)
            if chunk and self._gate is not None:
                self._read_body(chunk, self._gate)
        except MessageError as error:
            self._refuse(error.reply)
        except StorageError as error:
            self._refuse(self._reception.storage_reply(error))

    def _read_header(self, chunk: bytes) -> bytes:
        """Collect the header block; what follows it in `chunk` once it is complete."""
        searched = len(self._head)
        self._head += chunk
        length = header_length(self._head, searched)
        if length is None:
            return b""
        rest = self._head[length:]
        self._open(self._head[:length])
        return rest

    def _open(self, header_block: bytes) -> None:
        """The header block is complete: see whose message it is, and stage it under the cleaned one."""
        self._head = b""
        headers = HeaderBlock.parse(header_block)
        author = self._author = parse_from(headers)
        refusal = self._reception.judge_author(author)
        self._check = self._reception.begin_check(headers, author, datetime.now(UTC))
        if refusal is None and self._check is not None and self._check.early_result is not None:
            refusal = _refusal(check_dkim(self._check.early_result))
        if refusal is not None:
            return self._refuse(refusal)
        sender = return_path(self._envelope.mail_from, author)
        self._duplicate_key = duplicate_key(author, headers)
        self._gate = EncryptionGate(headers, Direction.INBOUND, Envelope(sender, self._envelope.rcpt_tos))
        self._body = self._reception.stage(inbound_headers(headers, sender))

    def _read_body(self, chunk: bytes, gate: EncryptionGate) -> None:
        """The signature is checked to the end even when the gate is shut: its refusal comes first."""
        if self._check is not None:
            self._check.feed(chunk)
        gate.feed(chunk)
        if gate.is_rejected:
            self._drop_body()
        elif self._body is not None:
            self._body.write(chunk)

    async def finish(self) -> SmtpReply:
        """The message is whole: judge and deliver it. 250 only when it is durable."""
        self._whole_at = monotonic()
        try:
            reply = await self._finish()
        except StorageError as error:
            reply = self._reception.storage_reply(error)
        finally:
            self._drop_body()
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

    async def _finish(self) -> SmtpReply:
        if self._refusal is None and self._gate is None:
            try:
                self._open(self._head)  # a header block alone, without its empty line
            except MessageError as error:
                return error.reply
        if self._refusal is not None:
            return self._refusal
        assert self._gate is not None and self._author is not None
        result = None if self._check is None else await self._check.finish()
        refusal = _refusal(check_message(result, self._gate))
        self._author_is_true = result is DkimResult.VALID or refusal is None
        if refusal is not None:
            return refusal
        assert self._body is not None
        body, self._body = self._body, None
        return await self._reception.deliver(
            body, self._envelope.rcpt_tos, self._author, self._duplicate_key, self._whole_at
        )

    def discard(self) -> None:
        """It will not become whole."""
        self._drop_body()

    def _refuse(self, reply: SmtpReply) -> None:
        self._refusal = reply
        self._head = b""
        self._check = None
        self._drop_body()

    def _drop_body(self) -> None:
        if self._body is not None:
            self._body.discard()
            self._body = None


def _refusal(verdict: Verdict) -> SmtpReply | None:
    return None if isinstance(verdict, Accept) else verdict.reply
