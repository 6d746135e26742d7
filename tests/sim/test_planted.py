"""A simulator that finds nothing proves nothing: faults are planted on purpose, and each must be found."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.sim.invariants import INVARIANTS
from tests.sim.planted import PLANTED, SEEDS

FOLDER = Path(__file__).parent
README = (FOLDER / "README.md").read_text(encoding="utf-8")


@pytest.mark.long
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


def test_the_oracle_imports_nothing_of_the_product() -> None:
    """Else both could be wrong in the same way."""
    judges = (
        "expected",
        "facts",
        "spec",
        "oracle",
        "losses",
        "finality",
        "books",
        "watching",
        "kinds",
        "waits",
    )
    sources = [(FOLDER / f"{name}.py").read_text(encoding="utf-8") for name in judges]

    assert not [
        line
        for source in sources
        for line in source.splitlines()
        if re.match(r"\s*(from|import) alertd", line)
    ]
