"""Takes one message to one domain: finds its hosts, tries `/mxdeliv` and then SMTP at each, reuses connections.

Door: `Courier.deliver`, which says what became of each recipient, and never raises because of a peer. Certificates are
verified against the name of the MX host, except for addresses with an IP literal and domains that begin with `_`, whose
servers have nobody to vouch for them; those are encrypted to all the same. RFC 5321 §4.5.4.1, §5.1.

It knows nothing of the queue: when to try again is not decided here.
"""

import asyncio
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from chatmail.config import Config
from chatmail.config_values import is_ip_address
from chatmail.errors import OperatorError
from chatmail.mail.address import Address
from chatmail.mail.envelope import SmtpReply
from chatmail.net.mail_routes import MailHost, MailRoutes, NoRouteError
from chatmail.net.mxdeliv_client import MxdelivAnswer, MxdelivClient
from chatmail.net.outbound_message import OutboundMessage
from chatmail.net.smtp_client import CANNOT_BE_REACHED, SmtpClient, SmtpClientError, SmtpPatience

TRANSACTION_RECIPIENTS: Final = 1000
"""Of one SMTP transaction; a server that takes fewer says so, and gets the others in the next one."""
IDLE_SECONDS: Final = 30.0
"""How long a connection is kept for the next message."""
MAX_IDLE: Final = 256
"""Connections kept; beyond, the one that waits longest goes. A message to a thousand domains leaves a thousand."""

BLOCKED: Final = SmtpReply(550, "This server exchanges no mail with that domain", "5.7.1")
_TOO_MANY_RECIPIENTS: Final = frozenset({"4.5.3", "5.5.3"})


class UnreachableError(SmtpClientError):
    """None of a host's addresses came as far as to listen to a message."""


@dataclass(slots=True)
class DeliveryReport:
    """What became of the recipients: delivered, or the reply that says why not (4xx: not yet).

    `is_unreachable` tells that no server of the domain could be spoken to at all.
    """

    delivered: list[Address] = field(default_factory=list)
    failed: dict[Address, SmtpReply] = field(default_factory=dict)
    is_unreachable: bool = False


