"""Two hundred seeded runs of the real daemon under faults, and what must hold in each."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sim.profile import PROFILES
from tests.sim.verdict import verdict
from tests.sim.world import run

BATCH = 8
COMMITTED = Path(__file__).parent / "seeds.txt"


def batches() -> list[tuple[str, range]]:
    """As many seeds of each profile as is its share."""
    return list(_batches())


def _batches() -> Iterator[tuple[str, range]]:
    for name, profile in PROFILES.items():
        for first in range(0, profile.share, BATCH):
            yield name, range(first, min(first + BATCH, profile.share))


def committed() -> list[tuple[str, int]]:
    lines = [line.partition("#")[0].split() for line in COMMITTED.read_text(encoding="utf-8").splitlines()]
    return [(words[0], int(words[1])) for words in lines if words]


def is_played(profile: str, seed: int) -> bool:
    """Whether it is among those that are played anyway."""
    return seed < PROFILES[profile].share


@pytest.mark.long(15)
@pytest.mark.parametrize(("profile", "seeds"), batches())
def test_all_invariants_hold(profile: str, seeds: range) -> None:
    """Nothing is lost, early, repeated without a reason, or said to be what it is not."""
    said = [text for seed in seeds if (text := verdict(profile, seed))]

    assert not said, "\n\n".join(said)


@pytest.mark.parametrize(("profile", "seed"), [one for one in committed() if not is_played(*one)])
def test_seeds_that_have_caught_something_catch_nothing_now(profile: str, seed: int) -> None:
    """Each line of seeds.txt says what it caught; that stays mended. Some are among those above."""
    assert not verdict(profile, seed)


def test_what_was_caught_is_kept() -> None:
    """The list of such seeds is there, and grows only."""
    assert len(committed()) >= 3


def test_same_seed_same_trace() -> None:
    """A failure can be seen again: one seed makes one trace, another another."""
    once, again, other = (run(seed, PROFILES["faulty"]) for seed in (3, 3, 4))

    assert once.trace.digest() == again.trace.digest() != other.trace.digest()


@pytest.mark.long(15)
def test_same_seed_same_trace_in_every_process() -> None:
    """Also where sets and dicts of text are walked in another order."""
    assert _digest_with("1") == _digest_with("2") == run(3, PROFILES["faulty"]).trace.digest()
    assert _digest_with("3", "many") == run(3, PROFILES["many"]).trace.digest()


def _digest_with(hash_seed: str, profile: str = "faulty") -> str:
    says = (
        "import sys; from tests.sim.world import run; from tests.sim.profile import PROFILES; "
        "print(run(3, PROFILES[sys.argv[1]]).trace.digest())"
    )
    done = subprocess.run(
        [sys.executable, "-c", says, profile],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    return done.stdout.strip()


def test_there_are_two_hundred() -> None:
    """As many as are promised."""
    assert sum(len(seeds) for _, seeds in batches()) >= 200
