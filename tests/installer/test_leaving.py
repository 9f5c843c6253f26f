"""Leaving at any page, faults of our own, narrow windows, no colours, the other theme."""

import asyncio
import threading
from pathlib import Path
from threading import Event

import pytest
from textual._context import NoActiveAppError
from textual.message import Message
from textual.message_pump import MessagePump
from textual.widgets import Input

from chatmail import api
from installer.wizard.journey import Step
from installer.wizard.work import Work
from tests.support.screen_snapshot import Snapshots
from tests.support.wizard_door import FakeDoor
from tests.support.wizard_pilot import LARGE, NARROW, SMALL, look, seen, shows, wizard_at

SNAPSHOTS = Snapshots(Path(__file__))


async def test_ctrl_c_asks_and_enter_stays() -> None:
    async with wizard_at(Step.DOMAIN, FakeDoor()) as (app, pilot):
        await pilot.press("ctrl+c")
        await shows(pilot, "Leave the installer?", "Nothing was changed on this machine.", "sudo python3 chatmail.pyz")
        await look(SNAPSHOTS, pilot, "nothing-changed", SMALL, NARROW)
        await pilot.press("enter")
        assert app.present_step() is Step.DOMAIN and seen(app).count("Leave the installer?") == 0


async def test_whoever_leaves_at_the_dns_page_is_told_how_to_come_back() -> None:
    door = FakeDoor()
    async with wizard_at(Step.SETTINGS, door) as (app, pilot):
        await pilot.press("enter")
        await shows(pilot, "required records are not right yet")
        await pilot.press("ctrl+c")
        await shows(pilot, "your answers are kept", "goes on where you left", "uninstall")
        await look(SNAPSHOTS, pilot, "answers-kept", SMALL)
        await pilot.press("y")
    assert app.return_value == 130
    assert app.farewell is not None and "“DNS”" in app.farewell.left
    assert door.remembered[-1][1] == Step.DNS


@pytest.mark.parametrize("step", [step for step in Step if step is not Step.DONE])
async def test_ctrl_c_twice_leaves_every_page(step: Step) -> None:
    async with wizard_at(step, FakeDoor()) as (app, pilot):
        await pilot.press("ctrl+c", "ctrl+c")
    assert app.return_value == 0 and app.farewell is not None


async def test_what_comes_after_leaving_meets_nobody_and_harms_nothing() -> None:
    async with wizard_at(Step.DOMAIN, FakeDoor()) as (app, pilot):
        await pilot.press("ctrl+c", "ctrl+c")
    app._handle_exception(ValueError("a page that is being taken apart"))
    assert app.bug is None and app.return_value == 0


def test_a_worker_whose_page_is_gone_ends_quietly() -> None:
    asked = Event()

    class Gone(MessagePump):
        def post_message(self, message: Message) -> bool:
            asked.set()
            raise NoActiveAppError

    Work(FakeDoor()).look(Gone(), api.PreflightOptions())
    assert asked.wait(10)
    for thread in threading.enumerate():
        if thread.name == "wizard-work":
            thread.join(10)


async def test_a_bug_of_ours_gives_the_terminal_back_and_is_handed_on() -> None:
    door = FakeDoor()
    door.checks = [*door.checks, None]  # type: ignore[list-item]
    door.hold("preflight")
    with pytest.raises(AttributeError):
        async with wizard_at(Step.WELCOME, door) as (app, _pilot):
            door.release("preflight")
            while app.bug is None:
                await asyncio.sleep(0.01)
    assert app.return_value == 1


async def test_what_cannot_be_remembered_is_said_and_nothing_is_lost() -> None:
    class Full(FakeDoor):
        def remember(self, answers: api.Answers, step: str = "", name_style: str = "") -> None:
            raise api.OperatorError("/opt/chatmail/installation.json cannot be written (No space left on device).")

    async with wizard_at(Step.SETTINGS, Full()) as (app, pilot):
        await pilot.press("enter")
        await shows(pilot, "No space left on device")
        assert app.present_step() is Step.SETTINGS


async def test_the_window_may_change_its_size_while_one_types() -> None:
    async with wizard_at(Step.DOMAIN, FakeDoor(), mail_domain="") as (app, pilot):
        await pilot.press(*"chat.")
        await pilot.resize_terminal(*NARROW)
        await shows(pilot, "A window of 80 columns reads better.")
        await pilot.press(*"example")
        await pilot.resize_terminal(20, 6)
        await pilot.press(*".net")
        await pilot.resize_terminal(*LARGE)
        assert app.screen.query_one(Input).value == "chat.example.net"
        await shows(pilot, "chat.example.net leads to")


async def test_without_colours_all_is_said_by_words_and_symbols(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with wizard_at(Step.DNS, FakeDoor(right_records=2)) as (app, pilot):
        await shows(pilot, "✓ ok", "✗ missing", "▲ advised", "▸ ")
        await look(SNAPSHOTS, pilot, "no-colour", SMALL)
        assert app.no_color


async def test_the_light_theme_is_a_key_away_and_taken_by_itself_in_a_light_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLORFGBG", "0;15")
    async with wizard_at(Step.DNS, FakeDoor(right_records=2)) as (app, pilot):
        await shows(pilot, "required records are not right")
        assert not app.current_theme.dark
        await look(SNAPSHOTS, pilot, "light", SMALL)
        await pilot.press("f2")
        assert app.current_theme.dark
