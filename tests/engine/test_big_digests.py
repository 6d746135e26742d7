"""A big digest is bound in several transactions, and a crash between two of them loses nothing."""

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from alertd.core.planning.decide import Decisions
from alertd.engine.binding import PART_LIMIT
from alertd.ports import Ledger
from tests.engine.test_digests import Crash, a_scene
from tests.scene import Scene, a_ledger, a_milestone, when

NUMBER = 450
MONDAY = when("2026-10-05T08:00")


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    async with a_ledger("sql", tmp_path) as made:
        yield made


class Binding:
    """A ledger that notes how much each transaction binds, and dies at one of them."""

    def __init__(self, ledger: Ledger, *, dies_at: int = 0) -> None:
        self._ledger = ledger
        self._dies_at = dies_at
        self.sizes: list[int] = []

    async def bind(self, decisions: Decisions) -> bool:
        self.sizes.append(len(decisions.verdicts))
        if len(self.sizes) == self._dies_at:
            raise Crash
        return await self._ledger.bind(decisions)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)


async def a_big_digest(ledger: Ledger) -> Scene:
    """A scene in which a digest of 450 reminders and an overview is due."""
    many = (a_milestone(f"t/m{number:03}", "2026-10-01") for number in range(NUMBER))
    scene = await a_scene(ledger, "2026-09-28T08:30", *many, a_milestone("t/old", "2026-08-20"))
    await scene.until("2026-10-05T07:59")
    scene.clock.advance(MONDAY)
    return scene


ALL = Counter(f"t/m{number:03}" for number in range(NUMBER))


def count_reminded(scene: Scene) -> Counter[str]:
    """Count the reminders of each milestone, without what the overview shows."""
    return Counter(item.milestone for told in scene.log for item in told.message.items if item.keys)


def count_overviews(scene: Scene) -> int:
    """Count the messages that show milestones without a reminder of their own."""
    return sum(any(not item.keys for item in told.message.items) for told in scene.log)


async def test_no_transaction_binds_much_more_than_a_part(ledger: Ledger) -> None:
    """450 reminders are bound in two transactions. The second one has a part and the rest."""
    scene = await a_big_digest(ledger)
    scene.ledger = binding = Binding(ledger)

    await scene.turn()

    assert sum(binding.sizes) == NUMBER
    assert max(binding.sizes) < 2 * PART_LIMIT
    assert len(binding.sizes) > 1
    assert count_reminded(scene) == ALL
    assert count_overviews(scene) == 1


async def test_crash_between_two_parts_loses_nothing(ledger: Ledger) -> None:
    """What is left makes a digest after the restart, and the overview is shown once."""
    scene = await a_big_digest(ledger)
    scene.ledger = Binding(ledger, dies_at=2)

    with pytest.raises(Crash):
        await scene.turn()
    scene.clock.advance(when("2026-10-05T08:10"))
    scene.ledger = ledger
    await scene.turn()

    assert count_reminded(scene) == ALL
    assert count_overviews(scene) == 1
    assert [digest.at for digest in await ledger.read_digests()] == [when("2026-10-12T08:00")]


async def test_two_nodes_make_a_big_digest_once(ledger: Ledger) -> None:
    """A node that finds a part bound looks again, and finds that the digest has been made."""
    scene = await a_big_digest(ledger)
    one, two = scene.binder(), scene.binder()
    (owed,) = await ledger.read_digests()

    first = await one._bind_digest(owed, scene.now)
    second = await two._bind_digest(owed, scene.now)

    assert len(first.deliveries) == 3
    assert not second.deliveries
    assert second.more
    await scene.turn()
    assert count_reminded(scene) == ALL
    assert count_overviews(scene) == 1
