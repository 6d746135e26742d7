"""``make torture``: all scenarios, a few at a time, each in a process of its own; then the table.

python -m tests.torture [--only NAME] [--rounds N] [--seed TEXT] [--jobs N] [--no-table]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import signal
import sys
import time
from collections.abc import Sequence

from tests.torture.arena import Size
from tests.torture.leash import PARENT, die_with_parent, own_mounts
from tests.torture.nodes import ROOT
from tests.torture.one import Row, run
from tests.torture.registry import SCENARIOS, Scenario, named
from tests.torture.table import COMMAND, replace_table, write_table

JOBS = 3
LIMIT_S = 420.0
"""For one scenario at its usual size; more rounds have more."""

SEED = "2026"


def main() -> int:
    given = _arguments()
    if given.inner:
        die_with_parent()
        own_mounts()
        return _inner(given)
    chosen = [named(given.only)] if given.only else [*SCENARIOS]
    rows = asyncio.run(_all(chosen, given))
    failed = [row for row in rows if row.failures]
    skipped = [row for row in rows if row.skipped]
    print(f"{len(rows)} scenarios, {len(failed)} failed, {len(skipped)} skipped")
    if not given.only and not given.no_table and not failed:
        page = ROOT / "docs" / "reliability.md"
        page.write_text(replace_table(page, COMMAND, write_table(rows, given.seed)), encoding="utf-8")
        print("docs/reliability.md has the table")
    return 1 if failed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--only", default="", help="one scenario")
    parser.add_argument("--rounds", type=int, default=0, help="of faults, in each")
    parser.add_argument("--seed", default=SEED)
    parser.add_argument("--jobs", type=int, default=JOBS)
    parser.add_argument("--keep", default="", help="a folder for logs and receipts")
    parser.add_argument("--no-table", action="store_true")
    parser.add_argument("--inner", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def _inner(given: argparse.Namespace) -> int:
    scenario = named(given.only)
    row = asyncio.run(run(scenario, size_of(scenario, given.rounds), given.seed, given.keep))
    print(json.dumps(row.to_json()))
    return 0


def size_of(scenario: Scenario, rounds: int) -> Size:
    """As many milestones a round as in its usual size."""
    size = scenario.size
    if not rounds or size.rounds == 1:
        return size
    return Size(rounds=rounds, milestones=math.ceil(size.milestones * rounds / size.rounds))


async def _all(chosen: Sequence[Scenario], given: argparse.Namespace) -> list[Row]:
    places = asyncio.Semaphore(max(1, given.jobs))
    # The long ones first, so that none is left alone at the end.
    order = sorted(chosen, key=lambda one: -one.size.rounds)

    async def placed(scenario: Scenario) -> Row:
        async with places:
            row = await _apart(scenario, given)
            _say(row)
            return row

    rows = await asyncio.gather(*(placed(one) for one in order))
    return sorted(rows, key=lambda row: [one.name for one in chosen].index(row.name))


async def _apart(scenario: Scenario, given: argparse.Namespace) -> Row:
    began = time.monotonic()
    factor = max(1.0, given.rounds / scenario.size.rounds)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.torture", "--inner", "--only", scenario.name, "--seed", given.seed,
        "--rounds", str(given.rounds), "--keep", given.keep,
        cwd=ROOT, env={**os.environ, PARENT: str(os.getpid())}, start_new_session=True,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    row = Row(name=scenario.name, done=scenario.done)
    try:
        async with asyncio.timeout(LIMIT_S * factor):
            out, err = await process.communicate()
        if process.returncode == 0:
            return Row.from_json(json.loads(out.splitlines()[-1]))
        row.failures.append(f"it broke off:\n{err.decode(errors='replace')[-4000:]}")
    except TimeoutError:
        row.failures.append(f"not done within {LIMIT_S * factor:.0f} s")
    finally:
        if process.returncode is None:
            # Its own group, and what it started dies with it.
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    row.seconds = time.monotonic() - began
    return row


def _say(row: Row) -> None:
    if row.skipped:
        print(f"skipped {row.name}: {row.skipped}", flush=True)
        return
    copies = "; ".join(f"{number} {why}" for why, number in sorted(row.copies.items()))
    faults = ", ".join(f"{number} {what}" for what, number in row.counted.items())
    print(
        f"{'FAILED ' if row.failures else 'ok     '} {row.name:<16} {row.seconds:5.0f} s  owed {row.owed}"
        f" accepted {row.accepted} lost {row.lost} dead {row.dead} expired {row.expired} early {row.early}"
        f" latest {row.latest_s:.1f} s | {faults} | copies: {copies or 'none'}",
        flush=True,
    )
    for failure in row.failures:
        print(f"        {failure[:3000]}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
