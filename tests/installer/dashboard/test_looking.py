"""How the dashboard keeps looking: what is redrawn, what is shown without a server, and with hostile texts."""

import asyncio
from dataclasses import replace
from datetime import timedelta

from textual.geometry import Region

from installer.dashboard.app import Dashboard
from installer.dashboard.widgets.people import People
from installer.dashboard.widgets.speed import Speed
from tests.installer.dashboard.seen import seen
from tests.support import fake_source
from tests.support.fake_source import FakeClock, FakeSource


async def test_a_server_that_stops_is_said_to_be_down_and_comes_back_by_itself() -> None:
    async with seen(FakeSource(fake_source.fine())) as shown:
        shown.source.snapshot_now = None
        await shown.pass_by()
        await shown.shows("✖ DOWN")
        await shown.shows("port 25 is taken by postfix")
        assert "1,283" not in shown.text
        shown.source.snapshot_now = fake_source.fine()
        await shown.pass_by()
        await shown.shows("✔ FINE")
        await shown.shows("1,283")


async def test_systemd_is_asked_less_often_than_the_server() -> None:
    async with seen(FakeSource(None)) as shown:
        for _second in range(6):
            await shown.pass_by()
        assert shown.source.outages_told == 3


async def test_only_lines_that_changed_are_drawn_again() -> None:
    async with seen(FakeSource(fake_source.fine())) as shown:
        drawn: list[tuple[str, tuple[Region, ...]]] = []
        for panel in (shown.app.screen.query_one(People), shown.app.screen.query_one(Speed)):
            name, refresh = type(panel).__name__, panel.refresh

            def noted(*regions: Region, _name: str = name, _refresh: object = refresh, **_more: object) -> None:
                drawn.append((_name, regions))

            panel.refresh = noted  # type: ignore[method-assign,assignment]
        before = fake_source.fine()
        later = before.taken_at + timedelta(seconds=1)
        shown.source.snapshot_now = replace(before, taken_at=later, sessions=replace(before.sessions, imap=400))
        await shown.pass_by()
        [(name, regions)] = drawn
        assert name == "People"
        assert [region.y for region in regions] == [2]


async def test_the_log_follows_and_keeps_what_was_read() -> None:
    async with seen(FakeSource(fake_source.fine())) as shown:
        await shown.press("6")
        await shown.pass_by()
        await shown.shows("postfix")
        shown.source.log = (*shown.source.log[1:], "a new line")
        await shown.pass_by(2)
        assert shown.text.count("postfix") == 1
        await shown.shows("a new line")


async def test_what_another_server_said_cannot_command_the_terminal() -> None:
    hostile = fake_source.waiting_because("\x1b]0;owned\x07\x1b[2J550 [bold]no[/bold] \u202eevil")
    async with seen(FakeSource(hostile)) as shown:
        for keys in ("1", "2", "enter"):
            await shown.press(keys)
            assert "\x1b" not in shown.text
            assert "\u202e" not in shown.text
        await shown.press("escape")
        await shown.shows("[bold]no[/bold]")


async def test_the_wheel_of_pages_turns_by_key_and_by_mouse() -> None:
    async with seen(FakeSource(fake_source.degraded())) as shown:
        for key, word in zip(
            "234561", ("Next", "Deferred", "Look up", "TXT different", "Starting", "Speed"), strict=True
        ):
            await shown.press(key)
            await shown.pass_by(5)
            await shown.shows(word)
        await shown.pilot.click(offset=(20, 0))
        await shown.settle()
        await shown.shows("Next")


async def test_the_app_leaves_when_its_line_breaks() -> None:
    app = Dashboard(FakeSource(fake_source.fine()), FakeClock(), terminal_is_gone=lambda: True)
    async with asyncio.timeout(20):
        await app.run_async(headless=True)
