"""No log line and no file outside the store names an address, an IP address or a Message-ID, whatever happens."""

import asyncio
import smtplib
import socket
import ssl
from contextlib import suppress
from pathlib import Path

from tests.support.mail_client import ImapClient
from tests.support.messages import encrypted_message
from tests.support.served import PASSWORD, Server

SENDER, RECEIVER, NOBODY, FOREIGNER = "sender123", "receiver1", "nobody123", "foreigner"
MESSAGE_ID = "telltale-message-id"
TOKEN = "telltale-device-token"


def use_every_path(server: Server, peer: str) -> None:
    """Send what is delivered, refused, bounced and queued; log in wrongly; come from outside."""
    sender, receiver = (f"{name}@[{server.host}]" for name in (SENDER, RECEIVER))
    context = ssl._create_unverified_context()
    with smtplib.SMTP_SSL(server.host, 8465, context=context, source_address=(peer, 0)) as client:
        client.login(sender, PASSWORD)
        message = encrypted_message(sender, message_id=MESSAGE_ID)
        client.sendmail(sender, [receiver, f"{NOBODY}@[{server.host}]", f"{FOREIGNER}@[127.9.9.9]"], message)
        for refused in (
            b"From: <%b>\r\nMessage-ID: <%b@x>\r\n\r\nplain\r\n",
            b"From: <a@b>\r\nTo: <%b>\r\n%b\r\n\r\nx",
        ):
            with suppress(smtplib.SMTPException):
                client.sendmail(sender, [receiver], refused % (sender.encode(), MESSAGE_ID.encode()))
        with suppress(smtplib.SMTPException):
            client.sendmail(receiver, [receiver], message)
    with (
        smtplib.SMTP_SSL(server.host, 8465, context=context, source_address=(peer, 0)) as client,
        suppress(smtplib.SMTPException),
    ):
        client.login(sender, "a wrong password")
    with smtplib.SMTP(server.host, 8025, source_address=(peer, 0)) as client:
        client.starttls(context=context)
        with suppress(smtplib.SMTPException):
            client.sendmail(f"{FOREIGNER}@other.example", [receiver], message)
        with suppress(smtplib.SMTPException):
            client.sendmail(f"{FOREIGNER}@other.example", [f"{NOBODY}@[{server.host}]"], message)
    with socket.create_connection((server.host, 8025), source_address=(peer, 0)) as garbled:
        garbled.sendall(b"\x16\x03\x01 garbage of %b\r\n\0\r\n" % MESSAGE_ID.encode())
        garbled.shutdown(socket.SHUT_WR)
        while garbled.recv(4096):
            pass


async def read_and_ask_for_push(server: Server, name: str) -> None:
    client: ImapClient = await server.imap(name)
    await client.command("SELECT INBOX")
    await client.command(f'SETMETADATA "INBOX" (/private/devicetoken "{TOKEN}")')
    await client.command("UID FETCH 1:* (FLAGS BODY.PEEK[])")
    client.close()


async def test_nothing_outside_the_store_names_anybody(server: Server, free_loopback_address: str) -> None:
    peer = f"127.200.{free_loopback_address.rpartition('.')[0].rpartition('.')[2]}.9"
    text = server.config.read_text().replace('notifier_url = ""', f'notifier_url = "https://{server.host}:9/notify"')
    server.config.write_text(text)
    with server.running():
        await asyncio.gather(*(read_and_ask_for_push(server, name) for name in (SENDER, RECEIVER)))
        await asyncio.to_thread(use_every_path, server, peer)
        async with asyncio.timeout(60):
            while "notifier_fails" not in server.log_file.read_text():
                await asyncio.sleep(0.1)
        for words in (["expire", "--yes"], ["queue", "list"], ["account", "block", f"{RECEIVER}@[{server.host}]"]):
            assert (await asyncio.to_thread(server.do, *words)).code == 0
    log = server.log_file.read_text()
    for event in ("message_accepted", "message_refused", "bounced", "login_refused", "expired", "account_blocked"):
        assert event in log, f"{event} is missing: has every path been used?\n{log}"
    telltales = [SENDER, RECEIVER, NOBODY, FOREIGNER, peer, MESSAGE_ID, TOKEN, f"[{server.host}]"]
    stored = ("chatmail.sqlite", "chatmail.sqlite-wal", "chatmail.sqlite-shm")
    files = [path for path in server.folder.rglob("*") if path.is_file() and path != server.config]
    checked: list[Path] = []
    for path in files:
        if path.name in stored or "bodies" in path.parts:
            continue
        content = path.read_bytes()
        assert not [telltale for telltale in telltales if telltale.encode() in content], path
        checked.append(path)
    assert server.log_file in checked and len(checked) > 3
