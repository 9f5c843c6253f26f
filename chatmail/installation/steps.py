"""The steps of an installation, in order: each looks whether it is done, does its part, and is recorded.

A step that is interrupted leaves either nothing or something the next run takes up; nothing half-written is ever under
its final name. `install` is the door; `StepReport`s say how far it is.
"""

import errno
import filecmp
import grp
import os
import pwd
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Final

from chatmail.control_protocol import STATUS_GROUP
from chatmail.errors import OperatorError
from chatmail.installation.host import Host, has_group, has_user, must
from chatmail.installation.places import LOG_NAMESPACE, UNIT, USER, Places
from chatmail.installation.plan import Action, Plan, link_action, text_action
from chatmail.installation.record import Record, make_folder, read_record, write_record
from chatmail.storage.atomic import sync_folder, write_durably

PACKAGES: Final = "site-packages/"
"""Where the built file carries what it is made of."""
LOG_LINES: Final = 12


class StepState(StrEnum):
    """How a step stands."""

    WORKING = "working"
    DONE = "done"
    UNCHANGED = "unchanged"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class StepReport:
    """News of one step: `number` of `total`, `sentence` for people."""

    name: str
    number: int
    total: int
    sentence: str
    state: StepState


class LeftBehind(StrEnum):
    """What a run that did not finish leaves."""

    PREVIOUS = "previous"
    """Everything as it was before."""
    RESUMABLE = "resumable"
    """Some steps are done; the next run goes on from there."""


class InstallError(OperatorError):
    """An installation stopped. `str()` is one sentence; `log_lines` are the server's last, if it did not start."""

    def __init__(self, sentence: str, step: str, left: LeftBehind, log_lines: tuple[str, ...] = ()) -> None:
        super().__init__(sentence)
        self.step = step
        self.left = left
        self.log_lines = log_lines


class ServiceNotStartedError(OperatorError):
    """systemd could not start the server."""

    def __init__(self, log_lines: tuple[str, ...]) -> None:
        super().__init__("The server did not start; its last words are below.")
        self.log_lines = log_lines


@dataclass(slots=True)
class _Run:
    """One run of `install`."""

    plan: Plan
    places: Places
    host: Host
    record: Record

    def keep(self, record: Record) -> None:
        if record != self.record:
            write_record(self.places, record)
            self.record = record

    def made(self, *names: str | Path) -> None:
        """Remember that we make these, before they are made."""
        self.keep(replace(self.record.with_made(*map(str, names)), complete=False))

    def restart_is_due(self) -> None:
        self.keep(replace(self.record, restart_due=True, complete=False))


OnStep = Callable[[StepReport], None]
_Step = Callable[[_Run], bool]
"""Does its part; whether there was anything to do."""


def install(plan: Plan, places: Places, host: Host, on_step: OnStep) -> bool:
    """Do what the plan says; whether anything was changed. Raises `InstallError`; interruptions pass through."""
    found = read_record(places)
    run = _Run(plan, places, host, found or Record())
    changed = False
    for number, (name, (sentence, step)) in enumerate(STEPS.items(), start=1):
        report = StepReport(name, number, len(STEPS), sentence, StepState.WORKING)
        on_step(report)
        try:
            did = step(run)
            if did:
                run.keep(replace(run.record, done=tuple(dict.fromkeys((*run.record.done, name)))))
        except (OSError, OperatorError, zipfile.BadZipFile) as error:
            on_step(replace(report, state=StepState.FAILED))
            log_lines = error.log_lines if isinstance(error, ServiceNotStartedError) else ()
            raise InstallError(_sentence(error), name, left_behind(places), log_lines) from error
        changed = changed or did
        on_step(replace(report, state=StepState.DONE if did else StepState.UNCHANGED))
    run.keep(
        replace(
            run.record,
            mail_domain=plan.config.mail_domain,
            version=places.version,
            done=tuple(STEPS),
            complete=True,
            restart_due=False,
        )
    )
    return changed


def left_behind(places: Places) -> LeftBehind:
    """What lies on the machine if a run ended now."""
    record = read_record(places)
    return LeftBehind.PREVIOUS if record is None or record.complete else LeftBehind.RESUMABLE


def _sentence(error: Exception) -> str:
    if isinstance(error, OperatorError):
        return str(error)
    if isinstance(error, zipfile.BadZipFile):
        return "The program file is damaged; copy it to this machine again."
    assert isinstance(error, OSError)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "The disk is full; make some space and run this again."
    return f"{error.filename or 'A file'} cannot be written ({error.strerror}); mend that and run this again."


# --- the steps ------------------------------------------------------------------------------------------------------


def _make_user(run: _Run) -> bool:
    changed = False
    if not has_user(USER):
        run.made(f"user:{USER}")
        must(run.host, "useradd", "--system", "--user-group", "--no-create-home", "--home-dir",
             str(run.places.data_dir), "--shell", "/usr/sbin/nologin", "--comment", "chatmail relay", USER)  # fmt: skip
        changed = True
    if not has_group(STATUS_GROUP):
        run.made(f"group:{STATUS_GROUP}")
        must(run.host, "groupadd", "--system", STATUS_GROUP)
        changed = True
    return changed


