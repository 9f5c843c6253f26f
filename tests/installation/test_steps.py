"""The steps of an installation and of its removal on real files below another root, with the machine's tools played."""

import json
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pytest

from chatmail.errors import OperatorError
from chatmail.installation import steps
from chatmail.installation.answers import Answers
from chatmail.installation.host import Ended
from chatmail.installation.places import Places
from chatmail.installation.plan import Action, Plan, make_plan
from chatmail.installation.record import Record, read_record, write_record
from chatmail.installation.removal import plan_removal, uninstall
from chatmail.installation.state import installed_state
from chatmail.installation.steps import InstallError, LeftBehind, StepReport, StepState, install, left_behind
from tests.support.command import on_full_disk, run

ANSWERS = Answers("_chat.test", tls_mode="self-signed")


@dataclass
class PlayedHost:
    """Tools that remember what they were asked; whoever is in `failing` fails. Never root: owners stay as they are."""

    commands: list[str] = field(default_factory=list)
    failing: tuple[str, ...] = ()
    running: bool = False

    def is_root(self) -> bool:
        return False

    def run(self, command: Sequence[str]) -> Ended:
        text = " ".join(command)
        self.commands.append(text)
        if any(text.startswith(one) for one in self.failing):
            return Ended(1, "", "it does not want to")
        if text.startswith(("systemctl is-active", "systemctl is-enabled")):
            return Ended(0 if self.running else 3, "", "")
        if text.startswith("systemctl restart"):
            self.running = True
        if text.startswith("journalctl"):
            return Ended(0, "Error: Port 25 (smtp) is already in use by master (pid 7).\n\n", "")
        return Ended(0, "", "")


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path / "root", "1.0")


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "chatmail.pyz"
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("site-packages/chatmail/__init__.py", "")
        packed.writestr("environment.json", '{"build_id": "1"}')
    return path


def plan_of(places: Places, archive: Path, answers: Answers = ANSWERS) -> Plan:
    return make_plan(answers, places, archive, "/usr/bin/python3")


def below(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir()}


def test_an_installation_is_what_its_plan_says(places: Places, archive: Path) -> None:
    plan = plan_of(places, archive)
    reports: list[StepReport] = []
    assert install(plan, places, PlayedHost(), reports.append)
    assert [report.name for report in reports if report.state is StepState.WORKING] == list(steps.STEPS)
    for item in plan.items:
        if item.kind in ("file", "folder", "link"):
            path = Path(item.name)
            assert path.is_symlink() or path.exists(), item
            if item.kind == "file":
                assert f"{path.stat().st_mode & 0o777:o}" == {"-rwxr-xr-x": "755", "-rw-r-----": "640"}.get(
                    item.mode, "644"
                )
    assert places.command.resolve() == places.program
    assert (places.unpacked / "site-packages/chatmail/__init__.py").exists()


def test_a_second_run_changes_nothing_and_starts_nothing(places: Places, archive: Path) -> None:
    host = PlayedHost()
    install(plan_of(places, archive), places, host, lambda _report: None)
    files, record = below(places.root), read_record(places)
    host.commands.clear()
    plan = plan_of(places, archive)
    # User and group are the machine's own, which is not played.
    assert {item.kind for item in plan.items if item.action is not Action.KEEP} <= {"user", "group"}
    host.commands.clear()
    install(plan, places, host, lambda _report: None)
    assert (below(places.root), read_record(places)) == (files, record)
    assert not [command for command in host.commands if "restart" in command]


@pytest.mark.parametrize("step", list(steps.STEPS))
def test_an_interruption_at_any_step_is_resumed(places: Places, archive: Path, step: str) -> None:
    host = PlayedHost()

    def interrupt(report: StepReport) -> None:
        if report.name == step:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        install(plan_of(places, archive), places, host, interrupt)
    first = step == "user"
    assert left_behind(places) is (LeftBehind.PREVIOUS if first else LeftBehind.RESUMABLE)
    assert installed_state(places, host).complete is False
    install(plan_of(places, archive), places, host, lambda _report: None)
    assert installed_state(places, host).complete and host.running


def test_a_server_that_does_not_start_is_stopped_and_quoted(places: Places, archive: Path) -> None:
    host = PlayedHost(failing=("systemctl restart",))
    with pytest.raises(InstallError, match="last words") as caught:
        install(plan_of(places, archive), places, host, lambda _report: None)
    assert caught.value.step == "start" and caught.value.left is LeftBehind.RESUMABLE
    assert caught.value.log_lines == ("Error: Port 25 (smtp) is already in use by master (pid 7).",)
    assert host.commands[-2].startswith("systemctl stop")


def test_a_tool_that_refuses_is_quoted_in_one_sentence(places: Places, archive: Path) -> None:
    with pytest.raises(InstallError, match="failed: it does not want to") as caught:
        install(
            plan_of(places, archive), places, PlayedHost(failing=("systemctl daemon-reload",)), lambda _report: None
        )
    assert caught.value.left is LeftBehind.RESUMABLE


