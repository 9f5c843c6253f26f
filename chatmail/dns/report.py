"""The result of a DNS check as text and as JSON. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from chatmail.dns.compare import CheckState, RecordCheck, compare

_MARKS: Final = {
    CheckState.OK: "ok       ",
    CheckState.MISSING: "MISSING  ",
    CheckState.DIFFERENT: "DIFFERENT",
    CheckState.UNREACHABLE: "no answer",
}


@dataclass(frozen=True, slots=True)
class ReverseCheck:
    """Whether the name that an address has in reverse (PTR) leads back to it; one sentence of advice if not."""

    address: str
    names: tuple[str, ...]
    confirmed: bool
    advice: str = ""


@dataclass(frozen=True, slots=True)
class DnsReport:
    """All checks, in the order of the records."""

    checks: tuple[RecordCheck, ...]
    reverse: tuple[ReverseCheck, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every required record is right."""
        return all(check.state is CheckState.OK for check in self.checks if check.record.required)


def is_propagating(check: RecordCheck) -> bool:
    """Whether a record is right at its source but not yet seen by everybody."""
    if check.state is not CheckState.OK or check.public is None:
        return False
    # What stands for a CNAME (addresses in its place) is not asked for at the resolvers.
    if check.found and not set(check.found) & set(check.public) and check.record.value not in check.found:
        return False
    return compare(check.record, check.public, (check.record.value, *check.found))[0] is not CheckState.OK


def report_as_text(report: DnsReport) -> str:
    """A line for each record, what to do below it, and a last line that sums up."""
    lines: list[str] = []
    for check in report.checks:
        lines += _check_lines(check)
    for reverse in report.reverse:
        lines.append(f"{'ok       ' if reverse.confirmed else 'note     '} PTR   {reverse.address}")
        lines += _indented(reverse.advice)
    lines.append(_summary(report))
    return "".join(f"{line}\n" for line in lines)


def _check_lines(check: RecordCheck) -> list[str]:
    record = check.record
    lines = [f"{_MARKS[check.state]} {record.type:<5} {record.name}{'' if record.required else '  (recommended)'}"]
    if is_propagating(check):
        lines += _indented("Right at the source, not yet seen by everybody: wait up to an hour.")
    if check.state is CheckState.MISSING or check.state is CheckState.DIFFERENT:
        lines += _indented(f"wanted: {record.value}")
        lines += [line for value in check.found for line in _indented(f"found:  {value}")]
    return lines + _indented(check.advice)


def _indented(text: str) -> list[str]:
    return [f"          {text}"] if text else []


def _summary(report: DnsReport) -> str:
    if not report.checks:
        return "A server that is known by its IP address needs no DNS records."
    wrong = _names(report.checks, required=True)
    if wrong:
        return f"{len(wrong)} required records are not right yet."
    weak = _names(report.checks, required=False)
    if weak:
        return f"All required records are right; {len(weak)} recommended ones are not."
    return "All records are right."


def _names(checks: Sequence[RecordCheck], *, required: bool) -> list[str]:
    return [c.record.name for c in checks if c.record.required is required and c.state is not CheckState.OK]


def report_as_dict(report: DnsReport) -> dict[str, Any]:
    """Stable names for `dns check --json`."""
    return {
        "ok": report.ok,
        "records": [
            {
                "name": check.record.name,
                "type": check.record.type.value,
                "required": check.record.required,
                "state": check.state.value,
                "propagating": is_propagating(check),
                "wanted": check.record.value,
                "found": list(check.found),
                "public": None if check.public is None else list(check.public),
                "advice": check.advice,
            }
            for check in report.checks
        ],
        "reverse": [
            {
                "address": reverse.address,
                "names": list(reverse.names),
                "confirmed": reverse.confirmed,
                "advice": reverse.advice,
            }
            for reverse in report.reverse
        ],
    }
