"""One IMAP session: executes commands on the store. No sockets; RFC 9051 §6, RFC 2177.

Implementation notes, for all of `imap_session_*.py`:

- One command at a time. `execute` first announces what has come (so that SEARCH finds new mail), awaits the store,
  writes untagged responses, then says what changed meanwhile in the selected mailbox, then the tagged response.
- Changes come from the store's broadcast in the tick of the commit. They go into the session's view, and out at once
  while the client idles, else at the end of the command. Own work carries the session as `origin`: its flag changes
  were answered by the command and are not repeated.
- Sequence numbers only move in `MailboxView.take_updates`. After FETCH, STORE and SEARCH by sequence number EXPUNGE is
  held back (RFC 9051 §7.5.1): a client may have sent the next such command already.
- The store is asked for what is true now; the view only knows numbers. A message that another session expunged is
  still numbered here and silently missing from answers.
- No transaction spans an await on the peer: what is needed from the store is read first, then written. Large bodies are
  the exception, and they are read from an open file.
- Errors are of four kinds: `CommandRefused` (tagged NO or BAD), `StorageError` (tagged NO [UNAVAILABLE]), `SessionEnd`
  (BYE), and everything else, a bug, which the connection logs.
"""

from typing import Final

from chatmail.errors import StorageError
from chatmail.imap import commands
from chatmail.imap.commands import AppendMessage, Command
from chatmail.imap.response_codes import CANNOT, UNAVAILABLE, capability
from chatmail.imap.responses import Condition, Continuation, StatusResponse, bye, no, ok
from chatmail.log import ConnectionId
from chatmail.services import imap_session_fetch as fetching
from chatmail.services import imap_session_login as logins
from chatmail.services import imap_session_mailboxes as mailboxes
from chatmail.services import imap_session_messages as messages
from chatmail.services import imap_session_metadata as metadata
from chatmail.services import imap_session_search as searching
from chatmail.services import imap_session_select as selecting
from chatmail.services.imap_session_append import IncomingAppend, begin_append
from chatmail.services.imap_session_state import (
    MAILBOX_GONE,
    CommandRefused,
    Output,
    SessionContext,
    SessionEnd,
    SessionState,
    log,
)

_BY_SEQUENCE_NUMBER: Final = (commands.Fetch, commands.Store, commands.Search)


def _may_expunge(command: Command | None) -> bool:
    """Whether EXPUNGE may be said in answer to `command` (RFC 9051 §7.5.1)."""
    return not isinstance(command, _BY_SEQUENCE_NUMBER) or command.by_uid


