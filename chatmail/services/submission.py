"""Submission: ports 465, 587 and, handed over by the multiplexer, 443. RFC 6409, RFC 8314.

Door: `SubmissionService`. Between the conversation (`smtp_protocol`) and the policies stands one handler; a message is
judged while it comes in, staged chunk by chunk, and handed to the router when it is whole. Nothing is looked up in the
DNS, no Received field is added, and no address of a client goes anywhere.

A recipient is refused at RCPT for its syntax, for the sender's rate or for a MAIL FROM that is not the login (clients
look for both at RCPT), never because it does not exist: see `routing`.
"""

import asyncio
import socket
import ssl
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from time import monotonic
from typing import Final

from aiosmtpd.smtp import LoginPassword

from chatmail.config import Config
from chatmail.errors import StorageError, StorageFullError
from chatmail.listeners import BACKLOG
from chatmail.log import Log
from chatmail.login import LoggedIn, Login
from chatmail.mail.address import Address
from chatmail.mail.envelope import STORAGE_FULL, STORAGE_UNAVAILABLE, Envelope, SmtpReply
from chatmail.mail.message import HeaderBlock, MessageError, header_length
from chatmail.meters import Meters
from chatmail.policy.encryption import Direction, EncryptionGate
from chatmail.policy.guessing import WRONG_LOGIN_SECONDS
from chatmail.policy.rate_limit import RateLimit, SendRates
from chatmail.policy.refusals import reason_of
from chatmail.policy.submission import check_from_header, check_mail_from, submission_headers
from chatmail.policy.verdict import Accept
from chatmail.routing import Router
from chatmail.services.smtp_connections import SmtpConnections
from chatmail.services.smtp_handler import ADMITTED, MessageSink, SmtpOptions, SmtpSession, Transaction
from chatmail.services.smtp_protocol import SmtpConnection
from chatmail.storage.store import StagedBody, Store

log = Log("submission")

_WELCOME: Final = SmtpReply(235, "Authentication successful", "2.7.0")
_WRONG_LOGIN: Final = SmtpReply(535, "Authentication failed: wrong address or password", "5.7.8")
_NO_LOGIN_NOW: Final = SmtpReply(454, "Authentication is not possible now, please try again later", "4.7.0")
_LOGIN_IS_OVER: Final = SmtpReply(550, "This account may not send any more with this login", "5.7.1")
_ACCEPTED: Final = SmtpReply(250, "Message accepted", "2.0.0")
_HANDSHAKE_SECONDS: Final = 15.0
_SHUTDOWN_SECONDS: Final = 5.0


class SubmissionService:
    """The submission listeners. Make it inside the running loop."""

    def __init__(
        self,
        config: Config,
        *,
        store: Store,
        login: Login,
        router: Router,
        connections: SmtpConnections,
        meters: Meters | None = None,
        wrong_login_seconds: float = WRONG_LOGIN_SECONDS,
    ) -> None:
        """`connections` may be shared with other SMTP services; see `SubmissionHandler` for the last."""
        self._options = SmtpOptions(
            hostname=config.address_domain,
            max_message_bytes=config.mail.max_message_size,
            max_recipients=config.mail.max_recipients,
            login_required=True,
        )
        rate = RateLimit(config.mail.max_user_send_per_minute, config.mail.max_user_send_burst_size)
        self._handler = SubmissionHandler(
            store, login, router, SendRates(rate), meters or Meters(), wrong_login_seconds
        )
        self._connections = connections

    def tls_protocol(self) -> asyncio.Protocol:
        """A protocol for a connection whose TLS handshake is done."""
        return SmtpConnection(self._handler, self._options, self._connections, encrypted=True)

    async def run(
        self,
        *,
        submission: Sequence[socket.socket],
        submissions: Sequence[socket.socket],
        context: ssl.SSLContext,
        stop: asyncio.Event,
    ) -> None:
        """Serve the bound sockets, STARTTLS on `submission` and TLS on `submissions`, until `stop`.

        Then close them, and end every connection, those of `tls_protocol` too; a message that was received whole is
        delivered first.
        """

        def clear_protocol() -> asyncio.Protocol:
            return SmtpConnection(self._handler, self._options, self._connections, starttls_context=context)

        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as tasks, AsyncExitStack() as at_end:
            at_end.push_async_callback(self._connections.end_all)
            for listener in submission:
                server = await loop.create_server(clear_protocol, sock=listener, backlog=BACKLOG)
                at_end.callback(server.close)
            for listener in submissions:
                server = await loop.create_server(
                    self.tls_protocol,
                    sock=listener,
                    backlog=BACKLOG,
                    ssl=context,
                    ssl_handshake_timeout=_HANDSHAKE_SECONDS,
                    ssl_shutdown_timeout=_SHUTDOWN_SECONDS,
                )
                at_end.callback(server.close)
            self._connections.serve(tasks)
            await stop.wait()


