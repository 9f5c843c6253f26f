"""Fixtures of the storage tests: a store in a temporary folder, and short ways to fill it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chatmail.storage.store import Store
from tests.support.filling import QUOTA_BYTES


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(tmp_path / "data", max_mailbox_size_bytes=QUOTA_BYTES)
    yield store
    await store.close()
