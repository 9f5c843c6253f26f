"""APPEND: a message on its way into a mailbox, judged while it comes in. RFC 9051 §6.3.12.

The same gate stands here as before submission (`policy/encryption`), with the account as sender and recipient. Octets
go to the store's staging area as they arrive; what may not pass is not kept. The message is stored as it was sent.
"""

from datetime import datetime

from chatmail.imap.commands import AppendMessage
from chatmail.imap.response_codes import OVERQUOTA, TOOBIG, append_uid
from chatmail.imap.responses import StatusResponse, ok
from chatmail.imap.sequence_set import UidSet
from chatmail.mail.address import Address
from chatmail.mail.changes import Flags
from chatmail.mail.envelope import ENCRYPTION_NEEDED, MESSAGE_TOO_BIG, UNPARSABLE_MESSAGE, Envelope, SmtpReply
from chatmail.mail.message import HeaderBlock, MessageError, header_length
from chatmail.policy.encryption import Direction, EncryptionGate
from chatmail.policy.verdict import Accept
from chatmail.services.imap_session_messages import check_flags
from chatmail.services.imap_session_state import CommandRefused, SessionState
from chatmail.storage.store import Mailbox, StagedBody


class IncomingMessage:
    """One message of an APPEND."""

    __slots__ = ("_address", "_body", "_buffer", "_flags", "_gate", "_received_at", "_refusal", "_searched", "_state")

    def __init__(self, state: SessionState, address: Address, flags: Flags, received_at: datetime) -> None:
        self._state = state
        self._address = address
        self._flags = flags
        self._received_at = received_at
        self._buffer = b""
        self._searched = 0
        self._gate: EncryptionGate | None = None
        self._body: StagedBody | None = None
        self._refusal: SmtpReply | None = None

    def feed(self, chunk: bytes) -> None:
        """The next octets. Raises `StorageError`; a message that may not pass is only swallowed from there on."""
        if self._refusal is not None:
            return
        if self._gate is None:
            chunk = self._read_header(chunk)
        if self._gate is None or self._body is None or not chunk:
            return
        self._gate.feed(chunk)
        if self._gate.is_rejected:
            self._refuse(ENCRYPTION_NEEDED)
        else:
            self._body.write(chunk)

    def _read_header(self, chunk: bytes) -> bytes:
        """Returns what follows the header block, nothing while that has not come."""
        self._buffer += chunk
        try:
            length = header_length(self._buffer, self._searched)
            if length is None:
                self._searched = len(self._buffer)
                return b""
            header = self._buffer[:length]
            envelope = Envelope(self._address, (self._address,))
            self._gate = EncryptionGate(HeaderBlock.parse(header), Direction.SUBMISSION, envelope)
        except MessageError as error:
            self._refuse(error.reply)
            return b""
        rest, self._buffer = self._buffer[length:], b""
        self._body = self._state.context.store.stage(header)
        return rest

    def _refuse(self, reply: SmtpReply) -> None:
        self._refusal = reply
        self._buffer = b""
        self.discard()

    def discard(self) -> None:
        """The message will not be stored. Harmless after `store`."""
        if self._body is not None:
            self._body.discard()
            self._body = None

    async def store(self, mailbox: Mailbox, tag: str) -> StatusResponse:
        """The message is whole: put it into `mailbox`. Raises `CommandRefused` or `StorageError`."""
        if self._refusal is None and self._gate is None:
            self._refuse(UNPARSABLE_MESSAGE)
        if self._gate is not None and not isinstance(self._gate.finish(), Accept):
            self._refuse(self._refusal or ENCRYPTION_NEEDED)
        if self._refusal is not None or self._body is None:
            raise CommandRefused(str(self._refusal or UNPARSABLE_MESSAGE))
        uid = await self._state.context.store.mailboxes.append(
            mailbox.mailbox_id, self._body, self._flags, self._received_at, origin=self._state
        )
        if uid is None:
            raise CommandRefused("The account has no room left", OVERQUOTA)
        return ok(tag, "Append completed", append_uid(mailbox.uid_validity, UidSet.of([uid])))


async def begin_append(
    state: SessionState, mailbox_name: str, message: AppendMessage
) -> tuple[Mailbox, IncomingMessage]:
    """May this message come? Raises `CommandRefused` before any of it is asked for."""
    await state.check_login()
    mailbox = await state.find_target(mailbox_name)
    if message.size_bytes > state.context.config.mail.max_message_size:
        raise CommandRefused(str(MESSAGE_TOO_BIG), TOOBIG)
    check_flags(message.flags)
    assert state.account is not None
    received_at = message.received_at or state.context.clock()
    return mailbox, IncomingMessage(state, state.account.address, message.flags, received_at)
