"""Every attack of `tests/hostile` at a small share: it harms nobody, fills no memory, and leaves nothing behind."""

from pathlib import Path

import pytest

from tests.hostile.catalogue import ATTACKS
from tests.hostile.outcome import GROWTH_BYTES, details
from tests.hostile.run import run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.mark.parametrize("name", ATTACKS)
async def test_an_honest_client_is_served_all_the_same(
    pyz: Path, free_loopback_address: str, tmp_path: Path, name: str
) -> None:
    outcome = await run(ATTACKS[name], pyz, free_loopback_address, tmp_path, 0.02)
    print(details(outcome), outcome.exists, sep="\n")
    assert outcome.exists.samples and not outcome.failures and not outcome.failed_logins
    assert outcome.highest_bytes - outcome.before_bytes < GROWTH_BYTES
    assert outcome.recovered_seconds < 30
    assert not outcome.bugs
