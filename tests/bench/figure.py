"""One measured number, what it is meant to be, and the samples behind it."""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

_COMPARISONS: Final[dict[str, Callable[[float, float], bool]]] = {"<=": operator.le, ">=": operator.ge}
MAX_SAMPLES: Final = 2000
"""Kept of each distribution, evenly spread over the sorted ones."""


@dataclass(frozen=True, slots=True)
class Figure:
    """Name, value, unit, the goal such as `<= 2` if there is one, and (sorted) samples of a distribution."""

    name: str
    value: float
    unit: str
    goal: str = ""
    samples: tuple[float, ...] = ()

    @property
    def is_met(self) -> bool:
        """Whether the goal is reached; true where there is none."""
        if not self.goal:
            return True
        comparison, _, limit = self.goal.partition(" ")
        return _COMPARISONS[comparison](self.value, float(limit))


def quantile(samples: Sequence[float], share: float) -> float:
    """The `share` quantile of `samples` (nearest rank)."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def latency_figures(name: str, seconds: Sequence[float], goal_p50: str = "", goal_p99: str = "") -> list[Figure]:
    """Median, which carries the distribution, and 99th percentile, in milliseconds."""
    ordered = sorted(1000 * one for one in seconds)
    step = max(1, len(ordered) // MAX_SAMPLES)
    kept = tuple(round(one, 3) for one in ordered[::step])
    return [
        Figure(f"{name} p50", quantile(ordered, 0.5), "ms", goal_p50, kept),
        Figure(f"{name} p99", quantile(ordered, 0.99), "ms", goal_p99),
    ]
