"""`POST /mxdeliv`: mail from other servers over HTTPS, for a round trip less than SMTP and where port 25 is closed.

Door: `MxDeliv.answer`, which the HTTP service calls for the path. The request: `X-MAIL-FROM` (absent for the null
sender), `X-MAIL-TO` for each recipient (or a list with commas), and the message as the body, CR LF line ends, no dots
doubled. The answers: 200 when every recipient has it, 400 with the reply that SMTP would have given, 405, and 413. The
checks and their order are those of port 25: `Reception`'s. All recipients get it in one transaction, or the first
refusal is the answer and nobody does. Each answer says how many recipients a request may have (`X-MAIL-TO-LIMIT`).

A peer is known by its address only while its minute of bytes and its open requests are counted.
"""

import asyncio
from typing import Final

from aiohttp import ClientError, web
from aiohttp.http_exceptions import HttpProcessingError

from chatmail.config import Config
from chatmail.errors import ProtocolError
from chatmail.log import ConnectionId, Log, new_connection_id
from chatmail.mail.address import Address
from chatmail.mail.envelope import MESSAGE_TOO_BIG, Envelope, SmtpReply
from chatmail.mail.line_ends import LineEnds
from chatmail.net.mxdeliv_client import LIMIT_FIELD
from chatmail.policy.peer_budget import PeerBudget, peer_of
from chatmail.reception import ACCEPTED, IncomingMail, Reception

PATH: Final = "/mxdeliv"
READ_SECONDS: Final = 60.0
"""Between two pieces of a message; the connection's age bounds the whole."""
MAX_REQUESTS: Final = 200
MAX_REQUESTS_OF_ONE_PEER: Final = 50
BYTES_PER_MINUTE: Final = 1 << 30
"""Of one peer: a thousand chat messages a second and more, but not a disk in an hour."""

_BAD_SENDER: Final = SmtpReply(501, "This is not a sender address", "5.1.7")
_BAD_RECIPIENT: Final = SmtpReply(501, "This is not a recipient address", "5.1.3")
_NO_RECIPIENTS: Final = SmtpReply(503, "No valid recipients", "5.5.1")
_TOO_MANY_RECIPIENTS: Final = SmtpReply(452, "Too many recipients", "4.5.3")
_LINE_ENDS: Final = SmtpReply(554, "Lines end with CR LF, and hold no other CR, LF or NUL", "5.6.0")
_CUT_SHORT: Final = SmtpReply(421, "The message did not come to its end", "4.4.2")
_BUSY: Final = SmtpReply(421, "Too much at once, please try again later", "4.7.0")
_STATUSES: Final = {MESSAGE_TOO_BIG: 413, _CUT_SHORT: 408, _BUSY: 503}

log = Log("mxdeliv")


class _BodyError(ProtocolError):
    """The body cannot be taken; `reply` says why."""

    def __init__(self, reply: SmtpReply) -> None:
        super().__init__(str(reply))
        self.reply = reply


