"""A message on its way in: any chunks give the same, what is refused leaves nothing, failures are told at the end."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chatmail.errors import StorageError, StorageFullError
from chatmail.intake import Intake, Opening, storage_reply
from chatmail.mail.address import Address
from chatmail.mail.envelope import (
    ENCRYPTION_NEEDED,
    STORAGE_FULL,
    STORAGE_UNAVAILABLE,
    UNPARSABLE_MESSAGE,
    Envelope,
    SmtpReply,
)
from chatmail.mail.message import HeaderBlock
from chatmail.meters import Meters
from chatmail.policy.encryption import Direction, EncryptionGate
from chatmail.policy.verdict import ACCEPT, Reject
from chatmail.storage.store import Store
from tests.support.messages import encrypted_message

ALICE = Address("alice", "chat.example")
MESSAGE = encrypted_message(str(ALICE), size_bytes=3000)
PLAIN = b"From: <alice@chat.example>\r\nSubject: x\r\n\r\nin clear\r\n"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(tmp_path / "data", max_mailbox_size_bytes=10_000_000)
    yield store
    assert await store.check() == ()
    await store.close()


def intake(store: Store, seen: list[bytes] | None = None) -> Intake:
    """One that keeps the message as it is."""

    def open_(headers: HeaderBlock) -> Opening:
        gate = EncryptionGate(headers, Direction.SUBMISSION, Envelope(ALICE, (ALICE,)))
        return Opening(gate, bytes(headers), None if seen is None else seen.append)

    return Intake(store, open_)


def fed(one: Intake, message: bytes, size: int) -> Intake:
    for start in range(0, len(message), size):
        one.feed(message[start : start + size])
    return one


@pytest.mark.parametrize("size", [1, 2, 3, 100, 100_000])
async def test_chunks_may_end_anywhere(store: Store, size: int) -> None:
    seen: list[bytes] = []
    one = fed(intake(store, seen), MESSAGE, size)
    assert one.finish() is None and one.gate.finish() == ACCEPT
    assert one.size_bytes == len(MESSAGE) and b"".join(seen) == MESSAGE.partition(b"\r\n\r\n")[2]
    body = one.take_body()
    assert body.size_bytes == len(MESSAGE)
    body.discard()


async def test_what_the_gate_shuts_out_is_still_watched_to_its_end(store: Store) -> None:
    seen: list[bytes] = []
    one = fed(intake(store, seen), PLAIN, 7)
    assert one.finish() is None and one.gate.finish() == Reject(ENCRYPTION_NEEDED)
    assert b"".join(seen) == b"in clear\r\n"


async def test_a_refusal_of_the_header_is_told_at_the_end(store: Store) -> None:
    refusal = SmtpReply(550, "no", "5.7.1")
    one = fed(Intake(store, lambda headers: refusal), MESSAGE, 500)
    assert one.finish() is refusal
    assert fed(intake(store), b"no header\r\n\r\n", 500).finish() == UNPARSABLE_MESSAGE


async def test_a_header_block_alone_is_opened_at_the_end(store: Store) -> None:
    one = fed(intake(store), b"From: <alice@chat.example>\r\n", 5)
    assert one.finish() is None and one.gate.finish() == Reject(ENCRYPTION_NEEDED)
    assert fed(intake(store), b"", 1).finish() is None


@pytest.mark.parametrize(
    ("error", "reply"), [(StorageFullError("full"), STORAGE_FULL), (StorageError("broken"), STORAGE_UNAVAILABLE)]
)
async def test_a_store_that_fails_is_told_at_the_end(
    store: Store, monkeypatch: pytest.MonkeyPatch, error: StorageError, reply: SmtpReply
) -> None:
    def fail(header_bytes: bytes) -> None:
        raise error

    monkeypatch.setattr(store, "stage", fail)
    one = fed(intake(store), MESSAGE, 500)
    with pytest.raises(StorageError):
        one.finish()
    meters = Meters()
    assert storage_reply(error, meters) is reply and meters.store_error == str(error)
