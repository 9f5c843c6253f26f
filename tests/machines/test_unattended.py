"""The built file installs itself on a fresh Debian, with nothing but that file and no network beyond this machine."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.machines.machine import Machine, machine
from tests.support.certificate_authority import Pebble

pytestmark = [pytest.mark.machines, pytest.mark.timeout(900)]
FILE = "/root/chatmail.pyz"
INSTALL = ("python3", FILE, "install", "--outside", "", "--yes")
TEST_SERVER = (*INSTALL, "--domain", "_chat.test")


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def fresh(request: pytest.FixtureRequest, pyz: Path) -> Iterator[Machine]:
    """A machine on which each test leaves nothing behind."""
    with machine(f"t{request.param[:4]}", request.param) as one:
        one.put(pyz, FILE)
        yield one
        # What a failed test left would fail the next one for the wrong reason.


@pytest.fixture(autouse=True)
def _clean(fresh: Machine) -> Iterator[None]:
    yield
    fresh.run("python3", FILE, "uninstall", "--yes", "--remove-data")


def report(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text)
    return found


def states(checks: list[dict[str, Any]], state: str) -> list[str]:
    return [f"{check['name']}: {check['sentence']}" for check in checks if check["state"] == state]


EXPECTED_REMARKS = {"clock", "message"}
"""A container's clock is kept by its host, and on a busy one a message may take more than a second."""


def remarks(checks: list[dict[str, Any]]) -> set[str]:
    return {str(check["name"]) for check in checks if check["state"] == "warning"}


def test_one_command_makes_a_server_that_comes_back_after_a_reboot_and_leaves_no_trace(fresh: Machine) -> None:
    before = fresh.files()

    first = report(fresh.must(*TEST_SERVER, "--json"))
    assert first["ok"] and first["changed"]
    assert "active (running)" in fresh.must("systemctl", "status", "chatmail", "--no-pager")
    assert states(report(fresh.must("chatmail", "doctor", "--json"))["checks"], "failed") == []

    installed, config = fresh.files(), fresh.must("cat", "/etc/chatmail/chatmail.toml")
    started = fresh.must("systemctl", "show", "chatmail", "--property=MainPID")
    again = report(fresh.must("chatmail", "install", "--outside", "", "--yes", "--json"))
    assert again["ok"] and not again["changed"]
    assert fresh.must("systemctl", "show", "chatmail", "--property=MainPID") == started
    assert fresh.must("cat", "/etc/chatmail/chatmail.toml") == config
    durable = {path: kind for path, kind in fresh.files().items() if not path.startswith("/var/lib/chatmail/")}
    assert durable == {path: kind for path, kind in installed.items() if not path.startswith("/var/lib/chatmail/")}

    fresh.power_off()
    fresh.boot()
    fresh.must("systemctl", "start", "chatmail")  # waits until it is ready
    assert report(fresh.must("chatmail", "doctor", "--json"))["ok"]

    fresh.must("chatmail", "uninstall", "--yes", "--remove-data")
    after = fresh.files()
    assert {path for path in after if path not in before} == set()
    changed = {path for path in before if after.get(path) != before[path]}
    assert changed <= {"/etc/passwd-", "/etc/group-", "/etc/shadow-", "/etc/gshadow-"}
    assert "chatmail" not in fresh.must("cat", "/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow")
    assert fresh.run("sh", "-c", "ls -d /var/log/journal/*.chatmail /run/log/journal/*.chatmail").out == ""
    assert fresh.run("systemctl", "list-units", "--state=active,failed", "--no-legend", "*chatmail*").out == ""


def test_the_unit_is_hardened(fresh: Machine) -> None:
    fresh.must(*TEST_SERVER)
    rating = fresh.must("systemd-analyze", "security", "chatmail", "--no-pager").splitlines()[-1]
    assert float(rating.partition("chatmail.service:")[2].split()[0]) <= 2.0, rating


