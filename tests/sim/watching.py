"""Invariants about pace and about silence: rates, waits, restarts, the lead, and that trouble is heard of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise

from tests.sim.facts import Sending
from tests.sim.oracle import Oracle, Violation
from tests.sim.spec import CHANNELS, OPS, RATED
from tests.sim.world import Run

HEARD_WITHIN = timedelta(minutes=20)
NOTICED_WITHIN = timedelta(minutes=2)
"""In the simulator a node asks the ledger only when it audits, once a minute."""

"""How long trouble may last before a watchdog hears of it, and how long after it all must be well again."""

FIRST_WAIT = timedelta(seconds=4.9)
COMPARED_WITHIN = timedelta(seconds=2)
"""Nodes that go by the ledger's clock are so far apart: they can ask it no more exactly than it answers."""

LONGEST_ASKED_S = 86_400.0
AUDITED_WITHIN = timedelta(minutes=5)
"""How long it may take until an audit finds that the operator's channel is paused."""

PROBED_WITHIN = timedelta(hours=4)
"""How long it may take until a channel that was paused is found to answer again."""

TRIPS_AT = 5
SLACK = 0.6
"""Of one message: between the moment at which a place is taken and the start of the send lies a ledger."""


def rate_limits_hold(run: Run, oracle: Oracle) -> Iterator[Violation]:
    """A channel with a rate is sent no more by one node than that: a burst of as many as it names, then one for
    each further share of its time. A daemon that is started again begins with a new burst."""
    rate = run.profile.rules.rate
    if not rate:
        return
    number, unit = rate.split("/")
    most, step_s = float(number), {"s": 1.0, "min": 60.0, "h": 3600.0}[unit] / float(number)
    room: dict[tuple[str, int], tuple[float, datetime]] = {}
    for one in run.facts.sendings:
        if one.channel != RATED:
            continue
        left, since = room.get((one.node, one.life), (most, one.at))
        left = min(most, left + (one.at - since).total_seconds() / step_s) - 1
        room[one.node, one.life] = (left, one.at)
        if left < -SLACK:
            yield Violation(
                "rate_limits_hold", f"{one.channel}: {-left:.1f} too many at {one.at}", (one.channel,)
            )
            return


def retries_wait(run: Run, oracle: Oracle) -> Iterator[Violation]:
    """After a try that failed, and was written down so, the next one of that delivery waits for as long as the
    receiver asked for (a day at the most), and for five seconds at the least."""
    if run.profile.steps:
        return
    slack = COMPARED_WITHIN if run.profile.nodes > 1 else timedelta()
    for name, sendings in oracle.sendings_of.items():
        for one, after in pairwise(sendings):
            if one.settled != "ready" or one.answer not in {"retry", "unknown"} or one.answered_at is None:
                continue
            asked = timedelta(seconds=min(one.retry_after_s, LONGEST_ASKED_S))
            wait = after.at - one.answered_at
            if wait < max(asked, FIRST_WAIT) - slack and after.seq > one.settled_seq:
                yield Violation(
                    "retries_wait", f"{name} was tried again after {wait}, asked for {asked}", (name,)
                )


def hundred_restarts_send_nothing(run: Run, oracle: Oracle) -> Iterator[Violation]:
    """However often it is stopped or killed and started again: while nothing is due nothing is sent."""
    if not run.facts.restarts:
        return
    begins, ends = run.facts.restarts[0], run.facts.restarts[-1]
    for one in run.facts.sendings:
        if begins <= one.at <= ends:
            yield Violation("hundred_restarts_send_nothing", f"{one.delivery} at {one.at}", (one.delivery,))
    lives = sum(begins <= at <= ends for at in run.facts.restarts)
    if lives < run.profile.restarts:
        yield Violation("hundred_restarts_send_nothing", f"only {lives} restarts")


def stopped_gives_back(run: Run, oracle: Oracle) -> Iterator[Violation]:
    """A node that is told to stop, and can use the ledger, gives back what it has leased ahead and not begun:
    when it has ended, nobody waits for its leases."""
    if run.profile.store or run.profile.dead_ledgers or run.profile.full_ledgers:
        return
    for stop in run.facts.stops:
        for name in stop.kept:
            yield Violation(
                "stopped_gives_back", f"{stop.node} ended at {stop.at} and has kept {name}", (name,)
            )


def one_leader_at_a_time(run: Run, oracle: Oracle) -> Iterator[Violation]:
    """What is found in the files is written by the node that has the lead by then, and by no other; each time
    that the lead changes hands its term rises."""
    grants = run.facts.grants
    place, last = 0, None
    for one in run.facts.reconciled:
        while place < len(grants) and grants[place].seq <= one.seq:
            granted = grants[place]
            if (
                last is not None
                and (granted.node, granted.life) != (last.node, last.life)
                and granted.term <= last.term
            ):
                yield Violation(
                    "one_leader_at_a_time", f"term {granted.term} for {granted.node} and {last.node}"
                )
            last, place = granted, place + 1
        if last is None or (one.node, one.life) != (last.node, last.life):
            leader = f"{last.node}:{last.life}" if last else "nobody"
            words = (*(f"{name} " for name in one.milestones), "lead.taken")
            yield Violation("one_leader_at_a_time", f"{one.node}:{one.life} wrote and {leader} leads", words)