class ImapSession:
    """The commands of one connection."""

    __slots__ = ("_append", "_tag", "state")

    def __init__(
        self, context: SessionContext, output: Output, connection_id: ConnectionId, *, is_encrypted: bool
    ) -> None:
        """Nobody is logged in."""
        self.state = SessionState(context, output, connection_id, is_encrypted=is_encrypted)
        self._append: IncomingAppend | None = None
        self._tag = ""
        """Of an AUTHENTICATE or APPEND under way."""

    @property
    def is_appending(self) -> bool:
        """A message is coming in."""
        return self._append is not None

    def greet(self) -> None:
        """The greeting, which spares clients a CAPABILITY."""
        name = logins.product_name(self.state) or "IMAP"
        self.state.send(ok(None, f"{name} ready", capability(logins.capabilities(self.state))))

    def end(self) -> None:
        """The connection is gone: let go of everything."""
        self.state.set_idling(False)
        self.state.deselect()
        self.discard_append()

    # --- commands ---------------------------------------------------------------------------------------------------

    async def execute(self, tag: str, command: Command) -> None:
        """Execute one command and answer it. Raises `SessionEnd`."""
        state = self.state
        state.send_updates(allow_expunge=False)
        state.is_busy = True
        try:
            response = await self._answer(tag, command)
            if state.condstore and state.selected is not None:
                # A client takes the highest MODSEQ it was told for the state it knows: nothing below may be untold.
                await state.context.store.caught_up(state.selected.mailbox.mailbox_id)
        except CommandRefused as refused:
            response = refused.response(tag)
        except StorageError as error:
            response = self._unavailable(tag, error)
        finally:
            state.is_busy = False
        self._finish(response, may_expunge=_may_expunge(command))

    def _unavailable(self, tag: str, error: StorageError) -> StatusResponse:
        meters = self.state.context.meters
        meters.fail_store(str(error), self.state.context.clock())
        meters.refuse("storage_failed")
        log.error("store_unavailable", connection=self.state.connection_id, error=type(error).__name__)
        return no(tag, "The server cannot do this now, please try again later", UNAVAILABLE)

    def _finish(self, response: StatusResponse | Continuation, *, may_expunge: bool = True) -> None:
        selected = self.state.selected
        if selected is not None and selected.view.is_removed:
            raise SessionEnd(MAILBOX_GONE)
        self.state.send_updates(allow_expunge=may_expunge)
        self.state.send(response)

    async def _answer(self, tag: str, command: Command) -> StatusResponse | Continuation:
        """Table of commands; the hot ones first."""
        state = self.state
        match command:
            case commands.Fetch():
                return await fetching.fetch(state, tag, command)
            case commands.Store():
                return await messages.store(state, tag, command)
            case commands.Idle():
                state.require_account()
                state.set_idling(True)
                return Continuation("idling")
            case commands.Select():
                return await selecting.select(state, tag, command)
            case commands.Close():
                return await selecting.close(state, tag, command)
            case commands.Unselect():
                return await selecting.unselect(state, tag, command)
            case commands.Expunge():
                return await messages.expunge(state, tag, command)
            case commands.Copy():
                return await messages.copy(state, tag, command)
            case commands.Search():
                return await searching.search(state, tag, command)
        return await self._answer_unselected(tag, command)

    async def _answer_unselected(self, tag: str, command: Command) -> StatusResponse | Continuation:
        state = self.state
        match command:
            case commands.GetQuotaRoot():
                return await metadata.get_quota_root(state, tag, command)
            case commands.GetQuota():
                return await metadata.get_quota(state, tag, command)
            case commands.SetQuota():
                return await metadata.set_quota(state, tag, command)
            case commands.GetMetadata():
                return await metadata.get_metadata(state, tag, command)
            case commands.SetMetadata():
                return await metadata.set_metadata(state, tag, command)
            case commands.List():
                return await mailboxes.list_(state, tag, command)
            case commands.Lsub():
                return await mailboxes.lsub(state, tag, command)
            case commands.Status():
                return await mailboxes.status(state, tag, command)
            case commands.Namespace():
                return await mailboxes.namespace(state, tag, command)
            case commands.Create():
                return await mailboxes.create(state, tag, command)
            case commands.Delete():
                return await mailboxes.delete(state, tag, command)
            case commands.Rename():
                return await mailboxes.rename(state, tag, command)
            case commands.Subscribe():
                return await mailboxes.subscribe(state, tag, command)
            case commands.Unsubscribe():
                return await mailboxes.unsubscribe(state, tag, command)
        return await self._answer_any_state(tag, command)

    async def _answer_any_state(self, tag: str, command: Command) -> StatusResponse | Continuation:
        state = self.state
        match command:
            case commands.Login():
                return await logins.login(state, tag, command)
            case commands.Authenticate():
                return await self._begin_authenticate(tag, command)
            case commands.Enable():
                return await logins.enable(state, tag, command)
            case commands.Capability():
                return await logins.capability_(state, tag, command)
            case commands.Id():
                return await logins.id_(state, tag, command)
            case commands.Noop():
                return ok(tag, "Noop completed")
            case commands.Check():
                state.require_selected()
                return ok(tag, "Check completed")
            case commands.Logout():
                state.send(bye("Logging out"))
                return ok(tag, "Logout completed")
        raise CommandRefused("This is not offered here", CANNOT)

    # --- commands in several steps ----------------------------------------------------------------------------------

    async def _begin_authenticate(self, tag: str, command: commands.Authenticate) -> StatusResponse | Continuation:
        logins.check_may_authenticate(self.state)
        if command.mechanism != "PLAIN":
            raise CommandRefused("Authentication is possible with PLAIN only", CANNOT)
        if command.initial_response is None:
            self._tag = tag
            return Continuation.challenge()
        return await logins.authenticate_plain(self.state, tag, command.initial_response)

    async def authenticate(self, answer: bytes | None) -> None:
        """What the client says to the challenge of PLAIN; None if it gave up. Raises `SessionEnd`."""
        tag = self._tag
        try:
            if answer is None:
                raise CommandRefused("Authentication cancelled", condition=Condition.BAD)
            response = await logins.authenticate_plain(self.state, tag, answer)
        except CommandRefused as refused:
            response = refused.response(tag)
        except StorageError as error:
            response = self._unavailable(tag, error)
        self.state.send(response)

    def idle_done(self, tag: str) -> None:
        """DONE. Raises `SessionEnd`."""
        self.state.set_idling(False)
        self._finish(ok(tag, "Idle completed"))

    async def append_begin(self, tag: str, mailbox_name: str, message: AppendMessage) -> bool:
        """Whether the message may come; if not, it is refused already. Raises `SessionEnd`."""
        self._tag = tag
        try:
            self._append = await begin_append(self.state, mailbox_name, message)
        except CommandRefused as refused:
            self.state.send(refused.response(tag))
        except StorageError as error:
            self.state.send(self._unavailable(tag, error))
        return self._append is not None

    def append_next(self, message: AppendMessage) -> bool:
        """Whether a further message may come (RFC 3502); if not, all of them are refused already."""
        try:
            if self._append is None:
                raise StorageError("the message before could not be kept")
            self._append.begin(message)
        except CommandRefused as refused:
            self._refuse_append(refused.response(self._tag))
        except StorageError as error:
            self._refuse_append(self._unavailable(self._tag, error))
        return self._append is not None

    def _refuse_append(self, response: StatusResponse) -> None:
        self.discard_append()
        self.state.send(response)

    def append_data(self, data: bytes) -> None:
        """The next octets; if they cannot be kept, that is told at the end."""
        if self._append is None:
            return
        try:
            self._append.feed(data)
        except StorageError:
            self.discard_append()

    async def append_end(self, tag: str) -> None:
        """All messages are complete. Raises `SessionEnd`."""
        self.state.is_busy = True
        try:
            if self._append is None:
                raise StorageError("the message could not be kept")
            response = await self._append.store(tag)
            self._append = None
        except CommandRefused as refused:
            response = refused.response(tag)
        except StorageError as error:
            response = self._unavailable(tag, error)
        finally:
            self.state.is_busy = False
            self.discard_append()
        self._finish(response)

    def discard_append(self) -> None:
        """The message will not become whole, or was refused."""
        if self._append is not None:
            self._append.discard()
            self._append = None
