"""``make attack``: the attacks on a real daemon, the tests that they name, and the table in docs/security.md.

python -m tests.attack [--only NAME] [--jobs N] [--no-tests] [--no-table]
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.attack.registry import ATTACKS, Attack, find_attack
from tests.attack.scene import LATE_S, Row, attack
from tests.torture.nodes import ROOT
from tests.torture.table import describe_run, replace_table

PAGE = ROOT / "docs" / "security.md"
COMMAND = "make attack"
HEAD = ("attack", "what holds", "shown by", "measured")


def main() -> int:
    given = _arguments()
    chosen = [find_attack(given.only)] if given.only else [*ATTACKS]
    # Each connection of a flood is a descriptor of this process.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    rows = asyncio.run(attack_all(chosen, given.jobs))
    failed = [row.name for row in rows if row.failures]
    if not given.no_tests:
        failed += run_tests(chosen)
    print(f"{len(rows)} attacks, {len(failed)} failures")
    if not (failed or given.only or given.no_table):
        table = write_table(chosen, {row.name: row for row in rows})
        PAGE.write_text(replace_table(PAGE, COMMAND, table), encoding="utf-8")
        print("docs/security.md has the table")
    return 1 if failed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.attack", description=__doc__)
    parser.add_argument("--only", default="", help="the name of an attack")
    parser.add_argument("--jobs", type=int, default=2, help="attacks at the same time")
    parser.add_argument("--no-tests", action="store_true")
    parser.add_argument("--no-table", action="store_true")
    return parser.parse_args()


async def attack_all(chosen: Sequence[Attack], jobs: int) -> list[Row]:
    """Carry out the attacks that a real daemon can be given, a few at a time."""
    places = asyncio.Semaphore(max(1, jobs))

    async def carry_out(chosen: Attack) -> Row:
        async with places:
            row = await carry_out_one(chosen, chosen.amount)
        print(f"{'FAILED' if row.failures else 'ok    '} {row.name:<22} {row.seconds:3.0f} s  ", end="")
        print("; ".join([*row.figures, *row.failures]), flush=True)
        return row

    return await asyncio.gather(*(carry_out(one) for one in chosen if one.run is not None))


async def carry_out_one(chosen: Attack, amount: int, late_s: float = LATE_S) -> Row:
    """Carry out an attack in a folder of its own, of which nothing is left."""
    assert chosen.run is not None
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="alertd-attack-") as folder:
        try:
            return await attack(
                chosen.name, chosen.run, amount, Path(folder), prepare=chosen.prepare, late_s=late_s
            )
        except Exception as error:  # the other attacks go on
            failure = f"the attack broke off: {type(error).__name__}: {error}"
            return Row(name=chosen.name, figures=[], failures=[failure], seconds=time.monotonic() - began)


def run_tests(chosen: Sequence[Attack]) -> list[str]:
    """Run the tests that the attacks name. Returns what failed."""
    names = sorted({f"tests/{test}" for one in chosen for test in one.tests})
    command = [sys.executable, "-m", "pytest", "-q", "-n", "auto", "--no-header", *names]
    done = subprocess.run(command, cwd=ROOT, check=False)
    return ["tests"] if done.returncode else []


def write_table(chosen: Sequence[Attack], rows: Mapping[str, Row]) -> str:
    """Return the table of a run."""
    lines = [
        f"{describe_run()}.",
        "",
        f"| {' | '.join(HEAD)} |",
        f"| {' | '.join('---' for _ in HEAD)} |",
        *(_write_line(one, rows.get(one.name)) for one in chosen),
    ]
    tests = {test for one in chosen for test in one.tests}
    ran = f"{len(chosen)} attacks, {len(rows)} of them on a running daemon; {len(tests)} tests passed."
    lines += ["", ran]
    return "\n".join(lines) + "\n"


def _write_line(chosen: Attack, row: Row | None) -> str:
    shown = [f"`{test.partition('::')[2]}`" for test in chosen.tests]
    shown += [f"scenario `{name}`" for name in chosen.torture]
    figures = (
        "; ".join(row.figures) if row else "in the tests" + (" and the torture" if chosen.torture else "")
    )
    return f"| {chosen.done} | {chosen.holds} | {', '.join(shown)} | {figures} |"


if __name__ == "__main__":
    sys.exit(main())
