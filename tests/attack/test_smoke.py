"""A short run of a few attacks, and what the table of all attacks says; `make attack` is the long run."""

from __future__ import annotations

import asyncio

import pytest

from tests.attack.__main__ import HEAD, PAGE, carry_out_one
from tests.attack.registry import ATTACKS, Attack
from tests.docs_pages import ROOT, codes, prose, tables
from tests.torture.registry import SCENARIOS

LATE_S = 20.0
"""More than in the long run, since other tests run at the same time."""


@pytest.mark.long
async def test_reminders_and_health_checks_go_on_under_attack() -> None:
    chosen = [attack for attack in ATTACKS if attack.smoke]

    rows = await asyncio.gather(*(carry_out_one(attack, attack.smoke, LATE_S) for attack in chosen))

    assert len(rows) > 1
    assert {row.name: row.failures for row in rows if row.failures} == {}


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_attack_rests_on_what_exists(attack: Attack) -> None:
    """Each attack names at least a test in its file, and scenarios of the torture."""
    for test in attack.tests:
        file, _, name = test.partition("::")
        assert f"def {name}(" in (ROOT / "tests" / file).read_text(encoding="utf-8"), test

    assert attack.tests
    assert set(attack.torture) <= {scenario.name for scenario in SCENARIOS}


def test_page_has_every_attack_with_what_shows_it() -> None:
    """A row that was added or changed needs another run of `make attack`."""
    (table,) = (table for table in tables(prose(PAGE)) if table.head == HEAD)

    told = {row[0]: (row[1], codes(row[2])) for row in table.rows}

    assert told == {
        attack.done: (
            attack.holds,
            [*(test.partition("::")[2] for test in attack.tests), *attack.torture],
        )
        for attack in ATTACKS
    }
