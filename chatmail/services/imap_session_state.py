"""What the commands of one IMAP session share: who is logged in, what is selected, what the session was not told yet.

Nothing here touches a socket: everything said goes to an `Output`, everything durable to the store. Command modules
(`imap_session_*.py`) take a `SessionState`, answer one tagged status, and refuse by raising `CommandRefused`.
"""

import asyncio
import unicodedata
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic
from typing import Protocol

from chatmail.config import Config
from chatmail.errors import ProtocolError
from chatmail.imap.fetch_response import FetchedMessage, fetch_flags, fetch_modseq
from chatmail.imap.response_codes import (
    NONEXISTENT,
    READ_ONLY,
    TRYCREATE,
    UNAVAILABLE,
    ResponseCode,
)
from chatmail.imap.responses import (
    Condition,
    Exists,
    Expunged,
    Response,
    StatusResponse,
    Vanished,
    bye,
)
from chatmail.imap.sequence_set import MessageSet, SequenceSet, UidSet
from chatmail.imap.view import MailboxView, Updates
from chatmail.log import ConnectionId, Log
from chatmail.login import Login
from chatmail.mail.changes import AccountId, MailboxChanges, MailboxRemoved, ModSeq, Uid
from chatmail.meters import Meters
from chatmail.storage.store import Account, Mailbox, MailboxSnapshot, Store, SubscriptionId
from chatmail.turns import Turns

log = Log("imap")


class CommandRefused(ProtocolError):
    """The command is not done: a tagged NO, or BAD where the client should have known."""

    def __init__(self, text: str, code: ResponseCode | None = None, condition: Condition = Condition.NO) -> None:
        """`text` goes to the client and holds nothing it sent."""
        super().__init__(text)
        self.code = code
        self.condition = condition

    def response(self, tag: str) -> StatusResponse:
        """What the client is told."""
        return StatusResponse(tag, self.condition, str(self), self.code)


class SessionEnd(Exception):
    """The session is over; `response` is its BYE, or None if the stream is broken and nothing may be said any more."""

    def __init__(self, response: StatusResponse | None) -> None:
        """See the class."""
        super().__init__()
        self.response = response


ACCOUNT_GONE = bye("This account does not exist any more", UNAVAILABLE)
LOGIN_OVER = bye("This login is not valid any more", UNAVAILABLE)
MAILBOX_GONE = bye("The selected mailbox was removed", UNAVAILABLE)


class Output(Protocol):
    """Where a session speaks. What is written leaves together, at the end of a command or at `drain`."""

    @property
    def is_full(self) -> bool:
        """So much waits that the session should `drain` before it writes more."""

    def send(self, response: Response) -> None:
        """Add a response."""

    def write(self, data: bytes) -> None:
        """Add bytes of a response."""

    async def drain(self) -> None:
        """Send what waits, and wait as long as the peer does not read. Raises `SessionEnd` if it never does."""

    def push(self) -> None:
        """Send what waits now; outside of commands."""

    def end(self, response: StatusResponse) -> None:
        """Say BYE and close; outside of commands."""


