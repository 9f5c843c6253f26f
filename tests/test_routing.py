from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from chatmail.errors import StorageError
from chatmail.mail.address import Address
from chatmail.mail.envelope import Envelope, SmtpReply
from chatmail.mail.trace_headers import FailedRecipient
from chatmail.routing import Router
from chatmail.storage.store import LocalDelivery, StagedBody, Store

DOMAIN = "chat.example"
ALICE, BOB = Address("alice", DOMAIN), Address("bob", DOMAIN)
NOBODY = Address("nobody", DOMAIN)
ELSEWHERE = Address("dave", "elsewhere.example")
HEADER = b"From: <alice@chat.example>\r\nMessage-ID: <1@localhost>\r\n\r\n"
TEXT = b"text\r\n"
NOW = datetime(2026, 11, 23, 20, 0, tzinfo=UTC)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(tmp_path / "data", max_mailbox_size_bytes=10_000)
    for address in (ALICE, BOB):
        await store.accounts.create(address, "hash", date(2026, 11, 1))
    yield store
    await store.close()


async def submit(store: Store, *recipients: Address, text: bytes = TEXT) -> StagedBody:
    body = store.stage(HEADER)
    body.write(text)
    await Router(store, DOMAIN).submit(Envelope(ALICE, recipients), HEADER, body, NOW)
    return body


async def inbox(store: Store, address: Address) -> list[bytes]:
    account = await store.accounts.find(address)
    assert account is not None
    mailbox = await store.mailboxes.find(account.account_id, "INBOX")
    assert mailbox is not None
    snapshot = await store.mailboxes.snapshot(mailbox.mailbox_id)
    assert snapshot is not None
    bodies = [await store.mailboxes.body(record.body_id) for record in snapshot.messages]
    return [await body.read(0, body.size_bytes) for body in bodies if body is not None]


async def test_local_recipients_get_it_once_each_tags_or_not(store: Store) -> None:
    await submit(store, BOB, Address("bob+tag", DOMAIN), ALICE, BOB)
    assert await inbox(store, BOB) == [HEADER + TEXT]
    assert await inbox(store, ALICE) == [HEADER + TEXT]


async def test_who_is_unknown_is_named_in_one_bounce_as_it_was_written(store: Store) -> None:
    await submit(store, NOBODY, BOB, Address("none+tag", DOMAIN), ELSEWHERE)
    [bounce] = await inbox(store, ALICE)
    for address in (NOBODY, "none+tag@chat.example"):
        assert f"Final-Recipient: rfc822; {address}\r\n".encode() in bounce
    assert b"bob" not in bounce and b"dave" not in bounce
    assert b"Message-ID: <1@localhost>" in bounce
    assert TEXT not in bounce
    assert await inbox(store, BOB) == [HEADER + TEXT]


async def test_a_bounce_comes_from_nobody_that_could_be_bounced_to(store: Store) -> None:
    await submit(store, NOBODY)
    [bounce] = await inbox(store, ALICE)
    assert bounce.startswith(b"Return-Path: <>\r\nFrom: Mail Delivery System <MAILER-DAEMON@chat.example>\r\n")


async def test_a_full_mailbox_gets_nothing_and_its_owner_nothing_of_others(store: Store) -> None:
    await submit(store, BOB, text=b"x" * 9_000)
    await submit(store, BOB, ALICE, text=b"y" * 5_000)
    assert len(await inbox(store, BOB)) == 1
    message, bounce = await inbox(store, ALICE)
    assert message == HEADER + b"y" * 5_000
    assert b"Status: 5.2.2" in bounce


async def test_a_bounce_that_finds_the_senders_mailbox_full_is_no_fault(store: Store) -> None:
    await submit(store, ALICE, text=b"x" * 9_500)
    await submit(store, NOBODY)
    assert len(await inbox(store, ALICE)) == 1


async def test_recipients_elsewhere_are_queued_by_domain_with_one_body_for_all(store: Store) -> None:
    eve, frank = Address("eve", "elsewhere.example"), Address("frank", "[192.0.2.1]")
    await submit(store, BOB, ELSEWHERE, frank, eve, ELSEWHERE)
    items = await store.queue.page(0, 10)
    assert [(item.domain, item.recipients) for item in items] == [
        ("elsewhere.example", (ELSEWHERE, eve)),
        ("[192.0.2.1]", (frank,)),
    ]
    assert {(item.mail_from, item.queued_at, item.next_attempt_at, item.attempts) for item in items} == {
        (ALICE, NOW, NOW, 0)
    }
    assert len({item.body_id for item in items}) == 1
    body = await store.queue.body(items[0])
    assert body is not None and await body.read(0, body.size_bytes) == HEADER + TEXT
    assert await store.check() == ()


async def test_a_bounce_to_another_server_is_queued_from_the_null_sender(store: Store) -> None:
    failed = [FailedRecipient(BOB, SmtpReply(550, "no", "5.1.1"))]
    await store.deliver([Router(store, DOMAIN).bounce(ELSEWHERE, failed, HEADER, NOW)], NOW)
    [item] = await store.queue.page(0, 10)
    assert (item.mail_from, item.recipients) == (None, (ELSEWHERE,))
    [header] = (await store.mailboxes.headers([item.body_id])).values()
    assert header.startswith(b"From: Mail Delivery System <MAILER-DAEMON@chat.example>")


async def test_mail_to_a_blocked_account_is_dropped_silently(store: Store) -> None:
    account = await store.accounts.find(BOB)
    assert account is not None
    await store.accounts.set_blocked(account.account_id, True)
    await submit(store, BOB)
    assert await inbox(store, ALICE) == []


async def test_a_store_that_fails_is_told_and_keeps_nothing(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(deliveries: list[LocalDelivery], now: datetime) -> None:
        raise StorageError("broken")

    monkeypatch.setattr(store, "deliver", fail)
    with pytest.raises(StorageError):
        await submit(store, BOB, text=b"x" * 1_000_000)
    assert list((tmp_path / "data").glob("tmp/*")) == []
