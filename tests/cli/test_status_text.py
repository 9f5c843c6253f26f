from dataclasses import replace
from datetime import UTC, datetime

from chatmail.cli.status_text import check_line, down_text, status_text
from chatmail.installation.watching import ServerDown
from chatmail.status_snapshot import (
    AccountCounts,
    Health,
    HealthLevel,
    HealthReason,
    Latencies,
    Percentiles,
    SessionCounts,
    StatusSnapshot,
)

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
NOTICE = HealthReason(HealthLevel.FINE, "peer_unreachable", "A peer | is away.", "Nothing.")
FINE = StatusSnapshot(
    "1.0",
    "chat.example",
    NOON,
    NOON,
    90061.0,
    health=Health(HealthLevel.FINE, (NOTICE,)),
    accounts=AccountCounts(total=7, active_today=3),
    sessions=SessionCounts(imap=5, http=1),
    latency=Latencies(exists=Percentiles(9, 1.0, 2.0, 3.5)),
    refusals={"too_fast": 2, "too_big": 9},
)
BROKEN = replace(
    FINE,
    health=Health(
        HealthLevel.BROKEN,
        (
            HealthReason(HealthLevel.BROKEN, "disk_full", "The disk is\nfull.", "Make room."),
            HealthReason(HealthLevel.DEGRADED, "server_slow", "It is slow.", "Buy."),
            NOTICE,
        ),
    ),
)


def test_one_line_for_monitoring_has_the_verdict_and_figures() -> None:
    assert check_line(FINE.health, FINE) == (
        "CHATMAIL FINE - 7 accounts, 6 connections, 0 waiting for others"
        " | accounts=7 connections=6 queue=0 disk_free=0B exists_p99=3.5ms"
    )
    assert check_line(BROKEN.health, BROKEN).startswith("CHATMAIL BROKEN - The disk is full. | accounts=7")
    assert check_line(BROKEN.health, None) == "CHATMAIL BROKEN - The disk is full."


def test_a_look_begins_with_the_verdict_and_what_to_do() -> None:
    lines = status_text(BROKEN).splitlines()
    assert lines[0] == "BROKEN  chat.example, chatmail 1.0, up 1 day, 1:01:01"
    assert "  → Make room." in lines and "  note: A peer | is away." in lines
    assert any(line.startswith("refused       9 too_big, 2 too_fast") for line in lines)
    assert "to the phone 1.0 ms (p99 3.5)" in status_text(FINE)


def test_of_a_server_that_is_down_the_last_words_are_shown() -> None:
    text = down_text(ServerDown("It is stopped.", "Start it.", log_lines=("Error: Port 25.",)))
    assert text == "BROKEN\n  It is stopped.\n  → Start it.\n\nIts last words:\n  Error: Port 25.\n"
