"""The courier against a server of somebody else that does everything a server may do, and some things it may not."""

import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import trustme

from chatmail.mail.address import Address
from chatmail.net.courier import Courier, DeliveryReport
from chatmail.net.smtp_client import SmtpClient, SmtpPatience
from tests.support.addresses import loopback_addresses
from tests.support.foreign_server import SMTP_PORT, ForeignServer
from tests.support.outbound import ALICE, MESSAGE, PATIENCE, config, courier, message_for


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[trustme.CA, Path]]:
    ca, path = trustme.CA(), tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.cert_pem.write_to_path(str(path))
    yield ca, path


@pytest.fixture
async def server(authority: tuple[trustme.CA, Path], free_loopback_address: str) -> AsyncIterator[ForeignServer]:
    async with ForeignServer(free_loopback_address, authority[0]) as running:
        yield running


@pytest.fixture
async def our(authority: tuple[trustme.CA, Path]) -> AsyncIterator[Courier]:
    async with courier(config(authority[1])) as running:
        yield running


def at(server: ForeignServer, *names: str) -> list[Address]:
    return [Address(name, f"[{server.address}]") for name in names]


async def deliver(
    our: Courier, server: ForeignServer, *names: str, content: bytes = MESSAGE, mail_from: Address | None = ALICE
) -> DeliveryReport:
    message = message_for(f"[{server.address}]", content, mail_from)
    return await our.deliver(message, at(server, *(names or ("bob",))))


def replies(report: DeliveryReport) -> set[str]:
    return {f"{reply.code} {reply.enhanced}".strip() for reply in report.failed.values()}


async def test_a_message_arrives_byte_for_byte_in_one_transaction(our: Courier, server: ForeignServer) -> None:
    report = await deliver(our, server, "bob", "carol")
    assert report == DeliveryReport(at(server, "bob", "carol"))
    [received] = server.received
    assert (received.mail_from, received.content) == (str(ALICE), MESSAGE)
    assert received.rcpt_tos == [str(address) for address in at(server, "bob", "carol")]


async def test_nothing_of_the_mail_is_said_before_tls(our: Courier, server: ForeignServer) -> None:
    server.offers_tls = False
    report = await deliver(our, server)
    assert replies(report) == {"451 4.7.4"} and report.is_unreachable
    assert not any("MAIL" in command for command in server.commands)


async def test_clear_text_behind_starttls_ends_the_connection(our: Courier, server: ForeignServer) -> None:
    server.after_starttls = b"250 2.0.0 injected\r\n"
    assert (await deliver(our, server)).failed
    assert server.received == []


async def test_a_connection_is_used_again_and_replaced_when_it_was_closed(our: Courier, server: ForeignServer) -> None:
    for _ in range(3):
        await deliver(our, server)
    assert server.connections == 1
    server.closes_at = "MAIL"
    assert (await deliver(our, server)).failed
    server.closes_at = ""
    await deliver(our, server)
    assert len(server.received) == 4


