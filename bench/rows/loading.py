"""What it costs to read many milestones: at first, again, at a restart, to check them, to plan a month.

Each command runs on the same generated folder. CPU time is that of the process and its children.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench.kit.daemon import READY, RunningDaemon, start_daemon
from bench.kit.figure import Figure, Sizes, say
from bench.kit.folder import PER_FILE, Folder
from bench.kit.process import python, run_measured
from bench.kit.turns import divide, take_turns

LOADED = "config.loaded"
CHANGED = "plan.changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a step of the daemon took.

    Attributes:
        ready_s: until the daemon said that it is ready, or that it has reconciled.
        done_s: until it had nothing more to do. cpu_s: its CPU time until then.
    """

    ready_s: float
    done_s: float
    cpu_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Loads:
    """The costs of a first load, of a reload of one changed file, and of a restart with nothing changed.

    Attributes:
        memory_mb: resident after the first load and the reload. restarted_mb: after the restart.
    """

    first: Cost
    reload: Cost
    restart: Cost
    memory_mb: float
    restarted_mb: float
    ledger_mb: float


def measure_start(daemon: RunningDaemon, limit_s: float) -> Cost:
    ready = daemon.wait_for(READY, limit_s=limit_s)
    done = daemon.wait_until_quiet(limit_s)
    started = daemon.started
    return Cost(ready_s=ready - started, done_s=max(ready, done) - started, cpu_s=daemon.read_cpu_s())


def measure_loads(folder: Folder, root: Path, milestones: int) -> Loads:
    """Start a daemon on a folder without a ledger, change one file, and start another daemon."""
    limit_s = 120.0 + milestones / 500
    database = f"sqlite:///{root}/ledger.sqlite3"
    with start_daemon(folder.path, database, root / "first") as daemon:
        first = measure_start(daemon, limit_s)
        say(f"first load: ready after {first.ready_s:.1f} s, {first.cpu_s:.1f} s of CPU")
        before, changes = daemon.read_cpu_s(), daemon.count(CHANGED)
        began = time.perf_counter()
        folder.write_file(0, min(PER_FILE, milestones), revision=1)
        daemon.reload()
        ready = daemon.wait_for(CHANGED, changes + 1, limit_s=limit_s)
        done = max(ready, daemon.wait_until_quiet(limit_s))
        used = daemon.read_cpu_s() - before
        reload = Cost(ready_s=ready - began, done_s=done - began, cpu_s=used)
        memory_mb = daemon.read_memory_mb()
        say(f"reload of one changed file: {reload.done_s:.2f} s, {reload.cpu_s:.2f} s of CPU")
    with start_daemon(folder.path, database, root / "second") as daemon:
        restart = measure_start(daemon, limit_s)
        say(f"restart: ready after {restart.ready_s:.1f} s, {restart.cpu_s:.1f} s of CPU")
        restarted_mb = daemon.read_memory_mb()
    size = sum(path.stat().st_size for path in root.glob("ledger.sqlite3*"))
    return Loads(
        first=first,
        reload=reload,
        restart=restart,
        memory_mb=memory_mb,
        restarted_mb=restarted_mb,
        ledger_mb=size / 1e6,
    )


def make_plan_command(folder: Folder) -> list[str]:
    """Return the command that plans a month in which reminders are due."""
    month = f"{datetime.now(UTC).year + 2}-03-01"
    return python(
        "-m",
        "alertd",
        "plan",
        "--config",
        str(folder.path),
        "--from",
        month,
        "--to",
        "1mo",
        "--format",
        "jsonl",
    )


def measure_loading(sizes: Sizes) -> Iterator[Figure]:
    """First load, reload, restart, check, plan; and the memory after them."""
    many = sizes.milestones
    with tempfile.TemporaryDirectory(prefix="alertd-bench-") as name:
        root = Path(name)
        folder = Folder(path=root / "config")
        folder.write_config()
        folder.write_many(many)
        files = -(-many // PER_FILE)
        found = measure_loads(folder, root, many)
        yield from _list_costs(found, many, files)
        commands = {
            "check": python("-m", "alertd", "check", "--config", str(folder.path)),
            "PyYAML": python("-m", "bench.rows.baseline", str(folder.path)),
            "plan": make_plan_command(folder),
        }
        walls: dict[str, list[float]] = {each: [] for each in commands}

        def measure(each: str) -> float:
            wall, cpu = run_measured(commands[each])
            walls[each].append(wall)
            return cpu

        cpu = take_turns(
            sizes.rounds,
            {
                "check": lambda: measure("check"),
                "PyYAML": lambda: measure("PyYAML"),
                "plan": lambda: measure("plan"),
            },
        )
    check, plain, plan = (statistics.median(walls[each]) for each in ("check", "PyYAML", "plan"))
    yield Figure(
        name="check",
        label=f"`alertd check` of {many:,} milestones in {files} files / PyYAML's C loader with pydantic",
        value=divide(walls["check"], walls["PyYAML"]),
        most=0.5,
        note=f"{check:.2f} s against {plain:.2f} s; in CPU time {divide(cpu['check'], cpu['PyYAML']):.2f}",
    )
    yield Figure(
        name="plan",
        label=f"`alertd plan` of one month out of {many:,}",
        value=plan,
        unit="s",
        most=2.0,
        note=f"{divide(walls['plan'], walls['PyYAML']):.2f} of PyYAML's C loader with pydantic",
    )


def _list_costs(found: Loads, many: int, files: int) -> Iterator[Figure]:
    first, reload, restart = found.first, found.reload, found.restart
    yield Figure(
        name="first-load",
        label=f"first load of {many:,} milestones, to ready",
        value=first.ready_s,
        unit="s",
        note=f"{first.cpu_s:.1f} s of CPU, {many / first.done_s:,.0f} milestones/s, "
        f"ledger of {found.ledger_mb:.0f} MB",
    )
    yield Figure(
        name="reload",
        label=f"reload with one of {files} files changed / first load, CPU",
        value=reload.cpu_s / first.cpu_s,
        most=0.02,
        note=f"{reload.cpu_s:.2f} s against {first.cpu_s:.1f} s; in force after {reload.ready_s:.2f} s",
    )
    yield Figure(
        name="restart",
        label=f"restart with {many:,} unchanged milestones, to ready",
        value=restart.ready_s,
        unit="s",
        most=2.0,
        note=f"{restart.ready_s / first.ready_s:.2f} of the first load; {restart.cpu_s:.1f} s of CPU",
    )
    yield Figure(
        name="resident-many",
        label=f"resident after loading {many:,} milestones and a reload",
        value=found.memory_mb,
        unit="MB",
        most=120.0,
        note=f"{found.restarted_mb:.0f} MB after a restart",
    )
