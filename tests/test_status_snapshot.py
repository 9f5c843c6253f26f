from datetime import UTC, datetime

import pytest

from chatmail.errors import ProtocolError
from chatmail.status_snapshot import (
    Health,
    HealthLevel,
    HealthReason,
    History,
    HistoryPoint,
    QueueDestination,
    QueueState,
    StatusSnapshot,
    decode_history,
    decode_snapshot,
    encode_history,
    encode_snapshot,
)

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


def test_a_snapshot_travels_as_one_line_and_comes_back_equal() -> None:
    reason = HealthReason(HealthLevel.BROKEN, "disk_full", "The disk is full.", "Make room.")
    queue = QueueState(1, 1, NOON, (QueueDestination("peer.example", 1, NOON, NOON, 2, "connection refused"),))
    snapshot = StatusSnapshot(
        "1.0", "chat.example", NOON, NOON, 5.0, health=Health(HealthLevel.BROKEN, (reason,)), queue=queue
    )
    line = encode_snapshot(snapshot)
    assert b"\n" not in line
    assert decode_snapshot(line) == snapshot


def test_fields_of_a_newer_server_are_passed_over() -> None:
    line = encode_snapshot(StatusSnapshot("1.0", "chat.example", NOON, NOON, 5.0))
    assert decode_snapshot(line[:-1] + b',"moon_phase":3}').version == "1.0"


@pytest.mark.parametrize("line", ["", "[]", '{"version": 3}', "{" * 100_000])
def test_what_is_no_snapshot_is_said_in_one_sentence(line: str) -> None:
    with pytest.raises(ProtocolError, match=r"^The server's status cannot be read: .*\.$"):
        decode_snapshot(line)


def test_a_history_travels_and_comes_back_equal() -> None:
    history = History(60, (HistoryPoint(NOON, inbound=3, exists_p99_ms=1.5),))
    assert decode_history(encode_history(history)) == history
