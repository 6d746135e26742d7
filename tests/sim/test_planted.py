"""A simulator that finds nothing proves nothing: faults are planted on purpose, and each must be found."""

from __future__ import annotations

import pytest

from tests.sim.invariants import violations
from tests.sim.planted import PLANTED
from tests.sim.profile import PROFILES
from tests.sim.world import run

SEEDS = 20

FINDS = {
    "mark before send": "no_loss",
    "ignore the lease": "one_lease_at_a_time",
    "settle on a stale lease": "stale_lease_never_settles",
    "forget an outcome": "copies",
    "drop what is deferred": "no_loss",
    "ignore what people say": "final_once_confirmed",
    "tell nobody of a move": "moved",
    "keep reminders of the old date": "moved",
    "send all that was missed": "one_coalesced_message_after_outage",
    "send an hour early": "nothing_early",
    "die in silence": "no_loss",
    "owe again at each reconciliation": "copies",
    "expire what is late": "no_loss",
    "a new id for each attempt": "copies",
}
"""The invariant that names it, among others perhaps."""


@pytest.mark.parametrize("name", PLANTED)
def test_planted_fault_is_found(name: str) -> None:
    """Within twenty seeds, and by the invariant that is about it."""
    profile, parts = PLANTED[name]

    found: set[str] = set()
    for seed in range(SEEDS):
        found |= {one.invariant for one in violations(run(seed, PROFILES[profile], parts))}
        if FINDS[name] in found:
            break

    assert FINDS[name] in found


def test_as_many_as_promised_are_planted() -> None:
    """At least ten, and each has its invariant."""
    assert len(PLANTED) >= 10
    assert PLANTED.keys() == FINDS.keys()
