"""The SMTP conversation: aiosmtpd's `SMTP`, made fast and strict. Submission and MX differ in the handler only.

Door: `SmtpConnection` is the protocol object of one connection; what it may decide is in `SmtpOptions`, all else is
asked of an `SmtpHandler`. RFC 5321 (SMTP), RFC 2920 (pipelining), RFC 1870 (SIZE), RFC 2034 (enhanced codes), RFC 3207
(STARTTLS), RFC 4954 (AUTH), RFC 6152 (8BITMIME), RFC 6531 (SMTPUTF8).

From aiosmtpd come the dispatch to `smtp_*` methods, HELO, HELP, the PLAIN and LOGIN mechanisms, `Session` and
`Envelope`. Ours are reading and writing (`SmtpStream`: one write answers a whole batch), MAIL and RCPT (a regex instead
of the e-mail package), DATA (chunks into a sink, never a whole message), STARTTLS, AUTH with a handler that may wait,
deadlines, and the count of errors. It stores nothing, knows no policy and looks up no name.

Bytes behind DATA are message bytes once DATA was answered 354, also those that were here before; where it was refused
and bytes are here already, nobody can know what they are, so the connection ends.
"""

import asyncio
import ssl
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from typing import Final, cast

from aiosmtpd.smtp import MISSING, SMTP, AuthResult, LoginPassword, _Missing, syntax

from chatmail.log import Log, new_connection_id
from chatmail.mail.data_decoder import DataDecoder, DataFault
from chatmail.mail.envelope import MESSAGE_TOO_BIG, SmtpReply
from chatmail.mail.smtp_path import PathError, parse_mail, parse_rcpt
from chatmail.policy.peer_budget import peer_of
from chatmail.services.smtp_handler import (
    ConnectionOwner,
    MessageSink,
    SmtpHandler,
    SmtpOptions,
    SmtpSession,
    Transaction,
)
from chatmail.services.smtp_stream import LINE_TOO_LONG, ConnectionOverError, PeerGoneError, SmtpStream

log = Log("smtp")

_MAX_COMMAND_BYTES: Final = 4096
_MAX_LOGIN_FAILURES: Final = 3
_MAX_DRAIN: Final = 4
"""How many times the largest message is read while waiting for the end of one that is refused already."""

_TOO_MANY_RECIPIENTS: Final = SmtpReply(452, "Too many recipients", "4.5.3")
_FAULT_REPLIES: Final = {
    DataFault.LINE_ENDS: SmtpReply(554, "Lines end with CR LF, and hold no other CR, LF or NUL", "5.6.0"),
    DataFault.TOO_BIG: MESSAGE_TOO_BIG,
}
_OUR_FAULT: Final = SmtpReply(421, "Something went wrong on this server, please try again later", "4.3.0")
_OUT_OF_STEP: Final = SmtpReply(421, "Bytes came before the reply to DATA, closing the connection", "4.5.0")
_INJECTION: Final = SmtpReply(501, "Nothing may follow STARTTLS in clear, closing the connection", "5.5.1")
_TOO_MANY_ERRORS: Final = SmtpReply(421, "Too many errors, closing the connection", "4.7.0")
_TOO_MANY_FAILURES: Final = SmtpReply(421, "Too many failed logins, closing the connection", "4.7.0")
_BYE: Final = SmtpReply(221, "Bye", "2.0.0")
_BEFORE_TLS: Final = frozenset({"EHLO", "HELO", "NOOP", "QUIT", "RSET", "STARTTLS"})
_BEFORE_LOGIN: Final = _BEFORE_TLS | {"AUTH"}


