"""Invariants about the records: states, leases, what was confirmed, and that the sums agree."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta

from tests.sim.expected import rungs_of
from tests.sim.facts import Leasing
from tests.sim.oracle import Oracle, Violation
from tests.sim.spec import CHANNELS
from tests.sim.world import Run

OWED = {
    # A repeat that fell due while its milestone was closed is written down as suppressed at the reopening.
    "": {"pending", "expired", "superseded", "cancelled", "suppressed"},
    "pending": {"pending", "bound", "superseded", "suppressed", "expired", "cancelled"},
    "cancelled": {"cancelled", "pending", "expired", "superseded", "suppressed"},
}
DELIVERY = {"": {"ready"}, "ready": {"ready", "sent", "dead", "superseded", "suppressed"}}
MOST_IN_FLIGHT = 64
CHANNEL_COUNT = sum(len(names) for names in CHANNELS.values())
MOST = {
    # A send that has finished and cannot be settled yet holds no place.
    "tasks": MOST_IN_FLIGHT + CHANNEL_COUNT + 10,
    "in flight": MOST_IN_FLIGHT + CHANNEL_COUNT,
    "leases": MOST_IN_FLIGHT + CHANNEL_COUNT,
    "leased ahead": 50 * CHANNEL_COUNT,
    "given back": 50 * CHANNEL_COUNT,
    "unsettled": 4 * MOST_IN_FLIGHT,
    "notices": 2 * CHANNEL_COUNT,
    "notifiers": 3,
    "backpressure": CHANNEL_COUNT,
    "calls in a minute": 400,
    "calls in an hour": 4000,
}
"""Of what a node keeps in memory, of its calls of the ledger, and of the tasks of the loop for each node."""

HOUR = timedelta(hours=1)
MOST_PENDING = 16
"""Seven steps of a ladder, the day itself, and eight repeats."""

MOST_TRIES = 15
"""Of one delivery within an hour: the waits after a failure grow."""


def states_forward_only(run: Run, oracle: Oracle) -> Iterator[Violation]:
    """What was bound, superseded, suppressed or expired stays so; only what was cancelled can be owed again.
    A delivery that is sent, dead, superseded or suppressed stays so (nobody here retries a dead one). Where clocks
    are set, a leader whose clock is behind has what is expired decided about again."""
    for one in run.facts.changes:
        if run.profile.steps and (one.table, one.before, one.after) == ("owed", "expired", "pending"):
            continue
        allowed = (OWED if one.table == "owed" else DELIVERY).get(one.before, set())
        if one.after not in allowed and one.after != one.before:
            yield Violation(
                "states_forward_only", f"{one.table} {one.key}: {one.before} -> {one.after}", (one.key,)
            )


def stale_lease_never_settles(run: Run, oracle: Oracle) -> Iterator[Violation]:
    """Only the newest lease of a delivery writes down how it ended, and each of two leases has its number."""
    for one in run.facts.settlings:
        if one.accepted and one.fence != one.newest_fence:
            yield Violation(
                "stale_lease_never_settles",
                f"{one.delivery}: lease {one.fence} settled, {one.newest_fence} is the newest",
                (one.delivery,),
            )
    last: dict[str, int] = {}
    for leasing in run.facts.leasings:
        if leasing.fence <= last.get(leasing.delivery, 0):
            yield Violation(
                "stale_lease_never_settles",
                f"{leasing.delivery}: fence {leasing.fence} twice",
                (leasing.delivery,),
            )
        last[leasing.delivery] = leasing.fence


def one_lease_at_a_time(run: Run, oracle: Oracle) -> Iterator[Violation]:
    """While one node's lease is live, no other node gets one: the ledger goes by its own clock."""
    ended = {(one.delivery, one.fence): one.seq for one in run.facts.settlings if one.accepted}
    for given_back in run.facts.releasings:
        ended.setdefault((given_back.delivery, given_back.fence), given_back.seq)
    last: dict[str, Leasing] = {}
    for leasing in run.facts.leasings:
        before = last.get(leasing.delivery)
        last[leasing.delivery] = leasing
        if before is None or leasing.now >= before.until:
            continue
        if ended.get((before.delivery, before.fence), leasing.seq) >= leasing.seq:
            what = f"{leasing.delivery}: leased by {leasing.node}, {before.node} has it until {before.until}"
            yield Violation("one_lease_at_a_time", what, (leasing.delivery,))


def confirmed_survives_crash(run: Run, oracle: Oracle) -> Iterator[Violation]:
    """Whatever was confirmed to somebody is in the history in the end, and the standing is the sum of all that
    was said, whoever crashed, reconciled or took over meanwhile."""
    for milestone, sayings in sorted(run.facts.sayings.items()):
        kept = {(one.kind, one.at) for one in oracle.history if one.milestone == milestone}
        for one in sayings:
            if one.confirmed_at and (one.kind, one.said_at) not in kept:
                yield Violation(
                    "confirmed_survives_crash", f"{milestone}: {one.kind} is forgotten", (f"{milestone} ",)
                )
        status, record = oracle.standing(milestone, 10**9), oracle.records[milestone].status
        closed = "cancel" if record.cancelled else "done" if record.done_on else ""
        said = (status.closed, status.ack.until if status.ack else None, status.snoozed_until)
        if said != (closed, record.ack_until, record.snooze_until):
            yield Violation(
                "confirmed_survives_crash",
                f"{milestone}: {said}, the ledger has {record}",
                (f"{milestone} ",),
            )


