"""The page that installs: the plan first, then progress; and what is said when it stops."""

from pathlib import Path

from textual.pilot import Pilot

from chatmail import api
from installer.wizard.app import WizardApp
from installer.wizard.journey import Step
from tests.support.screen_snapshot import Snapshots
from tests.support.wizard_door import FakeDoor
from tests.support.wizard_pilot import LARGE, NARROW, SMALL, look, shows, until, wizard_at

SNAPSHOTS = Snapshots(Path(__file__))
LOG = (
    "2026-11-25T09:31:02Z error: Port 25 is used by another program (master, pid 812).",
    "2026-11-25T09:31:02Z error: The server cannot start; end that program, or set smtp = 0 in [listen].",
)


async def read_on(app: WizardApp, pilot: Pilot[int]) -> None:
    """By Enter, to the end of the plan."""
    await shows(pilot, "Read on to the end")
    await pilot.press("enter")
    await shows(pilot, "Enter Install now")
    # A button takes a second Enter only when it has come up again.
    await until(pilot, lambda: not app.screen.query_one("#next").has_class("-active"))


async def test_the_plan_comes_first_and_enter_does_it() -> None:
    door = FakeDoor()
    door.hold("plan")
    door.hold("install")
    async with wizard_at(Step.INSTALL, door) as (app, pilot):
        await shows(pilot, "Making the plan")
        await look(SNAPSHOTS, pilot, "empty", SMALL)
        door.release("plan")
        await shows(pilot, "13 of 13 lines change something. Read on to the end", "more below: PgDn")
        await look(SNAPSHOTS, pilot, "plan", SMALL, NARROW)
        await read_on(app, pilot)
        await shows(pilot, "Enter installs. 13 of 13 lines change something.", "Enabled and started.")
        await look(SNAPSHOTS, pilot, "read", SMALL)
        assert not door.installed
        await pilot.press("enter")
        await shows(pilot, "› working Write the configuration")
        await look(SNAPSHOTS, pilot, "working")
        await pilot.press("escape")
        assert app.present_step() is Step.INSTALL
        door.release("install")
        await until(pilot, lambda: app.present_step() is Step.DONE)
        assert door.installed[0].config.mail_domain == "chat.example.net"


async def test_a_server_that_does_not_start_shows_its_last_words_and_can_be_tried_again() -> None:
    error = api.InstallError(
        "The server did not start; its last words are below.", "start", api.LeftBehind.RESUMABLE, LOG
    )
    door = FakeDoor(install_error=error)
    async with wizard_at(Step.INSTALL, door) as (app, pilot):
        await read_on(app, pilot)
        await pilot.press("enter")
        await shows(pilot, "The server did not start", "Port 25 is used by another program", "goes on from there")
        await look(SNAPSHOTS, pilot, "failed", SMALL, LARGE, NARROW)
        door.install_error = None
        await pilot.press("enter")
        await until(pilot, lambda: app.present_step() is Step.DONE)


async def test_a_full_disk_says_what_is_left() -> None:
    sentence = "The disk is full; make some space and run this again."
    door = FakeDoor(install_error=api.InstallError(sentence, "user", api.LeftBehind.PREVIOUS))
    async with wizard_at(Step.INSTALL, door) as (app, pilot):
        await read_on(app, pilot)
        await pilot.press("enter")
        await shows(pilot, sentence, "Everything is as it was before.")


async def test_ctrl_c_stops_between_two_steps_and_enter_goes_on() -> None:
    door = FakeDoor()
    door.hold("install")
    async with wizard_at(Step.INSTALL, door) as (app, pilot):
        await read_on(app, pilot)
        await pilot.press("enter")
        await shows(pilot, "› working Write the configuration")
        await pilot.press("ctrl+c")
        await shows(pilot, "Stop installing?")
        await look(SNAPSHOTS, pilot, "stopping", SMALL)
        await pilot.press("y")
        door.release("install")
        await shows(pilot, "You stopped it.", "goes on from there")
        assert not door.installed
        await pilot.press("enter")
        await until(pilot, lambda: app.present_step() is Step.DONE)


async def test_a_plan_that_cannot_be_made_says_why() -> None:
    sentence = "This machine is set up for other.example.net; its addresses would be lost."
    async with wizard_at(Step.INSTALL, FakeDoor(plan_error=sentence)) as (app, pilot):
        await shows(pilot, sentence, "Try again")
        await pilot.press("escape")
        assert app.present_step() is Step.CERTIFICATE


async def test_where_the_whole_plan_is_in_sight_enter_installs_at_once() -> None:
    async with wizard_at(Step.INSTALL, FakeDoor(), size=LARGE) as (_app, pilot):
        await shows(pilot, "Enter installs. 13 of 13 lines change something.")
        await look(SNAPSHOTS, pilot, "plan", LARGE)


async def test_the_plan_is_read_by_arrows_and_pages_too_and_stays_read() -> None:
    async with wizard_at(Step.INSTALL, FakeDoor()) as (app, pilot):
        await shows(pilot, "Read on to the end")
        await pilot.press("down")
        assert app.screen.query_one("#plan").scroll_offset.y == 1
        await pilot.press("pagedown", "pagedown")
        await shows(pilot, "Enter installs", "more above")
        await pilot.press("pageup", "pageup")
        await shows(pilot, "Enter installs", "more below", "Enter Install now")
