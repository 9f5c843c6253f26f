"""SVG pictures of a report: how latency is distributed, and what stored messages cost."""

import math
import re
from pathlib import Path

import pygal  # type: ignore[import-untyped]

from tests.bench.figure import Figure
from tests.bench.report import Report

SHARES = (0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 99, 99.5)
_STORED = re.compile(r"^(?P<name>.*) with (?P<messages>[\d,]+) stored$")


def draw(report: Report, folder: Path) -> list[Path]:
    """Draw what the report has figures for; the files written."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = [_latencies(report, folder / "latency.svg"), _cost(report, folder / "stored-messages.svg")]
    return [path for path in drawn if path is not None]


def _latencies(report: Report, path: Path) -> Path | None:
    """Milliseconds over the share of messages that took no longer, for each server; the scale is logarithmic."""
    chart = pygal.XY(title="Milliseconds from the final dot, by percentile", logarithmic=True, show_x_guides=True)
    chart.x_title = "percent of the messages"
    for server, runs in report.servers.items():
        for name, figures in runs.items():
            if name.startswith("final dot to EXISTS") and name.endswith("p50") and " with " not in name:
                chart.add(f"{server}: {name.removesuffix(' p50')}", _percentiles(figures))
    return _written(chart, path)


def _percentiles(figures: list[Figure]) -> list[tuple[float, float]]:
    samples = sorted(one for figure in figures for one in figure.samples)
    if not samples:
        return []
    return [(share, samples[min(len(samples) - 1, int(share * len(samples) / 100))]) for share in SHARES]


def _cost(report: Report, path: Path) -> Path | None:
    """Each figure that was measured on stores of several sizes, as a multiple of the empty store's."""
    chart = pygal.XY(title="Cost with stored messages, as a multiple of an empty store", show_x_guides=True)
    chart.x_title = "stored messages, powers of ten"
    for runs in report.servers.values():
        lines: dict[str, list[tuple[float, float]]] = {}
        for name in runs:
            found = _STORED.match(name)
            if found is None:
                continue
            messages = int(found["messages"].replace(",", ""))
            value = sum(figure.value for figure in runs[name]) / len(runs[name])
            lines.setdefault(found["name"], []).append((math.log10(max(1, messages)), value))
        for line, points in lines.items():
            base = points[0][1]
            if base:
                chart.add(line, [(x, y / base) for x, y in points])
    return _written(chart, path)


def _written(chart: pygal.XY, path: Path) -> Path | None:
    if not chart.raw_series:
        return None
    chart.legend_at_bottom = True
    chart.legend_at_bottom_columns = 2
    chart.js = []
    chart.render_to_file(str(path))
    return path