def test_a_server_that_hangs_or_dies_is_started_again(fresh: Machine) -> None:
    fresh.must(*TEST_SERVER)
    shown = fresh.must("systemctl", "show", "chatmail", "--property=Type,WatchdogUSec,Restart,LimitNOFILE,NotifyAccess")
    assert set(shown.split()) == {
        "Type=notify", "WatchdogUSec=1min", "Restart=always", "LimitNOFILE=262144", "NotifyAccess=main"
    }  # fmt: skip
    # A machine cannot give more than whoever started it may.
    allowed = min(262144, int(fresh.must("sh", "-c", "ulimit -Hn")))
    assert f"Max open files            {allowed} " in fresh.must("cat", f"/proc/{main_pid(fresh)}/limits")

    # A shorter time than the unit's own, so that nobody has to wait for a minute.
    hurry = "/run/systemd/system/chatmail.service.d/hurry.conf"
    fresh.must("sh", "-c", f"mkdir -p {Path(hurry).parent}; printf '[Service]\nWatchdogSec=3\n' > {hurry}")
    try:
        fresh.must("systemctl", "daemon-reload")
        fresh.must("systemctl", "restart", "chatmail")
        for harm in ("STOP", "KILL"):
            before = main_pid(fresh)
            fresh.must("kill", f"-{harm}", before)
            fresh.must("sh", "-c", f"until test $(systemctl show -P MainPID chatmail) -gt 0 -a "
                       f"$(systemctl show -P MainPID chatmail) -ne {before}; do sleep 0.2; done; "
                       "until systemctl is-active -q chatmail; do sleep 0.2; done")  # fmt: skip
    finally:
        fresh.run("rm", "-r", str(Path(hurry).parent))
        fresh.run("systemctl", "daemon-reload")
    said = fresh.must("journalctl", "-u", "chatmail", "--no-pager", "-q")
    assert "Watchdog timeout" in said and "status=9/KILL" in said, said
    checks = report(fresh.must("chatmail", "doctor", "--json"))["checks"]
    assert [c["sentence"] for c in checks if c["name"] == "unit"] == [
        "The server runs, and was started again by systemd 2 times."
    ]


def main_pid(fresh: Machine) -> str:
    return fresh.must("systemctl", "show", "--property=MainPID", "--value", "chatmail")


def test_the_log_is_kept_in_memory_only_and_a_listing_says_for_how_long(fresh: Machine) -> None:
    fresh.must(*TEST_SERVER)
    assert "supervisor started" in fresh.must("journalctl", "--namespace=chatmail", "-q", "--no-pager")
    # journald makes the folder in any case.
    assert fresh.run("sh", "-c", "find /var/log/journal/*.chatmail -type f").out == ""
    assert "MaxRetentionSec=3day" in fresh.must("cat", "/etc/systemd/journald@chatmail.conf")


def test_a_dry_run_prints_the_plan_and_changes_nothing(fresh: Machine) -> None:
    before = fresh.files()
    planned = report(fresh.must(*TEST_SERVER, "--dry-run", "--json"))
    assert {item["action"] for item in planned["plan"]} == {"create"}
    made = {path for path in fresh.files() if path not in before}
    assert {path for path in made if not path.startswith("/root/.cache")} == set()


def interrupted(fresh: Machine, step: int, signal_name: str) -> tuple[int, str]:
    """Start an installation and end it once `step` is done; its exit code, and what it said on stderr."""
    command = fresh.command(TEST_SERVER)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None and running.stderr is not None
        assert any(line.startswith(f"[{step}/") for line in running.stdout)
        fresh.run("sh", "-c", f"kill -{signal_name} $(pgrep -f 'chatmail.pyz install')")
        return running.wait(), running.stderr.read()


def test_a_killed_installation_is_resumed_from_any_step(fresh: Machine) -> None:
    for step in range(1, 8):
        interrupted(fresh, step, "KILL")
    done = report(fresh.must(*TEST_SERVER, "--json"))
    assert done["ok"]
    assert states(report(fresh.must("chatmail", "doctor", "--json"))["checks"], "failed") == []


def test_a_half_installation_can_be_removed_too(fresh: Machine) -> None:
    before = fresh.files()
    interrupted(fresh, 2, "KILL")
    fresh.must("python3", FILE, "uninstall", "--yes", "--remove-data")
    assert {path for path in fresh.files() if path not in before} == set()


def test_ctrl_c_says_what_is_left(fresh: Machine) -> None:
    code, said = interrupted(fresh, 2, "INT")
    assert code == 130, said
    assert "run the same command again to go on" in said


def test_a_taken_port_stops_it_before_anything_is_changed_and_names_the_unit_to_end(fresh: Machine) -> None:
    before = fresh.files()
    listen = "import socket, time; s = socket.create_server(('0.0.0.0', 143)); time.sleep(600)"
    fresh.must("systemd-run", "--unit=other-mail", "python3", "-c", listen)
    try:
        fresh.must("sh", "-c", "until ss -ltn | grep -q :143; do sleep 0.1; done")
        ended = fresh.run(*TEST_SERVER, "--json")
    finally:
        fresh.run("systemctl", "stop", "other-mail")
    assert ended.code == 3
    stops = [check for check in report(ended.out)["checks"] if check["state"] == "stop"]
    assert [check["name"] for check in stops] == ["port 143"]
    assert stops[0]["remedy"] == "If you do not need it: systemctl disable --now other-mail.service"
    assert {path for path in fresh.files() if path not in before and "/root/.cache" not in path} == set()


