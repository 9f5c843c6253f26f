"""The delivery loop on a real store, with a real courier, and servers of somebody else on loopback."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric import rsa

from chatmail.errors import StorageError
from chatmail.mail.address import Address
from chatmail.mail.envelope import Envelope
from chatmail.net.dkim_signing import DkimSigner
from chatmail.policy import retry
from chatmail.routing import Router
from chatmail.services import delivery
from chatmail.services.delivery import DeliveryService
from chatmail.storage.store import Direction, LocalDelivery, Outbound, QueueItem, Store, TrafficOutcome
from tests.support.addresses import loopback_addresses
from tests.support.foreign_server import ForeignServer
from tests.support.outbound import ALICE, config, courier

AUTHORITY = trustme.CA()
KEY = rsa.generate_private_key(65537, 2048)
HEADER = b"From: <alice@chat.example>\r\nMessage-ID: <1@chat.example>\r\n\r\n"
DAY = 86_400


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(tmp_path / "data", max_mailbox_size_bytes=10_000_000)
    await store.accounts.create(ALICE, "hash", date(2026, 11, 1))
    yield store
    assert await store.check() == ()
    await store.close()


@pytest.fixture
async def server(free_loopback_address: str) -> AsyncIterator[ForeignServer]:
    async with ForeignServer(free_loopback_address, AUTHORITY) as running:
        yield running


@asynccontextmanager
async def delivering(
    store: Store, lifetime_seconds: float = 2 * DAY, ca_file: Path | None = None
) -> AsyncIterator[None]:
    """The service, running; it has ended in order afterwards."""
    stop = asyncio.Event()
    made = config(ca_file or await _authority_file(store))
    async with courier(made) as running, asyncio.TaskGroup() as group:
        service = DeliveryService(
            lifetime_seconds,
            store=store,
            router=Router(store, "chat.example"),
            courier=running,
            signer=DkimSigner(KEY, "chat.example", "mail"),
            chance=lambda: 0.5,
        )
        group.create_task(service.run(stop))
        try:
            yield
        finally:
            stop.set()


async def _authority_file(store: Store) -> Path:
    path = store._layout.root / "ca.pem"
    AUTHORITY.cert_pem.write_to_path(str(path))
    return path


def at(server: ForeignServer, *names: str) -> tuple[Address, ...]:
    return tuple(Address(name, f"[{server.address}]") for name in names)


async def submit(
    store: Store, *recipients: Address, text: bytes = b"text\r\n", mail_from: Address | None = ALICE, age: int = 0
) -> None:
    body = store.stage(HEADER)
    body.write(text)
    now = datetime.now(UTC) - timedelta(seconds=age)
    await Router(store, "chat.example").submit(Envelope(mail_from, recipients), HEADER, body, now)


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


async def waiting(store: Store) -> list[QueueItem]:
    return list(await store.queue.page(0, 1000))


async def until_queue(
    store: Store, condition: Callable[[list[QueueItem]], bool], seconds: float = 10.0
) -> list[QueueItem]:
    async with asyncio.timeout(seconds):
        while not condition(items := await waiting(store)):
            await asyncio.sleep(0.01)
    return items


async def inbox(store: Store) -> list[bytes]:
    account = await store.accounts.find(ALICE)
    assert account is not None
    mailbox = await store.mailboxes.find(account.account_id, "INBOX")
    assert mailbox is not None
    snapshot = await store.mailboxes.snapshot(mailbox.mailbox_id)
    assert snapshot is not None
    bodies = [await store.mailboxes.body(record.body_id) for record in snapshot.messages]
    return [await body.read(0, body.size_bytes) for body in bodies if body is not None]


def statuses(bounce: bytes) -> dict[str, str]:
    """The status of each failed recipient."""
    report: Any = message_from_bytes(bounce).get_payload()
    return {part["Final-Recipient"].partition("; ")[2]: part["Status"] for part in report[1].get_payload()[1:]}


async def test_what_is_submitted_arrives_signed_and_leaves_the_queue(store: Store, server: ForeignServer) -> None:
    async with delivering(store):
        await submit(store, *at(server, "bob", "carol"))
        [received] = await server.until(1)
        await until_queue(store, lambda items: not items)
    assert received.content.startswith(b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=chat.example;")
    assert received.content.endswith(HEADER + b"text\r\n")
    assert len(received.rcpt_tos) == 2
    assert await inbox(store) == []
    [count] = store.traffic.counts()
    assert (count.direction, count.outcome, count.messages) == (Direction.OUTBOUND, TrafficOutcome.DELIVERED, 1)


async def test_what_waited_before_the_start_goes_at_the_start(store: Store, server: ForeignServer) -> None:
    await submit(store, *at(server, "bob"))
    async with delivering(store):
        await server.until(1)


async def test_a_large_message_is_signed_and_sent_from_its_file(store: Store, server: ForeignServer) -> None:
    async with delivering(store):
        await submit(store, *at(server, "bob"), text=b"a line of a large message\r\n" * 30_000)
        [received] = await server.until(1)
    assert received.content.count(b"a line") == 30_000


async def test_a_refused_recipient_is_bounced_once_and_the_others_are_not(store: Store, server: ForeignServer) -> None:
    answers = {"bob": "250 OK", "none": "550 5.1.1 no such user", "gone": "551 5.1.6 moved"}
    server.recipient_reply = lambda address: answers[address.partition("@")[0]]
    async with delivering(store):
        await submit(store, *at(server, *answers))
        await until_queue(store, lambda items: not items)
    [bounce] = await inbox(store)
    none, gone = map(str, at(server, "none", "gone"))
    assert statuses(bounce) == {none: "5.1.1", gone: "5.1.6"}
    assert b"Undelivered" in bounce and b"text\r\n" not in bounce.partition(b"Message-ID: <1@")[2]
    assert len(server.received) == 1


async def test_the_null_sender_gets_no_bounce(store: Store, server: ForeignServer) -> None:
    server.recipient_reply = lambda address: "550 5.1.1 no"
    async with delivering(store):
        await submit(store, *at(server, "bob"), mail_from=None)
        await until_queue(store, lambda items: not items)
    assert await inbox(store) == []


async def test_only_who_was_put_off_is_tried_again_and_nobody_is_told_yet(store: Store, server: ForeignServer) -> None:
    server.recipient_reply = lambda address: "451 4.2.0 later" if address.startswith("later") else "250 OK"
    async with delivering(store):
        await submit(store, *at(server, "bob", "later"))
        [item] = await until_queue(store, lambda items: items[0].attempts == 1)
    assert item.recipients == at(server, "later") and item.last_reply == "451 4.2.0 later"
    assert 27 <= (item.next_attempt_at - datetime.now(UTC)).total_seconds() <= 34
    assert await inbox(store) == []
    assert {count.outcome for count in store.traffic.counts()} == {TrafficOutcome.DELIVERED, TrafficOutcome.DEFERRED}


async def test_what_was_put_off_is_tried_again_by_itself(
    store: Store, server: ForeignServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "RETRY_SECONDS", (1,))
    server.final_reply = "451 4.3.0 later"
    async with delivering(store):
        await submit(store, *at(server, "bob"))
        await until_queue(store, lambda items: items[0].attempts == 2)
        server.final_reply = "250 2.0.0 OK"
        await until_queue(store, lambda items: not items)
    assert len(server.received) == 1


@pytest.mark.parametrize(
    ("fault", "copies"),
    [
        ({"greeting": b"421 4.3.2 not now\r\n"}, 1),
        ({"offers_tls": False}, 1),
        ({"closes_at": "MAIL"}, 1),
        ({"closes_at": "DATA"}, 1),
        ({"closes_at": "dot"}, 2),
        ({"silent_at": "dot"}, 2),
        ({"final_reply": "451 4.3.0 later", "keeps_refused": True}, 2),
        ({"data_reply": "452 4.3.1 disk full"}, 1),
        ({"recipient_reply": lambda address: "450 4.2.0 later"}, 1),
    ],
    ids=lambda fault: next(iter(fault)) if isinstance(fault, dict) else "",
)
async def test_after_a_fault_of_the_other_server_the_message_arrives_and_at_most_once_more(
    store: Store, server: ForeignServer, fault: dict[str, object], copies: int
) -> None:
    before = {name: getattr(server, name) for name in fault}
    for name, value in fault.items():
        setattr(server, name, value)
    async with delivering(store):
        await submit(store, *at(server, "bob"))
        [item] = await until_queue(store, lambda items: items[0].attempts == 1)
        for name, value in before.items():
            setattr(server, name, value)
        await store.queue.retry([item.item_id], datetime.now(UTC))
        await server.until(copies)
        await until_queue(store, lambda items: not items)
    assert len(server.received) == copies and await inbox(store) == []


async def test_nothing_turns_while_another_server_takes_its_time(
    store: Store, server: ForeignServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, due_domains = [], store.queue.due_domains

    async def counted(now: datetime) -> Sequence[str]:
        asked.append(now)
        return await due_domains(now)

    monkeypatch.setattr(store.queue, "due_domains", counted)
    server.silent_at = "dot"
    async with delivering(store):
        await submit(store, *at(server, "bob"))
        await server.until(1)
        before = len(asked)
        for _ in range(1000):
            await asyncio.sleep(0)
        assert len(asked) == before <= 2
        server.drop_connections()


async def test_at_the_end_of_the_lifetime_the_sender_is_told_once(store: Store, server: ForeignServer) -> None:
    server.final_reply = "451 4.3.0 never now"
    await submit(store, *at(server, "bob"), age=DAY)
    async with delivering(store, lifetime_seconds=DAY - 10):
        await until_queue(store, lambda items: not items)
    [bounce] = await inbox(store)
    assert set(statuses(bounce).values()) == {"5.4.7"} and b"never now" in bounce


async def test_a_domain_that_cannot_be_reached_is_tried_by_one_and_all_go_when_it_can(
    store: Store, free_loopback_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = ForeignServer(free_loopback_address, AUTHORITY, silent_at="greeting")
    monkeypatch.setattr(delivery, "DOWN_SECONDS", 1.5)
    async with server, delivering(store):
        for _ in range(20):
            await submit(store, *at(server, "bob"))
        items = await until_queue(store, lambda items: all(item.attempts for item in items))
        assert len(items) == 20 and all(item.is_unreachable for item in items)
        assert server.connections <= 2
        server.silent_at = ""
        async with asyncio.timeout(10):
            while len(server.received) < 20:
                await store.queue.retry([items[0].item_id], datetime.now(UTC))
                await asyncio.sleep(0.05)


async def test_one_dead_and_one_slow_destination_delay_nobody_else(store: Store, server: ForeignServer) -> None:
    spare = loopback_addresses()
    dead = ForeignServer(next(spare), AUTHORITY, silent_at="greeting")
    slow = ForeignServer(next(spare), AUTHORITY, silent_at="dot")
    async with dead, slow, delivering(store):
        for _ in range(10):
            await submit(store, *at(dead, "x"), *at(slow, "x"), *at(server, "bob"))
        await server.until(10, seconds=5.0)


async def test_ten_thousand_messages_for_a_peer_that_never_answers_stay_on_the_disk_and_hold_up_nobody(
    store: Store, server: ForeignServer
) -> None:
    slow = ForeignServer(next(loopback_addresses()), AUTHORITY, silent_at="dot")
    outbound = Outbound(ALICE, at(slow, "x"))
    for _ in range(100):
        bodies = [store.stage(HEADER) for _ in range(100)]
        await store.deliver([LocalDelivery(body, (), outbound=outbound) for body in bodies], datetime.now(UTC))
    async with slow, delivering(store):
        await slow.until_true(lambda: "DATA" in slow.commands)
        for number in range(20):
            await submit(store, *at(server, f"user{number}"))
        await server.until(20)
        in_memory = sum(isinstance(one, QueueItem) for one in gc.get_objects())
        assert in_memory <= 3 * delivery.FETCHED_ITEMS
        await store.queue.drop(await store.queue.select(domain=f"[{slow.address}]"))


async def test_of_many_domains_only_some_are_in_hand_and_all_get_their_mail(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "MAX_DOMAINS", 2)
    spare = loopback_addresses()
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(ForeignServer(next(spare), AUTHORITY)) for _ in range(6)]
        for one in servers:
            one.may_answer.clear()
        for one in servers:
            await submit(store, *at(one, "bob"))
        async with delivering(store):
            await until(lambda: sum(bool(one.received) for one in servers) == 2)
            await submit(store, *at(servers[-1], "carol"))
            assert sum(one.connections for one in servers) == 2
            for one in servers:
                one.may_answer.set()
            await until_queue(store, lambda items: not items)
    assert [len(one.received) for one in servers] == [1, 1, 1, 1, 1, 2]


async def test_a_domain_that_found_no_room_gets_the_first_place_that_is_free(
    store: Store, server: ForeignServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "MAX_DOMAINS", 4)
    monkeypatch.setattr(delivery, "BEHIND_SECONDS", 0.05)
    spare = loopback_addresses()
    async with AsyncExitStack() as stack:
        holding = [await stack.enter_async_context(ForeignServer(next(spare), AUTHORITY)) for _ in range(4)]
        async with delivering(store):
            for one in holding:
                one.may_answer.clear()
                await submit(store, *at(one, "bob"))
                await one.until(1)
            await submit(store, *at(server, "carol"))
            assert server.connections == 0
            holding[0].may_answer.set()  # the other three go on taking more than half of the places
            await server.until(1)
            for one in holding:
                one.may_answer.set()


async def test_lanes_grow_with_success_and_have_a_bound(store: Store, server: ForeignServer) -> None:
    for number in range(200):
        await submit(store, *at(server, f"user{number}"))
    async with delivering(store):
        await server.until(200)
        await until_queue(store, lambda items: not items)
    assert len({tuple(received.rcpt_tos) for received in server.received}) == 200 == len(server.received)
    assert 1 < server.connections <= delivery.MAX_LANES


async def test_dropped_items_are_not_sent_and_retried_ones_at_once(store: Store, server: ForeignServer) -> None:
    server.final_reply = "451 later"
    async with delivering(store):
        for name in ("bob", "carol"):
            await submit(store, *at(server, name))
        items = await until_queue(store, lambda items: all(item.attempts for item in items))
        server.final_reply = "250 OK"
        await store.queue.drop([items[0].item_id])
        await store.queue.retry([items[1].item_id], datetime.now(UTC))
        [received] = await server.until(1)
    assert received.rcpt_tos == [str(*at(server, "carol"))]


async def test_a_store_that_fails_for_a_while_costs_no_second_copy(
    store: Store, server: ForeignServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle, failures = store.queue.settle, iter([True, True, False])

    async def sometimes(*arguments: object, **named: object) -> None:
        if next(failures):
            raise StorageError("full for now")
        await settle(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(delivery, "RECOVERY_SECONDS", 0.01)
    monkeypatch.setattr(store.queue, "settle", sometimes)
    async with delivering(store):
        await submit(store, *at(server, "bob"))
        await until_queue(store, lambda items: not items)
    assert len(server.received) == 1


async def test_an_item_that_we_trip_over_does_not_stop_the_others(
    store: Store, server: ForeignServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign = DkimSigner.sign

    async def stumble(self: DkimSigner, header_bytes: bytes, *rest: object) -> bytes:
        if b"stumble" in header_bytes:
            raise ZeroDivisionError
        return await sign(self, header_bytes, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(DkimSigner, "sign", stumble)
    async with delivering(store):
        body = store.stage(b"Subject: stumble\r\n\r\n")
        await store.deliver([LocalDelivery(body, (), outbound=Outbound(ALICE, at(server, "bob")))], datetime.now(UTC))
        await submit(store, *at(server, "carol"))
        await server.until(1)
        [item] = await until_queue(store, lambda items: len(items) == 1 and items[0].attempts == 1)
    assert item.last_reply.startswith("451 4.3.0")


async def test_the_end_waits_for_what_is_under_way(store: Store, server: ForeignServer) -> None:
    async with delivering(store):
        await submit(store, *at(server, "bob"))
        await until(lambda: any(command.startswith("DATA") for command in server.commands))
    assert await waiting(store) == [] and len(server.received) == 1
