"""APPEND: messages on their way into a mailbox, judged while they come in. RFC 9051 §6.3.12, RFC 3502 (MULTIAPPEND).

The same gate stands here as before submission (`policy/encryption`), with the account as sender and recipient. Octets
go to the store's staging area as they arrive; what may not pass is not kept. Messages are stored as they were sent, in
one transaction: all of a command, or none.
"""

from datetime import datetime
from typing import Final

from chatmail.imap.commands import AppendMessage
from chatmail.imap.response_codes import LIMIT, OVERQUOTA, TOOBIG, append_uid
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
from chatmail.storage.store import Mailbox, NewMessage, StagedBody

MAX_MESSAGES: Final = 100
"""In one command; together they may be as large as one message."""


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
        """The message will not be stored. Harmless after it was."""
        if self._body is not None:
            self._body.discard()
            self._body = None

    def finish(self) -> NewMessage:
        """The message is whole. Raises `CommandRefused` if it may not pass."""
        if self._refusal is None and self._gate is None:
            self._refuse(UNPARSABLE_MESSAGE)
        if self._gate is not None and not isinstance(self._gate.finish(), Accept):
            self._refuse(self._refusal or ENCRYPTION_NEEDED)
        if self._refusal is not None or self._body is None:
            raise CommandRefused(str(self._refusal or UNPARSABLE_MESSAGE))
        return NewMessage(self._body, self._flags, self._received_at)


class IncomingAppend:
    """All messages of one APPEND. `begin` each, `feed` it, then `begin` the next or `store` them all."""

    __slots__ = ("_address", "_announced_bytes", "_current", "_finished", "_mailbox", "_state")

    def __init__(self, state: SessionState, address: Address, mailbox: Mailbox) -> None:
        self._state = state
        self._address = address
        self._mailbox = mailbox
        self._announced_bytes = 0
        self._current: IncomingMessage | None = None
        self._finished: list[NewMessage] = []

    def begin(self, message: AppendMessage) -> None:
        """May this message come? Raises `CommandRefused` before any of it is asked for, or `StorageError`."""
        if self._current is not None:
            self._finish_current()
            self._finished[-1].body.rest()
        self._announced_bytes += message.size_bytes
        if self._announced_bytes > self._state.context.config.mail.max_message_size:
            raise CommandRefused(str(MESSAGE_TOO_BIG), TOOBIG)
        if len(self._finished) >= MAX_MESSAGES:
            raise CommandRefused("There are too many messages in one command", LIMIT)
        check_flags(message.flags)
        received_at = message.received_at or self._state.context.clock()
        self._current = IncomingMessage(self._state, self._address, message.flags, received_at)

    def _finish_current(self) -> None:
        if self._current is not None:
            self._finished.append(self._current.finish())
            self._current = None

    def feed(self, chunk: bytes) -> None:
        """The next octets of the message that was begun last. Raises `StorageError`."""
        if self._current is not None:
            self._current.feed(chunk)

    def discard(self) -> None:
        """Nothing will be stored. Harmless after `store`."""
        if self._current is not None:
            self._current.discard()
        for message in self._finished:
            message.body.discard()

    async def store(self, tag: str) -> StatusResponse:
        """All are whole: put them into the mailbox. Raises `CommandRefused` or `StorageError`."""
        self._finish_current()
        uids = await self._state.context.store.mailboxes.append_all(
            self._mailbox.mailbox_id, self._finished, origin=self._state
        )
        if uids is None:
            raise CommandRefused("The account has no room left", OVERQUOTA)
        return ok(tag, "Append completed", append_uid(self._mailbox.uid_validity, UidSet.of(uids)))


async def begin_append(state: SessionState, mailbox_name: str, message: AppendMessage) -> IncomingAppend:
    """May this command begin? Raises `CommandRefused` before any of it is asked for."""
    await state.check_login()
    mailbox = await state.find_target(mailbox_name)
    assert state.account is not None
    incoming = IncomingAppend(state, state.account.address, mailbox)
    incoming.begin(message)
    return incoming
