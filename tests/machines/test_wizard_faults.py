"""What goes wrong while somebody installs: interruptions, refusals, a full disk, a taken port, odd terminals."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from installer.wizard.fields import FIELDS
from installer.wizard.journey import Step
from installer.wizard.texts import certificate, dns, install, leaving, plain
from tests.machines.machine import ADMINISTRATOR
from tests.machines.terminal import PROMPT, Terminal, terminal
from tests.machines.wizard import COMMAND, Walk, shown
from tests.machines.world import ZONE, World, world
from tests.support.moody_authority import problem

pytestmark = [pytest.mark.machines, pytest.mark.timeout(1200)]
DOMAIN = f"chat.{ZONE}"
TEST_NAME = f"_{DOMAIN}"
FILE = f"/home/{ADMINISTRATOR}/chatmail.pyz"


@pytest.fixture(scope="module")
def around(pyz: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A server on which each test leaves nothing behind."""
    with world(tmp_path_factory.mktemp("world"), "mtrouble", "bookworm") as one:
        one.machine.put(pyz, FILE)
        yield one


@pytest.fixture(autouse=True)
def _clean(around: World) -> Iterator[None]:
    around.publish("")
    yield
    around.authority.mood, around.authority.rewrite = None, unchanged
    around.machine.run("python3", FILE, "uninstall", "--yes", "--remove-data")


@pytest.fixture
def seat(around: World, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Terminal]:
    """A terminal at which the administrator has logged in."""
    name = request.node.name.replace("[", "-").rstrip("]")
    with terminal(around.machine, name, tmp_path) as one:
        one.open(ADMINISTRATOR)
        yield one


@pytest.fixture
def walk(around: World, seat: Terminal) -> Walk:
    """Somebody with a domain."""
    return Walk(seat, around, DOMAIN)


def unchanged(_path: str, _document: dict[str, Any]) -> None:
    """What the authority says is passed on."""


def trying_out(around: World, seat: Terminal) -> Walk:
    """Somebody who tries it out has come as far as the plan."""
    walk = Walk(seat, around, TEST_NAME)
    walk.begin()
    walk.name()
    walk.set()
    walk.publish()
    walk.go_on(Step.CERTIFICATE)
    seat.press("Enter")
    seat.wait_for(shown(certificate.MADE))
    walk.plan()
    return walk


# --- leaving and coming back ----------------------------------------------------------------------------------------


def by_ctrl_c(walk: Walk) -> None:
    said = walk.leave()
    assert COMMAND in said or "chatmail" in said


def by_a_lost_connection(walk: Walk) -> None:
    walk.terminal.close()
    walk.world.machine.must("sh", "-c", "while pgrep -f 'python3 [c]hatmail.pyz'; do sleep 0.1; done")
    walk.terminal.open(ADMINISTRATOR)


@pytest.mark.parametrize("interrupt", [by_ctrl_c, by_a_lost_connection])
def test_whoever_is_interrupted_goes_on_where_he_was(
    around: World, seat: Terminal, walk: Walk, interrupt: Callable[[Walk], None]
) -> None:
    def again(step: Step) -> None:
        interrupt(walk)
        walk.begin()
        seat.keep(f"back-from-{step.lower()}")
        if step is not Step.WELCOME:
            walk.go_on(step)

    walk.begin()
    again(Step.WELCOME)
    walk.go_on(Step.DOMAIN)
    again(Step.DOMAIN)
    seat.type(DOMAIN)
    seat.wait_for(f"{DOMAIN} (leads|does not exist|exists)")
    walk.go_on(Step.SETTINGS)
    again(Step.SETTINGS)
    walk.set()
    again(Step.DNS)
    walk.publish()
    walk.go_on(Step.CERTIFICATE)
    again(Step.CERTIFICATE)
    seat.press("Enter")
    seat.wait_for(shown(certificate.OBTAINED), 120)
    walk.plan()
    again(Step.INSTALL)
    walk.read()
    seat.press("Enter")
    seat.wait_for("working +Unpack it", 120)
    if interrupt is by_ctrl_c:
        seat.press("C-c")
        seat.wait_for(shown(leaving.INSTALLING_TITLE))
        seat.press("y")
        seat.wait_for(shown(install.TITLE_FAILED), 120)
        seat.keep("stopped-while-installing")
    interrupt(walk)
    assert around.machine.run("systemctl", "is-active", "chatmail").out != "active"
    walk.begin()
    walk.go_on(Step.INSTALL)
    walk.read()
    seat.keep("the-rest-of-the-plan")
    walk.install()
    assert around.machine.must("systemctl", "is-active", "chatmail") == "active"


