"""Measures what `then_every` costs: rows, seconds and memory of a start and of a later reconciliation.

``python -m bench.repeats [MILESTONES]`` prints a line for each policy, with the ratio to the policy that does
not repeat. Each policy is measured in a process of its own, on a ledger on disk: the first reconciliation
loads the milestones, the second one changes nothing. Memory is the largest resident size above that of the
process before.
"""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from alertd.core.config import Config, Definitions, NotifierSpec, Receiver, Timeline
from alertd.core.deadline import parse_deadline
from alertd.core.milestones.milestone import Claim, Milestone
from alertd.core.milestones.policy import Policy
from alertd.core.routing.route import Route
from alertd.core.time.duration import parse_duration
from alertd.engine.reconcile import reconcile
from alertd.engine.reconcile_pass import PassOptions
from alertd.store import open_ledger

NOW = datetime(2026, 10, 1, 6, 30, tzinfo=UTC)
STEPS = ("none", "28d", "1d", "1h")


def make_milestone(number: int, policy: Policy) -> Milestone:
    return Milestone(
        id=f"bench/m{number}",
        timeline="bench",
        timeline_title="Bench",
        title=f"What is promised as number {number}",
        zone=ZoneInfo("Asia/Baghdad"),
        policy=policy,
        claims=(Claim(deadline=parse_deadline("2026-09"), sources=()),),
    )


async def measure(step: str, number: int) -> dict[str, float]:
    """Load the milestones, reconcile again, and return what it took."""
    policy = replace(Policy(), then_every=None if step == "none" else parse_duration(step))
    timeline = Timeline(
        id="bench",
        title="Bench",
        file="milestones/bench.yaml",
        milestones=tuple(make_milestone(each, policy) for each in range(number)),
    )
    receiver = Receiver(name="desk", notifiers=(NotifierSpec(name="hook", type="fake", options=None),))
    zone = ZoneInfo("UTC")
    config = Config(zone=zone, route=Route(receiver="desk", path="route"), receivers={"desk": receiver})
    definitions = Definitions(config=config, timelines=(timeline,))
    with tempfile.TemporaryDirectory() as folder:
        ledger = await open_ledger(f"sqlite:///{Path(folder) / 'ledger.sqlite3'}")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began = time.perf_counter()
        await reconcile(ledger, definitions, PassOptions(now=NOW))
        loaded = time.perf_counter()
        await reconcile(ledger, definitions, PassOptions(now=NOW))
        ended = time.perf_counter()
        rows = sum(many for name, many in (await ledger.count_rows()).items() if name.startswith("owed."))
        await ledger.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {"rows": rows, "load": loaded - began, "again": ended - loaded, "memory": peak / 1024}


def main() -> None:
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    if len(sys.argv) > 2:
        print(json.dumps(asyncio.run(measure(sys.argv[2], number))))
        return
    base: dict[str, float] = {}
    print(f"{number} milestones\nthen_every      rows        load s       again s     memory MB")
    for step in STEPS:
        command = [sys.executable, "-m", "bench.repeats", str(number), step]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        base = base or found
        columns = (f"{found[name]:9.2f} {found[name] / max(base[name], 0.001):4.1f}" for name in found)
        print(f"{step:10}" + "".join(columns))


if __name__ == "__main__":
    main()