class SubmissionHandler:
    """Decides what an account may send. An `SmtpHandler`."""

    def __init__(
        self,
        store: Store,
        login: Login,
        router: Router,
        rates: SendRates,
        meters: Meters,
        wrong_login_seconds: float,
    ) -> None:
        """`rates` counts messages by account; a wrong password is answered after `wrong_login_seconds`."""
        self._meters = meters
        self._wrong_login_seconds = wrong_login_seconds
        self._store = store
        self._login = login
        self._router = router
        self._rates = rates

    async def authenticate(self, session: SmtpSession, login: LoginPassword) -> SmtpReply:
        """235 and the account in `session.account`, or a refusal. RFC 4954 §6."""
        try:
            username, password = login.login.decode(), login.password.decode()
            result = await self._login.check(username, password, datetime.now(UTC), session.peer or "")
        except UnicodeDecodeError:
            return _WRONG_LOGIN
        except StorageError as error:
            log.error("login_impossible", connection=session.connection_id, error=error)
            return _NO_LOGIN_NOW
        if isinstance(result, LoggedIn):
            session.account = result.account
            log.debug("logged_in", connection=session.connection_id, account=result.account.address)
            return _WELCOME
        log.info("login_refused", connection=session.connection_id, reason=result.reason.value)
        if result.is_guess:
            await asyncio.sleep(self._wrong_login_seconds)
        return _NO_LOGIN_NOW if result.is_temporary else _WRONG_LOGIN

    async def handle_MAIL(self, session: SmtpSession, transaction: Transaction) -> SmtpReply | None:
        """A wrong sender is told at RCPT."""
        return None

    async def handle_RCPT(self, session: SmtpSession, transaction: Transaction, to: Address) -> SmtpReply | None:
        """The first recipient counts the message against the sender's rate; the others get the same answer."""
        if transaction.admission is None:
            try:
                transaction.admission = await self._admit(session, transaction.sender)
            except StorageError as error:
                transaction.admission = storage_reply(error, session, self._meters)
            if transaction.admission is not ADMITTED:
                self._meters.refuse(reason_of(transaction.admission))
                log.info("sender_refused", connection=session.connection_id, code=transaction.admission.code)
        return None if transaction.admission is ADMITTED else transaction.admission

    async def _admit(self, session: SmtpSession, sender: Address | None) -> SmtpReply:
        account = session.account
        assert account is not None
        # Whoever was blocked, removed or given a new password meanwhile is not whom the login let in.
        found = await self._store.accounts.find(account.address)
        if found is None or found.blocked or found.password_hash != account.password_hash:
            return _LOGIN_IS_OVER
        verdict = check_mail_from(sender, account.address)
        if isinstance(verdict, Accept):
            verdict = self._rates.take(account.address, asyncio.get_running_loop().time())
        return ADMITTED if isinstance(verdict, Accept) else verdict.reply

    def handle_DATA(self, session: SmtpSession, transaction: Transaction) -> MessageSink:
        """Begin a message."""
        envelope = Envelope(transaction.sender, tuple(transaction.recipients))
        return IncomingSubmission(session, envelope, self._store, self._router, self._meters)


