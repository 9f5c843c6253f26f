"""How a line of any list is marked: a symbol and a word, so that colour is never needed. Pure."""

from dataclasses import dataclass
from enum import Enum

from chatmail import api
from installer.wizard.texts import welcome as texts


class Mark(Enum):
    """Symbol, word, and the name of the colour."""

    OK = ("✓", "ok", "good")
    WARNING = ("▲", "warning", "warn")
    STOP = ("✗", "stop", "bad")
    FAILED = ("✗", "failed", "bad")
    MISSING = ("✗", "missing", "bad")
    DIFFERENT = ("✗", "differs", "bad")
    ADVISED = ("▲", "advised", "warn")
    """Missing or different, but only recommended."""
    SPREADING = ("~", "spreading", "busy")
    """Right at its source, not yet seen by everybody."""
    SILENT = ("?", "no answer", "warn")
    SKIPPED = ("–", "not used", "calm")
    WORKING = ("›", "working", "busy")
    WAITING = ("·", "", "calm")
    DONE = ("✓", "done", "good")
    UNCHANGED = ("✓", "as it was", "calm")
    CREATE = ("+", "new", "good")
    CHANGE = ("~", "changed", "warn")
    KEEP = ("=", "stays", "calm")

    def __init__(self, symbol: str, word: str, tone: str) -> None:
        self.symbol = symbol
        self.word = word
        self.tone = tone


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a list: what it is about, one sentence, and what to do about it (or empty)."""

    mark: Mark
    name: str
    sentence: str
    remedy: str = ""


_PREFLIGHT = {
    api.PreflightState.OK: Mark.OK,
    api.PreflightState.WARNING: Mark.WARNING,
    api.PreflightState.STOP: Mark.STOP,
}
_DOCTOR = {
    api.DoctorState.OK: Mark.OK,
    api.DoctorState.WARNING: Mark.WARNING,
    api.DoctorState.FAILED: Mark.FAILED,
    api.DoctorState.SKIPPED: Mark.SKIPPED,
}
_STEP = {
    api.StepState.WORKING: Mark.WORKING,
    api.StepState.DONE: Mark.DONE,
    api.StepState.UNCHANGED: Mark.UNCHANGED,
    api.StepState.FAILED: Mark.FAILED,
}
_PLAN = {api.Action.CREATE: Mark.CREATE, api.Action.CHANGE: Mark.CHANGE, api.Action.KEEP: Mark.KEEP}
_RECORD = {
    api.CheckState.OK: Mark.OK,
    api.CheckState.MISSING: Mark.MISSING,
    api.CheckState.DIFFERENT: Mark.DIFFERENT,
    api.CheckState.UNREACHABLE: Mark.SILENT,
}


def preflight_row(check: api.PreflightCheck, state: api.InstalledState) -> Row:
    """A look at the machine; where somebody has only answered questions so far, nothing is wrong with that."""
    if check.name == "installation" and state.is_only_answered:
        return Row(Mark.OK, check.name, texts.ANSWERS_KEPT)
    return Row(_PREFLIGHT[check.state], check.name, check.sentence, check.remedy)


def doctor_row(check: api.DoctorCheck) -> Row:
    """A check of the running server: its name begins the sentence."""
    return Row(_DOCTOR[check.state], "", f"{check.name}: {check.sentence}", check.remedy)


def step_row(report: api.StepReport) -> Row:
    """A step of the installation."""
    return Row(_STEP[report.state], "", report.sentence)


def plan_row(item: api.PlannedItem) -> Row:
    """What happens to one user, folder, file, link or unit."""
    rights = f"  {item.mode} {item.owner}" if item.mode else ""
    return Row(_PLAN[item.action], item.kind, f"{item.name}{rights}", item.purpose)


def record_mark(check: api.RecordCheck) -> Mark:
    """How a DNS record stands; those that are only recommended do not alarm."""
    if api.is_propagating(check):
        return Mark.SPREADING
    mark = _RECORD[check.state]
    return Mark.ADVISED if mark.tone == "bad" and not check.record.required else mark


def worst_first(rows: list[Row]) -> list[Row]:
    """What stops, then what warns, then the rest; else in the order given."""
    rank = {"bad": 0, "warn": 1}
    return sorted(rows, key=lambda row: rank.get(row.mark.tone, 2))


def counted(rows: list[Row]) -> tuple[int, int]:
    """How many stop or failed, and how many warn."""
    tones = [row.mark.tone for row in rows]
    return tones.count("bad"), tones.count("warn")
