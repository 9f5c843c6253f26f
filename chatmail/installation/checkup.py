"""What a check of the running server says: the values of `doctor`, and their rendering as text and JSON. Pure."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final


class DoctorState(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    """It works, but not as well as it could, or could not be looked at in full."""
    FAILED = "failed"
    SKIPPED = "skipped"
    """It does not apply here."""


@dataclass(frozen=True, slots=True)
class DoctorCheck:
    """One check: what was found in one sentence, what to do about it (or empty), and a time if one was measured."""

    name: str
    state: DoctorState
    sentence: str
    remedy: str = ""
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class DoctorReport:
    """All checks in the order they were made."""

    checks: tuple[DoctorCheck, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing failed."""
        return all(check.state is not DoctorState.FAILED for check in self.checks)


_MARKS: Final = {
    DoctorState.OK: "ok     ",
    DoctorState.WARNING: "WARNING",
    DoctorState.FAILED: "FAILED ",
    DoctorState.SKIPPED: "-      ",
}


def check_as_text(check: DoctorCheck) -> str:
    """One line, and a second one with what to do."""
    line = f"{_MARKS[check.state]} {check.name}: {check.sentence}"
    return f"{line}\n        {check.remedy}" if check.remedy else line


def summary(report: DoctorReport) -> str:
    """The last line for people."""
    failed = [check.name for check in report.checks if check.state is DoctorState.FAILED]
    if failed:
        return f"Something is wrong: {', '.join(failed)}."
    warnings = sum(check.state is DoctorState.WARNING for check in report.checks)
    if not warnings:
        return "All is well."
    return f"All is well, with {warnings} warning{'s' if warnings > 1 else ''}."


def report_as_dict(report: DoctorReport) -> dict[str, Any]:
    """Stable names for `doctor --json`."""
    return {"ok": report.ok, "checks": [asdict(check) for check in report.checks]}


def of(name: str, problems: Sequence[str], fine: str, remedy: str) -> DoctorCheck:
    """Failed with the problems in one sentence, or fine."""
    if problems:
        return DoctorCheck(name, DoctorState.FAILED, "; ".join(problems) + ".", remedy)
    return DoctorCheck(name, DoctorState.OK, fine)
