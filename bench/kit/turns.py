"""Measures cases in turn, so that a slow moment of the machine affects all of them alike."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence

from bench.kit.figure import say


def take_turns(rounds: int, cases: Mapping[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Measure each case once a round. The order of the cases turns around with each round."""
    found: dict[str, list[float]] = {name: [] for name in cases}
    for number in range(rounds):
        order = list(cases) if number % 2 == 0 else list(reversed(cases))
        for name in order:
            found[name].append(cases[name]())
            say(f"{name}: {found[name][-1]:,.4g}")
    return found


def divide(values: Sequence[float], bases: Sequence[float]) -> float:
    """Return the median of the ratios of each round."""
    return statistics.median(value / base for value, base in zip(values, bases, strict=True))
