"""The built file with the options of `[imap]` on: the real client over a compressed stream, and a server that hides."""

import socket
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from deltachat_rpc_client import DeltaChat

from tests.support.deltachat import Phone
from tests.support.mail_client import accept_any_certificate
from tests.support.relay import ServedRelay

BOTH = "[imap]\nimap_compress = true\nstealth = true\n"


@pytest.fixture(scope="module")
def relay(pyz: Path, loopback_address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedRelay]:
    with ServedRelay(pyz, loopback_address, tmp_path_factory.mktemp("options") / "data", settings=BOTH) as running:
        yield running


def test_delta_chat_compresses_and_chats_both_ways(relay: ServedRelay, core: DeltaChat) -> None:
    first, second = (Phone(core, relay.new_account().link) for _ in range(2))
    first.befriend(second).send_text("Smaller now?")
    received = second.wait_message()
    assert (received.text, received.show_padlock) == ("Smaller now?", True)
    received.chat.send_text("Yes.")
    assert first.wait_message().text == "Yes."
    for phone in (first, second):
        phone.account.stop_io()


def test_nothing_tells_a_stranger_what_this_is_and_a_login_may_compress(relay: ServedRelay) -> None:
    account = relay.new_account()
    with (
        socket.create_connection((relay.host, relay.port(993)), timeout=20) as plain,
        accept_any_certificate().wrap_socket(plain, server_hostname=relay.host) as tls,
    ):
        greeting = tls.recv(4096)
        tls.sendall(b"A1 ID NIL\r\n")
        assert b"chatmail" not in (greeting + tls.recv(4096)).lower()
        tls.sendall(f'A2 LOGIN {account.address} "{account.password}"\r\n'.encode())
        assert b" COMPRESS=DEFLATE XCHATMAIL XDELTAPUSH]" in tls.recv(4096)
        tls.sendall(b"A3 COMPRESS DEFLATE\r\n")
        assert tls.recv(4096).startswith(b"A3 OK ")
        ours, theirs = zlib.compressobj(wbits=-15), zlib.decompressobj(wbits=-15)
        tls.sendall(ours.compress(b"A4 NOOP\r\n") + ours.flush(zlib.Z_SYNC_FLUSH))
        assert theirs.decompress(tls.recv(4096)).startswith(b"A4 OK ")