@pytest.mark.parametrize("interrupt", [by_ctrl_c, by_a_lost_connection])
def test_an_order_that_was_cut_off_is_placed_again(
    around: World, seat: Terminal, walk: Walk, interrupt: Callable[[Walk], None]
) -> None:
    def never_proved(path: str, document: dict[str, Any]) -> None:
        if path.startswith("/authZ/"):
            document["status"] = "pending"

    walk.begin()
    walk.name()
    walk.set()
    walk.publish()
    around.authority.rewrite = never_proved
    walk.go_on(Step.CERTIFICATE)
    seat.press("Enter")
    seat.wait_for(r"working +Prove that the name is ours", 60)
    seat.keep("ordering")
    interrupt(walk)
    around.authority.rewrite = unchanged
    walk.begin()
    seat.keep("back-from-ordering")
    walk.certify()


def test_a_line_lost_while_the_server_is_started_is_resumed(around: World, seat: Terminal) -> None:
    walk = trying_out(around, seat)
    seat.press("Enter")
    seat.wait_for(r"working +Enable and start the server", 120)
    by_a_lost_connection(walk)
    walk.begin()
    walk.go_on(Step.INSTALL)
    walk.read()
    seat.keep("the-rest-of-the-plan")
    walk.install()
    assert around.machine.must("systemctl", "is-active", "chatmail") == "active"


def test_a_line_lost_on_the_last_page_leaves_a_server_that_runs(around: World, seat: Terminal) -> None:
    walk = trying_out(around, seat)
    walk.install()
    by_a_lost_connection(walk)
    assert around.machine.must("systemctl", "is-active", "chatmail") == "active"
    seat.run(COMMAND)
    seat.wait_for("Messages per minute(?s:.)*q Quit")
    seat.keep("the-same-command-opens-the-dashboard")
    seat.press("q")
    seat.wait_for(PROMPT)


# --- the machine ----------------------------------------------------------------------------------------------------


def test_a_disk_that_is_full_in_the_midst_is_said_and_trying_again_goes_on(around: World, seat: Terminal) -> None:
    machine = around.machine
    machine.must("mount", "-t", "tmpfs", "-o", "size=700M", "tmpfs", "/opt")
    try:
        walk = trying_out(around, seat)
        machine.run("sh", "-c", "head -c 600M /dev/zero > /opt/filler")
        seat.press("Enter")
        seat.wait_for(r"disk\s+is\s+full", 120)
        seat.keep("full")
        machine.must("rm", "/opt/filler")
        walk.install()
        machine.must("python3", FILE, "uninstall", "--yes", "--remove-data")
    finally:
        machine.run("umount", "/opt")


def test_a_port_that_is_taken_meanwhile_is_named_in_the_servers_last_words(around: World, seat: Terminal) -> None:
    machine = around.machine
    walk = trying_out(around, seat)
    listen = "import socket, time; s = socket.create_server(('0.0.0.0', 143)); time.sleep(600)"
    machine.must("systemd-run", "--unit=other-mail", "python3", "-c", listen)
    try:
        machine.must("sh", "-c", "until ss -ltn | grep -q :143; do sleep 0.1; done")
        seat.press("Enter")
        seat.wait_for(shown(install.LAST_WORDS), 180)
        screen = seat.keep("port-taken")
        assert "143" in screen, screen
    finally:
        machine.run("systemctl", "stop", "other-mail")
    walk.install()


def test_a_server_that_does_not_start_shows_its_last_words(around: World, seat: Terminal) -> None:
    machine = around.machine
    walk = trying_out(around, seat)
    machine.must("sh", "-c", "echo this is no database > /var/lib/chatmail/chatmail.sqlite")
    seat.press("Enter")
    seat.wait_for(shown(install.LAST_WORDS), 180)
    assert "chatmail.sqlite" in seat.keep("no-start")
    machine.must("rm", "/var/lib/chatmail/chatmail.sqlite")
    walk.install()


# --- the world ------------------------------------------------------------------------------------------------------


def test_a_refused_certificate_says_which_step_what_the_authority_said_and_can_be_tried_again(
    around: World, seat: Terminal, walk: Walk
) -> None:
    def refuse(path: str, _payload: dict[str, Any]) -> web.Response | None:
        blocked = "The server will not issue certificates for the identifier"
        return problem(403, "rejectedIdentifier", blocked) if path == "/order-plz" else None

    walk.begin()
    walk.name()
    walk.set()
    walk.publish()
    walk.go_on(Step.CERTIFICATE)
    around.authority.mood = refuse
    seat.press("Enter")
    seat.wait_for(shown("It failed at: place the order"), 60)
    assert "will not issue" in " ".join(seat.keep("refused").split())
    around.authority.mood = None
    seat.press("Enter")
    seat.wait_for(shown(certificate.OBTAINED), 120)