def test_a_server_that_does_not_start_shows_its_last_words_and_the_next_run_goes_on(fresh: Machine) -> None:
    fresh.must("mkdir", "-p", "/var/lib/chatmail")
    fresh.must("sh", "-c", "echo this is no database > /var/lib/chatmail/chatmail.sqlite")
    ended = fresh.run(*TEST_SERVER, "--json")
    assert ended.code == 1
    said = report(ended.out)
    assert said["step"] == "start" and said["left"] == "resumable"
    assert any("/var/lib/chatmail" in line for line in said["log"]), said
    assert fresh.run("systemctl", "is-active", "chatmail").out != "active"
    fresh.must("rm", "/var/lib/chatmail/chatmail.sqlite")
    assert report(fresh.must(*TEST_SERVER, "--json"))["ok"]


def test_who_is_not_root_gets_the_command_to_type(fresh: Machine) -> None:
    fresh.must("cp", FILE, "/opt/try.pyz")
    fresh.must("useradd", "someone")
    try:
        command = "HOME=/tmp python3 /opt/try.pyz install --domain chat.example.org --outside '' --yes"
        ended = fresh.run("setpriv", "--reuid=someone", "--clear-groups", "sh", "-c", command)
    finally:
        fresh.must("userdel", "someone")
        fresh.must("rm", "/opt/try.pyz")
    assert ended.code == 3
    assert "sudo python3 /opt/try.pyz install --domain chat.example.org --outside '' --yes" in ended.out


def test_settings_change_by_installing_again_and_what_was_written_by_hand_stays(fresh: Machine) -> None:
    fresh.must(*TEST_SERVER)
    fresh.must("sh", "-c", "printf '\\n[limits]\\nmax_imap_connections = 77 # mine\\n' >> /etc/chatmail/chatmail.toml")
    fresh.must("chatmail", "install", "--registration", "closed", "--outside", "", "--yes")
    shown = report(fresh.must("chatmail", "config", "show", "--json"))
    assert shown["accounts"]["registration"] == "closed" and shown["limits"]["max_imap_connections"] == 77
    assert "# mine" in fresh.must("cat", "/etc/chatmail/chatmail.toml")


def test_data_that_is_kept_is_found_again(fresh: Machine) -> None:
    fresh.must(*TEST_SERVER)
    key = fresh.must("sha256sum", "/var/lib/chatmail/tls/key.pem")
    fresh.must("chatmail", "uninstall", "--yes", "--keep-data")
    assert fresh.must("stat", "-c", "%U %a", "/var/lib/chatmail") == "root 700"
    fresh.must(*TEST_SERVER)
    assert fresh.must("sha256sum", "/var/lib/chatmail/tls/key.pem") == key
    assert fresh.must("stat", "-c", "%U %a", "/var/lib/chatmail") == "chatmail 700"


def test_a_certificate_is_obtained_before_the_server_runs(fresh: Machine, tmp_path: Path) -> None:
    with Pebble(tmp_path, fresh.gateway, fresh.address) as authority:
        fresh.put(authority.ca_file, "/etc/pebble-ca.pem")
        (tmp_path / "root.pem").write_bytes(authority.root_certificate())
        fresh.put(tmp_path / "root.pem", "/etc/pebble-root.pem")
        acme = ("--acme-directory", authority.directory, "--acme-ca-file", "/etc/pebble-ca.pem")
        named = ("--domain", "chat.example.net", "--resolver", f"{fresh.gateway}:8053")
        try:
            ended = fresh.run(*INSTALL, *named, *acme, "--json")
            done = report(ended.out)
            assert (ended.code, done["dns"]["ok"]) == (5, False), "this DNS has addresses alone"
            assert "chat.example.net" in done["certificate"]["names"]
            ended = fresh.run("chatmail", "doctor", "--ca-file", "/etc/pebble-root.pem", "--json")
            checks = {check["name"]: check for check in report(ended.out)["checks"]}
            assert checks["TLS"]["state"] == checks["certificate"]["state"] == "ok", checks
            assert checks["message"]["state"] == "ok" and checks["message"]["seconds"] < 1, checks["message"]
            serial = fresh.must("sha256sum", "/var/lib/chatmail/tls/acme.pem")
            assert not report(fresh.must("chatmail", "install", "--outside", "", "--yes", "--json"))["changed"]
            assert fresh.must("sha256sum", "/var/lib/chatmail/tls/acme.pem") == serial
        finally:
            fresh.run("rm", "/etc/pebble-ca.pem", "/etc/pebble-root.pem")


def test_without_a_certificate_the_server_runs_and_the_exit_code_says_so(fresh: Machine) -> None:
    authority = ("--acme-directory", f"https://{fresh.gateway}:1/dir", "--resolver", f"{fresh.gateway}:1")
    ended = fresh.run(*INSTALL, "--domain", "chat.example.net", *authority, "--json")
    assert ended.code == 4
    assert "could not be reached" in report(ended.out)["certificate"]["error"]
    assert fresh.must("systemctl", "is-active", "chatmail") == "active"