class IncomingSubmission:
    """One message on its way in: header block first, then body through the gate into the stage. A `MessageSink`."""

    __slots__ = (
        "_body",
        "_envelope",
        "_gate",
        "_head",
        "_header_bytes",
        "_meters",
        "_refusal",
        "_router",
        "_session",
        "_store",
    )

    def __init__(self, session: SmtpSession, envelope: Envelope, store: Store, router: Router, meters: Meters) -> None:
        """Nothing has come yet."""
        self._meters = meters
        self._session = session
        self._envelope = envelope
        self._store = store
        self._router = router
        self._head = b""
        self._header_bytes = b""
        self._gate: EncryptionGate | None = None
        self._body: StagedBody | None = None
        self._refusal: SmtpReply | None = None

    def feed(self, chunk: bytes) -> None:
        """The next bytes of the message."""
        if self._refusal is not None:
            return
        try:
            if self._gate is None:
                chunk = self._read_header(chunk)
            if chunk:
                self._read_body(chunk)
        except MessageError as error:
            self._refuse(error.reply)
        except StorageError as error:
            self._refuse(storage_reply(error, self._session, self._meters))

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
        """The header block is complete: judge it, and stage the message under the cleaned one."""
        self._head = b""
        headers = HeaderBlock.parse(header_block)
        verdict = check_from_header(headers, self._envelope)
        if not isinstance(verdict, Accept):
            return self._refuse(verdict.reply)
        self._gate = EncryptionGate(headers, Direction.SUBMISSION, self._envelope)
        self._header_bytes = submission_headers(headers)
        self._body = self._store.stage(self._header_bytes)

    def _read_body(self, chunk: bytes) -> None:
        if self._gate is None or self._body is None:
            return
        self._gate.feed(chunk)
        if self._gate.is_rejected:
            return self._drop_body()
        self._body.write(chunk)

    async def finish(self) -> SmtpReply:
        """Judge the whole message, and route it. 250 only when it is durable."""
        try:
            reply = await self._finish()
        except StorageError as error:
            reply = storage_reply(error, self._session, self._meters)
        except BaseException:
            self._drop_body()
            raise
        if reply is not _ACCEPTED:
            self._drop_body()
            self._meters.refuse(reason_of(reply))
            log.info("message_refused", connection=self._session.connection_id, code=reply.code)
        return reply

    async def _finish(self) -> SmtpReply:
        whole_at = monotonic()
        if self._refusal is None and self._gate is None:
            try:
                self._open(self._head)  # a header block alone, without its empty line
            except MessageError as error:
                return error.reply
        if self._refusal is not None:
            return self._refusal
        assert self._gate is not None
        verdict = self._gate.finish()
        if not isinstance(verdict, Accept):
            return verdict.reply
        assert self._body is not None
        body, self._body = self._body, None
        size_bytes = body.size_bytes
        await self._router.submit(self._envelope, self._header_bytes, body, datetime.now(UTC), whole_at)
        recipients = len(self._envelope.rcpt_tos)
        log.info(
            "message_accepted", connection=self._session.connection_id, size_bytes=size_bytes, recipients=recipients
        )
        return _ACCEPTED

    def discard(self) -> None:
        """It will not become whole."""
        self._drop_body()

    def _refuse(self, reply: SmtpReply) -> None:
        self._refusal = reply
        self._head = b""
        self._drop_body()

    def _drop_body(self) -> None:
        if self._body is not None:
            self._body.discard()
            self._body = None


def storage_reply(error: StorageError, session: SmtpSession, meters: Meters) -> SmtpReply:
    """What the peer is told when the store cannot serve; the operator hears of it too."""
    meters.fail_store(str(error), datetime.now(UTC))
    log.error("store_failed", connection=session.connection_id, error=error)
    return STORAGE_FULL if isinstance(error, StorageFullError) else STORAGE_UNAVAILABLE
