"""A rented server on the internet, installed by one command: names, certificate and records are looked up for real."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.machines.machine import OWN_LOAD
from tests.machines.people import chat, two_phones
from tests.machines.test_unattended import EXPECTED_REMARKS, remarks, report, states
from tests.machines.world import ZONE, World, world

pytestmark = [pytest.mark.machines, pytest.mark.timeout(900)]
DOMAIN = f"chat.{ZONE}"
FILE = "/root/chatmail.pyz"
INSTALL = ("python3", FILE, "install", "--yes", "--domain")


@pytest.fixture(params=["bookworm", "trixie"])
def around(request: pytest.FixtureRequest, pyz: Path, tmp_path: Path) -> Iterator[World]:
    """A server nobody has touched."""
    with world(tmp_path, f"mi{request.param[:4]}", request.param) as one:
        one.machine.put(pyz, FILE)
        yield one


def test_one_command_and_its_records_make_a_server_that_phones_find_and_that_leaves_no_trace(
    around: World, tmp_path: Path
) -> None:
    machine = around.machine
    before = machine.files()

    # A name that leads nowhere: everything runs, and it is said what is missing.
    first = machine.run(*INSTALL, DOMAIN, "--json")
    said = report(first.out)
    assert first.code == 4, first.out
    assert f"{DOMAIN} was not proved" in said["certificate"]["error"] and not said["dns"]["ok"], said
    assert states(said["checks"], "stop") == []
    assert remarks(said["checks"]) <= EXPECTED_REMARKS

    around.publish(machine.must("chatmail", "dns", "zone"))
    assert "All records are right." in machine.must("chatmail", "dns", "check")
    second = report(machine.must("chatmail", "install", "--yes", "--json"))
    assert second["certificate"]["names"] == [DOMAIN, f"mta-sts.{DOMAIN}", f"www.{DOMAIN}"]
    assert second["ok"] and second["dns"]["ok"]

    shown = machine.must("chatmail", "install", "--yes")
    assert "nothing was changed" in shown
    found = re.search(r"https://\S+", shown)
    assert found is not None
    with two_phones(around, f"dcaccount:{found[0]}new", tmp_path) as (alice, bob):
        chat(alice, bob, "installed")
        machine.power_off()
        machine.boot()
        chat(alice, bob, "and still there after a reboot")

    checks = report(machine.must("chatmail", "doctor", "--json"))["checks"]
    assert states(checks, "failed") == [] and remarks(checks) <= EXPECTED_REMARKS

    machine.must("chatmail", "uninstall", "--yes", "--remove-data")
    after = machine.files()
    assert {path for path in after if path not in before} == set()
    changed = {path for path in before if after.get(path) != before[path]}
    assert changed <= {"/etc/passwd-", "/etc/group-", "/etc/shadow-", "/etc/gshadow-"}
    # In a container systemd is not told when a control group of version 1 becomes empty, and keeps the name of it.
    unseen = r"\( -path /proc -o -path /sys/fs/cgroup \) -prune"
    left = machine.must("sh", "-c", f"find / {unseen} -o -iname '*chatmail*' -print")
    assert set(left.splitlines()) == {FILE, f"/{OWN_LOAD}".rpartition("/")[0]}


def test_a_server_to_try_out_is_found_by_the_printed_link_alone(around: World, tmp_path: Path) -> None:
    machine, name = around.machine, f"_{DOMAIN}"
    around.publish(f"{name}. IN A {machine.address}\n")
    shown = machine.must(*INSTALL, name)
    found = re.search(r"https://\S+", shown)
    assert found is not None
    with two_phones(around, f"dcaccount:{found[0]}new", tmp_path) as (alice, bob):
        assert alice.address.endswith(f"@{name}")
        chat(alice, bob, "by the link as it is")
