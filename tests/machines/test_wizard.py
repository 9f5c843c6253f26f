"""The wizard as an operator meets it: ssh with a terminal, keys, and a server two phones chat through at the end."""

from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

from installer.wizard.journey import Step
from tests.machines.machine import ADMINISTRATOR
from tests.machines.people import chat, two_phones
from tests.machines.terminal import PROMPT, Terminal, terminal
from tests.machines.test_unattended import EXPECTED_REMARKS, remarks, report, states
from tests.machines.wizard import Walk
from tests.machines.world import ZONE, World, world

pytestmark = [pytest.mark.machines, pytest.mark.timeout(1200)]
DOMAIN = f"chat.{ZONE}"
FILE = f"/home/{ADMINISTRATOR}/chatmail.pyz"


@pytest.fixture(params=["bookworm", "trixie"])
def around(request: pytest.FixtureRequest, pyz: Path, tmp_path: Path) -> Iterator[World]:
    """A server nobody has touched but for the file."""
    with world(tmp_path, f"mw{request.param[:4]}", request.param) as one:
        one.machine.put(pyz, FILE)
        yield one


@pytest.fixture
def seat(around: World, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Terminal]:
    """A terminal at which the administrator has logged in."""
    with terminal(around.machine, request.node.name, tmp_path) as one:
        one.open(ADMINISTRATOR)
        yield one


def test_from_a_bare_machine_to_the_first_chat_and_back(around: World, seat: Terminal, tmp_path: Path) -> None:
    machine, times = around.machine, {"first command": monotonic()}
    # Python and sudo leave things behind when they are first used; that is not ours.
    machine.must("sudo", "-u", ADMINISTRATOR, "sudo", "true")
    before = machine.files()

    def keep(step: Step) -> None:
        seat.keep(f"{list(Step).index(step) + 1}-{step.lower()}")

    walk = Walk(seat, around, DOMAIN, keep)
    walk.begin()
    walk.name()
    walk.set()
    seat.keep("4-dns-red")
    for form in ("full names", "zone file"):
        seat.press("r")
        seat.wait_for(f"Name style: {form}")
        seat.keep(f"4-dns-{form.replace(' ', '-')}")
    walk.publish()
    around.publish("")
    seat.wait_for("7 required records are not right")
    seat.keep("4-dns-red-again")
    walk.publish()
    times["records are right"] = monotonic()
    walk.certify()
    seat.keep("5-certificate-obtained")
    times["certificate obtained"] = monotonic()
    walk.plan()
    seat.press("Enter")
    seat.wait_for("working +Unpack it")
    seat.keep("6-installing")
    seat.wait_for("Scan this")
    times["installed and running"] = monotonic()
    link = seat.scan()
    assert link == f"dcaccount:https://{DOMAIN}/new"

    with two_phones(around, link, tmp_path) as (alice, bob):
        alice.befriend(bob).send_text("from a bare machine")
        assert bob.wait_message().text == "from a bare machine"
        times["first message"] = monotonic()
        seat.wait_for(r"tests (passed|failed)", 120)
        screen = seat.keep("7-done")
        assert "failed" not in screen, screen
        seat.press("Enter")
        seat.wait_for(PROMPT)
        assert "installed and runs" in seat.keep("8-the-shell-again")
        checks = report(machine.must("chatmail", "doctor", "--json"))["checks"]
        assert states(checks, "failed") == [] and remarks(checks) <= EXPECTED_REMARKS
        seat.close()
        machine.power_off()
        machine.boot()
        chat(alice, bob, "after a reboot")

    began = times.pop("first command")
    seat.note("times", "\n".join(f"{moment - began:6.1f} s  {name}" for name, moment in times.items()))

    seat.open(ADMINISTRATOR)
    seat.run("sudo chatmail uninstall")
    seat.wait_for("Remove all accounts")
    seat.run("y")
    seat.wait_for("Remove this")
    seat.run("y")
    seat.wait_for(r"Removed\.", 180)
    seat.keep("9-uninstalled")
    after = machine.files()
    assert {path for path in after if path not in before} == set()
    changed = {path for path in before if after.get(path) != before[path]}
    assert changed <= {"/etc/passwd-", "/etc/group-", "/etc/shadow-", "/etc/gshadow-"}


def test_the_code_on_the_screen_is_all_a_phone_needs(around: World, seat: Terminal, tmp_path: Path) -> None:
    around.publish(f"_{DOMAIN}. IN A {around.machine.address}\n")
    walk = Walk(seat, around, f"_{DOMAIN}")
    walk.begin()
    walk.name()
    walk.set()
    walk.publish()
    walk.go_on(Step.CERTIFICATE)
    seat.press("Enter")
    seat.wait_for("Made: self-signed")
    walk.plan()
    walk.install()
    seat.keep("done")
    with two_phones(around, seat.scan(), tmp_path) as (alice, bob):
        assert alice.address.endswith(f"@_{DOMAIN}")
        chat(alice, bob, "scanned from the screen")