def silence_is_loud(run: Run, oracle: Oracle) -> Iterator[Violation]:
    """Where the ledger cannot be used, a node stands still, or something is due and not even looked at, the
    watchdog is not fed and the dead man's switch hears of no success, from twenty minutes on; where all is well
    they are, from twenty minutes after. A node knows within two minutes that the ledger cannot be used. A channel
    that fails five times in a row is told to the operator; when the operator's own is the one that fails, the
    switch hears of no success."""
    yield from _silent_channels(run, oracle)
    if not run.profile.watched:
        return
    troubles = [(one.begins, one.ends) for one in run.facts.troubles]
    troubles += _ignored(run, oracle)
    for look in run.facts.looks:
        if look.at - look.up_since < HEARD_WITHIN:
            continue
        deaf = any(begins + HEARD_WITHIN < look.at < ends for begins, ends in troubles)
        if deaf and look.is_fed:
            yield Violation(
                "silence_is_loud", f"nothing works at {look.at}, and the watchdog is fed", ("dead", "frozen")
            )
            return
        troubled = any(begins < look.at < ends + HEARD_WITHIN for begins, ends in troubles)
        if not troubled and not look.is_fed:
            yield Violation(
                "silence_is_loud", f"all works at {look.at}, and the watchdog is not fed", ("audit.failed",)
            )
            return
    yield from _unnoticed(run)
    unheard = list(_unheard(run))
    for at, passed in run.facts.beats:
        loud = [begins + HEARD_WITHIN < at < ends for begins, ends in troubles]
        loud += [begins + AUDITED_WITHIN < at < ends for begins, ends in unheard]
        if passed and any(loud):
            yield Violation("silence_is_loud", f"nothing works at {at}, and the switch is told that it does")
            return
    yield from _no_beat(run, [*troubles, *((begins, ends + PROBED_WITHIN) for begins, ends in unheard)])


def _unnoticed(run: Run) -> Iterator[Violation]:
    """A node that found nothing wrong with itself although the ledger has not worked for minutes."""
    frozen_at = run.facts.begins
    for look in run.facts.looks:
        frozen_at = look.at if look.is_frozen else frozen_at
        since = max(look.up_since, frozen_at)
        for outage in run.facts.unusable:
            if max(outage.begins, since) + NOTICED_WITHIN < look.at < outage.ends and look.seems_well:
                words = ("dead", "audit.failed")
                yield Violation(
                    "silence_is_loud",
                    f"the ledger does not work at {look.at}, and the node seems well",
                    words,
                )
                return


def _unheard(run: Run) -> Iterator[tuple[datetime, datetime]]:
    """From the fifth failure in a row of the operator's channel to the end of what made it fail."""
    for span in run.facts.deafness:
        tries = [
            one
            for one in run.facts.sendings
            if one.channel in CHANNELS[OPS] and span.begins <= one.at < span.ends and one.answered_at
        ]
        if len(tries) >= TRIPS_AT:
            yield tries[TRIPS_AT - 1].answered_at or span.ends, span.ends


def _no_beat(run: Run, troubles: list[tuple[datetime, datetime]]) -> Iterator[Violation]:
    beats = [at for at, passed in run.facts.beats if passed]
    for one, after in pairwise(beats):
        troubled = any(begins < after and ends + HEARD_WITHIN > one for begins, ends in troubles)
        if after - one > HEARD_WITHIN and not troubled:
            yield Violation(
                "silence_is_loud", f"all works, and the switch hears nothing from {one} to {after}"
            )


def _ignored(run: Run, oracle: Oracle) -> Iterator[tuple[datetime, datetime]]:
    """From when to when something was due that nobody had looked at."""
    for one in oracle.expected(run.facts.ends):
        row = oracle.row_of.get((one.milestone, one.receiver, one.rung.window, one.rung.offset))
        verdicts = oracle.verdicts_of.get(row.key, []) if row else []
        looked_at = verdicts[0].at if verdicts else run.facts.ends
        if not one.at_load and looked_at - one.due > timedelta(minutes=1):
            yield one.due, looked_at


def _silent_channels(run: Run, oracle: Oracle) -> Iterator[Violation]:
    failures: dict[tuple[str, int, str], int] = defaultdict(int)
    told = {
        made.notice.slot.split("/turn")[0]
        for made in oracle.deliveries.values()
        if made.notice is not None and made.notice.slot.startswith("channel/")
    }
    ended = [one for one in run.facts.sendings if one.settled in {"ready", "sent", "dead"}]
    for one in sorted(ended, key=lambda one: one.settled_seq):
        place = (one.node, one.life, one.channel)
        failures[place] = failures[place] + 1 if _failed(one) else 0
        if (
            failures[place] == TRIPS_AT
            and not any(one.channel in slot for slot in told)
            and "ops" not in one.channel
        ):
            yield Violation(
                "silence_is_loud",
                f"{one.channel} failed {TRIPS_AT} times, and nobody was told",
                (one.channel,),
            )


def _failed(one: Sending) -> bool:
    return one.answer in {"retry", "unknown", "raised", ""} and not one.retry_after_s
