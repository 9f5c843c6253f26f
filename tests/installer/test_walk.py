"""The whole way through the wizard by keys, with a look at every page."""

from pathlib import Path

import pytest

from installer.wizard.app import WizardApp
from tests.support.screen_snapshot import Snapshots, still
from tests.support.wizard_door import FakeDoor
from tests.support.wizard_pilot import shows

SNAPSHOTS = Snapshots(Path(__file__))


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_walk(size: tuple[int, int]) -> None:
    door = FakeDoor()
    app = still(WizardApp(door=door))
    async with app.run_test(size=size) as pilot:
        await shows(pilot, "ready")
        await SNAPSHOTS.check(pilot, "1-welcome")
        await pilot.press("enter")
        await pilot.press(*"chat.example.org")
        await shows(pilot, "leads to")
        await SNAPSHOTS.check(pilot, "2-domain")
        await pilot.press("enter")
        await SNAPSHOTS.check(pilot, "3-settings")
        await pilot.press("enter")
        await shows(pilot, "not right")
        await SNAPSHOTS.check(pilot, "4-dns")
        door.right_records = 99
        await pilot.press("l")
        await shows(pilot, "are right")
        await SNAPSHOTS.check(pilot, "4-dns-green")
        await pilot.press("enter")
        await SNAPSHOTS.check(pilot, "5-certificate")
        await pilot.press("enter")
        await shows(pilot, "Here it is")
        await SNAPSHOTS.check(pilot, "5-certificate-done")
        await pilot.press("enter")
        await shows(pilot, "Enter installs")
        await SNAPSHOTS.check(pilot, "6-install")
        await pilot.press("enter")
        await shows(pilot, "tests passed")
        await SNAPSHOTS.check(pilot, "7-done")