class Courier:
    """Made in the event loop; `close` it."""

    def __init__(self, config: Config, routes: MailRoutes, patience: SmtpPatience | None = None) -> None:
        """Raises `OperatorError` if `[federation] ca_file` cannot be used."""
        self._federation = config.federation
        self._blocked = frozenset(config.federation.blocked_domains)
        self._own_name = _own_name(config.mail_domain)
        self._routes = routes
        self._patience = patience or SmtpPatience()
        contexts = _contexts(config.federation.ca_file)
        self._contexts: Callable[[bool], ssl.SSLContext] = contexts.__getitem__
        self._https = MxdelivClient(config.federation.https_port, self._contexts, monotonic)
        self._kept: dict[SmtpClient, tuple[MailHost, asyncio.TimerHandle]] = {}
        """All idle connections, the one that waits longest first."""
        self._idle: dict[MailHost, list[SmtpClient]] = {}

    async def deliver(self, message: OutboundMessage, recipients: Sequence[Address]) -> DeliveryReport:
        """Deliver to all of `recipients`, which are of `message.domain`. Raises `StorageError`."""
        report = DeliveryReport()
        if message.domain in self._blocked:
            report.failed = dict.fromkeys(recipients, BLOCKED)
            return report
        try:
            hosts = await self._routes.find(message.domain)
        except NoRouteError as error:
            report.failed = dict.fromkeys(recipients, error.reply)
            report.is_unreachable = not error.reply.is_permanent
            return report
        return await self._try_hosts(hosts, message, list(recipients), report)

    async def _try_hosts(
        self, hosts: Sequence[MailHost], message: OutboundMessage, waiting: list[Address], report: DeliveryReport
    ) -> DeliveryReport:
        problem = CANNOT_BE_REACHED
        is_unreachable = True
        for host in hosts:
            has_https = await self._over_https(host, message, waiting, report)
            if not waiting:
                return report
            try:
                await self._over_smtp(host, message, waiting, report)
            except SmtpClientError as error:
                problem = error.reply
                is_unreachable = is_unreachable and isinstance(error, UnreachableError) and not has_https
                if error.is_in_doubt:
                    # Another host might deliver it again: that is for the next attempt, much later, to risk.
                    report.failed |= dict.fromkeys(waiting, problem)
                    return report
            else:
                if has_https is False:
                    self._https.remember_absent(host)
                return report
        report.failed |= dict.fromkeys(waiting, problem)
        report.is_unreachable = is_unreachable
        self._routes.forget(message.domain)
        return report

    # --- HTTPS ---

    async def _over_https(
        self, host: MailHost, message: OutboundMessage, waiting: list[Address], report: DeliveryReport
    ) -> bool | None:
        """Take delivered recipients out of `waiting`; whether the host has such a door, None if it was not asked."""
        if self._https.is_absent(host) or not all(str(to).isascii() for to in waiting) or not message.is_ascii:
            return None
        while waiting:
            chosen = waiting[: self._https.limit(host)]
            answer = await self._https.post(host, message, chosen)
            if answer is not MxdelivAnswer.TAKEN:
                return answer is MxdelivAnswer.REFUSED
            report.delivered += chosen
            del waiting[: len(chosen)]
        return True

    # --- SMTP ---

    async def _over_smtp(
        self, host: MailHost, message: OutboundMessage, waiting: list[Address], report: DeliveryReport
    ) -> None:
        """Empty `waiting`. Raises `SmtpClientError`, and `waiting` are those about whom the host has not decided."""
        while waiting:
            chosen = waiting[:TRANSACTION_RECIPIENTS]
            replies = await self._transaction(host, message, chosen)
            taken = [to for to, reply in replies.items() if reply.code < 300]
            again = [to for to, reply in replies.items() if taken and reply.enhanced in _TOO_MANY_RECIPIENTS]
            report.delivered += taken
            report.failed |= {to: reply for to, reply in replies.items() if reply.code >= 300 and to not in again}
            waiting[:] = again + waiting[len(chosen) :]

    async def _transaction(
        self, host: MailHost, message: OutboundMessage, recipients: Sequence[Address]
    ) -> dict[Address, SmtpReply]:
        """One transaction over a kept connection or a new one. A kept one may have been closed meanwhile."""
        while (client := self._take_idle(host)) is not None:
            try:
                return await self._send(host, client, message, recipients)
            except SmtpClientError as error:
                if error.is_in_doubt:
                    raise
        return await self._send(host, await self._connect(host), message, recipients)

    async def _send(
        self, host: MailHost, client: SmtpClient, message: OutboundMessage, recipients: Sequence[Address]
    ) -> dict[Address, SmtpReply]:
        try:
            replies = await client.send(message, recipients)
        except BaseException:
            client.abort()
            raise
        # After a refusal in the middle of a transaction a fresh connection is simpler than to know where the peer is.
        if all(reply.code < 300 for reply in replies.values()) and client.is_open:
            self._keep_idle(host, client)
        else:
            client.quit()
        return replies

    async def _connect(self, host: MailHost) -> SmtpClient:
        try:
            return await SmtpClient.connect(
                host.addresses,
                self._federation.smtp_port,
                context=self._contexts(host.is_verified),
                server_name=None if is_ip_address(host.name) else host.name,
                own_name=self._own_name,
                patience=self._patience,
            )
        except SmtpClientError as error:
            raise UnreachableError(error.reply) from None

    def _take_idle(self, host: MailHost) -> SmtpClient | None:
        while idle := self._idle.get(host):
            client = idle[-1]
            self._take_out(client)
            if client.is_open:
                return client
            client.abort()
        return None

    def _keep_idle(self, host: MailHost, client: SmtpClient) -> None:
        if len(self._kept) >= MAX_IDLE:
            self._let_go(next(iter(self._kept)))
        timer = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._let_go, client)
        self._kept[client] = host, timer
        self._idle.setdefault(host, []).append(client)

    def _take_out(self, client: SmtpClient) -> None:
        host, timer = self._kept.pop(client)
        timer.cancel()
        idle = self._idle[host]
        idle.remove(client)
        if not idle:
            del self._idle[host]

    def _let_go(self, client: SmtpClient) -> None:
        self._take_out(client)
        client.quit()

    async def close(self) -> None:
        """Take leave of every peer."""
        for client in list(self._kept):
            self._let_go(client)
        await self._https.close()


def _own_name(mail_domain: str) -> str:
    """What EHLO says. RFC 5321 §4.1.3 for addresses."""
    if not is_ip_address(mail_domain):
        return mail_domain
    return f"[IPv6:{mail_domain}]" if ":" in mail_domain else f"[{mail_domain}]"


def _contexts(ca_file: str) -> dict[bool, ssl.SSLContext]:
    """By whether the peer has to prove its name. TLS 1.2 at least."""
    verifying = ssl.create_default_context()
    if ca_file:
        try:
            verifying.load_verify_locations(ca_file)
        except (OSError, ssl.SSLError):
            raise OperatorError(
                f"The file {ca_file} cannot be used as certificates; check ca_file in [federation]."
            ) from None
    encrypting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # without the machine's authorities, which nobody asks here
    encrypting.check_hostname = False
    encrypting.verify_mode = ssl.CERT_NONE
    for context in (verifying, encrypting):
        context.minimum_version = ssl.TLSVersion.TLSv1_2
    return {True: verifying, False: encrypting}
