"""No log line and no file outside the store names an address, an IP address or a Message-ID, whatever happens."""

import asyncio
import json
import smtplib
import socket
import ssl
import urllib.request
from contextlib import suppress
from http.client import HTTPSConnection
from pathlib import Path

import pytest
import trustme

from chatmail.net.control_client import ask_server
from tests.support.foreign_server import HTTPS_PORT, SMTP_PORT, ForeignServer
from tests.support.mail_client import ImapClient, UnexpectedReplyError, accept_any_certificate
from tests.support.messages import encrypted_message
from tests.support.served import PASSWORD, Server

SENDER, RECEIVER, FULL, NOBODY, FOREIGNER = "sender123", "receiver1", "fullmail1", "nobody123", "foreigner"
MESSAGE_ID = "telltale-message-id"
TOKEN = "telltale-device-token"
GUESS = "telltale-password"
CONFIG = f"""
[mail]
max_mailbox_size = "1M"
max_message_size = 700000
[metrics]
listen = "{{host}}:9253"
[federation]
smtp_port = {SMTP_PORT}
https_port = {HTTPS_PORT}
"""
EVENTS = (
    *("message_accepted", "message_refused", "bounced", "delivery", "login_refused", "notifier_fails"),
    *("expired", "account_blocked", "account_deleted", "password_reset", "invitation_made", "registration_changed"),
)
"""What the log must tell of, if every path has been used."""


def submit(server: Server, peer: str, foreign: str) -> None:
    """What is delivered, bounced, queued, refused for content, sender and a full mailbox; a wrong password."""
    sender, receiver, full = (f"{name}@[{server.host}]" for name in (SENDER, RECEIVER, FULL))
    context = ssl._create_unverified_context()
    with smtplib.SMTP_SSL(server.host, 8465, context=context, source_address=(peer, 0)) as client:
        client.login(sender, PASSWORD)
        message = encrypted_message(sender, message_id=MESSAGE_ID)
        client.sendmail(sender, [receiver, f"{NOBODY}@[{server.host}]", f"{FOREIGNER}@[{foreign}]"], message)
        for _ in range(2):
            client.sendmail(sender, [full], encrypted_message(sender, message_id=MESSAGE_ID, size_bytes=600_000))
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
        client.login(sender, GUESS)


def come_from_outside(server: Server, peer: str, foreign: str) -> None:
    """Port 25 and /mxdeliv: delivered, unsigned, to nobody, to a full mailbox; and garbage."""
    receiver, full, nobody = (f"{name}@[{server.host}]" for name in (RECEIVER, FULL, NOBODY))
    context = ssl._create_unverified_context()
    unsigned, signless = f"{FOREIGNER}@other.example", f"{FOREIGNER}@[{foreign}]"
    with smtplib.SMTP(server.host, 8025, source_address=(peer, 0)) as client:
        client.starttls(context=context)
        client.sendmail(signless, [receiver], encrypted_message(signless, message_id=MESSAGE_ID))
        for sender, to, size in ((unsigned, receiver, 5000), (unsigned, nobody, 5000), (signless, full, 600_000)):
            message = encrypted_message(sender, message_id=MESSAGE_ID, size_bytes=size)
            with pytest.raises(smtplib.SMTPException):
                client.sendmail(sender, [to], message)
    for sender, to, status in ((signless, receiver, 200), (unsigned, receiver, 400), (signless, nobody, 400)):
        https = HTTPSConnection(server.host, 8443, context=context, source_address=(peer, 0))
        body = encrypted_message(sender, message_id=f"{MESSAGE_ID}-{to}")
        https.request("POST", "/mxdeliv", body, {"X-MAIL-FROM": sender, "X-MAIL-TO": to})
        assert https.getresponse().status == status
        https.close()
    with socket.create_connection((server.host, 8025), source_address=(peer, 0)) as garbled:
        garbled.sendall(b"\x16\x03\x01 garbage of %b\r\n\0\r\n" % MESSAGE_ID.encode())
        garbled.shutdown(socket.SHUT_WR)
        while garbled.recv(4096):
            pass


def browse(server: Server, peer: str) -> None:
    """The web face: pages, an account, what is not there."""
    for method, path in (("GET", "/"), ("POST", "/new"), ("GET", f"/{MESSAGE_ID}"), ("GET", f"/new?t={TOKEN}")):
        context = ssl._create_unverified_context()
        https = HTTPSConnection(server.host, 8443, context=context, source_address=(peer, 0))
        https.request(method, path, headers={"User-Agent": MESSAGE_ID, "Referer": f"https://{NOBODY}/"})
        https.getresponse().read()
        https.close()


