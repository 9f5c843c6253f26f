"""The dashboard over SSH on a rented server that has people, load and every kind of trouble, one after the other.

The terminal is tmux, and logs in as an operator does; what is seen at each moment is kept (`CHATMAIL_CAPTURES`).
"""

import asyncio
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from time import monotonic, sleep

import pytest
import trustme

from tests.bench.target import Login, Target
from tests.bench.throughput import throughput
from tests.machines.machine import Machine, ssh_key
from tests.machines.people import chat, two_phones
from tests.machines.terminal import Terminal, terminal
from tests.machines.test_internet import DOMAIN, FILE, INSTALL
from tests.machines.world import ZONE, World, world
from tests.support.messages import encrypted_message
from tests.support.tmux import PATIENCE_SECONDS

pytestmark = [pytest.mark.machines, pytest.mark.timeout(1500)]
DEAD = f"dead.{ZONE}"
CONFIG = "/etc/chatmail/chatmail.toml"
DATA = "/var/lib/chatmail"
PROMPT = r"# ?$"
REASON_SECONDS = 150.0
"""The longest until the server speaks of a trouble: a peer counts as dead after a minute."""


@pytest.fixture(scope="module")
def around(pyz: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A server that is installed as it should be, on a small disk of its own."""
    with world(tmp_path_factory.mktemp("world"), "dboard", "bookworm") as one:
        machine = one.machine
        machine.put(pyz, FILE)
        machine.run(*INSTALL, DOMAIN)
        one.publish(f"{machine.must('chatmail', 'dns', 'zone')}\ndead IN A {machine.network.address(9)}\n")
        machine.must("chatmail", "install", "--yes")
        machine.must("systemctl", "stop", "chatmail")
        small_disk = f"mv {DATA} /var/lib/kept; mkdir {DATA}; mount -t tmpfs -o size=300M tmpfs {DATA}"
        machine.must(
            "sh", "-c", f"{small_disk}; cp -a /var/lib/kept/. {DATA}/; chown chatmail: {DATA}; chmod 700 {DATA}"
        )
        configure(machine)
        yield one


def configure(machine: Machine, **more: str) -> None:
    """Start the server anew: `more` are lines for tables of the configuration, by the table's name."""
    tables = {
        "limits": 'min_free_disk_space = "0"\nmin_available_memory = "0"',
        "mail": "max_user_send_per_minute = 100000\nmax_user_send_burst_size = 100000",
        **more,
    }
    text = "".join(f"[{name}]\n{lines}\n" for name, lines in tables.items())
    machine.write(CONFIG, f'mail_domain = "{DOMAIN}"\n{text}')
    machine.must("systemctl", "restart", "chatmail")


def target(machine: Machine) -> Target:
    return Target(host=machine.address, domain=DOMAIN)


async def send(target: Target, login: Login, to: str) -> None:
    smtp = await target.smtp(login)
    await smtp.send(login.address, [to], encrypted_message(login.address))
    smtp.close()


async def sleeping_phone(target: Target) -> Login:
    """An account whose phone sleeps, and is woken through the notifier."""
    login = await target.account()
    imap = await target.imap(login)
    await imap.command(f'SETMETADATA "INBOX" (/private/devicetoken "fcm-{login.address}")')
    imap.close()
    return login


@pytest.fixture
def desk(around: World, tmp_path: Path) -> Iterator[Terminal]:
    """Root, logged in, with nothing on the screen yet."""
    with terminal(around.machine, "dashboard", tmp_path) as one:
        one.open()
        yield one


def test_one_look_says_that_all_is_well_also_under_load(around: World, desk: Terminal, tmp_path: Path) -> None:
    desk.run("chatmail status")
    desk.wait_for(rf"✔ FINE +{DOMAIN} works, and nothing needs you")
    with two_phones(around, f"dcaccount:https://{DOMAIN}/new", tmp_path) as (alice, bob):
        chat(alice, bob, "seen from the dashboard")
        load = throughput(target(around.machine), messages=6000, senders=4)
        thread = Thread(target=asyncio.run, args=(load,))
        thread.start()
        thread.join()
        chat(alice, bob, "also under load")
        desk.wait_for(r"peak [1-9]", 2 * PATIENCE_SECONDS + 10)
        desk.keep("fine-80x24")
        desk.resize(120, 40)
        desk.wait_for(r"Other servers(?s:.)*q Quit")
        desk.keep("fine-120x40")
        desk.resize(180, 50)
        desk.wait_for(r"What to know(?s:.)*q Quit")
        desk.keep("fine-180x50")
    desk.press("q")
    desk.wait_for(PROMPT)
    assert desk.modes == "screen 0, mouse 0, cursor 1"
    desk.run("stty -a | tr ' ' '\\n' | grep -xc -e echo -e icanon")
    desk.wait_for(r"\n2\n")


def test_each_trouble_is_said_in_a_sentence(around: World, desk: Terminal) -> None:
    machine = around.machine
    machine.write("/etc/chatmail/key.pem", "")
    authority = trustme.CA()
    begins = datetime.now(UTC) - timedelta(days=88)
    certificate = authority.issue_cert(DOMAIN, not_before=begins, not_after=begins + timedelta(days=90))
    chain = b"".join(blob.bytes() for blob in certificate.cert_chain_pems)
    machine.write("/etc/chatmail/cert.pem", chain.decode())
    machine.write("/etc/chatmail/key.pem", certificate.private_key_pem.bytes().decode())
    machine.must("chown", "chatmail:", "/etc/chatmail/key.pem", "/etc/chatmail/cert.pem")
    configure(
        machine,
        tls='mode = "files"\ncert_file = "/etc/chatmail/cert.pem"\nkey_file = "/etc/chatmail/key.pem"',
        federation='queue_lifetime = "4m"',
        push=f'notifier_url = "https://{machine.gateway}:9/notify"',
    )
    phones = [asyncio.run(sleeping_phone(target(machine))) for _number in range(3)]
    asyncio.run(send(target(machine), phones[0], f"nobody@{DEAD}"))
    for phone in phones:
        asyncio.run(send(target(machine), phones[0], phone.address))

    desk.run("chatmail status")
    desk.wait_for(r"▲ DEGRADED")
    waiting = rf"Mail for {re.escape(DEAD)} has been waiting"
    open_reasons_until(desk, r"expires in 2 days", r"the notifier fails", waiting)
    desk.keep("degraded-reasons-80x24")
    desk.press("Escape")
    desk.wait_gone("What the server says of itself")
    desk.keep("degraded-80x24")
    desk.press("2")
    desk.wait_for(rf"{re.escape(DEAD)}: \S+")
    desk.keep("queue-80x24")
    desk.press("a")
    desk.wait_for("Try to send all that waits now")
    desk.press("y")
    desk.wait_for("on the way again")
    desk.press("1")
    desk.wait_gone("on the way again")

    machine.must("sh", "-c", f"head -c 400M /dev/zero > {DATA}/fills-the-disk || true")
    desk.wait_for(r"✖ BROKEN(?s:.)*The disk is full", REASON_SECONDS)
    desk.keep("broken-80x24")
    desk.resize(120, 40)
    desk.wait_for(r"Other servers(?s:.)*q Quit")
    desk.keep("broken-120x40")
    desk.resize(40, 24)
    desk.wait_for(r"\n╭─ Accounts")
    desk.keep("broken-40x24")
    desk.resize(80, 24)
    machine.must("rm", f"{DATA}/fills-the-disk")
    desk.wait_gone("The disk is full", REASON_SECONDS)


def open_reasons_until(desk: Terminal, *patterns: str) -> None:
    """Open the window of reasons again and again until all of them are in it."""
    deadline = monotonic() + REASON_SECONDS
    while True:
        desk.press("w")
        screen = desk.wait_for("What the server says of itself")
        together = " ".join(re.sub(r"[│▌╭╮╰╯─]", " ", screen).split())
        if all(re.search(pattern, together) for pattern in patterns):
            return
        assert monotonic() < deadline, screen
        desk.press("Escape")
        desk.wait_gone("What the server says of itself")
        sleep(1)  # the server judges once a second


def test_a_server_that_stops_is_said_to_be_down_and_comes_back_by_itself(around: World, desk: Terminal) -> None:
    desk.run("chatmail status")
    desk.wait_for("up ")
    around.machine.must("systemctl", "stop", "chatmail")
    desk.wait_for(r"✖ DOWN(?s:.)*systemctl start chatmail")
    desk.wait_for("Unit +inactive")
    desk.keep("down-80x24")
    around.machine.must("systemctl", "start", "chatmail")
    desk.wait_gone("DOWN")
    desk.wait_for("Messages per minute")


def test_a_watcher_with_a_forced_command_sees_the_same_and_can_do_nothing(around: World, tmp_path: Path) -> None:
    machine = around.machine
    machine.must("useradd", "--create-home", "--shell", "/bin/sh", "--groups", "chatmail-status", "watcher")
    key = ssh_key().with_suffix(".pub").read_text()
    forced = f'restrict,pty,command="/usr/local/bin/chatmail status" {key}'
    machine.write("/home/watcher/.ssh/authorized_keys", forced)
    machine.must("chown", "-R", "watcher:", "/home/watcher/.ssh")
    with terminal(machine, "dashboard", tmp_path) as desk:
        desk.open("watcher", expect="only root may act")
        desk.wait_for("Messages per minute")
        desk.keep("watcher-80x24")
        for key in ("g", "e", "c", "s"):
            desk.press(key)
        desk.press("2")
        desk.wait_for("Nothing waits|Last answer")
        desk.press("q")
        deadline = monotonic() + 20
        while desk.is_open:
            assert monotonic() < deadline
            sleep(0.1)  # tmux tells nobody that its session has ended


def test_a_broken_line_leaves_no_process_behind(around: World, tmp_path: Path) -> None:
    with terminal(around.machine, "hangup", tmp_path) as desk:
        desk.open()
        desk.run("chatmail status")
        desk.wait_for("Messages per minute")
        assert dashboards(around.machine)
    deadline = monotonic() + 30
    while found := dashboards(around.machine):
        assert monotonic() < deadline, found
        sleep(0.2)  # nobody tells when a process has ended but its parent


def dashboards(machine: Machine) -> str:
    """Processes that show one."""
    return machine.run("pgrep", "-af", "chatmail status").out
