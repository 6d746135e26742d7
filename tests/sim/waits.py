"""Invariants about who waits for whom: nothing due waits for planning, and no receiver waits for another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

from tests.sim.expected import is_repeat, receivers_of, rungs_of
from tests.sim.losses import find_late
from tests.sim.oracle import REMINDERS, Oracle, Violation
from tests.sim.spec import RATED, Spec
from tests.sim.world import Run

PLANNED_WITHIN = timedelta(seconds=12)
"""How late a reminder may be while the node plans: a few slices of the plan, and what the ledger takes."""

SERVED_WITHIN = timedelta(seconds=10)
"""How long a channel that takes everything may be left alone while a delivery for it waits."""

FILED_WITHIN = timedelta(minutes=5)
RESTARTED_WITHIN = timedelta(seconds=75)
"""A node that was killed while it planned is up again by then."""

TOLD_ABOUT = timedelta(days=200)
"""How far ahead each reminder of the files is in the ledger; the product plans for twice as long."""


def planning_delays_nothing(run: Run, oracle: Oracle) -> Iterator[Violation]:
    """Where planning takes long and nothing else goes wrong, each reminder is accepted a few slices of the plan after
    its time, whatever is read and planned meanwhile, also when the node starts."""
    if run.profile.planning_s and run.profile.is_faultless:
        yield from find_late(run, oracle, PLANNED_WITHIN, "planning_delays_nothing")


def no_receiver_starves(run: Run, oracle: Oracle) -> Iterator[Violation]:
    """A channel that takes everything is never left alone for long while a delivery for it waits: neither a
    receiver that hangs nor one with a long backlog has its places."""
    if not run.profile.hangings:
        return
    starts: dict[str, list[datetime]] = defaultdict(list)
    for sending in run.facts.sendings:
        starts[sending.channel].append(sending.at)
    for name, made in oracle.deliveries.items():
        sendings = oracle.sendings_of.get(name)
        if not sendings or (made.channel == RATED and run.profile.rules.rate):
            continue
        since, until = made.bound_at, sendings[0].at
        if _hangs(run, made.channel, since, until) or oracle.is_down(since, until):
            continue
        served = [at for at in starts[made.channel] if since <= at <= until]
        for before, after in zip([since, *served], served, strict=False):
            if after - before > SERVED_WITHIN:
                yield Violation(
                    "no_receiver_starves",
                    f"{name} waits from {since}, and {made.channel} is left alone from {before} to {after}",
                    (name, made.channel),
                )
                return


def _hangs(run: Run, channel: str, begins: datetime, ends: datetime) -> bool:
    """Whether a channel hung at some moment of a span, or so shortly before that it may still be paused."""
    paused = timedelta(hours=4)
    return any(
        name == channel and since < ends and begins < until + paused
        for name, since, until in run.facts.hangings
    )


def filed_in_time(run: Run, oracle: Oracle) -> Iterator[Violation]:
    """Where nothing ever fails, the ledger has each milestone as the files have it, five minutes after they have changed:
    also when the node was killed while it planned, and when what it had half planned was taken back."""
    profile = run.profile
    if not profile.is_faultless or profile.nodes > 1 or profile.hangs or profile.zone_gaps:
        return
    within = FILED_WITHIN + timedelta(seconds=2 * profile.planning_s * profile.milestones)
    changes = [*run.facts.disk, (run.facts.ends, run.files)]
    for (at, files), (until, _) in pairwise(changes):
        by = at + within
        if files.config_broken or by > until or oracle.is_down(at + RESTARTED_WITHIN, by):
            continue
        for spec in files.specs:
            known = [one for one in run.facts.adoptions.get(spec.id, ()) if one.at <= by]
            has = known[-1].spec if known else None
            # Other time zones may change no reminder that waits.
            if spec.timeline in files.broken or (has and replace(has, shift_min=spec.shift_min) == spec):
                continue
            yield Violation(
                "filed_in_time",
                f"{spec.id}: since {at} the files have {spec}, at {by} the ledger has {has}",
                (f"{spec.id} ", "written", "killed", "start"),
            )
            return


def done_dates_are_followed(run: Run, oracle: Oracle) -> Iterator[Violation]:
    """Five minutes after somebody has marked a milestone done, or opened it again, or after the node was up again, the
    deadlines that count from it are counted anew."""
    if run.profile.nodes > 1 or run.profile.store:
        return
    for follower in run.files.followers:
        said = [one for one in oracle.facts.sayings.get(follower.base, ()) if one.kind != "snooze"]
        known = oracle.facts.adoptions.get(follower.base, [])
        for one, after in pairwise([*said, None]):
            if one is None:
                continue
            up_at = max(
                [one.at, *(down.ends for down in run.facts.outages if down.begins <= one.at <= down.ends)]
            )
            by = up_at + FILED_WITHIN
            until = after.at if after else run.facts.ends
            moved = any(up_at - FILED_WITHIN <= base.at <= by for base in known)
            if by > until or moved or oracle.is_down(up_at + RESTARTED_WITHIN, by):
                continue
            bases = [base.spec for base in known if base.at <= by]
            asked = follower.resolve(bases[-1] if bases else None, oracle.done_on(follower.base, one.seq))
            has = [own.spec for own in oracle.facts.adoptions.get(follower.id, ()) if own.at <= by][-1:]
            if has != [asked]:
                yield Violation(
                    "done_dates_are_followed",
                    f"{follower.base} {one.kind} at {one.at}: {follower.id} should be {asked}, at {by} it is {has}",
                    (f"{follower.id} ", f"{follower.base} "),
                )
                return


def planned_as_filed(run: Run, oracle: Oracle) -> Iterator[Violation]:
    """In the end the ledger owes what the files ask for: each reminder of the next months, at its instant, to
    each of its receivers, and none besides. So whatever has changed was reconciled: a file, a policy, a route, a
    zone. Nothing was trusted that was not as it had been reconciled. Of the repeats only the next ones are owed."""
    after = run.facts.ends + 2 * oracle.slack
    for name in sorted(run.facts.adoptions):
        spec = oracle.filed(run.files, name)
        if spec is None or oracle.standing(spec.id, 10**9).closed:
            continue
        asked = {
            (receiver, rung.window, rung.offset): rung
            for rung in rungs_of(spec)
            if after < rung.at < after + TOLD_ABOUT
            for receiver in receivers_of(rung.cause, run.files.rules)
        }
        owed = _owed(spec, oracle, after)
        # A record of the ledger in memory keeps the zone that it had, and further repeats are counted by the record.
        shifts = {one.spec.shift_min for one in run.facts.adoptions[name] if one.spec}
        has_shifted = len(shifts | {spec.shift_min}) > 1
        for key in sorted(asked.keys() | owed.keys()):
            rung, at = asked.get(key), owed.get(key)
            if (rung.at if rung else None) == at:
                continue
            if rung and is_repeat(rung, spec) and (at is None or has_shifted):
                continue
            receiver, window, offset = key
            yield Violation(
                "planned_as_filed",
                f"{spec.id} {offset} of {window} for {receiver}: owed at {at}, the files have {rung}",
                (f"{spec.id} ",),
            )
            return


def _owed(spec: Spec, oracle: Oracle, after: datetime) -> dict[tuple[str, str, str], datetime]:
    found = {}
    for row in oracle.rows_of.get(spec.id, ()):
        owed = oracle.owed[row.key]
        if row.cause in REMINDERS and owed.state.value == "pending" and after < owed.at < after + TOLD_ABOUT:
            found[row.receiver, row.window, row.offset] = owed.at
    return found