class SmtpConnection(SMTP):
    """One connection; make it inside the running loop."""

    AuthLoginUsernameChallenge = "Username:"
    AuthLoginPasswordChallenge = "Password:"
    session: SmtpSession
    envelope: Transaction

    def __init__(
        self,
        handler: SmtpHandler,
        options: SmtpOptions,
        owner: ConnectionOwner,
        *,
        starttls_context: ssl.SSLContext | None = None,
        encrypted: bool = False,
    ) -> None:
        """`starttls_context` makes STARTTLS offered, and required; `encrypted` says TLS is on from the start."""
        loop = asyncio.get_running_loop()
        super().__init__(
            handler,
            data_size_limit=options.max_message_bytes,
            enable_SMTPUTF8=True,
            hostname=options.hostname,
            ident="ESMTP",
            auth_required=options.login_required,
            loop=loop,
        )
        self.connection_id = new_connection_id()
        self._handler = handler
        self._options = options
        self._owner = owner
        self._starttls_context = starttls_context
        self._turn = owner.turns.turn(None)
        self._stream = SmtpStream(self, loop, self._turn)
        self._encrypted = encrypted
        self._errors = 0
        self._login_failures = 0
        self._peer_host = ""

    @property
    def takes_submissions(self) -> bool:
        """Whether it is for our accounts; the others are for other servers."""
        return self._options.login_required

    # --- the transport's calls --------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the conversation, if there may be one more."""
        self._stream.connected(cast(asyncio.Transport, transport))
        peer = transport.get_extra_info("peername")
        self._peer_host = str(peer[0]) if peer else ""
        self._turn.belongs_to(peer_of(self._peer_host))
        refusal = self._owner.opened(self, self._peer_host)
        if refusal is not None:
            return self._stream.close(refusal)
        self._begin_session()
        self._owner.spawn(self._handle_client())

    def data_received(self, data: bytes) -> None:
        """Bytes from the peer."""
        self._stream.feed(data)

    def eof_received(self) -> bool:
        """The peer has said all; without TLS it may still listen."""
        self._stream.feed_eof()
        return not self._encrypted

    def connection_lost(self, error: Exception | None) -> None:
        """The peer is gone."""
        self._stream.lost()
        self._owner.lost(self)

    def pause_writing(self) -> None:
        """The peer does not read."""
        self._stream.pause_writing()

    def resume_writing(self) -> None:
        """The peer reads again."""
        self._stream.resume_writing()

    def end(self, reply: SmtpReply) -> None:
        """End the conversation with `reply` as soon as the server is not at work for it."""
        self._stream.end(reply)

    def abort(self) -> None:
        """Cut the connection off."""
        self._stream.abort()

    # --- the conversation -------------------------------------------------------------------------------------------

    def _begin_session(self) -> None:
        """Nothing is known of the peer; again so after STARTTLS (RFC 3207 §4.2)."""
        self.session = SmtpSession(self.loop, self.connection_id, encrypted=self._encrypted)
        self.session.peer = self._peer_host
        self._set_rset_state()

    def _set_rset_state(self) -> None:
        """Begin with an empty transaction."""
        self.envelope = Transaction()

    async def push(self, status: str | bytes) -> None:
        """Add one reply line to those that wait; 5xx are counted."""
        line = status if isinstance(status, str) else status.decode("ascii", "replace")
        if line.startswith("5"):
            self._errors += 1
        await self._stream.push(line)

    async def _reply(self, reply: SmtpReply) -> None:
        await self.push(str(reply))

    async def _handle_client(self) -> None:
        """The whole conversation; whatever happens in it, the connection is closed, and nothing is raised."""
        last_words: SmtpReply | None = None
        try:
            await self._converse()
        except ConnectionOverError as over:
            last_words = over.reply
        except PeerGoneError as error:
            log.debug("peer_gone", connection=self.connection_id, reason=str(error))
        except Exception as error:
            log.bug(error, connection=self.connection_id)
            last_words = _OUR_FAULT
        finally:
            self._stream.close(last_words)

    async def _converse(self) -> None:
        self._stream.expire_in(self._options.login_seconds)
        await self.push(f"220 {self.hostname} ESMTP")
        while True:
            line = await self._stream.read_line()
            await self._command(line)
            if self._errors > self._options.max_errors:
                raise ConnectionOverError(_TOO_MANY_ERRORS)
            if self.session.authenticated or not self._auth_required:
                self._stream.expire_in(self._options.command_seconds)
            if self._turn.is_over:
                await self._turn.next()

    async def _command(self, line: bytes) -> None:
        try:
            verb, _, argument = line.decode().partition(" ")
        except UnicodeDecodeError:
            return await self.push("500 5.5.2 Not UTF-8")
        verb = verb.upper()
        method = self._smtp_methods.get(verb)
        if method is None:
            await self.push("500 5.5.1 Command not known")
        elif len(line) > _MAX_COMMAND_BYTES and verb != "AUTH":
            await self._reply(LINE_TOO_LONG)
        elif self._starttls_context is not None and not self._encrypted and verb not in _BEFORE_TLS:
            await self.push("530 5.7.0 Must issue a STARTTLS command first")
        elif self._auth_required and not self.session.authenticated and verb not in _BEFORE_LOGIN:
            await self.push("530 5.7.0 Authentication required")
        else:
            await method(argument.strip(" "))

    async def check_helo_needed(self, helo: str = "EHLO") -> bool:
        """Refuse a command that comes before EHLO; whether it was refused."""
        if self.session.host_name:
            return False
        await self.push("503 5.5.1 Say EHLO first")
        return True

    # --- commands without a transaction -----------------------------------------------------------------------------

    @syntax("EHLO hostname")
    async def smtp_EHLO(self, hostname: str) -> None:
        """RFC 5321 §4.1.1.1. Any name will do: clients say `[127.0.0.1]` from everywhere."""
        if not hostname:
            return await self.push("501 5.5.4 Syntax: EHLO hostname")
        self._set_rset_state()
        self.session.extended_smtp = True
        self.session.host_name = hostname
        keywords = ["PIPELINING", f"SIZE {self._options.max_message_bytes}", "8BITMIME", "ENHANCEDSTATUSCODES"]
        if self._starttls_context is not None and not self._encrypted:
            keywords.append("STARTTLS")
        if self._options.login_required and self._encrypted:
            keywords.append("AUTH PLAIN LOGIN")
        for line in (self.hostname, *keywords):
            await self.push(f"250-{line}")
        await self.push("250 SMTPUTF8")

    @syntax("NOOP [ignored]")
    async def smtp_NOOP(self, arg: str) -> None:
        """RFC 5321 §4.1.1.9."""
        await self.push("250 2.0.0 OK")

    @syntax("RSET")
    async def smtp_RSET(self, arg: str) -> None:
        """RFC 5321 §4.1.1.5."""
        self._set_rset_state()
        await self.push("250 2.0.0 OK")

    @syntax("QUIT")
    async def smtp_QUIT(self, arg: str) -> None:
        """RFC 5321 §4.1.1.10."""
        raise ConnectionOverError(_BYE)

    @syntax("VRFY address")
    async def smtp_VRFY(self, arg: str) -> None:
        """RFC 5321 §3.5.3: the same for every address, existing or not."""
        await self.push("252 2.0.0 Cannot VRFY user, but will accept message and attempt delivery")

    async def smtp_EXPN(self, arg: str) -> None:
        """RFC 5321 §3.5.1: there are no lists."""
        await self.push("502 5.5.1 EXPN is not offered")

    @syntax("STARTTLS", when="_starttls_context")
    async def smtp_STARTTLS(self, arg: str) -> None:
        """RFC 3207. What came in clear behind it never reaches the encrypted session."""
        if self._starttls_context is None or self._encrypted:
            return await self.push("503 5.5.1 STARTTLS is not offered now")
        if arg:
            return await self.push("501 5.5.4 Syntax: STARTTLS")
        if self._stream.has_input:
            raise ConnectionOverError(_INJECTION)
        await self.push("220 2.0.0 Ready to start TLS")
        await self._stream.start_tls(self._starttls_context)
        self._encrypted = True
        self._begin_session()

    # --- AUTH -------------------------------------------------------------------------------------------------------

    @syntax("AUTH mechanism [initial-response]")
    async def smtp_AUTH(self, arg: str) -> None:
        """RFC 4954 §4: PLAIN (RFC 4616) and LOGIN, each with or without an initial response."""
        if await self.check_helo_needed():
            return
        if not self._encrypted or not self._auth_required:
            return await self.push("503 5.5.1 AUTH is not offered now")
        if self.session.authenticated or self.envelope.is_open:
            return await self.push("503 5.5.1 Too late for AUTH")
        words = arg.split()
        if len(words) not in (1, 2):
            return await self.push("501 5.5.4 Syntax: AUTH mechanism [initial-response]")
        method = {"PLAIN": self.auth_PLAIN, "LOGIN": self.auth_LOGIN}.get(words[0].upper())
        if method is None:
            return await self.push("504 5.5.4 Only PLAIN and LOGIN are offered")
        result = await method(None, words)
        if isinstance(result.auth_data, LoginPassword):  # else it has been answered what was wrong
            await self._log_in(result.auth_data)

    def _authenticate(self, mechanism: str, auth_data: LoginPassword) -> AuthResult:
        """Called by aiosmtpd's mechanisms with what they decoded; it is judged by `_log_in`, which can wait."""
        return AuthResult(success=False, auth_data=auth_data)

    async def _log_in(self, login: LoginPassword) -> None:
        reply = await self._handler.authenticate(self.session, login)
        self.session.authenticated = reply.code == 235
        if self.session.account is not None:
            self._turn.belongs_to(self.session.account.address)
        await self._reply(reply)
        if not self.session.authenticated:
            self._login_failures += 1
            if self._login_failures >= _MAX_LOGIN_FAILURES:
                raise ConnectionOverError(_TOO_MANY_FAILURES)

    async def challenge_auth(
        self, challenge: str | bytes, encode_to_b64: bool = True, log_client_response: bool = False
    ) -> _Missing | bytes:
        """Ask (334), and decode the answer; `MISSING` when the client was told what was wrong with it."""
        question = challenge.encode() if isinstance(challenge, str) else challenge
        await self.push(b"334 " + (b64encode(question) if encode_to_b64 else question))
        answer = await self._stream.read_line()
        if answer == b"*":
            await self.push("501 5.7.0 AUTH was cancelled")
            return MISSING
        try:
            return b64decode(answer, validate=True)
        except Base64Error:
            await self.push("501 5.5.2 Not base64")
            return MISSING

    # --- the mail transaction ---------------------------------------------------------------------------------------

    @syntax("MAIL FROM:<address>", extended=" [SP parameters]")
    async def smtp_MAIL(self, arg: str | None) -> None:
        """RFC 5321 §4.1.1.2."""
        if await self.check_helo_needed():
            return
        transaction = self.envelope
        if transaction.is_open:
            return await self.push("503 5.5.1 A message is being sent already")
        try:
            parsed = parse_mail(arg or "")
        except PathError as error:
            return await self._reply(error.reply)
        if parsed.size_bytes is not None and parsed.size_bytes > self._options.max_message_bytes:
            self._handler.refused(MESSAGE_TOO_BIG)
            return await self._reply(MESSAGE_TOO_BIG)
        transaction.sender, transaction.smtp_utf8 = parsed.address, parsed.smtp_utf8
        transaction.declared_size_bytes = parsed.size_bytes or 0
        refusal = await self._handler.handle_MAIL(self.session, transaction)
        if refusal is not None:
            return await self._reply(refusal)
        transaction.is_open = True
        await self.push("250 2.1.0 OK")

    @syntax("RCPT TO:<address>")
    async def smtp_RCPT(self, arg: str | None) -> None:
        """RFC 5321 §4.1.1.3."""
        transaction = self.envelope
        if not transaction.is_open:
            return await self.push("503 5.5.1 Say MAIL first")
        try:
            recipient = parse_rcpt(arg or "", smtp_utf8=transaction.smtp_utf8)
        except PathError as error:
            return await self._reply(error.reply)
        if len(transaction.recipients) >= self._options.max_recipients:
            self._handler.refused(_TOO_MANY_RECIPIENTS)
            return await self._reply(_TOO_MANY_RECIPIENTS)
        refusal = await self._handler.handle_RCPT(self.session, transaction, recipient)
        if refusal is not None:
            return await self._reply(refusal)
        transaction.recipients.append(recipient)
        await self.push("250 2.1.5 OK")

    @syntax("DATA")
    async def smtp_DATA(self, arg: str) -> None:
        """RFC 5321 §4.1.1.4. The message is read to its end whatever becomes of it."""
        transaction = self.envelope
        if arg or not transaction.recipients:
            if self._stream.has_input:
                raise ConnectionOverError(_OUT_OF_STEP)
            return await self.push("501 5.5.4 Syntax: DATA" if arg else "503 5.5.1 No valid recipients")
        await self.push("354 End data with <CR><LF>.<CR><LF>")
        reply = await self._receive(self._handler.handle_DATA(self.session, transaction))
        self._set_rset_state()
        await self._reply(reply)
        # Behind it there may be whole messages already, each of which waits for the disk: nobody waits for those too.
        await self._stream.flush()
        if reply.code < 300:
            self._errors = 0

    async def _receive(self, sink: MessageSink) -> SmtpReply:
        decoder = DataDecoder(self._options.max_message_bytes)
        try:
            await self._read_data(decoder, sink)
        except BaseException:
            sink.discard()
            raise
        self._stream.unread(decoder.rest)
        if decoder.fault is None:
            self._turn.end()
            reply = await sink.finish()
            self._turn.resume()
            return reply
        sink.discard()
        self._handler.refused(reply := _FAULT_REPLIES[decoder.fault])
        return reply

    async def _read_data(self, decoder: DataDecoder, sink: MessageSink) -> None:
        """Up to the end of the message, as long as it goes on with at least `data_progress_bytes` a `data_seconds`."""
        self._stream.expire_in(self._options.data_seconds)
        received = at_last_progress = 0
        while not decoder.finished:
            chunk = await self._stream.read_chunk()
            decoded = decoder.feed(chunk)
            if decoded:
                sink.feed(decoded)
            received += len(chunk)
            if received - at_last_progress >= self._options.data_progress_bytes:
                at_last_progress = received
                self._stream.expire_in(self._options.data_seconds)
            if received > _MAX_DRAIN * self._options.max_message_bytes:
                raise ConnectionOverError(MESSAGE_TOO_BIG)
