"""Submission: port 587 and, handed over by the multiplexer, 465 and 443. RFC 6409, RFC 8314.

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
from chatmail.errors import StorageError
from chatmail.intake import Intake, Opening, storage_reply
from chatmail.listeners import BACKLOG
from chatmail.log import Log
from chatmail.login import LoggedIn, Login
from chatmail.mail.address import Address
from chatmail.mail.envelope import Envelope, SmtpReply
from chatmail.mail.message import HeaderBlock
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
from chatmail.storage.store import Store

log = Log("submission")

_WELCOME: Final = SmtpReply(235, "Authentication successful", "2.7.0")
_WRONG_LOGIN: Final = SmtpReply(535, "Authentication failed: wrong address or password", "5.7.8")
_NO_LOGIN_NOW: Final = SmtpReply(454, "Authentication is not possible now, please try again later", "4.7.0")
_LOGIN_IS_OVER: Final = SmtpReply(550, "This account may not send any more with this login", "5.7.1")
_ACCEPTED: Final = SmtpReply(250, "Message accepted", "2.0.0")


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

    async def run(self, sockets: Sequence[socket.socket], context: ssl.SSLContext, stop: asyncio.Event) -> None:
        """Serve the bound sockets, in clear until STARTTLS, until `stop`.

        Then close them, and end every connection, those of `tls_protocol` too; a message that was received whole is
        delivered first.
        """

        def clear_protocol() -> asyncio.Protocol:
            return SmtpConnection(self._handler, self._options, self._connections, starttls_context=context)

        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as tasks, AsyncExitStack() as at_end:
            at_end.push_async_callback(self._connections.end_all)
            for listener in sockets:
                server = await loop.create_server(clear_protocol, sock=listener, backlog=BACKLOG)
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
                log.error("store_failed", connection=session.connection_id, error=error)
                transaction.admission = storage_reply(error, self._meters)
            if transaction.admission is not ADMITTED:
                self._meters.refuse(reason_of(transaction.admission))
                log.info("sender_refused", connection=session.connection_id, code=transaction.admission.code)
        return None if transaction.admission is ADMITTED else transaction.admission

    async def _admit(self, session: SmtpSession, sender: Address | None) -> SmtpReply:
        account = session.account
        assert account is not None
        closed = self._store.broadcast.closed
        if session.account_seen_at != closed:
            # Whoever was blocked, removed or given a new password meanwhile is not whom the login let in.
            found = await self._store.accounts.find(account.address)
            if found is None or found.blocked or found.password_hash != account.password_hash:
                return _LOGIN_IS_OVER
            session.account_seen_at = closed
        verdict = check_mail_from(sender, account.address)
        if isinstance(verdict, Accept):
            verdict = self._rates.take(account.address, asyncio.get_running_loop().time())
        return ADMITTED if isinstance(verdict, Accept) else verdict.reply

    def handle_DATA(self, session: SmtpSession, transaction: Transaction) -> MessageSink:
        """Begin a message."""
        envelope = Envelope(transaction.sender, tuple(transaction.recipients))
        return IncomingSubmission(session, envelope, self._store, self._router, self._meters)

    def refused(self, reply: SmtpReply) -> None:
        """Count it."""
        self._meters.refuse(reason_of(reply))


class IncomingSubmission:
    """One message on its way in. A `MessageSink`."""

    __slots__ = ("_envelope", "_header_bytes", "_intake", "_meters", "_router", "_session")

    def __init__(self, session: SmtpSession, envelope: Envelope, store: Store, router: Router, meters: Meters) -> None:
        """Nothing has come yet."""
        self._meters = meters
        self._session = session
        self._envelope = envelope
        self._router = router
        self._header_bytes = b""
        self._intake = Intake(store, self._open)

    def _open(self, headers: HeaderBlock) -> Opening | SmtpReply:
        verdict = check_from_header(headers, self._envelope)
        if not isinstance(verdict, Accept):
            return verdict.reply
        self._header_bytes = submission_headers(headers)
        return Opening(EncryptionGate(headers, Direction.SUBMISSION, self._envelope), self._header_bytes)

    def feed(self, chunk: bytes) -> None:
        """The next bytes of the message."""
        self._intake.feed(chunk)

    async def finish(self) -> SmtpReply:
        """Judge the whole message, and route it. 250 only when it is durable."""
        try:
            reply = await self._finish()
        except StorageError as error:
            log.error("store_failed", connection=self._session.connection_id, error=error)
            reply = storage_reply(error, self._meters)
        finally:
            self._intake.discard()
        if reply is not _ACCEPTED:
            self._meters.refuse(reason_of(reply))
            log.info("message_refused", connection=self._session.connection_id, code=reply.code)
        return reply

    async def _finish(self) -> SmtpReply:
        whole_at = monotonic()
        refusal = self._intake.finish()
        if refusal is not None:
            return refusal
        verdict = self._intake.gate.finish()
        if not isinstance(verdict, Accept):
            return verdict.reply
        body = self._intake.take_body()
        size_bytes = body.size_bytes
        await self._router.submit(self._envelope, self._header_bytes, body, datetime.now(UTC), whole_at)
        recipients = len(self._envelope.rcpt_tos)
        log.info(
            "message_accepted", connection=self._session.connection_id, size_bytes=size_bytes, recipients=recipients
        )
        return _ACCEPTED

    def discard(self) -> None:
        """It will not become whole."""
        self._intake.discard()
