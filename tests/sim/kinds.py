"""Invariants about the four kinds of trouble: ignorance, silence, contagion, and work without a bound."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from tests.sim.oracle import Oracle, Violation
from tests.sim.spec import LEADS
from tests.sim.world import Run

FINAL = {"suppressed", "superseded", "expired", "cancelled"}
LEFT_ALONE_FOR = timedelta(hours=1)
"""How long a node leaves alone what its files do not know, since another may know it."""


def nothing_final_from_ignorance(run: Run, oracle: Oracle) -> Iterator[Violation]:
    """A node whose files do not know a receiver ends nothing that is owed to it: it leaves it to the others,
    and gives a delivery up, with a notice, only after an hour in which nobody has taken it."""
    for one in run.facts.verdicts:
        row = run.facts.rows.get(one.key)
        if row is None or row.receiver != LEADS or one.rules.knows_leads or one.state not in FINAL:
            continue
        yield Violation(
            "nothing_final_from_ignorance",
            f"{row.milestone} {row.offset} is {one.state} by {one.node}, which does not know {row.receiver}",
            (f"{row.milestone} ",),
        )
    for settling in run.facts.settlings:
        if settling.knows or not settling.accepted or settling.state == "ready":
            continue
        waited = settling.at - oracle.deliveries[settling.delivery].bound_at
        if settling.state != "dead" or waited < LEFT_ALONE_FOR:
            yield Violation(
                "nothing_final_from_ignorance",
                f"{settling.delivery} is {settling.state} after {waited} by {settling.node}, "
                f"which does not know {settling.receiver}",
                (settling.delivery,),
            )


def harms_nobody_else(run: Run, oracle: Oracle) -> Iterator[Violation]:
    """What ends the process of whoever sends it takes nobody else with it: only a delivery that carries it is
    ever given up. That all others arrive is ``no_loss``."""
    if run.facts.poison is None:
        return
    milestone, channel = run.facts.poison
    for name, made in oracle.deliveries.items():
        if made.state.value != "dead":
            continue
        carried = {run.facts.rows[key].milestone for key in made.members if key in run.facts.rows}
        if made.channel != channel or milestone not in carried:
            yield Violation("harms_nobody_else", f"{name} to {made.channel} is dead", (name, f"{milestone} "))
