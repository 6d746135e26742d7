"""Invariants about the four kinds of trouble: ignorance, silence, contagion, and work without a bound."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta

from tests.sim.facts import Look
from tests.sim.oracle import Oracle, Violation
from tests.sim.spec import LEADS
from tests.sim.world import Run

DECIDED = {"bound", "suppressed", "superseded", "expired", "cancelled"}
LEFT_ALONE_FOR = timedelta(hours=1)
"""How long a node leaves alone what its files do not know, since another may know it."""

MOST_LEASES = 6
"""How often at the most somebody takes what ends the process: four leases are lost, and the last one gives up."""

NOTICED_WITHIN = timedelta(minutes=2)
"""How long it may take until a node knows that its ledger, its rows or its files cannot be used."""

STRAYS_NOTICED_WITHIN = timedelta(minutes=9)
"""Five minutes until what nobody knows is a fault, and two of the simulator's audits."""

LONGEST_AUDIT_PAUSE = timedelta(minutes=2)
"""How long a node does not audit itself in the simulator while somebody looks at it."""

PAUSED_WITHIN = timedelta(minutes=2)
TRIPS_AT = 5


def nothing_final_from_ignorance(run: Run, oracle: Oracle) -> Iterator[Violation]:
    """A node whose files do not know a receiver decides nothing about what is owed to it: it leaves that to the
    others, and gives it to the fallback, with a notice, only after an hour in which nobody has taken it. That
    what is not sent even then has a true reason is ``no_loss``."""
    for one in run.facts.verdicts:
        row = run.facts.rows.get(one.key)
        if row is None or row.receiver != LEADS or one.rules.knows_leads:
            continue
        since = oracle.owed[one.key].at
        if one.state in DECIDED and one.at - since < LEFT_ALONE_FOR:
            yield Violation(
                "nothing_final_from_ignorance",
                f"{row.milestone} {row.offset} is {one.state} after {one.at - since} by {one.node}, "
                f"which does not know {row.receiver}",
                (f"{row.milestone} ",),
            )
    for settling in run.facts.settlings:
        if settling.knows or not settling.accepted or settling.state == "ready":
            continue
        waited = settling.at - oracle.deliveries[settling.delivery].bound_at
        if waited < LEFT_ALONE_FOR:
            yield Violation(
                "nothing_final_from_ignorance",
                f"{settling.delivery} is {settling.state} after {waited} by {settling.node}, "
                f"which does not know {settling.receiver}",
                (settling.delivery,),
            )


def harms_nobody_else(run: Run, oracle: Oracle) -> Iterator[Violation]:
    """What ends the process of whoever sends it takes nobody else with it: only a delivery that carries it is
    ever given up, and that after a few leases. That all others arrive is ``no_loss``."""
    if run.facts.poison is None:
        return
    milestone, channel = run.facts.poison
    taken = Counter(name for name, at in run.facts.begun if at < run.facts.heals)
    for name, number in taken.items():
        if number > MOST_LEASES:
            yield Violation("harms_nobody_else", f"{name} was taken {number} times", (name,))
    for name, made in oracle.deliveries.items():
        if made.state.value != "dead":
            continue
        carried = {run.facts.rows[key].milestone for key in made.members if key in run.facts.rows}
        if made.channel != channel or milestone not in carried:
            yield Violation("harms_nobody_else", f"{name} to {made.channel} is dead", (name, f"{milestone} "))


def not_well_while_nothing_arrives(run: Run, oracle: Oracle) -> Iterator[Violation]:
    """While something does not arrive, whoever looks at the nodes sees it. The ledger cannot be written, rows or
    files cannot be read: each node that it concerns has a finding within two minutes. A channel takes nothing:
    each node has a finding or has paused it, from its fifth failure on. What is due is for a receiver that the files
    of no node have, or a message has ended the process twice: some node has a finding."""
    for said, looks in (
        *_of_troubled_nodes(run, oracle),
        *_of_silent_channels(run),
        *_of_strangers(run, oracle),
        *_of_crash_loops(run),
    ):
        for look in looks:
            yield Violation(
                "not_well_while_nothing_arrives",
                f"{said}, and {look.node} seems well at {look.at}",
                ("full", "hang", "zones", "silent", "deployed", "audit.failed"),
            )
            return


