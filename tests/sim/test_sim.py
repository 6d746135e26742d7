"""Two hundred seeded runs of the real daemon under faults, and what must hold in each."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sim.profile import PROFILES
from tests.sim.verdict import verdict
from tests.sim.world import run

SEEDS = 25
BATCH = 5
COMMITTED = Path(__file__).parent / "seeds.txt"


def committed() -> list[tuple[str, int]]:
    lines = [line.partition("#")[0].split() for line in COMMITTED.read_text(encoding="utf-8").splitlines()]
    return [(words[0], int(words[1])) for words in lines if words]


@pytest.mark.parametrize("first", range(0, SEEDS, BATCH))
@pytest.mark.parametrize("profile", PROFILES)
def test_all_invariants_hold(profile: str, first: int) -> None:
    """Nothing is lost, early, repeated without a reason, or said to be what it is not."""
    said = [text for seed in range(first, first + BATCH) if (text := verdict(profile, seed))]

    assert not said, "\n\n".join(said)


@pytest.mark.parametrize(("profile", "seed"), committed())
def test_seeds_that_have_caught_something_catch_nothing_now(profile: str, seed: int) -> None:
    """Each line of seeds.txt says what it caught; that stays mended."""
    assert not verdict(profile, seed)


@pytest.mark.parametrize("profile", ["faulty", "many"])
def test_same_seed_same_trace(profile: str) -> None:
    """A failure can be seen again: one seed makes one trace, another another."""
    once, again, other = (run(seed, PROFILES[profile]) for seed in (3, 3, 4))

    assert once.trace.digest() == again.trace.digest() != other.trace.digest()


def test_there_are_two_hundred() -> None:
    """As many as are promised."""
    assert len(PROFILES) * SEEDS >= 200
