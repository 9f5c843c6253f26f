"""Mailboxes and the messages in them: UIDs, flags, MODSEQ, counts."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from chatmail.errors import StorageError
from chatmail.mail.changes import (
    DELETED,
    FLAGGED,
    SEEN,
    Flag,
    FlagsChanged,
    MailboxChanges,
    MailboxId,
    MailboxRemoved,
    MessageAdded,
    MessageExpunged,
    ModSeq,
    Uid,
)
from chatmail.storage import mailboxes as module
from chatmail.storage import subscriptions
from chatmail.storage.database import Reader
from chatmail.storage.messages import EXPUNGED_MODSEQS
from chatmail.storage.store import FlagsMode, Mailbox, MailboxStatus, NewMessage, Store
from tests.support.filling import HEADER, NOW, QUOTA_BYTES, TEXT, add_account, deliver, inbox, messages, staged

NOWHERE = MailboxId(999)
SIZE_BYTES = len(HEADER + TEXT)


async def filled_inbox(store: Store, count: int) -> Mailbox:
    mailbox = await inbox(store, await add_account(store, "alice"))
    for _ in range(count):
        await deliver(store, "alice")
    return mailbox


async def find(store: Store, name: str) -> Mailbox:
    account = await store.accounts.find((await add_account(store, "bob")).address)
    assert account is not None
    mailbox = await store.mailboxes.find(account.account_id, name)
    assert mailbox is not None
    return mailbox


async def delete(store: Store, mailbox: Mailbox, *uids: int) -> None:
    chosen = [Uid(uid) for uid in uids]
    await store.mailboxes.store_flags(mailbox.mailbox_id, chosen, FlagsMode.ADD, frozenset({DELETED}))
    await store.mailboxes.expunge(mailbox.mailbox_id, chosen)


# --- mailboxes ---


async def test_inbox_is_found_in_any_case_and_other_names_as_written(store: Store) -> None:
    account = await add_account(store, "alice")
    assert await store.mailboxes.find(account.account_id, "inBox") == await inbox(store, account)
    assert await store.mailboxes.find(account.account_id, "sent") is None


async def test_a_mailbox_can_be_created_once(store: Store) -> None:
    account = await add_account(store, "alice")
    created = await store.mailboxes.create(account.account_id, "Räume/été")
    assert created is not None
    assert created == await store.mailboxes.find(account.account_id, "Räume/été")
    assert await store.mailboxes.create(account.account_id, "Räume/été") is None
    assert await store.mailboxes.create(account.account_id, "inbox") is None


async def test_mailboxes_of_an_account_are_limited(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_MAILBOXES", 5)
    account = await add_account(store, "alice")
    assert await store.mailboxes.create(account.account_id, "one") is not None
    assert await store.mailboxes.create(account.account_id, "two") is None


async def test_a_mailbox_can_be_renamed_but_not_onto_another(store: Store) -> None:
    account = await add_account(store, "alice")
    sent = await store.mailboxes.find(account.account_id, "Sent")
    assert sent is not None
    assert not await store.mailboxes.rename(account.account_id, {sent.mailbox_id: "Trash"})
    assert await store.mailboxes.rename(account.account_id, {sent.mailbox_id: "Old"})
    renamed = await store.mailboxes.find(account.account_id, "Old")
    assert renamed is not None
    assert (renamed.mailbox_id, renamed.uid_validity) == (sent.mailbox_id, sent.uid_validity)


async def test_renaming_many_changes_all_or_none(store: Store) -> None:
    account_id = (await add_account(store, "alice")).account_id
    made = [await store.mailboxes.create(account_id, name) for name in ("a", "a/b", "c/b")]
    ids = [mailbox.mailbox_id for mailbox in made if mailbox is not None]
    assert not await store.mailboxes.rename(account_id, {ids[0]: "c", ids[1]: "c/b"})
    assert await store.mailboxes.find(account_id, "c") is None
    assert await store.mailboxes.rename(account_id, {ids[0]: "d", ids[1]: "d/b"})
    assert [each.name for each in await store.mailboxes.list(account_id)][-3:] == ["c/b", "d", "d/b"]


async def test_a_subscription_outlives_its_mailbox_and_comes_back_with_the_name(store: Store) -> None:
    account_id = (await add_account(store, "alice")).account_id
    sent = await store.mailboxes.find(account_id, "Sent")
    assert sent is not None
    await store.mailboxes.remove(sent.mailbox_id)
    assert await store.mailboxes.gone_subscriptions(account_id) == ["Sent"]
    again = await store.mailboxes.create(account_id, "Sent")
    assert again is not None
    assert again.subscribed
    assert await store.mailboxes.rename(account_id, {again.mailbox_id: "Old"})
    old = await store.mailboxes.find(account_id, "Old")
    assert old is not None
    assert not old.subscribed
    assert await store.mailboxes.gone_subscriptions(account_id) == ["Sent"]
    assert await store.mailboxes.forget_subscription(account_id, "Sent")
    assert not await store.mailboxes.forget_subscription(account_id, "Sent")


async def test_names_without_a_mailbox_are_limited_and_go_with_the_account(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscriptions, "MAX_GONE", 2)
    account_id = (await add_account(store, "alice")).account_id
    for name in ("Sent", "Trash", "DeltaChat"):
        mailbox = await store.mailboxes.find(account_id, name)
        assert mailbox is not None
        await store.mailboxes.remove(mailbox.mailbox_id)
    assert await store.mailboxes.gone_subscriptions(account_id) == ["Sent", "Trash"]
    await store.accounts.remove(account_id)
    assert await store.mailboxes.gone_subscriptions(account_id) == []


async def test_subscriptions_are_remembered(store: Store) -> None:
    sent = await find(store, "Sent")
    await store.mailboxes.set_subscribed(sent.mailbox_id, False)
    snapshot = await store.mailboxes.snapshot(sent.mailbox_id)
    assert snapshot is not None
    assert not snapshot.mailbox.subscribed


async def test_a_removed_mailbox_gives_its_room_back_and_comes_again_as_another(store: Store) -> None:
    account = await add_account(store, "alice")
    trash = await store.mailboxes.find(account.account_id, "Trash")
    assert trash is not None
    await store.mailboxes.append(trash.mailbox_id, staged(store), frozenset(), NOW)
    heard: list[MailboxChanges] = []
    store.broadcast.subscribe(trash.mailbox_id, heard.append)
    await store.mailboxes.remove(trash.mailbox_id)
    await store.mailboxes.remove(trash.mailbox_id)
    assert heard == [MailboxChanges(trash.mailbox_id, (MailboxRemoved(),))]
    assert await store.accounts.usage_bytes(account.account_id) == 0
    again = await store.mailboxes.create(account.account_id, "Trash")
    assert again is not None
    assert again.mailbox_id != trash.mailbox_id
    assert again.uid_validity != trash.uid_validity


async def test_what_is_asked_of_a_mailbox_that_is_gone(store: Store) -> None:
    mailbox = await filled_inbox(store, 1)
    uid = Uid(1)
    assert await store.mailboxes.snapshot(NOWHERE) is None
    assert await store.mailboxes.records(NOWHERE, [uid]) == []
    assert await store.mailboxes.store_flags(NOWHERE, [uid], FlagsMode.ADD, frozenset({SEEN})) == frozenset()
    assert await store.mailboxes.expunge(NOWHERE) == []
    assert await store.mailboxes.expunged_since(NOWHERE, ModSeq(1)) is None
    with pytest.raises(StorageError):
        await store.mailboxes.status(NOWHERE)
    with pytest.raises(StorageError):
        await store.mailboxes.append(NOWHERE, staged(store), frozenset(), NOW)
    with pytest.raises(StorageError):
        await store.mailboxes.copy(mailbox.mailbox_id, [uid], NOWHERE, move=True)
    assert len(await messages(store, mailbox.mailbox_id)) == 1


# --- messages ---


async def test_uids_ascend_and_are_not_used_again(store: Store) -> None:
    mailbox = await filled_inbox(store, 3)
    await delete(store, mailbox, 2, 3)
    await deliver(store, "alice")
    assert [message.uid for message in await messages(store, mailbox.mailbox_id)] == [1, 4]
    snapshot = await store.mailboxes.snapshot(mailbox.mailbox_id)
    assert snapshot is not None
    assert snapshot.uid_next == 5


async def test_status_counts(store: Store) -> None:
    mailbox = await filled_inbox(store, 3)
    await store.mailboxes.store_flags(mailbox.mailbox_id, [Uid(1)], FlagsMode.ADD, frozenset({SEEN, DELETED}))
    await store.mailboxes.store_flags(mailbox.mailbox_id, [Uid(2)], FlagsMode.ADD, frozenset({SEEN}))
    assert await store.mailboxes.status(mailbox.mailbox_id) == MailboxStatus(
        messages=3,
        unseen=1,
        deleted=1,
        size_bytes=3 * SIZE_BYTES,
        deleted_bytes=SIZE_BYTES,
        uid_next=Uid(4),
        uid_validity=mailbox.uid_validity,
        highest_modseq=ModSeq(6),
    )


async def test_an_appended_message_keeps_its_flags_and_date(store: Store) -> None:
    mailbox = await find(store, "Sent")
    at = datetime(2019, 5, 6, 7, 8, 9, tzinfo=timezone(timedelta(hours=2)))
    flags = frozenset({SEEN, Flag("$MDNSent")})
    uid = await store.mailboxes.append(mailbox.mailbox_id, staged(store), flags, at)
    assert uid == 1
    (message,) = await store.mailboxes.records(mailbox.mailbox_id, [uid, Uid(7)])
    assert (message.flags, message.received_at) == (flags, at)
    assert (message.received_at.tzinfo, message.saved_at.tzinfo) == (UTC, UTC)
    assert message.saved_at > at


async def test_records_are_those_asked_for_with_gaps_and_without(store: Store) -> None:
    mailbox = await filled_inbox(store, 5)

    async def found(*uids: int) -> list[int]:
        return [record.uid for record in await store.mailboxes.records(mailbox.mailbox_id, list(map(Uid, uids)))]

    assert await found() == []
    assert await found(3) == [3]
    assert await found(2, 3, 4) == [2, 3, 4]
    assert await found(4, 2) == [2, 4]
    assert await found(1, 2, 5, 6) == [1, 2, 5]


async def test_dates_before_1970_survive(store: Store) -> None:
    mailbox = await find(store, "Sent")
    at = datetime(1965, 1, 1, tzinfo=UTC)
    await store.mailboxes.append(mailbox.mailbox_id, staged(store), frozenset(), at)
    assert (await messages(store, mailbox.mailbox_id))[0].received_at == at


async def test_flags_are_replaced_added_and_removed_and_only_real_changes_are_announced(store: Store) -> None:
    mailbox = await filled_inbox(store, 2)
    heard: list[MailboxChanges] = []
    store.broadcast.subscribe(mailbox.mailbox_id, heard.append)
    work = Flag("work")
    both = [Uid(1), Uid(2)]
    steps = [
        ([Uid(1)], FlagsMode.ADD, {SEEN, work}, [(1, {SEEN, work})]),
        (both, FlagsMode.ADD, {SEEN}, [(2, {SEEN})]),
        (both, FlagsMode.REMOVE, {work}, [(1, {SEEN})]),
        (both, FlagsMode.REPLACE, {FLAGGED}, [(1, {FLAGGED}), (2, {FLAGGED})]),
        (both, FlagsMode.REPLACE, {FLAGGED}, []),
    ]
    for uids, mode, flags, expected in steps:
        heard.clear()
        await store.mailboxes.store_flags(mailbox.mailbox_id, uids, mode, frozenset(flags), origin="me")
        assert [
            (change.uid, set(change.flags), changes.origin)
            for changes in heard
            for change in changes.changes
            if isinstance(change, FlagsChanged)
        ] == [(uid, now, "me") for uid, now in expected]


async def test_a_change_since_keeps_a_message_from_being_changed(store: Store) -> None:
    mailbox = await filled_inbox(store, 2)
    first, second = await messages(store, mailbox.mailbox_id)
    assert second.modseq > first.modseq
    kept_back = await store.mailboxes.store_flags(
        mailbox.mailbox_id,
        [first.uid, second.uid],
        FlagsMode.ADD,
        frozenset({SEEN}),
        unchanged_since=first.modseq,
    )
    assert kept_back == {second.uid}
    assert [message.flags for message in await messages(store, mailbox.mailbox_id)] == [{SEEN}, frozenset()]


async def test_expunge_takes_only_deleted_messages_and_of_those_only_the_named(store: Store) -> None:
    mailbox = await filled_inbox(store, 4)
    chosen = [Uid(uid) for uid in (1, 2, 4)]
    await store.mailboxes.store_flags(mailbox.mailbox_id, chosen, FlagsMode.ADD, frozenset({DELETED}))
    assert await store.mailboxes.expunge(mailbox.mailbox_id, [Uid(2), Uid(3)]) == [2]
    assert await store.mailboxes.expunge(mailbox.mailbox_id, []) == []
    assert await store.mailboxes.expunge(mailbox.mailbox_id) == [1, 4]
    assert await store.mailboxes.expunge(mailbox.mailbox_id) == []


async def test_many_messages_are_expunged_in_slices(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LIGHT_MESSAGES", 2)
    monkeypatch.setattr(module, "EXPUNGE_SLICE", 3)
    mailbox = await filled_inbox(store, 8)
    heard: list[MailboxChanges] = []
    everything = [Uid(uid) for uid in range(1, 9)]
    await store.mailboxes.store_flags(mailbox.mailbox_id, everything, FlagsMode.ADD, frozenset({DELETED}))
    store.broadcast.subscribe(mailbox.mailbox_id, heard.append)
    assert await store.mailboxes.expunge(mailbox.mailbox_id) == everything
    assert [len(changes.changes) for changes in heard] == [2, 3, 3]


async def test_a_move_is_announced_in_both_mailboxes(store: Store) -> None:
    account = await add_account(store, "alice")
    source, trash = await inbox(store, account), await store.mailboxes.find(account.account_id, "Trash")
    assert trash is not None
    await deliver(store, "alice")
    await store.mailboxes.store_flags(source.mailbox_id, [Uid(1)], FlagsMode.ADD, frozenset({SEEN}))
    heard: list[MailboxChanges] = []
    for mailbox in (source, trash):
        store.broadcast.subscribe(mailbox.mailbox_id, heard.append)
    moved = await store.mailboxes.copy(source.mailbox_id, [Uid(1), Uid(9)], trash.mailbox_id, move=True, origin="me")
    assert moved == {1: 1}
    seen = frozenset({SEEN})
    assert heard == [
        MailboxChanges(trash.mailbox_id, (MessageAdded(Uid(1), ModSeq(2), seen, SIZE_BYTES),), "me"),
        MailboxChanges(source.mailbox_id, (MessageExpunged(Uid(1), ModSeq(4)),), "me"),
    ]
    assert await store.mailboxes.copy(source.mailbox_id, [Uid(1)], trash.mailbox_id, move=True) == {}


async def test_expunged_uids_are_remembered_for_a_while(store: Store) -> None:
    count = EXPUNGED_MODSEQS // 2 + 20
    mailbox = await filled_inbox(store, count)
    start = (await store.mailboxes.status(mailbox.mailbox_id)).highest_modseq
    await delete(store, mailbox, 1, 2, 3, 7)
    assert await store.mailboxes.expunged_since(mailbox.mailbox_id, start) == [1, 2, 3, 7]
    assert await store.mailboxes.expunged_since(mailbox.mailbox_id, ModSeq(start + 2)) == []
    for uid in range(8, count + 1):
        await delete(store, mailbox, uid)
    assert await store.mailboxes.expunged_since(mailbox.mailbox_id, start) is None
    now = (await store.mailboxes.status(mailbox.mailbox_id)).highest_modseq
    known = await store.mailboxes.expunged_since(mailbox.mailbox_id, ModSeq(now - EXPUNGED_MODSEQS))
    # Each took two steps of MODSEQ: the flag and the expunge.
    assert known == list(range(count + 1 - EXPUNGED_MODSEQS // 2, count + 1))


async def test_several_messages_are_appended_in_one_change_or_not_at_all(store: Store) -> None:
    mailbox = await find(store, "Sent")
    heard: list[MailboxChanges] = []
    store.broadcast.subscribe(mailbox.mailbox_id, heard.append)
    new = [NewMessage(staged(store), frozenset({flag}), datetime.now(UTC)) for flag in (SEEN, FLAGGED, DELETED)]
    assert await store.mailboxes.append_all(mailbox.mailbox_id, new) == [1, 2, 3]
    assert [[change.modseq for change in changes.changes if isinstance(change, MessageAdded)] for changes in heard] == [
        [ModSeq(2)] * 3
    ]
    too_much = [NewMessage(staged(store, b"x" * (QUOTA_BYTES // 2)), frozenset(), NOW) for _ in range(2)]
    assert await store.mailboxes.append_all(mailbox.mailbox_id, too_much) is None
    status = await store.mailboxes.status(mailbox.mailbox_id)
    assert (status.messages, status.uid_next) == (3, 4)


async def test_a_large_mailbox_is_told_of_as_a_small_one_is(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(store.mailboxes, module.Mailboxes)
    mailbox = await filled_inbox(store, 5)
    await delete(store, mailbox, 2)
    small = await store.mailboxes.snapshot(mailbox.mailbox_id), await store.mailboxes.status(mailbox.mailbox_id)
    monkeypatch.setattr(module, "LARGE_MAILBOX_MESSAGES", 4)
    with monkeypatch.context() as patched:
        patched.setattr(store.mailboxes, "_reader", NoSnapshots(store.mailboxes._reader))
        large = await store.mailboxes.snapshot(mailbox.mailbox_id), await store.mailboxes.status(mailbox.mailbox_id)
    assert large == small
    assert await store.mailboxes.snapshot(NOWHERE) is None


class NoSnapshots:
    """The event loop's reader, which may only ask how large a mailbox is."""

    def __init__(self, reader: Reader) -> None:
        self.row = reader.row