class MxDeliv:
    """Answers the requests; make it inside the running loop."""

    def __init__(
        self,
        config: Config,
        reception: Reception,
        *,
        read_seconds: float = READ_SECONDS,
        open_of_one_peer: int = MAX_REQUESTS_OF_ONE_PEER,
    ) -> None:
        """The last two are for tests to shorten."""
        self._max_message_bytes = config.mail.max_message_size
        self._max_recipients = config.mail.max_recipients
        self._reception = reception
        self._read_seconds = read_seconds
        self._loop = asyncio.get_running_loop()
        self._budget = PeerBudget(
            bytes_per_window=BYTES_PER_MINUTE, open_at_once=MAX_REQUESTS, open_of_one_peer=open_of_one_peer
        )

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """One request."""
        if request.method != "POST":
            return web.Response(status=405, text="Only POST\n", headers={"Allow": "POST"})
        peer = peer_of(request.remote or "")
        if not self._budget.begin(peer, self._loop.time()):
            return _response(503, _BUSY)
        try:
            reply = await self._take(request, peer)
        except ConnectionError:
            reply = _CUT_SHORT
        finally:
            self._budget.end(peer)
        response = _response(_status(reply), reply)
        response.headers[LIMIT_FIELD] = str(self._max_recipients)
        if reply is _CUT_SHORT:
            response.force_close()
        return response

    async def _take(self, request: web.BaseRequest, peer: bytes) -> SmtpReply:
        too_big = (request.content_length or 0) > self._max_message_bytes
        envelope = MESSAGE_TOO_BIG if too_big else self._envelope(request)
        if isinstance(envelope, SmtpReply):
            self._reception.count_refusal(envelope)
            return envelope
        refusal = self._reception.refuse_sender(envelope.mail_from)
        for recipient in envelope.rcpt_tos:
            refusal = refusal or await self._reception.refuse_recipient(recipient, request.content_length or 0)
        if refusal is not None:
            return refusal
        if request.headers.get("Expect", "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0  # the answer proper has not begun
        connection_id = new_connection_id()
        return await self._receive(request, peer, self._reception.begin(envelope, connection_id), connection_id)

    async def _receive(
        self, request: web.BaseRequest, peer: bytes, mail: IncomingMail, connection_id: ConnectionId
    ) -> SmtpReply:
        try:
            await self._read_body(request, peer, mail)
        except _BodyError as error:
            mail.discard()
            self._reception.count_refusal(error.reply)
            log.info("message_refused", connection=connection_id, code=error.reply.code)
            return error.reply
        except BaseException:
            mail.discard()
            raise
        return await mail.finish()

    async def _read_body(self, request: web.BaseRequest, peer: bytes, mail: IncomingMail) -> None:
        """The whole body. Raises `_BodyError`, and `ConnectionError` for a peer that is gone or too slow."""
        line_ends = LineEnds()
        while chunk := await self._read(request):
            if mail.size_bytes + len(chunk) > self._max_message_bytes:
                raise _BodyError(MESSAGE_TOO_BIG)
            if not self._budget.spend(peer, len(chunk), self._loop.time()):
                raise _BodyError(_BUSY)
            line_ends.feed(chunk)
            mail.feed(chunk)
        if request.content_length is not None and mail.size_bytes != request.content_length:
            raise ConnectionError("the body is cut short")
        if not line_ends.finish():
            raise _BodyError(_LINE_ENDS)

    async def _read(self, request: web.BaseRequest) -> bytes:
        try:
            async with asyncio.timeout(self._read_seconds):
                return await request.content.readany()
        except (TimeoutError, ClientError, HttpProcessingError) as error:
            raise ConnectionError("the peer stopped sending, or its framing is broken") from error

    def _envelope(self, request: web.BaseRequest) -> Envelope | SmtpReply:
        said = request.headers.get("X-MAIL-FROM", "").strip("<> \t")
        sender = Address.parse(said) if said else None
        if said and sender is None:
            return _BAD_SENDER
        lists = request.headers.getall("X-MAIL-TO", [])
        named = [name.strip("<> \t") for line in lists for name in line.split(",") if name.strip()]
        if not named:
            return _NO_RECIPIENTS
        if len(named) > self._max_recipients:
            return _TOO_MANY_RECIPIENTS
        recipients = [address for name in named if (address := Address.parse(name)) is not None]
        return Envelope(sender, tuple(recipients)) if len(recipients) == len(named) else _BAD_RECIPIENT


def _status(reply: SmtpReply) -> int:
    if reply is ACCEPTED:
        return 200
    return _STATUSES.get(reply, 400)


def _response(status: int, reply: SmtpReply) -> web.Response:
    text = "".join(char if char.isascii() and char.isprintable() else "?" for char in str(reply))
    return web.Response(status=status, text=f"{text}\n")
