"""One message on its way in, whoever brings it: the header block first, then the body through the gate into the stage.

Doors: `Intake` is fed chunk by chunk, and asks once the header block is there how to go on: an `Opening`, or the reply
that refuses the message. Submission, mail from other servers and IMAP APPEND have one each for every message. Memory
does not grow with the message. What goes wrong on the way is told at the end, since nobody listens before.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from chatmail.errors import StorageError, StorageFullError
from chatmail.mail.envelope import STORAGE_FULL, STORAGE_UNAVAILABLE, SmtpReply
from chatmail.mail.message import HeaderBlock, MessageError, header_length
from chatmail.meters import Meters
from chatmail.policy.encryption import EncryptionGate
from chatmail.storage.store import StagedBody, Store


@dataclass(frozen=True, slots=True)
class Opening:
    """How a message goes on behind its header block."""

    gate: EncryptionGate
    header_bytes: bytes
    """What it is kept under: its header block, cleaned."""
    watch: Callable[[bytes], None] | None = None
    """Sees the body too, all of it, even when the gate is shut already."""


class Intake:
    """Takes one message. Exactly one of `take_body` and `discard` ends it; the latter is harmless after either."""

    __slots__ = ("_body", "_failure", "_gate", "_head", "_open", "_refusal", "_store", "_watch", "size_bytes")

    def __init__(self, store: Store, open_: Callable[[HeaderBlock], Opening | SmtpReply]) -> None:
        """`open_` is called once, with the header block; it may raise `MessageError`."""
        self._store = store
        self._open = open_
        self._head = b""
        self._gate: EncryptionGate | None = None
        self._watch: Callable[[bytes], None] | None = None
        self._body: StagedBody | None = None
        self._refusal: SmtpReply | None = None
        self._failure: StorageError | None = None
        self.size_bytes = 0
        """How many have come."""

    def feed(self, chunk: bytes) -> None:
        """The next bytes of the message: CR LF line ends and no other CR, LF or NUL."""
        self.size_bytes += len(chunk)
        if self._refusal is not None or self._failure is not None:
            return
        try:
            if self._gate is None:
                chunk = self._read_header(chunk)
            if chunk and self._gate is not None:
                self._read_body(chunk, self._gate)
        except MessageError as error:
            self._refuse(error.reply)
        except StorageError as error:
            self._failure = error
            self.discard()

    def _read_header(self, chunk: bytes) -> bytes:
        """Collect the header block; what follows it in `chunk` once it is complete."""
        searched = len(self._head)
        self._head += chunk
        length = header_length(self._head, searched)
        if length is None:
            return b""
        rest = self._head[length:]
        self._begin(self._head[:length])
        return rest

    def _begin(self, header_block: bytes) -> None:
        self._head = b""
        opening = self._open(HeaderBlock.parse(header_block))
        if isinstance(opening, SmtpReply):
            return self._refuse(opening)
        self._gate, self._watch = opening.gate, opening.watch
        self._body = self._store.stage(opening.header_bytes)

    def _read_body(self, chunk: bytes, gate: EncryptionGate) -> None:
        if self._watch is not None:
            self._watch(chunk)
        gate.feed(chunk)
        if gate.is_rejected:
            self.discard()
        elif self._body is not None:
            self._body.write(chunk)

    def finish(self) -> SmtpReply | None:
        """The message is whole. Why it cannot be taken whatever `gate` says; raises `StorageError` if we cannot."""
        if self._gate is None and self._refusal is None and self._failure is None:
            try:
                self._begin(self._head)  # a header block alone, without its empty line
            except MessageError as error:
                self._refuse(error.reply)
        if self._failure is not None:
            raise self._failure
        return self._refusal

    @property
    def gate(self) -> EncryptionGate:
        """Has seen the whole body; only after a `finish` that refused nothing."""
        assert self._gate is not None
        return self._gate

    def take_body(self) -> StagedBody:
        """The message, which is the caller's from now on; only if `gate` accepts it."""
        assert self._body is not None
        body, self._body = self._body, None
        return body

    def discard(self) -> None:
        """Keep nothing of it."""
        if self._body is not None:
            self._body.discard()
            self._body = None

    def _refuse(self, reply: SmtpReply) -> None:
        self._refusal = reply
        self._head = b""
        self.discard()


def storage_reply(error: StorageError, meters: Meters) -> SmtpReply:
    """What a peer is told when the store cannot serve; the operator sees it in the status."""
    meters.fail_store(str(error), datetime.now(UTC))
    return STORAGE_FULL if isinstance(error, StorageFullError) else STORAGE_UNAVAILABLE