async def test_of_many_idle_connections_the_oldest_goes(
    our: Courier, authority: tuple[trustme.CA, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatmail.net.courier.MAX_IDLE", 2)
    spare = loopback_addresses()
    async with AsyncExitStack() as stack:
        first, second, third = [
            await stack.enter_async_context(ForeignServer(next(spare), authority[0])) for _ in range(3)
        ]
        for server in (first, second, third, second, third, first):
            await deliver(our, server)
        assert [server.connections for server in (first, second, third)] == [2, 1, 1]


async def test_the_null_sender_is_empty(our: Courier, server: ForeignServer) -> None:
    await deliver(our, server, mail_from=None)
    assert server.received[0].mail_from == ""


@pytest.mark.parametrize("pipelining", [True, False])
async def test_recipients_are_told_apart(our: Courier, server: ForeignServer, pipelining: bool) -> None:
    if not pipelining:
        server.extensions.remove("PIPELINING")
    answers = {"bob": "250 OK", "none": "550 5.1.1 no such user", "later": "451 4.2.1 later", "odd": "333 ?"}
    server.recipient_reply = lambda address: answers[address.partition("@")[0]]
    report = await deliver(our, server, *answers)
    assert report.delivered == at(server, "bob")
    found = {to.localpart: reply.code for to, reply in report.failed.items()}
    assert found == {"none": 550, "later": 451, "odd": 421}
    assert not report.is_unreachable


@pytest.mark.parametrize("pipelining", [True, False])
async def test_if_nobody_is_accepted_no_message_is_sent(our: Courier, server: ForeignServer, pipelining: bool) -> None:
    if not pipelining:
        server.extensions.remove("PIPELINING")
    server.recipient_reply = lambda address: "550 5.1.1 no"
    assert replies(await deliver(our, server)) == {"550 5.1.1"}
    assert server.received == []


async def test_thousands_of_recipients_go_in_few_transactions(our: Courier, server: ForeignServer) -> None:
    names = [f"user{number}" for number in range(2500)]
    report = await deliver(our, server, *names)
    assert len(report.delivered) == 2500
    assert [len(received.rcpt_tos) for received in server.received] == [1000, 1000, 500]


async def test_who_takes_fewer_recipients_gets_the_others_next(our: Courier, server: ForeignServer) -> None:
    def reply(address: str) -> str:
        server_side = server.commands[::-1]
        count = next(index for index, line in enumerate(server_side) if line.startswith("MAIL"))
        return "250 OK" if count <= 100 else "452 4.5.3 too many recipients"

    server.recipient_reply = reply
    report = await deliver(our, server, *(f"user{number}" for number in range(250)))
    assert len(report.delivered) == 250 and not report.failed
    assert [len(received.rcpt_tos) for received in server.received] == [100, 100, 50]


async def test_a_message_larger_than_they_take_is_refused_unsent(our: Courier, server: ForeignServer) -> None:
    server.extensions[1] = "SIZE 40"
    assert replies(await deliver(our, server)) == {"552 5.3.4"}
    assert not any(command.startswith("MAIL") for command in server.commands)


async def test_addresses_beyond_ascii_need_a_server_that_takes_them(
    our: Courier, server: ForeignServer, authority: tuple[trustme.CA, Path]
) -> None:
    assert replies(await deliver(our, server, "jürgen")) == {"553 5.6.7"}
    async with (
        ForeignServer(
            server.address, server.authority, smtp_port=server.smtp_port + 1, extensions=["SMTPUTF8"]
        ) as modern,
        courier(config(smtp_port=server.smtp_port + 1, ca_file=authority[1])) as other,
    ):
        assert (await deliver(other, modern, "jürgen")).delivered
        assert any("SMTPUTF8" in command for command in modern.commands)


@pytest.mark.parametrize(
    ("final_reply", "expected"),
    [("451 4.3.0 later", "451 4.3.0"), ("554 5.7.1 no", "554 5.7.1"), ("999 x", "421 4.5.0")],
)
async def test_the_reply_to_the_message_is_that_for_all(
    our: Courier, server: ForeignServer, final_reply: str, expected: str
) -> None:
    server.final_reply = final_reply
    report = await deliver(our, server, "bob", "carol")
    assert replies(report) == {expected} and not report.delivered and not report.is_unreachable


async def test_a_refusal_of_data_is_that_for_all(our: Courier, server: ForeignServer) -> None:
    server.data_reply = "452 4.3.1 disk full"
    assert replies(await deliver(our, server)) == {"452 4.3.1"}


@pytest.mark.parametrize(
    ("attribute", "value"), [("closes_at", "DATA"), ("closes_at", "dot"), ("silent_at", "dot"), ("silent_at", "MAIL")]
)
async def test_who_breaks_off_or_falls_silent_gets_it_later(
    our: Courier, server: ForeignServer, attribute: str, value: str
) -> None:
    setattr(server, attribute, value)
    report = await deliver(our, server)
    assert replies(report) == {"421 4.4.2"} and not report.is_unreachable


async def test_who_never_greets_is_unreachable(our: Courier, server: ForeignServer) -> None:
    server.silent_at = "greeting"
    assert (await deliver(our, server)).is_unreachable


@pytest.mark.parametrize(
    "greeting",
    [b"554 no service\r\n", b"421 too busy\r\n", b"HTTP/1.1 400 Bad Request\r\n", b"2" * 100_000, b"220-\r\n" * 20_000],
)
async def test_who_greets_oddly_is_unreachable_for_now(our: Courier, server: ForeignServer, greeting: bytes) -> None:
    server.greeting = greeting
    report = await deliver(our, server)
    assert report.is_unreachable and not any(reply.is_permanent for reply in report.failed.values())


async def test_nobody_at_all_is_unreachable(our: Courier, free_loopback_address: str) -> None:
    to = Address("bob", f"[{free_loopback_address}]")
    report = await our.deliver(message_for(to.domain), [to])
    assert report.is_unreachable and report.failed[to].enhanced == "4.4.1"


@pytest.mark.parametrize("has_https", [False, True])
async def test_an_ipv6_address_is_as_good(authority: tuple[trustme.CA, Path], has_https: bool) -> None:
    with (
        socket.create_server(("::1", 0), family=socket.AF_INET6) as one,
        socket.create_server(("::1", 0), family=socket.AF_INET6) as other,
    ):
        smtp_port, https_port = one.getsockname()[1], other.getsockname()[1]
    made = config(authority[1], smtp_port=smtp_port, https_port=https_port)
    server = ForeignServer("::1", authority[0], has_https=has_https, smtp_port=smtp_port, https_port=https_port)
    async with server, courier(made) as our:
        to = Address("bob", "[ipv6:::1]")
        assert (await our.deliver(message_for(to.domain), [to])).delivered == [to]
    assert [received.way for received in server.received] == ["https" if has_https else "smtp"]
    assert has_https or "RCPT TO:<bob@[IPv6:::1]>" in server.commands


async def test_where_one_address_of_a_host_is_no_use_another_is_taken(
    server: ForeignServer, authority: tuple[trustme.CA, Path], _addresses: Iterator[str]
) -> None:
    nobody, mute = next(_addresses), next(_addresses)
    async with ForeignServer(mute, authority[0], offers_tls=False) as without_tls:
        client = await SmtpClient.connect(
            (nobody, without_tls.address, server.address),
            SMTP_PORT,
            context=ssl.create_default_context(cafile=str(authority[1])),
            server_name=server.address,
            own_name="chat.example",
            patience=PATIENCE,
        )
        bob = Address("bob", "elsewhere.example")
        assert (await client.send(message_for(bob.domain), [bob]))[bob].code == 250
        client.quit()
    assert len(server.received) == 1 and without_tls.connections == 1


async def test_a_blocked_domain_gets_nothing(authority: tuple[trustme.CA, Path]) -> None:
    to = Address("bob", "blocked.example")
    async with courier(config(authority[1], blocked_domains=("blocked.example",))) as our:
        report = await our.deliver(message_for(to.domain), [to])
    assert report.failed[to].is_permanent


# --- HTTPS ------------------------------------------------------------------------------------------------------


async def test_https_comes_first_and_stays_connected(
    our: Courier, authority: tuple[trustme.CA, Path], free_loopback_address: str
) -> None:
    async with ForeignServer(free_loopback_address, authority[0], has_https=True) as server:
        report = await deliver(our, server, *(f"user{number}" for number in range(120)))
        assert len(report.delivered) == 120
        assert {received.way for received in server.received} == {"https"}
        assert [len(received.rcpt_tos) for received in server.received] == [50, 50, 20]
        assert server.received[0].content == MESSAGE
        await deliver(our, server, mail_from=None)
        assert server.received[-1].mail_from == ""


async def test_of_many_hosts_only_some_stay_connected_by_https(
    our: Courier, authority: tuple[trustme.CA, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatmail.net.mxdeliv_client.MAX_IDLE_HOSTS", 1)
    spare = loopback_addresses()
    first = ForeignServer(next(spare), authority[0], has_https=True)
    second = ForeignServer(next(spare), authority[0], has_https=True)
    async with first, second:
        for server in (first, second, first, second):
            await deliver(our, server)
        assert {received.way for received in first.received + second.received} == {"https"}
        assert (first.connections, second.connections) == (1, 2)


async def test_who_says_how_many_recipients_it_takes_gets_so_many_at_once(
    our: Courier, authority: tuple[trustme.CA, Path], free_loopback_address: str
) -> None:
    async with ForeignServer(free_loopback_address, authority[0], has_https=True, https_limit="1000") as server:
        names = [f"user{number}" for number in range(2100)]
        assert len((await deliver(our, server, *names)).delivered) == 2100
        assert [len(received.rcpt_tos) for received in server.received] == [50, 1000, 1000, 50]
        assert [to for received in server.received for to in received.rcpt_tos] == [*map(str, at(server, *names))]
        server.https_limit = "many"  # and takes it back
        await deliver(our, server, *names[:60])
        await deliver(our, server, *names[:60])
        assert [len(received.rcpt_tos) for received in server.received[4:]] == [60, 50, 10]


@pytest.mark.parametrize("status", [400, 404, 301, 500])
async def test_whatever_https_refuses_smtp_explains(
    our: Courier, authority: tuple[trustme.CA, Path], free_loopback_address: str, status: int
) -> None:
    async with ForeignServer(free_loopback_address, authority[0], has_https=True, https_status=status) as server:
        server.recipient_reply = lambda address: "550 5.1.1 no" if address.startswith("none") else "250 OK"
        report = await deliver(our, server, "bob", "none")
        assert report.delivered == at(server, "bob") and replies(report) == {"550 5.1.1"}
        server.https_status = 200
        await deliver(our, server)
        # A server that knows the door and refused one message is asked again; one that does not know it is not.
        assert server.received[-1].way == ("https" if status in (400, 500) else "smtp")


async def test_no_https_is_remembered_only_after_smtp_worked(
    our: Courier, authority: tuple[trustme.CA, Path], free_loopback_address: str
) -> None:
    async with ForeignServer(free_loopback_address, authority[0], has_https=True, https_status=404) as server:
        server.greeting = b"421 not now\r\n"
        assert (await deliver(our, server)).failed
        server.https_status, server.greeting = 200, b"220 hello\r\n"
        await deliver(our, server)
        assert server.received[-1].way == "https"


async def test_a_large_message_is_sent_in_pieces(server: ForeignServer, authority: tuple[trustme.CA, Path]) -> None:
    content = MESSAGE + b".line\r\n" * 100_000
    async with courier(config(ca_file=authority[1]), SmtpPatience()) as patient:
        assert (await deliver(patient, server, content=content)).delivered
    assert server.received[0].content == content
