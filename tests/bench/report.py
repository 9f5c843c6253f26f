"""Results as a table, as JSON, and two of them compared."""

import json
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from tests.bench.figure import Figure

Runs = dict[str, list[Figure]]
"""Of one server: each figure by its name, once for each run."""


@dataclass(slots=True)
class Report:
    """What was measured, by server and by figure, in the order it came in."""

    servers: dict[str, Runs] = field(default_factory=dict)
    about: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of_this_machine(cls) -> Self:
        """Empty, with what ratios do not need and readers want to know."""
        cores = f"{os.cpu_count()} cores"
        return cls({}, {"at": datetime.now(UTC).isoformat(timespec="seconds"), "machine": f"{_cpu()}, {cores}"})

    def add(self, server: str, figures: Sequence[Figure]) -> None:
        """One more run of some figures."""
        runs = self.servers.setdefault(server, {})
        for figure in figures:
            runs.setdefault(figure.name, []).append(figure)

    def value(self, server: str, name: str) -> float | None:
        """The median over the runs."""
        figures = self.servers.get(server, {}).get(name)
        return statistics.median(figure.value for figure in figures) if figures else None

    def table(self) -> str:
        """A line for each figure, a column for each server; all runs where there were several, and what is missed."""
        names = list(dict.fromkeys(name for runs in self.servers.values() for name in runs))
        rows = [["figure", "goal", *self.servers], ["---"] * (2 + len(self.servers))]
        for name in names:
            some = next(runs[name][0] for runs in self.servers.values() if name in runs)
            cells = [_cell(runs.get(name, ())) for runs in self.servers.values()]
            rows.append([name + (f", {some.unit}" if some.unit else ""), some.goal, *cells])
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        return "\n".join(
            "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
        )

    def write(self, path: Path) -> None:
        """As JSON."""
        servers = {
            server: {name: [asdict(one) for one in figures] for name, figures in runs.items()}
            for server, runs in self.servers.items()
        }
        path.write_text(json.dumps({"about": self.about, "servers": servers}, indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> Self:
        """What `write` wrote."""
        found: dict[str, Any] = json.loads(path.read_text())
        servers = {
            server: {name: [_figure(one) for one in figures] for name, figures in runs.items()}
            for server, runs in found["servers"].items()
        }
        return cls(servers, found["about"])


def compare(before: Report, after: Report) -> str:
    """The medians of two reports, and the second as a ratio of the first."""
    lines = []
    for server, runs in after.servers.items():
        lines.append(f"{server:<56} {'before':>10} {'after':>10} {'ratio':>7}")
        for name, figures in runs.items():
            old, new = before.value(server, name), after.value(server, name)
            if old is None or new is None:
                continue
            ratio = f"{new / old:7.2f}" if old else "      –"
            lines.append(f"  {name:<54} {old:>10.2f} {new:>10.2f} {ratio} {figures[0].unit}")
    return "\n".join(lines)


def _cell(figures: Sequence[Figure]) -> str:
    if not figures:
        return ""
    values = [figure.value for figure in figures]
    shown = f"{statistics.median(values):.4g}"
    if len(values) > 1:
        shown += f" ({', '.join(f'{value:.4g}' for value in values)})"
    return shown


def _figure(found: Mapping[str, Any]) -> Figure:
    return Figure(found["name"], found["value"], found["unit"], found["goal"], tuple(found["samples"]))


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