def books_balance(run: Run, oracle: Oracle) -> Iterator[Violation]:
    """What the receivers have is what the ledger counts as sent, and what nobody can know about: each delivery
    that counts as sent arrived, each that arrived is in the ledger, and each answer that came was written down
    unless its node died or had lost its lease."""
    for one in run.facts.sendings:
        words = (one.delivery,)
        if one.delivery not in oracle.deliveries:
            yield Violation("books_balance", f"{one.delivery} was sent and is in no book", words)
        if one.settled == "sent" and not one.accepted_at:
            yield Violation("books_balance", f"{one.delivery} counts as sent and never arrived", words)
        if one.answer == "sent" and one.settled not in {"sent", "fenced"}:
            if (one.node, one.life) not in run.facts.deaths:
                yield Violation("books_balance", f"{one.delivery}: accepted, and not written down", words)
    for name, made in oracle.deliveries.items():
        if made.state.value == "sent" and name not in oracle.receipts_of:
            yield Violation("books_balance", f"{name} counts as sent and never arrived", (name,))
    counted = sum(one.settled == "sent" for one in run.facts.sendings)
    in_ledger = sum(made.state.value == "sent" for made in oracle.deliveries.values())
    unknown = [one for one in oracle.receipts if one.settled != "sent"]
    if len(oracle.receipts) != counted + len(unknown) or counted > in_ledger:
        yield Violation(
            "books_balance",
            f"{len(oracle.receipts)} receipts, {counted} sent, {len(unknown)} unknown, {in_ledger} in the ledger",
        )


def bounded(run: Run, oracle: Oracle) -> Iterator[Violation]:
    """No more rows than there are reminders and receivers, no more deliveries than rows and channels, and no
    more sends in flight than a node may have. Of one window few reminders wait for a receiver; a delivery is tried
    a few times an hour; and a node calls the ledger a few times a second at the most."""
    reminders = {
        (milestone, rung.window, rung.offset)
        for milestone, known in run.facts.adoptions.items()
        for one in known
        if one.spec
        for rung in rungs_of(one.spec)
    }
    moves = sum(len(known) for known in run.facts.adoptions.values()) * len(CHANNELS)
    said = sum(len(one) for one in run.facts.sayings.values()) * len(CHANNELS)
    most = len(reminders) * 2 + moves + said
    if len(oracle.owed) > most:
        yield Violation("bounded", f"{len(oracle.owed)} rows owed, {most} at the most")
    bound = sum(one.state.value == "bound" for one in oracle.owed.values())
    carrying = sum(made.notice is None for made in oracle.deliveries.values())
    if carrying > bound * 3:
        yield Violation("bounded", f"{carrying} deliveries of {bound} rows")
    pending, where = _most_pending(run)
    if pending > MOST_PENDING:
        yield Violation("bounded", f"{pending} reminders wait for {where}", (where.split(" ")[0] + " ",))
    tries, which = _most_tries(oracle)
    if tries > MOST_TRIES:
        yield Violation("bounded", f"{which} was tried {tries} times in an hour", (which,))
    for what, limit in MOST.items():
        factor = run.profile.nodes if what == "tasks" else 1
        if run.profile.hangings and what.startswith("calls"):
            # Twice a second a node looks whether one of its few places is free.
            factor = 2
        if run.facts.most.get(what, 0) > limit * factor:
            yield Violation("bounded", f"{run.facts.most[what]} {what} at once, {limit} at the most")


def _most_pending(run: Run) -> tuple[int, str]:
    """The largest number of reminders of one window that waited for one receiver at once."""
    waiting: dict[tuple[str, str, str], int] = defaultdict(int)
    most, where = 0, ""
    for one in run.facts.changes:
        row = run.facts.rows.get(one.key) if one.table == "owed" else None
        if row is None or not row.window:
            continue
        place = (row.milestone, row.receiver, row.window)
        waiting[place] += (one.after == "pending") - (one.before == "pending")
        if waiting[place] > most:
            most, where = waiting[place], " ".join(place)
    return most, where


def _most_tries(oracle: Oracle) -> tuple[int, str]:
    """The largest number of attempts of one delivery within an hour."""
    most, which = 0, ""
    for name, sendings in oracle.sendings_of.items():
        first = 0
        for place, one in enumerate(sendings):
            while one.at - sendings[first].at > HOUR:
                first += 1
            if place - first + 1 > most:
                most, which = place - first + 1, name
    return most, which


def no_surprises(run: Run, oracle: Oracle) -> Iterator[Violation]:
    """No exception is raised but those that were planned."""
    for what in run.facts.surprises:
        yield Violation("no_surprises", what, ("SURPRISE",))
