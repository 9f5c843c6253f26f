"""The page on the DNS records: watched until they are right, in three forms, never passed by accident."""

from pathlib import Path

from textual.widgets import Input

from chatmail import api
from installer.wizard.journey import Step, first_journey
from installer.wizard.widgets.record_table import RecordTable
from tests.support.screen_snapshot import Snapshots
from tests.support.wizard_door import ADDRESS, DOMAIN, FakeDoor
from tests.support.wizard_pilot import LARGE, NARROW, SMALL, look, seen, shows, until, wizard_at

SNAPSHOTS = Snapshots(Path(__file__))


async def test_records_turn_from_red_to_green_while_the_page_watches() -> None:
    door = FakeDoor()
    door.hold("dns")
    door.hold("check")
    async with wizard_at(Step.DNS, door) as (app, pilot):
        app.dns_interval_seconds = 0.05
        await look(SNAPSHOTS, pilot, "empty", SMALL)
        door.release("dns")
        await shows(pilot, f"Asking the name servers of {DOMAIN}")
        await look(SNAPSHOTS, pilot, "working")
        door.release("check")
        await shows(pilot, "6 required records are not right yet", "differs", "missing")
        app.dns_interval_seconds = 5.0
        door.right_records = 3
        await pilot.press("l")
        await shows(pilot, "3 required records are not right yet")
        await look(SNAPSHOTS, pilot, "failed", SMALL, LARGE, NARROW)
        door.right_records = 99
        await pilot.press("l")
        await shows(pilot, "All 13 records are right.")
        await look(SNAPSHOTS, pilot, "done")
        door.right_records = 1
        await pilot.press("l")
        await shows(pilot, "5 required records are not right yet")
        door.right_records = 8
        await pilot.press("l")
        await shows(pilot, "All required records are right; 5 recommended are not yet.")
        await pilot.press("enter")
        assert app.present_step() is Step.CERTIFICATE


async def test_it_looks_again_by_itself() -> None:
    door = FakeDoor()
    async with wizard_at(Step.DNS, door) as (app, pilot):
        await shows(pilot, "6 required records are not right yet")
        app.dns_interval_seconds = 0.01
        await pilot.press("l")
        door.right_records = 99
        await shows(pilot, "All 13 records are right.")


async def test_nobody_passes_by_accident_but_a_clear_yes_does() -> None:
    async with wizard_at(Step.DNS, FakeDoor()) as (app, pilot):
        await shows(pilot, "6 required records are not right yet")
        await pilot.press("enter")
        await shows(pilot, "Go on without these records?", "Wait for the records")
        await shows(pilot, "Not right yet: A @, MX @, TXT chatmail._domainkey, CNAME", "Until they are:")
        await look(SNAPSHOTS, pilot, "question", SMALL, NARROW)
        await pilot.press("enter")
        assert app.present_step() is Step.DNS
        await pilot.press("enter", "y")
        assert app.present_step() is Step.CERTIFICATE


async def test_one_key_goes_through_the_three_renderings() -> None:
    async with wizard_at(Step.DNS, FakeDoor()) as (_app, pilot):
        await shows(pilot, "short names", " mta-sts ")
        await pilot.press("r")
        await shows(pilot, "full names", f" mta-sts.{DOMAIN} ")
        await pilot.press("r")
        await shows(pilot, "zone file", f"mta-sts.{DOMAIN}.", '"v=STSv1;')
        await look(SNAPSHOTS, pilot, "zone", SMALL)
        await pilot.press("r")
        await shows(pilot, "short names")


async def test_the_record_under_the_cursor_is_shown_whole_and_can_be_copied() -> None:
    async with wizard_at(Step.DNS, FakeDoor(), size=LARGE) as (app, pilot):
        await shows(pilot, "6 required records are not right yet")
        await pilot.press("down", "down")
        await shows(pilot, "t=s", "Publishes the key that proves your messages are yours")
        await look(SNAPSHOTS, pilot, "details", SMALL, LARGE)
        await pilot.press("c")
        await shows(pilot, "✓ Copied, if your terminal allows it: v=DKIM1;")
        assert app.clipboard.startswith("v=DKIM1;k=rsa;p=") and app.clipboard.endswith("t=s")
        await pilot.press("n")
        assert app.clipboard == "chatmail._domainkey"


