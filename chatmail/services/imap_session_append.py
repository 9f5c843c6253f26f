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
from chatmail.intake import Intake, Opening
from chatmail.mail.address import Address
from chatmail.mail.changes import Flags
from chatmail.mail.envelope import MESSAGE_TOO_BIG, Envelope
from chatmail.mail.message import HeaderBlock
from chatmail.policy.encryption import Direction, EncryptionGate
from chatmail.policy.verdict import Accept
from chatmail.services.imap_session_messages import check_flags
from chatmail.services.imap_session_state import CommandRefused, SessionState
from chatmail.storage.store import Mailbox, NewMessage

MAX_MESSAGES: Final = 100
"""In one command; together they may be as large as one message."""


class IncomingMessage:
    """One message of an APPEND."""

    __slots__ = ("_envelope", "_flags", "_intake", "_received_at")

    def __init__(self, state: SessionState, address: Address, flags: Flags, received_at: datetime) -> None:
        self._envelope = Envelope(address, (address,))
        self._flags = flags
        self._received_at = received_at
        self._intake = Intake(state.context.store, self._open)

    def _open(self, headers: HeaderBlock) -> Opening:
        return Opening(EncryptionGate(headers, Direction.SUBMISSION, self._envelope), bytes(headers))

    def feed(self, chunk: bytes) -> None:
        """The next octets; a message that may not pass is only swallowed."""
        self._intake.feed(chunk)

    def discard(self) -> None:
        """The message will not be stored. Harmless after it was."""
        self._intake.discard()

    def finish(self) -> NewMessage:
        """The message is whole. Raises `CommandRefused` if it may not pass, or `StorageError`."""
        refusal = self._intake.finish()
        if refusal is None and not isinstance(verdict := self._intake.gate.finish(), Accept):
            refusal = verdict.reply
        if refusal is not None:
            self.discard()
            raise CommandRefused(str(refusal))
        return NewMessage(self._intake.take_body(), self._flags, self._received_at)


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
        """The next octets of the message that was begun last."""
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
