"""Where a COMMIT waits for the disk, by how long the last ones took."""

import pytest

from chatmail.storage.disk_pace import JUDGED_COMMITS, LOCK_SECONDS, MAX_GATHERING_SECONDS, DiskPace


def commits_in_thread(pace: DiskPace, *seconds: float) -> None:
    for each in seconds:
        assert pace.is_slow
        pace.took_in_thread(each)


def test_a_quick_disk_commits_in_the_event_loop_and_waits_for_no_company() -> None:
    pace = DiskPace()
    for _ in range(100):
        pace.took_in_loop(0.0003)
    assert not pace.is_slow
    assert pace.gathering_seconds == 0


def test_one_slow_commit_of_a_quick_disk_is_soon_forgotten_even_beside_a_busy_loop() -> None:
    pace = DiskPace()
    pace.took_in_loop(0.03)
    commits_in_thread(pace, *[LOCK_SECONDS + 0.001] * JUDGED_COMMITS)
    assert not pace.is_slow
    assert pace.gathering_seconds == 0


def test_one_quick_commit_among_slow_ones_says_that_the_disk_can() -> None:
    pace = DiskPace()
    pace.took_in_loop(0.03)
    commits_in_thread(pace, *[0.05] * (JUDGED_COMMITS - 1), 0.001)
    assert not pace.is_slow


@pytest.mark.parametrize("seconds", [0.01, 0.2])
def test_a_slow_disk_never_holds_up_the_loop_a_second_time(seconds: float) -> None:
    pace = DiskPace()
    pace.took_in_loop(seconds)
    commits_in_thread(pace, *[seconds] * (10 * JUDGED_COMMITS))
    assert pace.is_slow
    assert 0 < pace.gathering_seconds <= min(seconds / 10, MAX_GATHERING_SECONDS)


def test_a_disk_that_has_recovered_is_trusted_again() -> None:
    pace = DiskPace()
    pace.took_in_loop(0.2)
    commits_in_thread(pace, *[0.2] * JUDGED_COMMITS, *[0.0005] * JUDGED_COMMITS)
    assert not pace.is_slow
    assert pace.gathering_seconds == 0
