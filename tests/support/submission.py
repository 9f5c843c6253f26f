"""A submission service on a real store in the same process, and a look into its mailboxes."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from chatmail.config import Config, LimitsConfig, MailConfig
from chatmail.login import Login
from chatmail.mail.address import Address
from chatmail.mail.changes import AccountId
from chatmail.routing import Router
from chatmail.services.multiplexer import ANY_ALPN, Multiplexer, Route
from chatmail.services.smtp_connections import SmtpConnections
from chatmail.services.submission import SubmissionService
from chatmail.storage.store import Store
from tests.support.smtp_peer import Door, SmtpPeer, server_context

DOMAIN = "chat.example"
PASSWORD = "correct horse battery"


def address(name: str) -> str:
    """The address of one of the test's people: names of nine letters are allowed."""
    return f"{name:x<9}@{DOMAIN}"


@dataclass
class SubmissionServer:
    """Both ports, and the store behind them."""

    store: Store
    starttls: Door
    tls: Door
    stop: asyncio.Event

    async def account(self, name: str) -> AccountId:
        """The account of a person, made if it is not there."""
        parsed = Address.parse(address(name))
        assert parsed is not None
        account = await self.store.accounts.find(parsed)
        if account is None:
            (await self.logged_in(name)).hang_up()
            account = await self.store.accounts.find(parsed)
        assert account is not None
        return account.account_id

    async def logged_in(self, name: str) -> SmtpPeer:
        """A client of a person, after AUTH."""
        peer = await self.tls.greeted()
        await peer.log_in(address(name), PASSWORD)
        return peer

    async def inbox(self, name: str) -> list[bytes]:
        """All messages of a person, oldest first."""
        mailbox = await self.store.mailboxes.find(await self.account(name), "INBOX")
        assert mailbox is not None
        snapshot = await self.store.mailboxes.snapshot(mailbox.mailbox_id)
        assert snapshot is not None
        messages = []
        for record in snapshot.messages:
            body = await self.store.mailboxes.body(record.body_id)
            assert body is not None
            messages.append(await body.read(0, body.size_bytes))
        return messages


@asynccontextmanager
async def submission_server(
    data_dir: Path, mail: MailConfig | None = None, limits: LimitsConfig | None = None, domain: str = DOMAIN
) -> AsyncIterator[SubmissionServer]:
    """Serve on two free ports; afterwards everything has ended in order."""
    config = Config(mail_domain=domain, mail=mail or MailConfig(), limits=limits or LimitsConfig())
    store = await Store.open(data_dir, max_mailbox_size_bytes=config.mail.max_mailbox_size)
    login = Login(store.accounts, config, lambda: None)
    connections = SmtpConnections(config.limits.max_smtp_connections)
    service = SubmissionService(
        config,
        store=store,
        login=login,
        router=Router(store, config.address_domain),
        connections=connections,
        wrong_login_seconds=0.0,
    )
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    stop = asyncio.Event()
    starttls, tls = Door(sockets[0].getsockname()[1]), Door(sockets[1].getsockname()[1], is_encrypted=True)
    async with asyncio.TaskGroup() as tasks:
        context = server_context()
        tasks.create_task(service.run(sockets[:1], context, stop))
        tasks.create_task(Multiplexer({ANY_ALPN: Route(lambda: context, service.tls_protocol)}).run(sockets[1:], stop))
        try:
            yield SubmissionServer(store, starttls, tls, stop)
        finally:
            stop.set()
            await starttls.close()
            await tls.close()
    login.close()
    await store.close()
