"""Many clients at once on one mailbox of the built file; what each may be told is checked by `tests/stress`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stress.__main__ import SETTINGS
from tests.stress.run import stress
from tests.support.relay import ServedRelay


@pytest.fixture(scope="module")
def relay(pyz: Path, loopback_address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedRelay]:
    with ServedRelay(pyz, loopback_address, tmp_path_factory.mktemp("stress") / "data", settings=SETTINGS) as running:
        yield running


@pytest.mark.parametrize(
    ("seconds", "sessions"),
    [
        pytest.param(5.0, 8),
        pytest.param(240.0, 16, marks=[pytest.mark.slow, pytest.mark.timeout(900)]),
    ],
)
async def test_no_client_is_told_what_cannot_be(relay: ServedRelay, seconds: float, sessions: int) -> None:
    outcome = await stress(relay, relay.new_account(), seconds=seconds, sessions=sessions, seed=5)
    print(outcome)
    assert outcome.expunged and outcome.left and outcome.submitted
    log = relay.log_path.read_text()
    assert "Traceback" not in log and "bug" not in log
