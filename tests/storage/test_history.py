import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from chatmail.status_snapshot import HistoryPoint
from chatmail.storage.history import FILE_BYTES, HOURS_KEPT, MINUTES_KEPT, RECORD_BYTES, HistoryFile

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def test_a_day_of_minutes_and_a_month_of_hours_survive_and_take_the_space_they_took_at_first(tmp_path: Path) -> None:
    path = tmp_path / "history"
    history = HistoryFile(path)
    assert path.stat().st_size == FILE_BYTES == 77_792
    minutes = 31 * 24 * 60
    for number in range(minutes):
        history.add_minute(HistoryPoint(NOON + number * MINUTE, inbound=1, local=2, imap_sessions=number))
    now = NOON + minutes * MINUTE - timedelta(seconds=30)
    again = HistoryFile(path)
    assert path.stat().st_size == FILE_BYTES
    for one in (history, again):
        day, month = one.last_day(now), one.last_month(now)
        assert (day.span_seconds, len(day.points)) == (60, MINUTES_KEPT)
        assert (month.span_seconds, len(month.points)) == (3600, HOURS_KEPT)
        assert day.points[-1] == HistoryPoint(now - MINUTE / 2, inbound=1, local=2, imap_sessions=minutes - 1)
        assert {(point.inbound, point.local) for point in month.points} == {(60, 120)}
        assert [point.at for point in month.points] == sorted(point.at for point in month.points)


def test_an_hour_sums_counts_and_keeps_the_worst_latency_and_the_last_state(tmp_path: Path) -> None:
    history = HistoryFile(tmp_path / "history")
    for number, latency in enumerate((1.5, 9.25, None)):
        history.add_minute(
            HistoryPoint(NOON + number * MINUTE, outbound=2, refused=1, queue_items=5 - number, exists_p99_ms=latency)
        )
    (hour,) = history.last_month(NOON + 5 * MINUTE).points
    assert hour == HistoryPoint(NOON, outbound=6, refused=3, queue_items=3, exists_p99_ms=9.25)


def test_a_minute_with_a_restart_in_it_is_one(tmp_path: Path) -> None:
    for _ in range(2):
        HistoryFile(tmp_path / "history").add_minute(HistoryPoint(NOON, inbound=3))
    again = HistoryFile(tmp_path / "history")
    assert again.last_day(NOON).points == (HistoryPoint(NOON, inbound=6),)
    assert again.last_month(NOON).points == (HistoryPoint(NOON, inbound=6),)


def test_a_torn_record_is_none_and_costs_no_other(tmp_path: Path) -> None:
    path = tmp_path / "history"
    history = HistoryFile(path)
    for number in range(3):
        history.add_minute(HistoryPoint(NOON + number * MINUTE, local=1))
    slot = (int(NOON.timestamp()) // 60 + 1) % MINUTES_KEPT
    with path.open("r+b") as file:
        file.seek(32 + slot * RECORD_BYTES + 8)
        file.write(b"\xff\xff")
    assert [point.at for point in HistoryFile(path).last_day(NOON + 3 * MINUTE).points] == [NOON, NOON + 2 * MINUTE]


@pytest.mark.parametrize("content", [b"", b"something else", b"\0" * FILE_BYTES, os.urandom(FILE_BYTES + 1)])
def test_a_file_that_is_no_history_is_begun_anew(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "history"
    path.write_bytes(content)
    history = HistoryFile(path)
    assert history.last_day(NOON).points == () and path.stat().st_size == FILE_BYTES
    history.add_minute(HistoryPoint(NOON, inbound=1))
    assert len(HistoryFile(path).last_day(NOON).points) == 1


def test_where_the_disk_refuses_it_is_kept_in_memory(tmp_path: Path) -> None:
    history = HistoryFile(tmp_path / "nowhere" / "history")
    history.add_minute(HistoryPoint(NOON, inbound=1))
    assert len(history.last_day(NOON).points) == 1
    history.close()
