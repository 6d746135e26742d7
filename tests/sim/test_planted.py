"""A simulator that finds nothing proves nothing: faults are planted on purpose, and each must be found."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sim.invariants import INVARIANTS
from tests.sim.planted import PLANTED, SEEDS

README = (Path(__file__).parent / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PLANTED)
def test_planted_fault_is_found(name: str) -> None:
    """Within twenty seeds, and by the invariant that is about it."""
    assert PLANTED[name].found_after(SEEDS) is not None


def test_every_invariant_finds_something() -> None:
    """None is there that nothing could break."""
    assert {one.__name__ for one in INVARIANTS} == {planted.invariant for planted in PLANTED.values()}


def test_the_page_names_every_fault_and_every_invariant() -> None:
    """README.md has them all; its table is made by python -m tests.sim --planted."""
    assert all(
        f"| {name} | `{planted.profile}` | `{planted.invariant}` |" in README
        for name, planted in PLANTED.items()
    )
    assert all(f"| `{one.__name__}` |" in README for one in INVARIANTS)