async def read_and_ask_for_push(server: Server, name: str) -> None:
    """IMAP, with a device token; then the same name with a wrong password, and a command nobody knows."""
    client: ImapClient = await server.imap(name)
    await client.command("SELECT INBOX")
    await client.command(f'SETMETADATA "INBOX" (/private/devicetoken "{TOKEN}")')
    message = encrypted_message(f"{name}@[{server.host}]", message_id=MESSAGE_ID)
    client.writer.write(b"AP APPEND INBOX {%d+}\r\n%b\r\n" % (len(message), message))
    while not (await client.line()).startswith(b"AP OK"):
        pass
    await client.command("UID FETCH 1:* (FLAGS BODY.PEEK[])")
    client.close()
    client = await ImapClient.connect(server.host, 8993, accept_any_certificate())
    for refused in (f'LOGIN "{name}@[{server.host}]" "{GUESS}"', f"X{MESSAGE_ID}"):
        with pytest.raises(UnexpectedReplyError):
            await client.command(refused)
    client.close()


async def administer(server: Server) -> None:
    """Every command that has to do with people."""
    address = {name: f"{name}@[{server.host}]" for name in (SENDER, RECEIVER, FULL)}
    for words in (
        *(["account", "list"], ["account", "show", address[SENDER]], ["queue", "list"], ["push", "status"]),
        *(["registration", "invite", "--note", MESSAGE_ID], ["registration", "close"], ["expire", "--yes"]),
        *(["account", "block", address[RECEIVER]], ["account", "reset-password", address[SENDER], "--yes"]),
        ["account", "delete", address[FULL], "--yes"],
    ):
        done = await asyncio.to_thread(server.do, *words)
        assert done.code == 0, done.err


def what_watchers_see(server: Server) -> str:
    """All that the read-only socket tells, and the metrics."""
    status = server.folder / "data" / "status.sock"
    told = [ask_server(status, name) for name in ("status", "status history", "status history-month", "log tail")]
    with urllib.request.urlopen(f"http://{server.host}:9253/metrics", timeout=20) as metrics:
        return json.dumps(told) + str(metrics.read(), "utf-8")


async def log_says(server: Server, event: str) -> None:
    async with asyncio.timeout(60):
        while event not in server.log_file.read_text():
            await asyncio.sleep(0.1)


async def test_nothing_outside_the_store_names_anybody(server: Server, free_loopback_address: str) -> None:
    network = free_loopback_address.rpartition(".")[0].rpartition(".")[2]
    peer, foreign = f"127.200.{network}.9", f"127.201.{network}.9"
    text = server.config.read_text().replace('notifier_url = ""', f'notifier_url = "https://{server.host}:9/notify"')
    server.config.write_text(text + CONFIG.replace("{host}", server.host))
    elsewhere = ForeignServer(foreign, trustme.CA(), recipient_reply=lambda to: f"550 5.1.1 <{to}> is unknown")
    with server.running():
        async with elsewhere:
            await asyncio.gather(*(read_and_ask_for_push(server, name) for name in (SENDER, RECEIVER, FULL)))
            await asyncio.to_thread(submit, server, peer, foreign)
            await asyncio.to_thread(come_from_outside, server, peer, foreign)
            await asyncio.to_thread(browse, server, peer)
            await log_says(server, "notifier_fails")
            await log_says(server, " delivery ")
        await administer(server)
        seen = await asyncio.to_thread(what_watchers_see, server)
    log = server.log_file.read_text()
    assert elsewhere.commands, "the message for elsewhere went there"
    for event in EVENTS:
        assert event in log, f"{event} is missing: has every path been used?\n{log}"
    telltales = [SENDER, RECEIVER, FULL, NOBODY, FOREIGNER, peer, foreign, MESSAGE_ID, TOKEN, GUESS, f"[{server.host}]"]
    # Servers are named there, by their domains; people are not.
    assert "peers" in seen and "notifier_fails" in seen
    assert not [
        telltale for telltale in telltales if telltale in seen and telltale not in (foreign, f"[{server.host}]")
    ]
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


async def test_detail_is_logged_for_a_while_and_says_so(server: Server) -> None:
    with server.running():
        (await server.imap(SENDER)).close()
        assert f"{SENDER}@" not in server.log_file.read_text()
        assert (await asyncio.to_thread(server.do, "log", "debug", "--for", "3s")).code == 0
        (await server.imap(SENDER)).close()
        await log_says(server, "debug_ends")
        before = server.log_file.read_text()
        assert f"{SENDER}@" in before and "debug_begins" in before
        assert "addresses and IPs are logged until it ends" in before
        (await server.imap(SENDER)).close()
        (await server.imap(RECEIVER)).close()
        assert f"{SENDER}@" not in server.log_file.read_text()[len(before) :]
    assert RECEIVER not in server.log_file.read_text()
