"""Large removals happen in slices, beside everybody else's work."""

from pathlib import Path

import pytest

from chatmail.storage import purge as module
from chatmail.storage.store import Store
from tests.support.filling import add_account, address, deliver, inbox, messages, whole

LARGE = b"large body\r\n" * 30_000


async def test_a_large_account_leaves_in_slices_and_others_are_served_meanwhile(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SLICE_MESSAGES", 3)
    monkeypatch.setattr(module, "SLICE_FILES", 1)
    leaving, staying = await add_account(store, "alice"), await add_account(store, "bob")
    for _ in range(10):
        await deliver(store, "alice")
        await deliver(store, "alice", "bob")
    await deliver(store, "alice", text=LARGE)
    await deliver(store, "alice", text=LARGE)
    await store.accounts.remove(leaving.account_id)
    assert await store.check() == ()  # at every moment, not only in the end
    turns = 0
    while list((tmp_path / "data/bodies").iterdir()):
        await deliver(store, "nobody")
        turns += 1
    assert turns < 100
    assert await store.accounts.find(address("alice")) is None
    kept = await messages(store, (await inbox(store, staying)).mailbox_id)
    assert len(kept) == 10
    assert await whole(store, kept[0].body_id)
    assert await store.check() == ()
