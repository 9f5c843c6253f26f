"""What an attack came to, as a row of a table and as JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from tests.bench.figure import quantile

EXISTS_P99_MS: Final = 50.0
"""What an honest client may wait at most, in 99 of 100 messages."""
GROWTH_BYTES: Final = 256 << 20
"""What the server may grow by at most."""
RECOVERED_SECONDS: Final = 20.0
"""After the last attacker has gone: no connection of theirs left."""
MIB: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Of a latency, in milliseconds; zeros where nothing was measured."""

    samples: int
    p50: float
    p99: float
    highest: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> "Quantiles":
        """Rounded to what can be known."""
        if not seconds:
            return cls(0, 0.0, 0.0, 0.0)
        return cls(len(seconds), *(round(1000 * quantile(seconds, share), 1) for share in (0.5, 0.99, 1.0)))

    def __str__(self) -> str:
        return f"{self.p50:.1f} / {self.p99:.1f} / {self.highest:.0f}" if self.samples else "–"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one attack."""

    name: str
    does: str
    seconds: float
    quiet: Quantiles
    """EXISTS before the attack."""
    exists: Quantiles
    logins: Quantiles
    failures: int
    failed_logins: int
    before_bytes: int
    highest_bytes: int
    after_bytes: int
    loop_lag_ms: float
    """How late the event loop was at worst by the end of the attack."""
    loop_lag_after_ms: float
    """The same, all attackers' hanging up at once included."""
    cpu_percent: float
    most_connections: Mapping[str, int]
    attackers: Mapping[str, int]
    server: Mapping[str, int]
    """Its refusals and log lines meanwhile, by reason."""
    recovered_seconds: float
    after: Quantiles
    """EXISTS afterwards."""
    first_login_ms: float
    bugs: tuple[str, ...]

    @property
    def missed(self) -> list[str]:
        """The goals that were not met."""
        return [
            name
            for name, is_met in (
                ("EXISTS p99", self.exists.samples > 0 and self.exists.p99 <= EXISTS_P99_MS),
                ("messages failed", not self.failures),
                ("logins failed", not self.failed_logins),
                ("memory", self.highest_bytes - self.before_bytes <= GROWTH_BYTES),
                ("recovery", self.recovered_seconds <= RECOVERED_SECONDS and self.after.p99 <= EXISTS_P99_MS),
                ("bugs", not self.bugs),
            )
            if not is_met
        ]


HEADINGS: Final = (
    "attack",
    "quiet EXISTS",
    "EXISTS p50 / p99 / max, ms",
    "samples, failed",
    "login p50 / p99 / max, ms",
    "memory before, most, after, MiB",
    "loop lag, after, ms",
    "CPU",
    "recovered, s; p99 after, first login, ms",
    "missed",
)


def row(outcome: Outcome) -> tuple[str, ...]:
    """Its cells."""
    memory = (outcome.before_bytes, outcome.highest_bytes, outcome.after_bytes)
    return (
        outcome.name,
        str(outcome.quiet),
        str(outcome.exists),
        f"{outcome.exists.samples}, {outcome.failures}",
        f"{outcome.logins}" + (f", {outcome.failed_logins} failed" if outcome.failed_logins else ""),
        ", ".join(f"{size / MIB:.0f}" for size in memory),
        f"{outcome.loop_lag_ms:.0f}, {outcome.loop_lag_after_ms:.0f}",
        f"{outcome.cpu_percent:.0f} %",
        f"{outcome.recovered_seconds:.1f}; {outcome.after.p99:.1f}, {outcome.first_login_ms:.0f}",
        ", ".join(outcome.missed),
    )


def table(outcomes: Sequence[Outcome]) -> str:
    """A line for each attack."""
    rows = [HEADINGS, tuple("---" for _ in HEADINGS), *map(row, outcomes)]
    widths = [max(len(each[column]) for each in rows) for column in range(len(HEADINGS))]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(each, widths, strict=True)) + " |" for each in rows
    )


def details(outcome: Outcome) -> str:
    """What attackers and server did, in a few lines."""

    def counted(counts: Mapping[str, int]) -> str:
        return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()) if count) or "–"

    return (
        f"{outcome.name}: {outcome.does} ({outcome.seconds:.0f} s)\n"
        f"  attackers: {counted(outcome.attackers)}\n"
        f"  server:    {counted(outcome.server)}\n"
        f"  most open: {counted(outcome.most_connections)}"
    )


def write(outcomes: Sequence[Outcome], about: Mapping[str, str], path: Path) -> None:
    """As JSON."""
    found = [{**asdict(outcome), "missed": outcome.missed} for outcome in outcomes]
    path.write_text(json.dumps({"about": about, "attacks": found}, indent=1) + "\n")
