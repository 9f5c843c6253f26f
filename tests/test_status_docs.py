"""`docs/status.md` says what is printed, exposed and refused, and its examples work."""

import dataclasses
import json
import re
import subprocess
import types
import typing
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatmail.installation.watching import ServerDown
from chatmail.login import LoginRefusal
from chatmail.policy import refusals
from chatmail.policy.accounts import CreationRefusal
from chatmail.status_snapshot import StatusSnapshot
from tests.support.tools import require_tool

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE = (DOCS / "status.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def first_column(title: str) -> set[str]:
    cells = re.findall(r"^\| (`[^|]*) \|", section(title), re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def fields(kind: type, prefix: str = "") -> Iterator[str]:
    """The fields of a snapshot as the page writes them: `queue.destinations[].domain`."""
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        hint = hints[field.name]
        inner, suffix = hint, ""
        if typing.get_origin(hint) is tuple:
            inner, suffix = typing.get_args(hint)[0], "[]"
        elif typing.get_origin(hint) is types.UnionType:
            inner = typing.get_args(hint)[0]
        if dataclasses.is_dataclass(inner):
            yield from fields(typing.cast(type, inner), f"{prefix}{field.name}{suffix}.")
        elif typing.get_origin(hint) is dict:
            yield f"{prefix}{field.name}.REASON"
        else:
            yield prefix + field.name


def test_every_field_of_the_json_is_documented_and_no_other() -> None:
    assert first_column("Fields of `status --json`") == set(fields(StatusSnapshot))


def test_what_is_printed_of_a_server_that_is_down_is_documented() -> None:
    text = section("Fields of `status --json`").partition("\n\n| ")[0]
    for field in dataclasses.fields(ServerDown):
        assert f"`{field.name}`" in text, field.name


def test_every_reason_of_a_refusal_is_documented_and_no_other() -> None:
    logins = [refusals.reason_of_login(one.value) for kind in (LoginRefusal, CreationRefusal) for one in kind]
    reasons = {*refusals._BY_REPLY.values(), *refusals._BY_CODE.values(), *logins}
    assert first_column("Reasons of refusals") == reasons | {refusals.TOO_MANY_CONNECTIONS, refusals.OTHER}


def units() -> dict[str, str]:
    service, timer = re.findall(r"```ini\n(.*?)```", PAGE, re.DOTALL)
    return {"chatmail-alert.service": service, "chatmail-alert.timer": timer}


def test_the_units_of_the_alert_are_what_systemd_understands(tmp_path: Path) -> None:
    analyze = require_tool("systemd-analyze")
    for name, text in units().items():
        (tmp_path / name).write_text(text.replace("User=chatmail", "User=root"))
    done = subprocess.run(
        [analyze, "verify", "--man=no", *(str(tmp_path / name) for name in units())],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    complaints = [line for line in done.stderr.splitlines() if "chatmail-alert" in line]
    assert not complaints


@pytest.mark.parametrize(("code", "mails"), [(0, 0), (1, 1), (2, 1)])
def test_the_alert_mails_what_it_is_told_when_the_server_is_not_fine(tmp_path: Path, code: int, mails: int) -> None:
    script = re.search(r"ExecStart=/bin/sh -c '(.*)'", units()["chatmail-alert.service"])
    assert script is not None
    # As systemd.service(5) reads it: "%%", "$$" and "\n" are one character each, and %H is the host's name.
    command = script[1].replace("%H", "host").replace("%%", "%").replace("$$", "$").replace("\\n", "\n")
    for name, body in (
        ("chatmail", f'echo "CHATMAIL DEGRADED - $*"; exit {code}'),
        ("sendmail", f'cat > "{tmp_path}/mail-to-$1"'),
    ):
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    command = command.replace("/usr/local/bin/chatmail", str(tmp_path / "chatmail"))
    command = command.replace("/usr/sbin/sendmail", str(tmp_path / "sendmail"))
    subprocess.run(["/bin/sh", "-c", command], check=False, timeout=20)
    sent = [path.read_text() for path in tmp_path.glob("mail-to-root")]
    assert len(sent) == mails
    assert all(mail == "Subject: chatmail on host\n\nCHATMAIL DEGRADED - status --check\n" for mail in sent)


def test_the_size_of_the_history_is_that_of_the_file() -> None:
    from chatmail.storage.history import FILE_BYTES

    assert f"{FILE_BYTES:,} bytes" in PAGE


def test_the_forced_commands_of_watchers_are_commands() -> None:
    lines = re.findall(r"^    (restrict\S* ?.*)$", PAGE, re.MULTILINE)
    commands = [json.loads(match[1]) for line in lines if (match := re.search(r'command=("[^"]+")', line))]
    assert commands == ["/usr/local/bin/chatmail status", "/usr/local/bin/chatmail status --check"]
