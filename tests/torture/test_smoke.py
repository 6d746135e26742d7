"""A short run of every scenario, some at a time; `make torture` is the long one."""

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from tests.torture import postgres
from tests.torture.one import Row, run
from tests.torture.registry import ALL_RECEIVERS, SCENARIOS, Scenario

LIMIT_S = 300.0
"""For all of them; they take a tenth of that on an idle machine."""

AT_ONCE = 5
"""More would have a small machine fail them for its own slowness."""

ROOM = 1 << 30

TOGETHER = {
    *("sink-hangs", "sink-resets", "sink-drips", "sink-redirects", "sink-huge"),
    *("mail-greylists", "mail-refuses", "mail-drops", "dns"),
}
"""What one node meets at the same time in the short run."""

INSTEAD = {"failover-async": "failover-sync", "disk-quota": "disk-full"}
"""What the short run leaves out, and which does the same and demands no less; if that can be run here."""


def in_memory() -> Path | None:
    """A folder that is no disk, where there is room in one: many syncs at once make a busy disk stand still.

    What is killed here are processes; that a commit reaches the disk is for the long run.
    """
    place = Path("/dev/shm")
    return place if place.is_dir() and shutil.disk_usage(place).free > ROOM else None


def chosen() -> list[Scenario]:
    here = {one.name: one for one in (ALL_RECEIVERS, *SCENARIOS) if not one.missing()}
    left_out = {*TOGETHER, *(name for name, other in INSTEAD.items() if other in here)}
    return [one for name, one in here.items() if name not in left_out]


def test_what_is_left_out_of_the_short_run_is_in_the_long_one() -> None:
    names = {one.name for one in SCENARIOS}

    assert {*TOGETHER, *INSTEAD, *INSTEAD.values()} <= names
    assert ALL_RECEIVERS.name not in names


@pytest.mark.long(200)
async def test_nothing_is_lost_and_every_copy_is_explained() -> None:
    """A round or two: all that was owed is accepted or visibly dead, none is early, no copy is a riddle.

    What needs root, or libfaketime, is left out where that is missing: `make torture` says so in its table.
    """
    lacks = postgres.missing()
    if lacks and os.environ.get("CI"):
        pytest.fail(lacks)
    places = asyncio.Semaphore(AT_ONCE)

    async def a_few_rounds(scenario: Scenario) -> Row:
        async with places:
            try:
                return await run(scenario, scenario.smoke, "smoke", within=in_memory())
            except Exception as error:  # the others end by themselves, and leave nothing running
                broke_off = f"{type(error).__name__}: {error}"
                return Row(name=scenario.name, done=scenario.done, failures=[broke_off])

    async with asyncio.timeout(LIMIT_S):
        rows = await asyncio.gather(*(a_few_rounds(one) for one in chosen()))

    assert {row.name: row.failures for row in rows if row.failures} == {}
    assert [(row.lost, row.early) for row in rows] == [(0, 0) for _ in rows]
    assert all(row.accepted + row.dead + row.expired == row.owed > 0 for row in rows)