def test_records_and_certificate_are_not_skipped_by_accident_and_the_server_runs_without(
    around: World, seat: Terminal
) -> None:
    # A name of its own: what the world has once learnt of a name it remembers for an hour.
    walk = Walk(seat, around, f"else.{ZONE}")
    around.publish(f"else IN A {around.machine.gateway}\n")
    walk.begin()
    walk.name()
    walk.set()
    assert "differs" in seat.keep("records")
    seat.press("Enter")
    seat.wait_for(shown(dns.SKIP_TITLE))
    seat.keep("question-on-records")
    seat.press("Enter")
    seat.wait_gone(shown(dns.SKIP_TITLE))
    walk.see(Step.DNS)
    seat.press("Enter")
    seat.wait_for(shown(dns.SKIP_TITLE))
    seat.press("y")
    walk.see(Step.CERTIFICATE)
    seat.press("Enter")
    seat.wait_for(shown("It failed at: prove that the name is ours"), 120)
    assert "was not proved" in " ".join(seat.keep("not-proved").split())
    seat.press("Tab", "Enter")
    seat.wait_for(shown(certificate.SKIP_TITLE))
    seat.keep("question-on-certificate")
    seat.press("y")
    walk.read()
    walk.install()
    assert "tests failed" in seat.keep("done-without")
    assert around.machine.must("systemctl", "is-active", "chatmail") == "active"


# --- terminals ------------------------------------------------------------------------------------------------------


def test_the_window_may_change_its_size_at_any_time(around: World, seat: Terminal, walk: Walk) -> None:
    walk.begin()
    for columns, rows in ((40, 24), (120, 40), (80, 24)):
        seat.resize(columns, rows)
        (seat.wait_for if columns < 64 else seat.wait_gone)(shown(leaving.NARROW))
        walk.see(Step.WELCOME)
        seat.keep(f"welcome-{columns}x{rows}")
    seat.resize(40, 24)
    walk.name()
    seat.keep("settings-40x24")
    walk.set()
    seat.keep("dns-40x24")
    seat.resize(120, 40)
    walk.publish()
    seat.keep("dns-120x40")
    seat.resize(40, 24)
    walk.certify()
    seat.keep("certificate-40x24")
    walk.plan()
    seat.keep("plan-40x24")
    seat.press("Enter")
    seat.wait_for("working")
    seat.resize(120, 40)
    seat.wait_for("Scan this", 240)
    seat.wait_for("tests (passed|failed)|tests passed", 120)
    seat.keep("done-120x40")
    seat.resize(40, 24)
    seat.wait_gone(r"\n {8}Your server")  # the margin of a wide window
    seat.keep("done-40x24")


def test_whoever_is_not_root_reads_the_command_to_type(around: World, seat: Terminal) -> None:
    seat.run("python3 chatmail.pyz")
    seat.wait_for(r"Run: sudo python3 chatmail\.pyz")
    seat.keep("not-root")
    seat.press("C-c")
    seat.wait_for(shown(leaving.TITLE))
    seat.press("y")
    seat.wait_for(PROMPT)


def test_a_terminal_that_cannot_draw_is_led_through_in_lines(around: World, seat: Terminal) -> None:
    def answer(question: str, text: str = "", seconds: float = 60.0) -> None:
        seat.wait_for(f"{shown(question)}[^\n]*$", seconds)
        seat.run(text)

    around.publish(f"{TEST_NAME}. IN A {around.machine.address}\n")
    seat.run(f"TERM=dumb {COMMAND}")
    answer(plain.DOMAIN, TEST_NAME)
    for field in FIELDS:
        answer(field.label)
    seat.wait_for(r"goes\s+on: ?$")  # the terminal breaks the question wherever the line is full
    seat.keep("records")
    seat.run("n")
    answer(dns.SKIP_YES, "y")
    answer(plain.CERTIFICATE)
    seat.wait_for(f"{shown(install.INSTALL)}[^\n]*$")
    seat.keep("plan")
    seat.run("y")
    answer(plain.SHOW_CODE, "", 240)
    seat.wait_for(rf"dcaccount:https://{TEST_NAME}/new[\s\S]*{PROMPT}")
    seat.keep("done")
    assert around.machine.must("systemctl", "is-active", "chatmail") == "active"


def test_without_colours_nothing_is_told_by_colour(around: World, seat: Terminal) -> None:
    seat.run(f"{COMMAND.replace('sudo', 'sudo NO_COLOR=1')}")
    seat.wait_for(shown("but nothing stops you"))
    assert seat.colours == set()
    seat.wait_for(r"warning +clock[\s\S]*ok +systemd")
    seat.keep("welcome")
    seat.press("C-c")
    seat.wait_for(shown(leaving.TITLE))
    assert seat.colours == set()
    seat.press("y")
    seat.wait_for(PROMPT)
    seat.run(COMMAND)
    seat.wait_for(shown("but nothing stops you"))
    assert seat.colours, "and with colours there are some"