def _of_troubled_nodes(run: Run, oracle: Oracle) -> Iterator[tuple[str, list[Look]]]:
    facts = run.facts
    for outage in facts.unwritable:
        yield "the ledger cannot be written", _well(run, outage.begins, outage.ends)
    for outage in facts.hangs:
        yield "the files do not answer", _well(run, outage.begins, outage.ends)
    for node, zone, begins, ends in facts.zone_gaps:
        specs = [
            one.spec
            for name in sorted(facts.adoptions)
            for one in oracle.adoptions_between(name, begins, ends)
        ]
        if specs and all(spec is not None and spec.zone == zone for spec in specs):
            yield f"rows in {zone} cannot be read", _well(run, begins, ends, node)


def _well(run: Run, begins: datetime, ends: datetime, node: str = "") -> list[Look]:
    """The looks at a node that seemed well although it had had the time to notice something."""
    frozen_at: dict[str, datetime] = {}
    found = []
    for look in run.facts.looks:
        if look.is_frozen:
            frozen_at[look.node] = look.at
        since = max(begins, look.up_since, frozen_at.get(look.node, begins))
        if node in {"", look.node} and since + NOTICED_WITHIN < look.at < ends and look.seems_well:
            found.append(look)
    return found


def _of_silent_channels(run: Run) -> Iterator[tuple[str, list[Look]]]:
    for channel, begins, ends in run.facts.silences:
        for name in sorted({look.node for look in run.facts.looks}):
            failed = [
                one
                for one in run.facts.sendings
                if (one.node, one.channel) == (name, channel) and begins <= one.at < ends and one.answered_at
            ]
            if len(failed) < TRIPS_AT or len({one.life for one in failed}) > 1:
                continue
            since = (failed[TRIPS_AT - 1].answered_at or ends) + PAUSED_WITHIN
            looks = [
                look
                for look in _well(run, since, min(ends, run.facts.heals), name)
                if channel not in look.paused
            ]
            yield f"{channel} takes nothing", looks


def _of_strangers(run: Run, oracle: Oracle) -> Iterator[tuple[str, list[Look]]]:
    for outage in run.facts.strangers:
        for key, row in run.facts.rows.items():
            if row.receiver != LEADS or not oracle.owed[key].at < outage.ends:
                continue
            decided = [one.at for one in oracle.verdicts_of.get(key, ())]
            written = [one for one in run.facts.changes if one.table == "owed" and one.key == key]
            due = max(oracle.owed[key].at, outage.begins)
            state = [one.after for one in written if one.at <= due][-1:]
            if state != ["pending"] or (decided and min(decided) < due):
                continue
            ends = min([outage.ends, *decided, *(one.at for one in written if one.at > due)])
            looks = [look for look in run.facts.looks if due + STRAYS_NOTICED_WITHIN < look.at < ends]
            seen = {look.at for look in looks if not look.seems_well}
            unseen = [look for look in looks if look.at not in seen]
            yield f"{row.milestone} {row.offset} is due for {LEADS}, whom nobody knows", unseen


def _of_crash_loops(run: Run) -> Iterator[tuple[str, list[Look]]]:
    if run.facts.poison is None:
        return
    taken: dict[str, list[datetime]] = defaultdict(list)
    for begun_name, at in run.facts.begun:
        taken[begun_name].append(at)
    ended = {one.delivery: one.at for one in run.facts.settlings if one.accepted and one.state != "ready"}
    for name, begun in taken.items():
        if len(begun) < 2:
            continue
        since, ends = begun[1] + NOTICED_WITHIN + LONGEST_AUDIT_PAUSE, ended.get(name, run.facts.heals)
        looks = [look for look in run.facts.looks if since < look.at < ends]
        seen = {look.at for look in looks if not look.seems_well}
        yield f"{name} ends the process again and again", [look for look in looks if look.at not in seen]
