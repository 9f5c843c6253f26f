"""The first page: the look at the machine, and what can be done with what is found."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chatmail import api
from chatmail.installation import findings
from installer.wizard.journey import Course, Step
from installer.wizard.marks import Mark
from installer.wizard.widgets.check_list import CheckList
from tests.support.screen_snapshot import Snapshots
from tests.support.wizard_door import (
    DOMAIN,
    NOTHING_INSTALLED,
    FakeDoor,
    fine_checks,
    poor_checks,
    stopping_checks,
)
from tests.support.wizard_pilot import NARROW, SMALL, look, seen, shows, until, wizard_at

SNAPSHOTS = Snapshots(Path(__file__))
ANSWERS = api.Answers(DOMAIN, delete_mails_after=33)
INSTALLED = replace(
    NOTHING_INSTALLED,
    installed=True,
    complete=True,
    version=api.VERSION,
    mail_domain=DOMAIN,
    steps_done=tuple(api.INSTALL_STEPS),
    active=True,
    enabled=True,
    answers=ANSWERS,
)
LEFT_AT_DNS = replace(
    NOTHING_INSTALLED, installed=True, answers=ANSWERS, step="DNS", kept_at=datetime(2026, 11, 25, 9, 10, tzinfo=UTC)
)
LEFT_CHECKS = [
    findings.judge_existing("", False, "", False) if check.name == "installation" else check for check in fine_checks()
]


async def test_checks_appear_while_the_machine_is_looked_at_and_then_enter_goes_on() -> None:
    door = FakeDoor()
    door.hold("preflight")
    async with wizard_at(Step.WELCOME, door) as (app, pilot):
        await shows(pilot, "Looking at this machine", "The processor is x86_64.")
        await look(SNAPSHOTS, pilot, "working")
        await pilot.press("enter")
        assert app.present_step() is Step.WELCOME
        door.release("preflight")
        await shows(pilot, "this machine is ready")
        await look(SNAPSHOTS, pilot, "done")
        await pilot.press("enter")
        assert app.present_step() is Step.DOMAIN


async def test_what_needs_a_look_comes_first_and_does_not_stop() -> None:
    async with wizard_at(Step.WELCOME, FakeDoor(checks=poor_checks())) as (app, pilot):
        await shows(pilot, "3 things need a look, but nothing stops you", "ufw allow proto tcp")
        await look(SNAPSHOTS, pilot, "warnings", SMALL, (120, 40), NARROW)
        await pilot.press("enter")
        assert app.present_step() is Step.DOMAIN


async def test_what_stops_says_the_remedy_and_enter_looks_again() -> None:
    door = FakeDoor(checks=stopping_checks())
    async with wizard_at(Step.WELCOME, door) as (app, pilot):
        await shows(pilot, "2 things must be mended first")
        await shows(pilot, "Run: sudo python3 chatmail.pyz", "systemctl disable --now postfix.service")
        await look(SNAPSHOTS, pilot, "failed")
        door.checks = FakeDoor().checks
        await pilot.press("enter")
        await shows(pilot, "this machine is ready")
        assert app.present_step() is Step.WELCOME


@pytest.mark.parametrize(
    ("keys", "course", "step", "days"),
    [([], Course.REPAIR, Step.INSTALL, 33), (["down"], Course.CHANGE, Step.SETTINGS, 33)],
)
async def test_what_is_installed_can_be_repaired_or_changed(
    keys: list[str], course: Course, step: Step, days: int
) -> None:
    async with wizard_at(Step.WELCOME, FakeDoor(state=INSTALLED)) as (app, pilot):
        await shows(pilot, "Change settings")
        if not keys:
            await look(SNAPSHOTS, pilot, "installed")
        await pilot.press(*keys, "enter")
        assert (app.journey.course, app.present_step()) == (course, step)
        assert app.journey.answers.delete_mails_after == days


async def test_an_installation_that_was_left_goes_on_where_it_was_left() -> None:
    async with wizard_at(Step.WELCOME, FakeDoor(checks=LEFT_CHECKS, state=LEFT_AT_DNS)) as (app, pilot):
        await shows(pilot, f"Your answers for {DOMAIN} are kept (2026-11-25 09:10 UTC); you were at “DNS”.")
        assert "▲" not in seen(app)
        kept = next(row for row in app.screen.query_one(CheckList).rows if row.name == "installation")
        assert (kept.mark, kept.sentence) == (Mark.OK, "Nothing is installed yet; your answers are kept.")
        await look(SNAPSHOTS, pilot, "left")
        await pilot.press("enter")
        assert app.present_step() is Step.DNS


async def test_the_list_follows_what_comes_and_ends_at_what_is_worst() -> None:
    door = FakeDoor(checks=[*FakeDoor().checks * 3, *poor_checks()])
    door.hold("preflight")
    async with wizard_at(Step.WELCOME, door) as (app, pilot):
        rows = app.screen.query_one(CheckList)
        await until(pilot, lambda: rows.scroll_offset.y > 0)
        door.release("preflight")
        await shows(pilot, "3 things need a look")
        await pilot.pause()
        await until(pilot, lambda: rows.scroll_offset.y == 0)
        for _ in range(5):
            await pilot.pause()
            assert rows.scroll_offset.y == 0


async def test_the_list_is_scrolled_without_leaving_the_button_and_says_that_there_is_more() -> None:
    async with wizard_at(Step.WELCOME, FakeDoor(checks=poor_checks())) as (app, pilot):
        await shows(pilot, "3 things need a look", "more below: PgDn")
        rows = app.screen.query_one(CheckList)
        await pilot.press("down")
        assert rows.scroll_offset.y == 1 and app.focused is app.screen.query_one("#next")
        await pilot.press("pagedown", "pagedown", "pagedown")
        await shows(pilot, "more above: PgUp")
        await pilot.press("enter")
        assert app.present_step() is Step.DOMAIN
