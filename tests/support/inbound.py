"""Port 25 and `/mxdeliv` on a real store in the same process, a foreign domain's keys, and a look into mailboxes."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import aiohttp

from chatmail.config import Config, FederationConfig, LimitsConfig, MailConfig
from chatmail.mail.address import Address
from chatmail.meters import Meters
from chatmail.net.dkim import DkimVerifier, KeyCache
from chatmail.reception import Reception
from chatmail.services.http import HttpService
from chatmail.services.mx import MxService
from chatmail.services.mxdeliv import PATH, MxDeliv
from chatmail.services.smtp_connections import SmtpConnections
from chatmail.storage.store import Account, Store
from tests.support.dkim_samples import FOREIGN, Zone, record, sign
from tests.support.messages import encrypted_message
from tests.support.smtp_peer import Door, SmtpPeer, client_context, server_context

DOMAIN = "chat.example"
ALICE = f"alice@{FOREIGN}"
BOB, CAROL = f"bobxxxxxx@{DOMAIN}", f"carolxxxx@{DOMAIN}"


def address(text: str) -> Address:
    parsed = Address.parse(text)
    assert parsed is not None
    return parsed


def signed_message(sender: str = ALICE, *, size_bytes: int = 5000, message_id: str = "") -> bytes:
    """An encrypted message of the foreign domain, as its server sends it."""
    return sign(encrypted_message(sender, size_bytes=size_bytes, message_id=message_id))


@dataclass
class InboundServer:
    """Both ways in, and the store behind them."""

    config: Config
    store: Store
    zone: Zone
    door: Door
    https_port: int
    connections: SmtpConnections
    meters: Meters

    async def account(self, name: str) -> Account:
        """The account of that address, made if it is not there."""
        account = await self.store.accounts.find(address(name))
        if account is None:
            account = await self.store.accounts.create(address(name), "no password", date(2026, 11, 23))
        assert account is not None
        return account

    async def inbox(self, name: str) -> list[bytes]:
        """All messages, oldest first."""
        mailbox = await self.store.mailboxes.find((await self.account(name)).account_id, "INBOX")
        assert mailbox is not None
        snapshot = await self.store.mailboxes.snapshot(mailbox.mailbox_id)
        assert snapshot is not None
        messages = []
        for record_ in snapshot.messages:
            body = await self.store.mailboxes.body(record_.body_id)
            assert body is not None
            messages.append(await body.read(0, body.size_bytes))
        return messages

    async def peer(self) -> SmtpPeer:
        """Another server, after STARTTLS and EHLO."""
        peer = await self.door.greeted()
        assert (await peer.say("STARTTLS")).startswith("220 ")
        await peer.start_tls()
        assert (await peer.say("EHLO mx.other.example")).startswith("250-")
        return peer

    async def send(self, message: bytes, *rcpt_tos: str, mail_from: str = ALICE) -> str:
        """One message over port 25; the last reply."""
        peer = await self.peer()
        return (await peer.submit(mail_from, rcpt_tos or (BOB,), message))[-1]

    @asynccontextmanager
    async def https(self) -> AsyncIterator[aiohttp.ClientSession]:
        """A client of the web face."""
        connector = aiohttp.TCPConnector(ssl=client_context())
        async with aiohttp.ClientSession(f"https://127.0.0.1:{self.https_port}", connector=connector) as session:
            yield session

    async def post(self, message: bytes, *rcpt_tos: str, mail_from: str | None = ALICE) -> tuple[int, str]:
        """One message over HTTPS; status and text."""
        headers = [("X-MAIL-TO", name) for name in rcpt_tos or (BOB,)]
        if mail_from is not None:
            headers.append(("X-MAIL-FROM", mail_from))
        async with self.https() as session, session.post(PATH, data=message, headers=headers) as answer:
            return answer.status, (await answer.text()).strip()


@asynccontextmanager
async def inbound_server(
    data_dir: Path,
    *,
    mail: MailConfig | None = None,
    limits: LimitsConfig | None = None,
    domain: str = DOMAIN,
    blocked_domains: Sequence[str] = (),
    read_seconds: float = 5.0,
    open_of_one_peer: int = 50,
) -> AsyncIterator[InboundServer]:
    """Serve on two free ports; afterwards everything has ended in order. The accounts of bob and carol exist."""
    config = Config(
        mail_domain=domain,
        mail=mail or MailConfig(),
        limits=limits or LimitsConfig(),
        federation=FederationConfig(blocked_domains=tuple(blocked_domains)),
    )
    store = await Store.open(data_dir, max_mailbox_size_bytes=config.mail.max_mailbox_size)
    zone = Zone()
    zone.publish(record())
    meters = Meters()
    reception = Reception(config, store, DkimVerifier(KeyCache(lambda: zone)), meters)
    mxdeliv = MxDeliv(config, reception, read_seconds=read_seconds, open_of_one_peer=open_of_one_peer)
    connections = SmtpConnections(config.limits.max_smtp_connections)
    http = HttpService(
        config,
        certificate_is_trusted=lambda: True,
        registration=lambda: "open",
        handlers={PATH: mxdeliv.answer},
    )
    smtp, https = (socket.create_server(("127.0.0.1", 0)) for _ in range(2))
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    tls_server = await loop.create_server(http.tls_protocol, sock=https, ssl=server_context())
    door = Door(smtp.getsockname()[1])
    server = InboundServer(config, store, zone, door, https.getsockname()[1], connections, meters)
    for name in (BOB, CAROL):
        await server.account(name.replace(DOMAIN, config.address_domain))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(MxService(config, reception, connections).run([smtp], server_context(), stop))
        tasks.create_task(http.run([], stop))
        try:
            yield server
        finally:
            tls_server.close()
            stop.set()
            await door.close()
    await store.close()
