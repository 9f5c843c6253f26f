"""`POST /mxdeliv` as another server meets it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chatmail.config import MailConfig
from chatmail.services.mxdeliv import PATH
from tests.support.dkim_samples import FOREIGN, sign
from tests.support.inbound import ALICE, BOB, CAROL, DOMAIN, InboundServer, inbound_server, signed_message
from tests.support.messages import encrypted_message
from tests.support.smtp_peer import client_context

PLAIN = f"From: <{ALICE}>\r\nSubject: x\r\n\r\nin clear\r\n".encode()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[InboundServer]:
    async with inbound_server(tmp_path / "data", read_seconds=0.5) as server:
        yield server


async def raw(server: InboundServer, wire: bytes, *, then_close: bool = False) -> bytes:
    """All that is answered until the server closes; with `then_close` the peer is gone behind its bytes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.https_port, ssl=client_context())
    writer.write(wire)
    await writer.drain()
    if then_close:
        writer.transport.abort()
        return b""
    try:
        return await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.transport.abort()


def request(body: bytes, *headers: str) -> bytes:
    head = f"POST {PATH} HTTP/1.1\r\nHost: {DOMAIN}\r\nX-MAIL-FROM: {ALICE}\r\nX-MAIL-TO: {BOB}\r\n"
    return (head + "".join(f"{header}\r\n" for header in headers) + "\r\n").encode() + body


async def test_a_message_is_delivered_to_all_whether_named_one_by_one_or_in_a_list(server: InboundServer) -> None:
    assert await server.post(signed_message(), BOB, CAROL) == (200, "250 2.0.0 Message accepted")
    assert (await server.post(signed_message(), f"<{BOB}>, {CAROL},", mail_from=f"<{ALICE}>"))[0] == 200
    for name in (BOB, CAROL):
        assert len(await server.inbox(name)) == 2
    assert (await server.inbox(BOB))[0].startswith(f"Return-Path: <{ALICE}>\r\n".encode())


async def test_as_many_recipients_as_the_answers_say_are_taken_in_lists(server: InboundServer) -> None:
    async with server.https() as session, session.post(PATH, data=b"") as answer:
        limit = int(answer.headers["X-MAIL-TO-LIMIT"])
    names = [BOB.replace("@", f"+{number}@") for number in range(limit)]
    lists = [",".join(names[start : start + 100]) for start in range(0, limit, 100)]
    assert await server.post(signed_message(), *lists) == (200, "250 2.0.0 Message accepted")
    assert len(await server.inbox(BOB)) == 1
    assert (await server.post(signed_message(), *lists, CAROL))[1].startswith("452 4.5.3")
    assert await server.inbox(CAROL) == []


async def test_without_a_sender_it_is_the_null_sender(server: InboundServer) -> None:
    assert (await server.post(signed_message(), mail_from=None))[0] == 200
    assert (await server.inbox(BOB))[0].startswith(b"Return-Path: <>\r\n")


@pytest.mark.parametrize(
    ("wire", "text"),
    [
        (encrypted_message(ALICE), "554 5.7.1 No DKIM signature found"),
        (signed_message() + b"more\r\n", "554 5.7.1 No valid DKIM signature found"),
        (sign(PLAIN), "523 Encryption Needed: Invalid Unencrypted Mail"),
        (b"", "500 Invalid FROM header: there is none"),
        (b"nonsense", "500 Failed to parse message"),
        (signed_message().replace(b"\r\n", b"\n"), "554 5.6.0 Lines end with CR LF, and hold no other CR, LF or NUL"),
        (signed_message() + b"\r\n.\n", "554 5.6.0 Lines end with CR LF, and hold no other CR, LF or NUL"),
        (signed_message() + b"\r", "554 5.6.0 Lines end with CR LF, and hold no other CR, LF or NUL"),
    ],
)
async def test_refusals_are_those_of_port_25(server: InboundServer, wire: bytes, text: str) -> None:
    assert await server.post(wire) == (400, text)
    assert await server.inbox(BOB) == []


async def test_a_lone_dot_is_no_end_here(server: InboundServer) -> None:
    dotted = sign(encrypted_message(ALICE).replace(b"MIME-Version", b"X-Dots: .\r\n .\r\nMIME-Version"))
    assert (await server.post(dotted))[0] == 200


async def test_one_unreachable_recipient_keeps_it_from_all(server: InboundServer) -> None:
    status, text = await server.post(signed_message(), BOB, f"nobodyxxx@{DOMAIN}")
    assert (status, text) == (400, "550 5.1.1 This address does not exist here")
    assert (await server.post(signed_message(), BOB, "a@third.example"))[1].startswith("550 5.7.1")
    assert await server.inbox(BOB) == []


