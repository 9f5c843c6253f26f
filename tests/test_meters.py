from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatmail.meters import BUCKETS, WINDOW_MINUTES, Latency, Meters


def test_percentiles_are_right_within_a_fifth() -> None:
    latency = Latency()
    for milliseconds in range(1, 1001):
        latency.record(milliseconds / 1000)
    lately = latency.lately()
    assert lately.samples == 1000
    assert lately.p50_ms == pytest.approx(500, rel=0.2)
    assert lately.p90_ms == pytest.approx(900, rel=0.2)
    assert lately.p99_ms == pytest.approx(990, rel=0.2)


@given(st.lists(st.floats(min_value=0, max_value=1e6), min_size=1, max_size=200))
def test_percentiles_ascend_and_nothing_is_lost(seconds: list[float]) -> None:
    latency = Latency()
    for one in seconds:
        latency.record(one)
    lately = latency.lately()
    assert lately.samples == len(seconds) == sum(latency.since_start())
    assert lately.p50_ms is not None and lately.p90_ms is not None and lately.p99_ms is not None
    assert 0 <= lately.p50_ms <= lately.p90_ms <= lately.p99_ms


def test_what_is_older_than_the_window_is_forgotten_but_counted_since_the_start() -> None:
    latency = Latency()
    latency.record(0.010)
    assert latency.end_minute().samples == 1
    for _ in range(WINDOW_MINUTES - 1):
        assert latency.end_minute().samples == 0
    assert latency.lately().samples == 1
    latency.end_minute()
    assert latency.lately().samples == 0 and latency.lately().p99_ms is None
    assert sum(latency.since_start()) == 1 and len(latency.since_start()) == BUCKETS
    assert latency.sum_seconds == 0.010


def test_refusals_are_counted_by_reason() -> None:
    meters = Meters()
    for reason in ("too_fast", "too_big", "too_fast"):
        meters.refuse(reason)
    assert meters.refusals == {"too_fast": 2, "too_big": 1} and meters.refused == 3


def test_a_store_that_takes_a_message_has_no_trouble_any_more() -> None:
    meters, noon = Meters(), datetime(2026, 5, 4, 12, tzinfo=UTC)
    meters.fail_store("no space left", noon)
    assert (meters.store_error, meters.store_error_at) == ("no space left", noon)
    meters.stored(0.002)
    assert meters.store_error == "" and meters.durable.lately().samples == 1


def test_a_message_that_left_is_remembered_with_its_time() -> None:
    meters, noon = Meters(), datetime(2026, 5, 4, 12, tzinfo=UTC)
    meters.delivered_out(noon)
    assert (meters.outbound, meters.outbound_at) == (1, noon)
