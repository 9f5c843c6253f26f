"""The page on the settings: good defaults, a hint for each, and a sentence for what cannot be."""

from pathlib import Path

from textual.widgets import Input

from installer.wizard.journey import Step
from tests.support.screen_snapshot import Snapshots
from tests.support.wizard_door import FakeDoor
from tests.support.wizard_pilot import LARGE, NARROW, SMALL, look, shows, wizard_at

SNAPSHOTS = Snapshots(Path(__file__))


async def test_enter_takes_the_defaults() -> None:
    async with wizard_at(Step.SETTINGS, FakeDoor()) as (app, pilot):
        before = app.journey.answers
        await look(SNAPSHOTS, pilot, "empty", SMALL, LARGE, NARROW)
        await pilot.press("enter")
        assert app.present_step() is Step.DNS and app.journey.answers == before


async def test_each_field_explains_itself_and_is_kept() -> None:
    async with wizard_at(Step.SETTINGS, FakeDoor()) as (app, pilot):
        app.screen.query_one("#registration").focus()
        await pilot.press("right")
        await shows(pilot, "Invited: only with a link", "(•) invited people")
        await look(SNAPSHOTS, pilot, "working")
        app.screen.query_one("#delete_mails_after", Input).value = "5"
        app.screen.query_one("#max_mailbox_size", Input).value = "100"
        app.screen.query_one("#admin", Input).value = "me@example.org"
        await pilot.press("enter")
        answers = app.journey.answers
        assert (answers.registration, answers.delete_mails_after) == ("invite", 5)
        assert (answers.max_mailbox_size, answers.admin) == (100 * 1024 * 1024, "mailto:me@example.org")


async def test_what_cannot_be_is_said_and_holds_enter() -> None:
    async with wizard_at(Step.SETTINGS, FakeDoor()) as (app, pilot):
        app.screen.query_one("#delete_mails_after", Input).value = "soon"
        await shows(pilot, "Keep messages for: Type a whole number of days from 1 to 36500.")
        await look(SNAPSHOTS, pilot, "failed")
        await pilot.press("enter")
        assert app.present_step() is Step.SETTINGS
        assert app.focused is app.screen.query_one("#delete_mails_after")


async def test_the_contact_is_shown_as_it_was_typed() -> None:
    async with wizard_at(Step.SETTINGS, FakeDoor(), admin="mailto:me@example.org") as (app, pilot):
        assert app.screen.query_one("#admin", Input).value == "me@example.org"
        await pilot.press("enter")
        assert app.journey.answers.admin == "mailto:me@example.org"
