"""Runs one scenario, and says how it went."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.torture.arena import Size, an_arena
from tests.torture.editing import edited_beside
from tests.torture.registry import Scenario


@dataclass(slots=True, kw_only=True)
class Row:
    """One row of the table.

    Attributes:
        skipped: why it did not run.
        counted: kills and faults, by name.
    """

    name: str
    done: str
    skipped: str = ""
    counted: dict[str, int] = field(default_factory=dict)
    owed: int = 0
    accepted: int = 0
    lost: int = 0
    dead: int = 0
    expired: int = 0
    early: int = 0
    copies: Counter[str] = field(default_factory=Counter)
    latest_s: float = 0.0
    seconds: float = 0.0
    failures: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "copies": dict(self.copies)}

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Row:
        return cls(**{**fields, "copies": Counter(fields["copies"])})


async def run(scenario: Scenario, size: Size, seed: str, keep: str = "", within: Path | None = None) -> Row:
    """Run it; what it finds wrong is in the row, and only a failure of the run itself is raised.

    Args:
        keep: a folder for what there is to look at afterwards.
        within: where to make its own; by default where temporary folders are.
    """
    row = Row(name=scenario.name, done=scenario.done, skipped=scenario.missing())
    if row.skipped:
        return row
    began = time.monotonic()
    async with an_arena(f"{seed}/{scenario.name}", within) as arena:
        try:
            async with edited_beside(arena, f"{seed}/{scenario.name}"):
                await scenario.run(arena, size)
            arena.count_reloads()
            await arena.stop()
        finally:
            if keep:
                arena.keep(Path(keep) / scenario.name)
        found = arena.verdict()
        row.counted = arena.counted
    row.owed, row.accepted, row.lost = found.owed, found.accepted, found.lost
    row.dead, row.expired, row.early = found.dead, found.expired, found.early
    row.copies, row.latest_s, row.failures = found.copies, found.latest_s, found.failures
    row.seconds = time.monotonic() - began
    return row