def test_a_damaged_file_is_not_unpacked(places: Places, tmp_path: Path) -> None:
    broken = tmp_path / "broken.pyz"
    broken.write_bytes(b"#!/usr/bin/env python3\nno archive")
    with pytest.raises(InstallError, match="copy it to this machine again"):
        install(plan_of(places, broken), places, PlayedHost(), lambda _report: None)
    assert not places.unpacked.exists()


FILL = """
import sys
from pathlib import Path
from tests.installation.test_steps import PlayedHost, plan_of
from chatmail.installation.places import Places
from chatmail.installation.steps import InstallError, install
places = Places(Path(sys.argv[1]), "1.0")
try:
    install(plan_of(places, Path(sys.argv[2])), places, PlayedHost(), lambda _report: None)
except InstallError as error:
    print(error.step, error.left, error, sorted(path.name for path in places.folder.iterdir()))
"""


def test_a_full_disk_is_told_in_one_sentence_and_nothing_half_is_in_place(tmp_path: Path, archive: Path) -> None:
    with zipfile.ZipFile(archive, "a", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("site-packages/large", bytes(1 << 20))
    root = tmp_path / "full"
    root.mkdir()
    ended = run(on_full_disk([sys.executable, "-c", FILL, str(root), str(archive)], root, "128k"))
    assert ended.out.startswith("unpack resumable The disk is full; make some space and run this again."), ended
    assert "'1.0'" not in ended.out


def test_another_build_of_the_same_version_is_unpacked_anew_and_started(places: Places, archive: Path) -> None:
    host = PlayedHost()
    install(plan_of(places, archive), places, host, lambda _report: None)
    with zipfile.ZipFile(archive, "a") as packed:
        packed.writestr("site-packages/chatmail/news.py", "")
    host.commands.clear()
    install(plan_of(places, archive), places, host, lambda _report: None)
    assert (places.unpacked / "site-packages/chatmail/news.py").exists()
    assert "systemctl restart chatmail.service" in host.commands


def test_what_is_not_ours_is_not_overwritten(places: Places, archive: Path) -> None:
    places.command.parent.mkdir(parents=True)
    places.command.write_text("somebody's")
    with pytest.raises(InstallError, match="not ours"):
        install(plan_of(places, archive), places, PlayedHost(), lambda _report: None)
    assert places.command.read_text() == "somebody's"


def test_another_domain_is_refused_since_all_addresses_would_be_lost(places: Places, archive: Path) -> None:
    install(plan_of(places, archive), places, PlayedHost(), lambda _report: None)
    with pytest.raises(OperatorError, match="set up for _chat"):
        plan_of(places, archive, Answers("_other.test", tls_mode="self-signed"))


def test_a_configuration_broken_by_hand_is_named(places: Places, archive: Path) -> None:
    install(plan_of(places, archive), places, PlayedHost(), lambda _report: None)
    places.config_file.write_text("mail_domain = 7\n")
    with pytest.raises(OperatorError, match=r"chatmail\.toml: mail_domain must be"):
        plan_of(places, archive)
    assert "must be" in installed_state(places, PlayedHost()).problem


def test_answers_that_were_kept_are_told_from_an_installation_that_was_begun(places: Places, archive: Path) -> None:
    write_record(places, Record(answers=asdict(ANSWERS), step="DNS", name_style="zone"))
    state = installed_state(places, PlayedHost())
    assert state.is_only_answered and state.answers == ANSWERS and state.kept_at is not None
    assert (state.step, state.name_style) == ("DNS", "zone")
    with pytest.raises(InstallError):
        install(plan_of(places, archive), places, PlayedHost(failing=("systemctl restart",)), lambda _report: None)
    assert not installed_state(places, PlayedHost()).is_only_answered


@pytest.mark.parametrize("remove_data", [True, False])
def test_a_removal_leaves_nothing_but_the_data_if_that_stays(places: Places, archive: Path, remove_data: bool) -> None:
    install(plan_of(places, archive), places, PlayedHost(), lambda _report: None)
    (places.data_dir / "chatmail.sqlite").write_text("mail")
    plan = plan_removal(places, remove_data=remove_data)
    assert plan.anything and plan.keeps_data is not remove_data
    uninstall(plan, places, PlayedHost(), lambda _report: None)
    left = set() if remove_data else {str((places.data_dir / "chatmail.sqlite").relative_to(places.root))}
    assert below(places.root) == left
    assert not plan_removal(places, remove_data=False).anything


def test_a_record_that_is_damaged_counts_as_none(places: Places) -> None:
    places.folder.mkdir(parents=True)
    for text in ("", "[]", "{}", json.dumps({"mail_domain": 7})):
        places.record.write_text(text)
        assert read_record(places) is None