def _copy_program(run: _Run) -> bool:
    """The file itself, whole or not at all under its name."""
    places, source = run.places, run.plan.archive
    if places.program.exists() and (places.program.samefile(source) or _same(source, places.program)):
        return False
    run.made(places.folder)
    part = places.program.with_name(f".{places.program.name}.new")
    shutil.copyfile(source, part)
    part.chmod(0o755)
    with part.open("rb") as file:
        os.fsync(file.fileno())
    if places.unpacked.exists():
        # The same version with another content: what was unpacked is no longer it.
        shutil.rmtree(places.unpacked)
    part.rename(places.program)
    sync_folder(places.folder)
    run.restart_is_due()
    return True


def _same(one: Path, other: Path) -> bool:
    return filecmp.cmp(one, other, shallow=False)


def _unpack(run: _Run) -> bool:
    """Readable for everybody, writable for root; compiled, since the server itself may write nothing there."""
    folder = run.places.unpacked
    if folder.exists():
        return False
    run.made(run.places.folder)
    part = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(part, ignore_errors=True)
    before = os.umask(0o022)
    try:
        with zipfile.ZipFile(run.places.program) as packed:
            packed.extractall(part, [name for name in packed.namelist() if name.startswith(PACKAGES)])
            (part / "build_id").write_bytes(packed.read("environment.json"))
        # Whether it was compiled decides how fast a start is, nothing else.
        run.host.run([run.plan.python, "-I", "-m", "compileall", "-q", "-j", "0", str(part)])
        os.sync()
        part.rename(folder)
    finally:
        os.umask(before)
    sync_folder(run.places.folder)
    run.restart_is_due()
    return True


def _link(run: _Run) -> bool:
    changed = False
    for link, target in ((run.places.current, run.places.program), (run.places.command, run.places.current)):
        if link_action(link, target) is Action.KEEP:
            continue
        if link.exists() and not link.is_symlink():
            raise OperatorError(f"{link} exists and is not ours; move it away and run this again.")
        run.made(link)
        make_folder(link.parent)
        beside = link.with_name(f".{link.name}.new")
        beside.unlink(missing_ok=True)
        beside.symlink_to(target)
        beside.rename(link)
        changed = True
    return changed


def _configure(run: _Run) -> bool:
    path = run.places.config_file
    if text_action(path, run.plan.config_text) is Action.KEEP:
        return False
    run.made(path.parent)
    make_folder(path.parent)
    write_durably(path, run.plan.config_text.encode(), mode=0o640)
    # It may hold secrets, and the server must read it.
    os.chown(path, -1, _group_id(run.host))
    run.restart_is_due()
    return True


def _group_id(host: Host) -> int:
    return grp.getgrnam(USER).gr_gid if host.is_root() else -1


def _prepare_data(run: _Run) -> bool:
    """The data folder, and what was made in it before there was a user (keys, a certificate), becomes the user's."""
    folder = run.places.data_dir
    changed = not folder.exists()
    run.made(folder) if changed else None
    make_folder(folder, 0o700)
    if not run.host.is_root():
        return changed
    user = pwd.getpwnam(USER)
    for path in (folder, *folder.rglob("*")):
        found = path.lstat()
        if (found.st_uid, found.st_gid) != (user.pw_uid, user.pw_gid):
            os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)
            changed = True
    return changed


def _write_unit(run: _Run) -> bool:
    places, changed = run.places, False
    if not places.journals.exists():
        run.made(places.journals)
    for path, text in (
        (places.log_settings, run.plan.log_settings_text),
        (places.unit_file, run.plan.unit_text),
    ):
        if text_action(path, text) is not Action.KEEP:
            run.made(path)
            make_folder(path.parent)
            write_durably(path, text.encode(), mode=0o644)
            run.restart_is_due()
            changed = True
    return changed


def _start(run: _Run) -> bool:
    """Enabled and running from what is installed now; a server that does not start is not tried for ever."""
    host, record = run.host, run.record
    is_active = host.run(["systemctl", "is-active", "--quiet", UNIT]).code == 0
    is_enabled = host.run(["systemctl", "is-enabled", "--quiet", UNIT]).code == 0
    if is_active and is_enabled and not record.restart_due:
        return False
    run.keep(replace(record, complete=False))
    must(host, "systemctl", "daemon-reload")
    must(host, "systemctl", "enable", "--quiet", UNIT)
    host.run(["systemctl", "reset-failed", UNIT])
    if host.run(["systemctl", "restart", UNIT]).code != 0:
        host.run(["systemctl", "stop", UNIT])
        raise ServiceNotStartedError(last_log_lines(host))
    return True


def last_log_lines(host: Host, count: int = LOG_LINES) -> tuple[str, ...]:
    """The last lines the server wrote, each with its time; the machine's own name is left out."""
    tail = ["-n", str(count), "-o", "short", "--no-hostname", "--no-pager", "-q"]
    log = host.run(["journalctl", f"--namespace={LOG_NAMESPACE}", "-u", UNIT, *tail]).out
    return tuple(line for line in log.splitlines() if line.strip())


STEPS: Final[dict[str, tuple[str, _Step]]] = {
    "user": (f"Create the system user {USER} and the group {STATUS_GROUP}", _make_user),
    "program": ("Copy the program", _copy_program),
    "unpack": ("Unpack it", _unpack),
    "links": ("Link it", _link),
    "configuration": ("Write the configuration", _configure),
    "data": ("Prepare the data folder", _prepare_data),
    "unit": ("Write the systemd unit", _write_unit),
    "start": ("Enable and start the server", _start),
}
"""All steps by name, with what is said while they work."""