@dataclass(frozen=True, slots=True)
class SessionContext:
    """What all sessions of a server have in common; `clock` gives aware UTC, see also `policy/guessing.py`."""

    config: Config
    store: Store
    login: Login
    clock: Callable[[], datetime]
    wrong_login_seconds: float
    meters: Meters
    turns: Turns
    describing: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by who describes a message of large headers, in a thread."""


@dataclass(slots=True)
class Selected:
    """The selected mailbox. Changes up to `first_modseq` were in the snapshot already."""

    mailbox: Mailbox
    view: MailboxView
    read_only: bool
    first_modseq: ModSeq
    subscription: SubscriptionId


class SessionState:
    """One session. It is its own `origin` in the store's broadcasts."""

    __slots__ = (
        "account",
        "condstore",
        "connection_id",
        "context",
        "failed_logins",
        "is_busy",
        "is_compressed",
        "is_encrypted",
        "is_idling",
        "output",
        "peer",
        "qresync",
        "rev2",
        "saved",
        "selected",
        "turn",
    )

    def __init__(
        self, context: SessionContext, output: Output, connection_id: ConnectionId, *, is_encrypted: bool
    ) -> None:
        """Nobody is logged in."""
        self.context = context
        self.output = output
        self.connection_id = connection_id
        self.is_encrypted = is_encrypted
        """TLS is on; without it nobody can log in."""
        self.is_compressed = False
        self.failed_logins = 0
        self.turn = context.turns.turn(None)
        """Its part in the event loop."""
        self.peer = ""
        """The IP address the client comes from; for counting, never for the log."""
        self.account: Account | None = None
        self.selected: Selected | None = None
        self.saved: array[int] | None = None
        """UIDs found by `SEARCH RETURN (SAVE)`, ascending."""
        self.condstore = False
        self.qresync = False
        self.rev2 = False
        """ENABLE IMAP4rev2: answers are those of RFC 9051, where they differ from RFC 3501."""
        self.is_idling = False
        self.is_busy = False
        """A command is being executed: changes wait for its end."""

    def set_idling(self, is_idling: bool) -> None:
        """IDLE begins or ends, or the session does."""
        self.context.meters.imap_idle += is_idling - self.is_idling
        self.is_idling = is_idling

    # --- speaking ---------------------------------------------------------------------------------------------------

    def send(self, response: Response) -> None:
        """Say one response."""
        self.output.send(response)

    def send_updates(self, *, allow_expunge: bool) -> None:
        """Say what changed in the selected mailbox, as far as it may be said now."""
        if self.selected is not None and self.selected.view.has_updates:
            self._send(self.selected.view.take_updates(allow_expunge=allow_expunge))

    def _send(self, updates: Updates) -> None:
        if updates.expunged and self.qresync:
            self.send(Vanished(UidSet.of(sorted(uid for _seq_num, uid in updates.expunged))))
        else:
            for seq_num, _uid in updates.expunged:
                self.send(Expunged(seq_num))
        if updates.exists is not None:
            self.send(Exists(updates.exists))
        for seq_num, change in updates.flags:
            items = [b"UID %d" % change.uid, fetch_flags(change.flags)]
            if self.condstore:
                items.append(fetch_modseq(change.modseq))
            self.send(FetchedMessage(seq_num, items))

    # --- account ----------------------------------------------------------------------------------------------------

    def require_account(self) -> AccountId:
        """The account. Raises `CommandRefused` before the login."""
        if self.account is None:
            raise CommandRefused("Please log in first", condition=Condition.BAD)
        return self.account.account_id

    async def check_login(self) -> None:
        """End the session of an account that was removed, blocked or given a new password meanwhile."""
        self.require_account()
        assert self.account is not None
        found = await self.context.store.accounts.find(self.account.address)
        if found is None or found.account_id != self.account.account_id:
            raise SessionEnd(ACCOUNT_GONE)
        if found.blocked or found.password_hash != self.account.password_hash:
            raise SessionEnd(LOGIN_OVER)

    async def find_mailbox(self, name: str, *, missing: ResponseCode = NONEXISTENT) -> Mailbox:
        """The mailbox of that name. Raises `CommandRefused`, or `SessionEnd` where the whole account is gone."""
        mailboxes, account_id = self.context.store.mailboxes, self.require_account()
        mailbox = await mailboxes.find(account_id, name)
        if mailbox is None and not name.isascii():
            mailbox = await mailboxes.find(account_id, unicodedata.normalize("NFC", name))
        if mailbox is None:
            if name == "INBOX":
                raise SessionEnd(ACCOUNT_GONE)
            raise CommandRefused("There is no such mailbox", missing)
        return mailbox

    async def find_target(self, name: str) -> Mailbox:
        """The mailbox something is to be put into."""
        return await self.find_mailbox(name, missing=TRYCREATE)

    # --- selected mailbox -------------------------------------------------------------------------------------------

    def require_selected(self, *, writable: bool = False) -> Selected:
        """The selected mailbox. Raises `CommandRefused` if there is none, or if it may not be written."""
        if self.selected is None:
            raise CommandRefused("No mailbox is selected", condition=Condition.BAD)
        if writable and self.selected.read_only:
            raise CommandRefused("The mailbox was opened read-only", READ_ONLY)
        return self.selected

    async def select(self, mailbox: Mailbox, *, read_only: bool) -> MailboxSnapshot:
        """Look at `mailbox` from now on. No change is lost between the snapshot and the subscription."""
        broadcast = self.context.store.broadcast
        early: list[MailboxChanges] = []
        subscription = broadcast.subscribe(mailbox.mailbox_id, early.append)
        try:
            snapshot = await self.context.store.mailboxes.snapshot(mailbox.mailbox_id)
        finally:
            broadcast.unsubscribe(subscription)
        if snapshot is None:
            raise CommandRefused("The mailbox was just removed", NONEXISTENT)
        view = MailboxView(record.uid for record in snapshot.messages)
        subscription = broadcast.subscribe(mailbox.mailbox_id, self._on_changes)
        self.selected = Selected(mailbox, view, read_only, snapshot.highest_modseq, subscription)
        for changes in early:
            self._note(self.selected, changes)
        return snapshot

    def deselect(self) -> None:
        """Look at no mailbox any more."""
        if self.selected is not None:
            self.context.store.broadcast.unsubscribe(self.selected.subscription)
            self.selected = None
        self.saved = None

    def _on_changes(self, changes: MailboxChanges) -> None:
        """Called by the broadcast, in the tick of the commit."""
        selected = self.selected
        if selected is None:
            return
        self._note(selected, changes)
        if self.is_busy:
            return
        if selected.view.is_removed:
            self.output.end(MAILBOX_GONE)
        elif self.is_idling and selected.view.has_updates:
            self.send_updates(allow_expunge=True)
            self.output.push()
            if changes.whole_at:
                self.context.meters.exists.record(monotonic() - changes.whole_at)

    def _note(self, selected: Selected, changes: MailboxChanges) -> None:
        own = changes.origin is self
        for change in changes.changes:
            if isinstance(change, MailboxRemoved) or change.modseq > selected.first_modseq:
                selected.view.apply(change, own=own)

    def resolve(self, messages: MessageSet) -> list[Uid]:
        """The messages of a set, ascending. Raises `CommandRefused` for sequence numbers that do not exist."""
        view = self.require_selected().view
        if isinstance(messages, UidSet):
            ranges = messages.resolve(view.highest_uid)
            return [uid for low, high in ranges for uid in view.uids_between(low, high)]
        if isinstance(messages, SequenceSet):
            return _resolve_sequence(view, messages)
        return [Uid(uid) for uid in self.saved or () if view.seq_num(Uid(uid)) is not None]

    def numbers(self, uids: Sequence[Uid], *, by_uid: bool) -> UidSet | SequenceSet:
        """The set of ascending `uids` as a client of that kind of command counts."""
        if by_uid:
            return UidSet.of(uids)
        view = self.require_selected().view
        return SequenceSet.of(number for uid in uids if (number := view.seq_num(uid)) is not None)


def _resolve_sequence(view: MailboxView, messages: SequenceSet) -> list[Uid]:
    uids: list[Uid] = []
    for low, high in messages.resolve(len(view)):
        if high > len(view):
            raise CommandRefused("There are fewer messages than that", condition=Condition.BAD)
        uids += view.uids_at(low, high)
    return uids
