"""Numbers, sizes and times in words, and drawings of them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from installer.dashboard import charts, wording
from installer.dashboard.line import both_ends, line
from installer.dashboard.screens.log import new_lines

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59, "59 s"), (60, "1 min"), (3599, "59 min"), (3600, "1 h"), (3720, "1 h 2 min"), (86400, "1 d"),
     (90000, "1 d 1 h"), (864000, "10 d"), (867600, "10 d"), (-5, "0 s")],
)  # fmt: skip
def test_a_span_is_said_in_its_largest_units(seconds: float, words: str) -> None:
    assert wording.span(seconds) == words


def test_moments_are_said_from_now() -> None:
    assert wording.ago(NOW - timedelta(seconds=5), NOW) == "just now"
    assert wording.ago(NOW - timedelta(minutes=5), NOW) == "5 min ago"
    assert wording.ago(None, NOW) == "never"
    assert wording.until(NOW + timedelta(seconds=34), NOW) == "in 30 s"
    assert wording.until(NOW - timedelta(seconds=1), NOW) == "now"
    assert wording.until(None, NOW) == "-"


@pytest.mark.parametrize(
    ("number", "words"), [(0, "0"), (1283, "1,283"), (999_999, "999,999"), (1_234_567, "1.2 M"), (2**40, "1.1 T")]
)
def test_counts_stay_short(number: int, words: str) -> None:
    assert wording.count(number) == words


@pytest.mark.parametrize(
    ("size", "words"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 KiB"), (2**20, "1.0 MiB"), (950 * 2**20, "950 MiB")]
)
def test_sizes_have_three_digits_and_a_unit(size: int, words: str) -> None:
    assert wording.size(size) == words


def test_milliseconds_become_seconds_when_they_are_many() -> None:
    assert [wording.milliseconds(value) for value in (None, 0.84, 9.94, 84.2, 1234.0)] == [
        "-", "0.8 ms", "9.9 ms", "84 ms", "1.2 s",
    ]  # fmt: skip


@given(st.lists(st.one_of(st.none(), st.floats(0, 1e9)), max_size=400), st.integers(1, 200), st.integers(1, 12))
def test_a_chart_is_as_large_as_it_was_asked_to_be(values: list[float | None], width: int, height: int) -> None:
    rows = charts.columns(values, width, height)
    assert [len(row) for row in rows] == [width] * height


def test_a_chart_shows_little_as_something_and_gaps_as_gaps() -> None:
    assert charts.columns([0.0, 1.0, 1000.0, None, 500.0], 5, 1) == ["▁▁█·▄"]
    assert charts.columns([1.0, 1000.0, 500.0], 3, 2) == [" █ ", "▁██"]
    assert charts.columns([1.0], 4, 1) == ["   █"]
    assert charts.columns([], 3, 2) == ["   ", "   "]


@given(st.floats(-1, 2), st.integers(1, 60))
def test_a_bar_has_its_width(share: float, width: int) -> None:
    filled, empty = charts.bar(share, width)
    assert len(filled) + len(empty) == width


@given(st.lists(st.text(max_size=20), max_size=5), st.integers(1, 60))
def test_a_line_is_made_to_fit(texts: list[str], width: int) -> None:
    fitted = line(*(wording.printable(text) for text in texts)).fitted(width)
    assert fitted.width == width


def test_what_does_not_fit_at_the_end_is_left_out() -> None:
    assert both_ends(line("left"), line("right"), 12).plain == "left   right"
    assert both_ends(line("left"), line("right"), 9).plain == "left"


def test_new_lines_of_a_log_are_those_after_the_common_end() -> None:
    assert new_lines((), ("a", "b")) == ("a", "b")
    assert new_lines(("a", "b", "c"), ("b", "c", "d")) == ("d",)
    assert new_lines(("a", "b"), ("a", "b")) == ()
    assert new_lines(("a", "b"), ("x", "y")) == ("x", "y")
