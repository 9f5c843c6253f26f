"""Random histories of a store against a model in plain Python: what is stored, what is announced, what is counted."""

import asyncio
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from chatmail.mail.changes import (
    DELETED,
    SEEN,
    Flag,
    Flags,
    FlagsChanged,
    MailboxChanges,
    MailboxId,
    MailboxRemoved,
    MessageAdded,
    MessageExpunged,
    ModSeq,
    Uid,
)
from chatmail.storage.store import Account, DeliveryOutcome, FlagsMode, LocalDelivery, Store
from tests.support.filling import HEADER, TODAY, address, staged, whole

QUOTA_BYTES = 600_000
NAMES = ("alice", "bob", "carol")
FLAG_SETS: tuple[Flags, ...] = (
    frozenset({DELETED}),
    frozenset({SEEN}),
    frozenset({DELETED, Flag("$MDNSent")}),
    frozenset({Flag("work"), Flag("$MDNSent")}),
)
FIRST_MODSEQ = ModSeq(1)
NOW = datetime.now(UTC)
"""All mail is of today, so none has to make room for other mail."""
IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Thousands of commits: what they cost a real disk is not the question here."""
# The last one becomes a file.
TEXTS = (b"", b"one\r\n", b"two" * 5000, b"three" * 60_000)

SMALL = st.integers(0, 3)
UIDS = st.sets(st.integers(1, 8), min_size=1)
OPERATIONS = st.one_of(
    st.tuples(st.just("deliver"), st.sets(st.sampled_from((*NAMES, "nobody")), min_size=1), SMALL),
    st.tuples(st.just("append"), st.sampled_from(NAMES), SMALL, SMALL, SMALL),
    st.tuples(st.just("flags"), st.sampled_from(NAMES), SMALL, UIDS, st.sampled_from(FlagsMode), SMALL),
    st.tuples(st.just("expunge"), st.sampled_from(NAMES), SMALL, st.none() | UIDS),
    st.tuples(st.just("copy"), st.sampled_from(NAMES), SMALL, UIDS, SMALL, st.booleans()),
    st.tuples(st.just("remove mailbox"), st.sampled_from(NAMES), SMALL),
    st.tuples(st.just("remove account"), st.sampled_from(NAMES)),
)


@dataclass
class Message:
    flags: Flags
    text: bytes

    @property
    def size_bytes(self) -> int:
        return len(HEADER) + len(self.text)


@dataclass
class Box:
    """One mailbox: what the model expects, and what a session that only hears changes believes."""

    mailbox_id: MailboxId
    messages: dict[Uid, Message] = field(default_factory=dict)
    uid_next: int = 1
    heard: dict[Uid, tuple[Flags, int]] = field(default_factory=dict)
    heard_modseq: ModSeq = FIRST_MODSEQ
    gone: bool = False

    def add(self, message: Message) -> Uid:
        uid = Uid(self.uid_next)
        self.messages[uid] = message
        self.uid_next += 1
        return uid

    def hear(self, changes: MailboxChanges) -> None:
        assert not self.gone
        modseqs = {change.modseq for change in changes.changes if not isinstance(change, MailboxRemoved)}
        assert all(modseq > self.heard_modseq for modseq in modseqs)
        self.heard_modseq = max(modseqs, default=self.heard_modseq)
        for change in changes.changes:
            match change:
                case MessageAdded(uid, _, flags, size_bytes):
                    assert uid not in self.heard
                    self.heard[uid] = (flags, size_bytes)
                case FlagsChanged(uid, _, flags):
                    assert self.heard[uid][0] != flags
                    self.heard[uid] = (flags, self.heard[uid][1])
                case MessageExpunged(uid, _):
                    del self.heard[uid]
                case MailboxRemoved():
                    self.gone = True


@dataclass
class Person:
    account: Account
    boxes: list[Box]
    uid_validities: set[int]

    @property
    def usage_bytes(self) -> int:
        return sum(message.size_bytes for box in self.boxes for message in box.messages.values())

    def box(self, number: int) -> Box:
        return self.boxes[number % len(self.boxes)]


class History:
    """Does each operation on the store and on the model, and compares them after it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.people: dict[str, Person] = {}

    async def create(self, name: str) -> None:
        account = await self.store.accounts.create(address(name), "hash", TODAY)
        assert account is not None
        mailboxes = await self.store.mailboxes.list(account.account_id)
        boxes = [Box(mailbox.mailbox_id) for mailbox in mailboxes]
        for box in boxes:
            self.store.broadcast.subscribe(box.mailbox_id, box.hear)
        self.people[name] = Person(account, boxes, {mailbox.uid_validity for mailbox in mailboxes})

    async def do(self, operation: tuple[object, ...]) -> None:
        match operation:
            case "deliver", set(names), int(text):
                await self.deliver(names, TEXTS[text])
            case "append", str(name), int(box), int(text), int(flags):
                await self.append(self.people[name], self.people[name].box(box), TEXTS[text], FLAG_SETS[flags])
            case "flags", str(name), int(box), set(uids), FlagsMode() as mode, int(flags):
                await self.flags(self.people[name].box(box), uids, mode, FLAG_SETS[flags])
            case "expunge", str(name), int(box), uids:
                assert uids is None or isinstance(uids, set)
                await self.expunge(self.people[name].box(box), uids)
            case "copy", str(name), int(source), set(uids), int(target), bool(move):
                person = self.people[name]
                await self.copy(person, person.box(source), uids, person.box(target), move)
            case "remove mailbox", str(name), int(box):
                await self.remove_mailbox(self.people[name], self.people[name].box(box))
            case "remove account", str(name):
                await self.remove_account(name)
            case _:
                raise AssertionError(operation)
        await self.compare()

    async def deliver(self, names: set[str], text: bytes) -> None:
        message = Message(frozenset(), text)
        delivery = LocalDelivery(staged(self.store, text), tuple(map(address, names)))
        (outcomes,) = await self.store.deliver([delivery], NOW)
        for name in names:
            person = self.people.get(name)
            if person is None:
                expected = DeliveryOutcome.UNKNOWN
            elif person.usage_bytes + message.size_bytes > QUOTA_BYTES:
                expected = DeliveryOutcome.OVER_QUOTA
            else:
                expected = DeliveryOutcome.DELIVERED
                person.boxes[0].add(Message(frozenset(), text))
            assert outcomes[address(name)] is expected

    async def append(self, person: Person, box: Box, text: bytes, flags: Flags) -> None:
        message = Message(flags, text)
        fits = person.usage_bytes + message.size_bytes <= QUOTA_BYTES
        uid = await self.store.mailboxes.append(box.mailbox_id, staged(self.store, text), flags, NOW)
        assert uid == (box.add(message) if fits else None)

    async def flags(self, box: Box, uids: set[Uid], mode: FlagsMode, flags: Flags) -> None:
        await self.store.mailboxes.store_flags(box.mailbox_id, uids, mode, flags)
        for uid in uids & box.messages.keys():
            message = box.messages[uid]
            match mode:
                case FlagsMode.REPLACE:
                    message.flags = flags
                case FlagsMode.ADD:
                    message.flags = message.flags | flags
                case FlagsMode.REMOVE:
                    message.flags = message.flags - flags

    async def expunge(self, box: Box, uids: set[Uid] | None) -> None:
        gone = await self.store.mailboxes.expunge(box.mailbox_id, uids)
        expected = [
            uid for uid, message in box.messages.items() if DELETED in message.flags and (uids is None or uid in uids)
        ]
        assert gone == sorted(expected)
        for uid in expected:
            del box.messages[uid]

    async def copy(self, person: Person, source: Box, uids: set[Uid], target: Box, move: bool) -> None:
        present = sorted(uids & source.messages.keys())
        size_bytes = sum(source.messages[uid].size_bytes for uid in present)
        copied = await self.store.mailboxes.copy(source.mailbox_id, uids, target.mailbox_id, move=move)
        if present and not move and person.usage_bytes + size_bytes > QUOTA_BYTES:
            assert copied is None
            return
        expected = {}
        for uid in present:
            message = source.messages[uid]
            expected[uid] = target.add(Message(message.flags, message.text))
        if move:
            for uid in present:
                del source.messages[uid]
        assert copied == expected

    async def remove_mailbox(self, person: Person, box: Box) -> None:
        if box is person.boxes[0]:
            return  # an INBOX always is
        await self.store.mailboxes.remove(box.mailbox_id)
        assert box.gone
        person.boxes.remove(box)
        assert await self.store.mailboxes.snapshot(box.mailbox_id) is None

    async def remove_account(self, name: str) -> None:
        person = self.people.pop(name)
        await self.store.accounts.remove(person.account.account_id)
        assert all(box.gone for box in person.boxes)
        await self.create(name)
        assert not person.uid_validities & self.people[name].uid_validities

    async def compare(self) -> None:
        for person in self.people.values():
            assert await self.store.accounts.usage_bytes(person.account.account_id) == person.usage_bytes
            for box in person.boxes:
                snapshot = await self.store.mailboxes.snapshot(box.mailbox_id)
                assert snapshot is not None
                assert (snapshot.uid_next, snapshot.highest_modseq) == (box.uid_next, box.heard_modseq)
                stored = {message.uid: (message.flags, message.size_bytes) for message in snapshot.messages}
                assert stored == {uid: (message.flags, message.size_bytes) for uid, message in box.messages.items()}
                assert stored == box.heard

    async def compare_bodies(self) -> None:
        for person in self.people.values():
            for box in person.boxes:
                for record in await self.store.mailboxes.records(box.mailbox_id, box.messages.keys()):
                    assert await whole(self.store, record.body_id) == HEADER + box.messages[record.uid].text


async def _run(operations: list[tuple[object, ...]], data_dir: Path) -> None:
    store = await Store.open(data_dir, max_mailbox_size_bytes=QUOTA_BYTES)
    try:
        history = History(store)
        for name in NAMES:
            await history.create(name)
        for operation in operations:
            await history.do(operation)
        await history.compare_bodies()
        assert await store.check() == ()
    finally:
        await store.close()
    store = await Store.open(data_dir, max_mailbox_size_bytes=QUOTA_BYTES)
    try:
        history.store = store
        await history.compare()
        await history.compare_bodies()
        assert await store.check() == ()
    finally:
        await store.close()


@settings(max_examples=40)
@given(st.lists(OPERATIONS, max_size=40))
def test_any_history_leaves_what_the_model_expects(operations: list[tuple[object, ...]]) -> None:
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
        asyncio.run(_run(operations, Path(folder) / "data"))