async def test_one_key_saves_the_zone(tmp_path: Path) -> None:
    async with wizard_at(Step.DNS, FakeDoor()) as (app, pilot):
        await shows(pilot, "6 required records are not right yet")
        await pilot.press("s")
        await shows(pilot, "Save the records as a zone file")
        app.screen.query_one(Input).value = str(tmp_path / "missing" / "x" / "zone")
        await pilot.press("enter")
        await shows(pilot, "cannot be written")
        await pilot.press("s")
        app.screen.query_one(Input).value = str(tmp_path / "zone")
        await pilot.press("enter")
        await until(pilot, (tmp_path / "zone").exists)
        assert f"{DOMAIN}. 3600 IN MX 10 {DOMAIN}." in (tmp_path / "zone").read_text()


async def test_behind_a_nat_the_operator_says_the_address() -> None:
    async with wizard_at(Step.DNS, FakeDoor(addresses=())) as (app, pilot):
        await shows(pilot, "This machine knows no public address of its own")
        await pilot.press("a")
        app.screen.query_one(Input).value = f"{ADDRESS}, 2001:db8::5"
        await pilot.press("enter")
        await shows(pilot, "AAAA", "2001:db8::5")
        assert "knows no public address" not in seen(app)


async def test_without_a_resolver_it_says_so_and_tries_again() -> None:
    sentence = "This machine names no DNS resolver in /etc/resolv.conf."
    door = FakeDoor(dns_error=sentence)
    async with wizard_at(Step.DNS, door) as (app, pilot):
        await shows(pilot, sentence)
        await look(SNAPSHOTS, pilot, "silent", SMALL)
        door.dns_error, door.right_records = "", 99
        app.dns_interval_seconds = 0.01
        await pilot.press("l")
        await shows(pilot, "All 13 records are right.")


async def test_the_cursor_stands_at_what_is_not_right_until_somebody_moves_it() -> None:
    door = FakeDoor(right_records=2)
    async with wizard_at(Step.DNS, door) as (app, pilot):
        table = app.screen.query_one(RecordTable)
        await shows(pilot, "4 required records are not right yet")
        assert table.highlighted == 2
        door.right_records = 4
        await pilot.press("l")
        await shows(pilot, "2 required records are not right yet")
        assert table.highlighted == 4
        await pilot.press("up", "up")
        door.right_records = 5
        await pilot.press("l")
        await shows(pilot, "One required record is not right yet")
        assert table.highlighted == 2


async def test_records_below_the_window_are_announced_and_reached_from_the_button() -> None:
    async with wizard_at(Step.DNS, FakeDoor()) as (app, pilot):
        await shows(pilot, "6 required records are not right yet", "more below: PgDn")
        await pilot.press("tab", "tab")
        assert app.focused is app.screen.query_one("#next")
        await pilot.press("pagedown", "pagedown", "pagedown")
        await shows(pilot, "▸ ▲ advised", "more above: PgUp")


async def test_what_is_still_spreading_is_not_called_right_for_everybody() -> None:
    async with wizard_at(Step.DNS, FakeDoor(right_records=99, old_values=("198.51.100.9",))) as (_app, pilot):
        await shows(pilot, "All 13 records are right. 1 still spreading: for up to an hour some may see the old value.")
        await shows(pilot, "▸ ~ spreading A", "Seen 198.51.100.9", "Right at the source, not yet seen by everybody")
        await shows(pilot, "Until then the certificate authority and phones may see the old value.")
        await look(SNAPSHOTS, pilot, "spreading", SMALL)


async def test_values_of_several_parts_are_explained() -> None:
    async with wizard_at(Step.DNS, FakeDoor(), size=LARGE) as (_app, pilot):
        await shows(pilot, "6 required records are not right yet")
        await pilot.press("down")
        await shows(pilot, f"Where the form has fields: priority 10, server {DOMAIN}.")
        await pilot.press("end", "up")
        await shows(pilot, f"priority 0, weight 1, port 143, target {DOMAIN}.")


async def test_the_name_style_outlives_the_page_and_the_installer() -> None:
    door = FakeDoor()
    async with wizard_at(Step.SETTINGS, door) as (_app, pilot):
        await pilot.press("enter")
        await shows(pilot, "6 required records are not right yet")
        await pilot.press("r")
        await shows(pilot, "Name style: full names")
        await pilot.press("escape", "enter")
        await shows(pilot, "Name style: full names")
    assert door.remembered[-1][1] == Step.DNS
    assert first_journey(door.state, {}).name_style is api.RecordRendering.FULL_NAMES
