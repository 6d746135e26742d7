"""A page of many milestones takes as many SQL statements as a page of a few."""

from __future__ import annotations

from pathlib import Path

import pytest

from alertd.core.config import Definitions
from tests.counts.statements import count_statements
from tests.scene import Scene, a_milestone
from tests.web.stage import a_stage

FEW, MANY = 3, 60
MOST = {
    "/": 16,
    "/?zoom=all": 11,
    "/deliveries": 10,
    "/milestones/t/m1": 16,
    "/api/v1/milestones": 11,
    "/api/v1/timelines": 9,
    "/api/v1/deliveries": 4,
    "/feeds/all.ics": 7,
    "/feeds/all.atom": 12,
    "/metrics": 7,
    "/readyz": 2,
}
"""The most statements of each page. Fewer are welcome."""


async def count_for(folder: Path, milestones: int) -> dict[str, int]:
    """Return the number of statements of each page, when the pages are asked for in this order."""
    async with a_stage(folder) as stage:
        scene = Scene(stage.ledger, "2026-11-01")
        scene.define(*(a_milestone(f"t/m{number}", "2026-11-30") for number in range(milestones)))
        await scene.reconcile()
        await scene.until("2026-11-24")
        stage.definitions = Definitions(config=scene.config)
        numbers = {}
        for path in MOST:
            with count_statements() as found:
                answer = await stage.get(path)
            assert answer.status_code == 200, path
            numbers[path] = found.total()
        return numbers


async def test_statements_do_not_grow_with_the_milestones(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    few = await count_for(tmp_path, FEW)
    many = await count_for(tmp_path_factory.mktemp("many"), MANY)

    assert many == few
    assert {path: number for path, number in many.items() if number > MOST[path]} == {}
