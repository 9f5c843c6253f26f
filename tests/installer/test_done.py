"""The last page: the self-test, the code, and what is worth remembering."""

from pathlib import Path

from chatmail import api
from installer.wizard.journey import Step
from tests.support.qr_reader import read_code
from tests.support.screen_snapshot import Snapshots
from tests.support.wizard_door import FakeDoor, badly_tested
from tests.support.wizard_pilot import LARGE, NARROW, SMALL, look, seen, shows, wizard_at

SNAPSHOTS = Snapshots(Path(__file__))


async def test_the_server_is_tested_while_the_code_can_be_scanned() -> None:
    door = FakeDoor()
    door.hold("doctor")
    async with wizard_at(Step.DONE, door) as (app, pilot):
        await shows(pilot, "Testing the server", "https://chat.example.net/", "chatmail doctor", "▄▄▄▄▄")
        await look(SNAPSHOTS, pilot, "working")
        door.release("doctor")
        await shows(pilot, "All 12 tests passed.")
        await look(SNAPSHOTS, pilot, "done", SMALL, LARGE, NARROW)
        await pilot.press("enter")
    assert app.return_value == 0 and app.farewell is not None
    assert app.farewell.how


async def test_what_failed_comes_first_with_its_remedy_and_can_be_tested_again() -> None:
    door = FakeDoor(tests=badly_tested())
    async with wizard_at(Step.DONE, door) as (_app, pilot):
        await shows(pilot, "1 of 12 tests failed", "25 does not answer.", "Let it in at your firewall.")
        await look(SNAPSHOTS, pilot, "failed")
        door.tests = FakeDoor().tests
        await pilot.click("#again")
        await shows(pilot, "All 12 tests passed.")


async def test_the_code_stands_alone_on_a_key(tmp_path: Path) -> None:
    async with wizard_at(Step.DONE, FakeDoor(), size=NARROW) as (app, pilot):
        await shows(pilot, "All 12 tests passed.", "Press Q for a code to scan")
        await pilot.press("q")
        await shows(pilot, "▄▄▄▄▄")
        assert read_code(seen(app), tmp_path) == "dcaccount:https://chat.example.net/new"
        await look(SNAPSHOTS, pilot, "code", SMALL, NARROW)
        await pilot.press("x")
        await shows(pilot, "All 12 tests passed.")
        assert app.present_step() is Step.DONE


async def test_a_code_that_has_no_room_beside_the_rest_is_not_cut_but_shown_on_a_key(tmp_path: Path) -> None:
    name = f"{'long-' * 6}name.of-a-server.example.net"
    async with wizard_at(Step.DONE, FakeDoor(), mail_domain=name) as (app, pilot):
        await shows(pilot, "All 12 tests passed.", "Press Q for a code to scan", "Q Code")
        assert "▄▄▄▄▄" not in seen(app)
        await pilot.press("q")
        await shows(pilot, "▄▄▄▄▄")
        assert read_code(seen(app), tmp_path) == f"dcaccount:https://{name}/new"
        await pilot.press("escape")
        await pilot.resize_terminal(*LARGE)
        await shows(pilot, "Scan this with Delta Chat", "▄▄▄▄▄")


async def test_where_not_everybody_may_have_an_account_there_is_no_code_but_a_word() -> None:
    async with wizard_at(Step.DONE, FakeDoor(), registration="invite") as (app, pilot):
        await shows(pilot, "chatmail registration invite", "All 12 tests passed.")
        assert "▄▄▄▄▄" not in seen(app)
        await look(SNAPSHOTS, pilot, "invite", SMALL)


def test_the_code_of_an_address_fits_a_small_window() -> None:
    link = api.sign_up_link(api.config_of(api.Answers("203.0.113.5", tls_mode="self-signed")))
    lines = api.qr_code(link).splitlines()
    assert len(lines) <= 24 and max(map(len, lines)) <= 80