async def test_crooked_envelopes_are_refused(server: InboundServer) -> None:
    assert (await server.post(signed_message(), "bob")) == (400, "501 5.1.3 This is not a recipient address")
    assert (await server.post(signed_message(), mail_from="a b")) == (400, "501 5.1.7 This is not a sender address")
    assert (await server.post(signed_message(), ", ,")) == (400, "503 5.5.1 No valid recipients")
    many = ",".join(f"user{number:05}@{DOMAIN}" for number in range(150))
    lists = [many] * 7
    assert (await server.post(signed_message(), *lists)) == (400, "452 4.5.3 Too many recipients")


async def test_blocked_domains_and_full_mailboxes_are_refused_before_the_body(tmp_path: Path) -> None:
    mail = MailConfig(max_message_size=60_000, max_mailbox_size=60_000)
    async with inbound_server(tmp_path / "data", mail=mail, blocked_domains=["third.example"]) as server:
        assert (await server.post(signed_message(), mail_from="x@third.example"))[1].startswith("550 5.7.1")
        assert (await server.post(signed_message(size_bytes=40_000)))[0] == 200
        body = signed_message(size_bytes=58_000)
        assert await server.post(body) == (400, "552 5.2.2 The mailbox is full")


async def test_what_is_too_big_gets_413_declared_or_not(tmp_path: Path) -> None:
    async with inbound_server(tmp_path / "data", mail=MailConfig(max_message_size=20_000)) as server:
        assert await server.post(signed_message(size_bytes=30_000)) == (413, "552 Message exceeds maximum size")

        async def pieces() -> AsyncIterator[bytes]:
            yield signed_message(size_bytes=30_000)

        headers = {"X-MAIL-TO": BOB}
        async with server.https() as session, session.post(PATH, data=pieces(), headers=headers) as answer:
            assert (answer.status, await answer.text()) == (413, "552 Message exceeds maximum size\n")
        assert await server.inbox(BOB) == []


async def test_a_body_in_chunks_of_any_size_is_the_same_message(server: InboundServer) -> None:
    wire = signed_message()

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(wire), 97):
            yield wire[start : start + 97]

    headers = {"X-MAIL-TO": BOB, "Expect": "100-continue"}
    async with server.https() as session, session.post(PATH, data=pieces(), headers=headers) as answer:
        assert answer.status == 200
    assert len(await server.inbox(BOB)) == 1


async def test_only_post_is_answered_and_the_pages_are_still_there(server: InboundServer) -> None:
    async with server.https() as session:
        for method in ("GET", "PUT", "HEAD", "OPTIONS"):
            async with session.request(method, PATH) as answer:
                assert (answer.status, answer.headers["Allow"]) == (405, "POST")
        async with session.get("/robots.txt") as answer:
            assert answer.status == 200


@pytest.mark.parametrize("end", ["close", "wait"])
async def test_a_body_that_is_cut_short_is_no_message(server: InboundServer, end: str) -> None:
    wire = signed_message()
    for headers, body in (
        ([f"Content-Length: {len(wire) + 10}"], wire),
        (["Transfer-Encoding: chunked"], b"%x\r\n%b\r\n" % (len(wire), wire)),
    ):
        answer = await raw(server, request(body, *headers), then_close=end == "close")
        assert end == "close" or answer.startswith(b"HTTP/1.1 408 ")
    assert (await server.post(signed_message()))[0] == 200
    assert len(await server.inbox(BOB)) == 1


async def test_two_lengths_are_refused_by_the_framing(server: InboundServer) -> None:
    wire = signed_message()
    answer = await raw(server, request(wire, f"Content-Length: {len(wire)}", "Transfer-Encoding: chunked"))
    assert b" 400 " in answer.partition(b"\r\n")[0]
    assert await server.inbox(BOB) == []


async def test_one_peer_may_do_so_much_at_once(tmp_path: Path) -> None:
    async with inbound_server(tmp_path / "data", open_of_one_peer=2) as server:
        waiting = []
        for _ in range(2):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.https_port, ssl=client_context())
            writer.write(request(b"", "Content-Length: 10", "Expect: 100-continue"))
            assert (await reader.readline()).startswith(b"HTTP/1.1 100 ")
            waiting.append(writer)
        assert await server.post(signed_message()) == (503, "421 4.7.0 Too much at once, please try again later")
        for writer in waiting:
            writer.write(b"x" * 10)
            await writer.drain()
        while (status := (await server.post(signed_message()))[0]) == 503:
            await asyncio.sleep(0)
        assert status == 200
        for writer in waiting:
            writer.transport.abort()


async def test_what_was_counted_names_domains_and_only_true_ones(server: InboundServer) -> None:
    await server.post(signed_message())
    await server.send(sign(PLAIN))
    await server.send(encrypted_message("x@forged.example"))
    counts = {(count.domain, count.outcome.value): count.messages for count in server.store.traffic.counts()}
    assert counts == {(FOREIGN, "delivered"): 1, (FOREIGN, "refused"): 1, ("*", "refused"): 1}
