"""An installed server seen by who may look and who may not: root, a member of chatmail-status, and anybody else."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.machines.machine import Machine, machine
from tests.machines.test_unattended import FILE, TEST_SERVER

pytestmark = [pytest.mark.machines, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def fresh(pyz: Path) -> Iterator[Machine]:
    """A machine with a server that was just installed."""
    with machine("tstatus", "bookworm") as one:
        one.put(pyz, FILE)
        one.must(*TEST_SERVER)
        yield one


def as_user(machine: Machine, name: str, *words: str) -> tuple[int, str]:
    """A command as a user with the groups a login gives; exit code, and all that was said."""
    ended = machine.run("setpriv", f"--reuid={name}", "--regid=users", "--init-groups", "chatmail", *words)
    return ended.code, ended.out + ended.err


def test_members_of_the_group_look_and_only_root_acts(fresh: Machine) -> None:
    fresh.must("useradd", "watcher")
    fresh.must("useradd", "stranger")
    fresh.must("usermod", "-aG", "chatmail-status", "watcher")
    assert fresh.must("stat", "-c", "%a %U", "/run/chatmail/control.sock").strip() == "600 chatmail"
    code, said = as_user(fresh, "watcher", "status", "--json")
    assert code == 0 and json.loads(said)["running"] is True, said
    code, said = as_user(fresh, "watcher", "queue", "list")
    assert code == 1 and "Traceback" not in said, said
    code, said = as_user(fresh, "stranger", "status", "--json")
    assert code == 1 and "adduser NAME chatmail-status" in said, said
    code, said = as_user(fresh, "watcher", "status", "--check")
    assert said.startswith("CHATMAIL "), said


def test_a_stopped_and_a_failed_server_are_said_with_why(fresh: Machine) -> None:
    fresh.must("systemctl", "stop", "chatmail")
    ended = fresh.run("chatmail", "status", "--check")
    assert ended.code == 2 and ended.out.startswith("CHATMAIL BROKEN - The server is stopped since "), ended.out
    fresh.must("sh", "-c", "echo 'nonsense = 1' >> /etc/chatmail/chatmail.toml")
    assert fresh.run("systemctl", "start", "chatmail").code != 0
    fresh.must("sed", "-i", "$d", "/etc/chatmail/chatmail.toml")
    ended = fresh.run("chatmail", "status", "--json")
    down = json.loads(ended.out)
    assert ended.code == 1 and not down["running"]
    assert down["unit_state"] in ("failed", "activating") and down["unit_result"] == "exit-code", down
    assert any("nonsense" in line for line in down["log_lines"]), down
