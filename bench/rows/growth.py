"""How the costs grow with the number of milestones."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from alertd.store import open_ledger
from bench.kit.figure import Sizes, say
from bench.kit.folder import Folder
from bench.kit.process import run_measured
from bench.rows.loading import make_plan_command, measure_loads

WAKES = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """What a number of milestones costs.

    Attributes:
        wake_ms: a wake-up with nothing due: find what is due, and when the next reminder is.
    """

    milestones: int
    load_s: float
    load_cpu_s: float
    restart_s: float
    restart_cpu_s: float
    reload_s: float
    reload_cpu_s: float
    plan_s: float
    wake_ms: float
    ledger_mb: float
    memory_mb: float
    restarted_mb: float

    def to_json(self) -> dict[str, Any]:
        return {name: round(value, 4) for name, value in asdict(self).items()}


def measure_growth(sizes: Sizes) -> Iterator[Growth]:
    for many in sizes.growth:
        say(f"{many:,} milestones")
        with tempfile.TemporaryDirectory(prefix="alertd-bench-") as name:
            root = Path(name)
            folder = Folder(path=root / "config")
            folder.write_config()
            folder.write_many(many)
            found = measure_loads(folder, root, many)
            plan_s, _ = run_measured(make_plan_command(folder))
            wake_ms = asyncio.run(measure_wakes(f"sqlite:///{root}/ledger.sqlite3"))
        yield Growth(
            milestones=many,
            load_s=found.first.ready_s,
            load_cpu_s=found.first.cpu_s,
            restart_s=found.restart.ready_s,
            restart_cpu_s=found.restart.cpu_s,
            reload_s=found.reload.ready_s,
            reload_cpu_s=found.reload.cpu_s,
            plan_s=plan_s,
            wake_ms=wake_ms,
            ledger_mb=found.ledger_mb,
            memory_mb=found.memory_mb,
            restarted_mb=found.restarted_mb,
        )


async def measure_wakes(url: str) -> float:
    ledger = await open_ledger(url)
    now, times = datetime.now(UTC), []
    for _ in range(WAKES):
        began = time.perf_counter()
        assert not await ledger.find_due(now, 500)
        await ledger.find_next_wake(now)
        times.append(time.perf_counter() - began)
    await ledger.close()
    return statistics.median(times) * 1000
