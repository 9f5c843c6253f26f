"""Taking an installation away: everything it made, and nothing else. The data goes only if that was said."""

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chatmail.control_protocol import STATUS_GROUP
from chatmail.errors import OperatorError
from chatmail.installation.host import Host, has_group, has_user, must
from chatmail.installation.places import LOG_NAMESPACE, UNIT, USER, Places
from chatmail.installation.record import Record, read_record
from chatmail.installation.steps import StepReport, StepState

_LOG_UNITS: Final = (
    f"systemd-journald@{LOG_NAMESPACE}.service",
    f"systemd-journald@{LOG_NAMESPACE}.socket",
    f"systemd-journald-varlink@{LOG_NAMESPACE}.socket",
    f"systemd-journald-sync@{LOG_NAMESPACE}.service",
)


@dataclass(frozen=True, slots=True)
class RemovalPlan:
    """What will be removed, of what is there now. `data_dir` is None where the data stays or there is none."""

    paths: tuple[Path, ...]
    user: str
    """Empty if we did not make it, or if it still owns data that stays."""
    group: str
    """Of those who may look; empty if we did not make it."""
    data_dir: Path | None
    keeps_data: bool

    @property
    def anything(self) -> bool:
        """Whether there is anything to remove."""
        return bool(self.paths or self.user or self.group or self.data_dir)


def plan_removal(places: Places, *, remove_data: bool) -> RemovalPlan:
    """Look what is there. Changes nothing."""
    # Without a record everything under our names is ours.
    record = read_record(places) or Record(made=(f"user:{USER}", f"group:{STATUS_GROUP}"))
    candidates = (
        places.unit_file,
        places.log_settings,
        places.command,
        places.config_file.parent,
        places.folder,
    )
    paths = tuple(path for path in candidates if path.exists() or path.is_symlink())
    data_dir = places.data_dir if places.data_dir.exists() else None
    owns_user = f"user:{USER}" in record.made and has_user(USER)
    owns_group = f"group:{STATUS_GROUP}" in record.made and has_group(STATUS_GROUP)
    return RemovalPlan(
        paths=paths,
        user=USER if owns_user else "",
        group=STATUS_GROUP if owns_group else "",
        data_dir=data_dir if remove_data else None,
        keeps_data=data_dir is not None and not remove_data,
    )


def uninstall(plan: RemovalPlan, places: Places, host: Host, on_step: Callable[[StepReport], None]) -> None:
    """Remove it, what is needed to try again last. Raises `OperatorError`; run it again to go on."""
    parts: tuple[tuple[str, str, Callable[[], object]], ...] = (
        ("stop", "Stop the server", lambda: _stop(places, host)),
        (
            "data",
            "Remove the data" if plan.data_dir else "Give the data that stays to root",
            lambda: _data(plan, places, host),
        ),
        ("user", f"Remove the system user {USER}", lambda: _remove_user(plan, host)),
        ("files", "Remove the files", lambda: _remove_files(plan, places)),
    )
    for number, (name, sentence, work) in enumerate(parts, start=1):
        report = StepReport(name, number, len(parts), sentence, StepState.WORKING)
        on_step(report)
        try:
            work()
        except OSError as error:
            on_step(StepReport(name, number, len(parts), sentence, StepState.FAILED))
            raise OperatorError(f"{error.filename} cannot be removed ({error.strerror}); run this again.") from error
        on_step(StepReport(name, number, len(parts), sentence, StepState.DONE))
    host.run(["systemctl", "daemon-reload"])


def _stop(places: Places, host: Host) -> None:
    if places.unit_file.exists():
        must(host, "systemctl", "disable", "--now", "--quiet", UNIT)
    host.run(["systemctl", "reset-failed", UNIT])
    if places.log_settings.exists():
        for unit in _LOG_UNITS:
            host.run(["systemctl", "stop", unit])
        host.run(["systemctl", "reset-failed", *_LOG_UNITS])
        journals = (places.journals, places.root / "run/log/journal")
        kept = [folder for above in journals for folder in above.glob(f"*.{LOG_NAMESPACE}")]
        for folder in (*kept, places.root / f"run/systemd/journal.{LOG_NAMESPACE}"):
            shutil.rmtree(folder, ignore_errors=True)
        record = read_record(places)
        if record is not None and str(places.journals) in record.made:
            with suppress(OSError):
                places.journals.rmdir()


def _remove_user(plan: RemovalPlan, host: Host) -> None:
    if plan.user:
        must(host, "userdel", plan.user)
    if plan.group:
        must(host, "groupdel", plan.group)


def _data(plan: RemovalPlan, places: Places, host: Host) -> None:
    if plan.data_dir is not None:
        shutil.rmtree(plan.data_dir)
    elif plan.keeps_data and host.is_root():
        # The number of a removed user may be given to another one.
        for path in (places.data_dir, *places.data_dir.rglob("*")):
            os.chown(path, 0, 0, follow_symlinks=False)


def _remove_files(plan: RemovalPlan, places: Places) -> None:
    for path in plan.paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    # Where the file unpacked itself before it was installed.
    shutil.rmtree(places.cache, ignore_errors=True)
    with suppress(OSError):
        places.cache.parent.rmdir()
