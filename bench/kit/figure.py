"""What a row of the benchmark finds: figures, each with what is wanted, if something is."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much a run does.

    Attributes:
        due: reminders due at once.
        milestones: in the folder that is loaded; growth: the numbers of milestones that are compared.
        rounds: how often each case is measured.
        idle_s: how long the CPU time of an idle daemon is counted.
    """

    due: int = 5_000
    milestones: int = 100_000
    growth: tuple[int, ...] = (1_000, 10_000, 100_000, 1_000_000)
    rounds: int = 3
    idle_s: float = 20.0


FULL = Sizes()
QUICK = Sizes(due=300, milestones=2_000, growth=(200, 1_000), rounds=1, idle_s=3.0)
TINY = Sizes(due=20, milestones=50, growth=(20, 50), rounds=1, idle_s=0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One number.

    Attributes:
        name: identifies the figure between runs, such as ``reload``.
        label: what it is, for people.
        value: None if it could not be measured; ``note`` says why.
        unit: such as ``s``; "" for a ratio.
        most: the value that is wanted is at most this; least: at least this.
        note: how it varied, or what it was compared with.
    """

    name: str
    label: str
    value: float | None
    unit: str = ""
    most: float | None = None
    least: float | None = None
    note: str = ""

    @property
    def is_reached(self) -> bool | None:
        """Return whether the value is what is wanted; None if nothing is wanted or nothing was measured."""
        if self.value is None or (self.most is None and self.least is None):
            return None
        return (self.most is None or self.value <= self.most) and (
            self.least is None or self.value >= self.least
        )

    @property
    def wanted(self) -> str:
        if self.most is not None:
            return f"at most {format_value(self.most, self.unit)}"
        return f"at least {format_value(self.least, self.unit)}" if self.least is not None else ""

    def to_json(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value not in {None, ""}}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Figure:
        return cls(**{"value": None, **data})


def format_value(value: float | None, unit: str) -> str:
    """Write a number with three significant digits, and its unit."""
    if value is None:
        return "not measured"
    digits = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    match unit:
        case "":
            return digits
        case "/s" | "%":
            return f"{digits}{unit}" if unit == "/s" else f"{digits} %"
        case _:
            return f"{digits} {unit}"


def say(line: str) -> None:
    """Tell a person how the run is going, on standard error."""
    print(f"  {line}", file=sys.stderr, flush=True)
