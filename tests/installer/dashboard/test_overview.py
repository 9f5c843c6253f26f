"""The overview in every state and at three sizes, as it looks."""

from pathlib import Path

import pytest

from installer.dashboard.app import Dashboard
from tests.installer.dashboard.seen import LARGE, LARGEST, SMALL, seen
from tests.support import fake_source
from tests.support.fake_source import FakeSource
from tests.support.screen_snapshot import Snapshots

SNAPSHOTS = Snapshots(Path(__file__))
SIZES = (SMALL, LARGE, LARGEST)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("state", ["fine", "degraded", "broken"])
async def test_the_overview_says_in_one_look_how_the_relay_is(state: str, size: tuple[int, int]) -> None:
    async with seen(FakeSource(getattr(fake_source, state)()), size) as shown:
        await SNAPSHOTS.check(shown.pilot, state)


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_a_server_that_is_down_is_shown_with_its_last_words(size: tuple[int, int]) -> None:
    async with seen(FakeSource(None), size) as shown:
        await SNAPSHOTS.check(shown.pilot, "down")


async def test_a_server_that_has_just_begun_has_nothing_to_say_yet() -> None:
    async with seen(FakeSource(fake_source.empty())) as shown:
        await SNAPSHOTS.check(shown.pilot, "empty")


async def test_forty_columns_show_one_panel_below_the_other() -> None:
    async with seen(FakeSource(fake_source.fine()), (40, 24)) as shown:
        await SNAPSHOTS.check(shown.pilot, "narrow")


async def test_a_light_terminal_gets_the_light_theme(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLORFGBG", "0;15")
    async with seen(FakeSource(fake_source.degraded())) as shown:
        await SNAPSHOTS.check(shown.pilot, "light")


async def test_without_colour_words_and_signs_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with seen(FakeSource(fake_source.broken())) as shown:
        await SNAPSHOTS.check(shown.pilot, "no_color")


async def test_a_reader_sees_the_same_without_actions_and_is_told_why() -> None:
    source = FakeSource(
        fake_source.degraded(), read_only_because="You may look, only root may act: sudo chatmail status"
    )
    async with seen(source) as shown:
        await SNAPSHOTS.check(shown.pilot, "read_only")
        await shown.press("g", "e", "c", "s")
        assert len(shown.app.screen_stack) == 1
        assert source.asked == []


async def test_a_terminal_that_grows_gains_panels() -> None:
    async with seen(FakeSource(fake_source.fine())) as shown:
        assert "Other servers" not in shown.text
        await shown.pilot.resize_terminal(*LARGE)
        await shown.settle()
        assert "Other servers" in shown.text
        await shown.pilot.resize_terminal(*SMALL)
        await shown.settle()
        assert "Other servers" not in shown.text


def test_the_names_of_pages_stand_in_the_order_of_their_keys() -> None:
    from installer.dashboard.widgets.tab_bar import TabBar

    assert list(TabBar.PAGES) == list(Dashboard.MODES)
