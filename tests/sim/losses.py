"""Invariants about what must come: nothing is lost, nothing is early, everything in its time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from tests.sim.expected import is_muted, is_repeat, receivers_of, rungs_of, unmuted, windows_of
from tests.sim.oracle import CATCH_UP, MOMENT, REMINDERS, Expected, Oracle, Violation
from tests.sim.spec import CHANNELS, DAMPING_S, LEADS
from tests.sim.world import Run

GRACE = timedelta(hours=2)
TICK = timedelta(microseconds=5)
"""Seconds as floats and instants in microseconds are so much apart."""


def no_loss(run: Run, oracle: Oracle) -> Iterator[Violation]:
    """What became due while nothing had stopped it is accepted on every channel of its receiver by the end,
    some days after everything has healed; or it ended visibly, for a reason that is true: a later one took its
    place, somebody said to be quiet, the date or the routes changed, it was older than the catch-up time, or
    the delivery is dead and the operator was told so and the fallback receiver has it."""
    for one in oracle.expected(run.facts.ends - GRACE):
        row = oracle.row_of.get((one.milestone, one.receiver, one.rung.window, one.rung.offset))
        closed = oracle.was_closed(one.milestone, one.due - oracle.slack, one.due + oracle.slack)
        if row is None and is_repeat(one.rung, one.adoption.spec) and (closed or _was_passed_over(run, one)):
            continue  # While a milestone is closed, no further repeats are written down.
        lost = "never written down" if row is None else _how_lost(one, row.key, run, oracle)
        if lost:
            yield Violation("no_loss", f"{one}: {lost}", (*one.words, *_ids(oracle, row.key if row else "")))


def in_time(run: Run, oracle: Oracle) -> Iterator[Violation]:
    """Where nothing ever fails, each reminder is accepted within two minutes of its time, or of the end of
    the mute that held it back."""
    if run.profile.is_faultless:
        yield from find_late(run, oracle, MOMENT, "in_time")


def find_late(run: Run, oracle: Oracle, limit: timedelta, invariant: str) -> Iterator[Violation]:
    """Each reminder that is accepted later than ``limit`` after its time, after the end of the mute that held it
    back, or after the node was up again."""
    for one in oracle.expected(run.facts.ends - GRACE):
        row = oracle.row_of.get((one.milestone, one.receiver, one.rung.window, one.rung.offset))
        if row is None or one.at_load:
            continue
        release = unmuted(one.due, one.adoption.rules)
        up_at = [outage.ends for outage in run.facts.outages if outage.begins <= release <= outage.ends]
        late_at = max([release, *up_at]) + limit
        later = [rung for rung in oracle.dues_after(one.milestone, one.due) if rung <= release]
        if (
            later
            or _was_unreadable(run, one, late_at)
            or _was_unknown(run, one, late_at)
            or oracle.was_changed(one, one.due - MOMENT, late_at)
            or _was_spoken_of(oracle, one, late_at)
        ):
            continue
        for channel in CHANNELS[one.receiver]:
            got = oracle.received.get((row.key, channel), [])
            if not any(receipt.at <= late_at for receipt in got):
                when = f"accepted {got[0].accepted_at}" if got else "never accepted"
                yield Violation(invariant, f"{one} on {channel}: {when}, expected by {late_at}", one.words)


def nothing_early(run: Run, oracle: Oracle) -> Iterator[Violation]:
    """Nothing is bound before its instant by the clock of the node that binds it, and nothing is sent that was
    not bound before; a move is not told before its damping time is over.

    By the node's own clock: one that is ahead sends early, and nobody there could know. Where several nodes
    share a ledger it has a clock of its own, and nothing is early by that one either."""
    for one in run.facts.verdicts:
        row = run.facts.rows.get(one.key)
        if one.state != "bound" or row is None:
            continue
        if row.cause in REMINDERS:
            dues = oracle.dues(row, one.at - timedelta(hours=3), one.at)
            looked = min(one.looked, one.at + TICK) if run.profile.nodes > 1 else one.looked
            if dues and min(dues) > looked:
                yield Violation(
                    "nothing_early", f"{row.milestone} {row.offset} bound at {looked}, due {min(dues)}",
                    (f"{row.milestone} ",),
                )  # fmt: skip
        elif row.cause == "moved" and not (run.profile.steps or run.profile.glimpses or run.profile.store):
            # Damping runs from when the files were read, by a clock that may have been behind then; a slow ledger
            # can have it a long time after, and a few slow calls some seconds.
            since = _moved_away(oracle, row.milestone, row.moved_from, one.seq)
            damped_s = DAMPING_S - 20 - 2 * run.profile.planning_s * run.profile.milestones
            if since is not None and one.looked < since + timedelta(seconds=damped_s):
                yield Violation(
                    "nothing_early", f"the move of {row.milestone} at {since} told at {one.looked}",
                    (f"{row.milestone} ",),
                )  # fmt: skip
    bound = dict(oracle.verdicts_of.items())
    for sending in run.facts.sendings:
        for key in sending.keys:
            if not any(one.state == "bound" and one.seq < sending.seq for one in bound.get(key, ())):
                yield Violation(
                    "nothing_early", f"{sending.delivery} sent and never bound", (sending.delivery,)
                )


def nothing_before_loaded(run: Run, oracle: Oracle) -> Iterator[Violation]:
    """Nothing is sent of a milestone that the ledger does not have."""
    for sending in run.facts.sendings:
        for key in sending.keys:
            row = run.facts.rows.get(key)
            name = row.milestone if row else ""
            if oracle.adopted(name, sending.seq) is None:
                yield Violation("nothing_before_loaded", f"{name} in {sending.delivery}", (sending.delivery,))


def muted_waits(run: Run, oracle: Oracle) -> Iterator[Violation]:
    """Nothing is bound while its route is muted, by the clock and the routes of the node that binds it."""
    for one in run.facts.verdicts:
        row = run.facts.rows.get(one.key)
        if one.state != "bound" or row is None or row.cause not in REMINDERS:
            continue
        # Whoever is owed something that no route names for it any more is muted by none.
        if row.receiver in receivers_of(row.cause, one.rules) and is_muted(one.looked, one.rules):
            yield Violation(
                "muted_waits",
                f"{row.milestone} {row.offset} bound at {one.looked:%A %H:%M}",
                (f"{row.milestone} ",),
            )


def one_coalesced_message_after_outage(run: Run, oracle: Oracle) -> Iterator[Violation]:
    """Of the reminders of one milestone and receiver those that are bound in one transaction are due at one
    instant; and of what fell due while no node was up at most one transaction binds something."""
    for (milestone, receiver), bound in oracle.bound_of.items():
        by_seq: dict[int, set[datetime]] = {}
        for verdict, row in bound:
            dues = oracle.dues(row, verdict.at, verdict.at) if row.cause in REMINDERS else []
            if dues:
                by_seq.setdefault(verdict.seq, set()).update(dues[:1])
        for seq, instants in by_seq.items():
            if len(instants) > 1:
                yield Violation(
                    "one_coalesced_message_after_outage",
                    f"{milestone} for {receiver}: {len(instants)} instants bound at once ({seq})",
                    (f"{milestone} {receiver}",),
                )
        for outage in run.facts.outages:
            after = {
                verdict.seq
                for verdict, row in bound
                if row.cause in REMINDERS
                and verdict.at >= outage.ends
                and any(outage.begins < due < outage.ends for due in oracle.dues(row, verdict.at, verdict.at))
            }
            if len(after) > 1 and not run.facts.largest_step_s:
                yield Violation(
                    "one_coalesced_message_after_outage",
                    f"{milestone} for {receiver}: {len(after)} messages of what fell due while off until {outage.ends}",
                    (f"{milestone} {receiver}",),
                )


def in_line(run: Run, oracle: Oracle) -> Iterator[Violation]:
    """In the end the ledger knows the windows that the files have, and nothing else."""
    for name, known in sorted(run.facts.adoptions.items()):
        spec, last = oracle.filed(run.files, name), known[-1].spec
        if (windows_of(spec) if spec else None) != (windows_of(last) if last else None):
            yield Violation("in_line", f"{name}: the files have {spec}, the ledger {last}", (f"{name} ",))
    for spec in run.files.specs:
        if spec.id not in run.facts.adoptions:
            yield Violation("in_line", f"{spec.id} was never loaded", (f"{spec.id} ",))


def _how_lost(one: Expected, key: str, run: Run, oracle: Oracle) -> str:
    owed, ends = oracle.owed[key], run.facts.ends
    begins = one.due - oracle.slack
    verdicts = oracle.verdicts_of.get(key, [])
    decided_at = (verdicts[-1].at if verdicts else ends) + oracle.slack
    match owed.state.value:
        case "pending":
            status = oracle.standing(one.milestone, 10**9)
            snoozed = status.snoozed_until is not None and status.snoozed_until > ends - GRACE
            # That a date has passed waits for the end of an acknowledgement; anything else is dropped by it.
            until = status.ack.until if status.ack and one.rung.cause == "overdue" else None
            acked = until is not None and until > ends - GRACE
            rules = run.files.rules
            waits = snoozed or acked or is_muted(ends, rules) or is_muted(ends - GRACE, rules)
            return "" if waits or oracle.was_changed(one, begins, ends) else "still pending"
        case "superseded":
            overtaken = oracle.was_overtaken(one, key)
            return "" if overtaken or oracle.was_changed(one, begins, ends) else "superseded by nothing"
        case "suppressed":
            stopped = oracle.was_stopped(one.milestone, begins, decided_at)
            return (
                "" if stopped or oracle.was_changed(one, begins, decided_at) else "suppressed for no reason"
            )
        case "cancelled":
            return "" if oracle.was_changed(one, begins, ends) else "cancelled for no reason"
        case "expired":
            looked = max((verdict.looked for verdict in verdicts), default=one.adoption.at)
            old = looked - one.rung.at > CATCH_UP - oracle.slack
            return "" if old or oracle.was_changed(one, begins, ends) else "expired, and was not that late"
        case _:
            return _how_lost_when_bound(one, key, run, oracle)


def _how_lost_when_bound(one: Expected, key: str, run: Run, oracle: Oracle) -> str:
    begins, ends = one.due - oracle.slack, run.facts.ends
    by_channel = {made.channel: made for made in oracle.deliveries_of.get(key, ())}
    stopped = oracle.was_stopped(one.milestone, begins, ends) or oracle.was_changed(one, begins, ends)
    overtaken = oracle.was_overtaken(one, key)
    if not by_channel and oracle.was_stray(one.receiver, key):
        return ""
    for channel in CHANNELS[one.receiver]:
        made = by_channel.get(channel)
        if made is None:
            return f"bound, and no delivery to {channel} was written down"
        got = oracle.received.get((key, channel))
        match made.state.value:
            case "sent" if not got and not stopped and not overtaken:
                return f"{made.id} counts as sent, and {channel} never had it"
            case "ready":
                return f"{made.id} still waits"
            # One that carries several ends so when each has a reason of its own.
            case "suppressed" if not stopped and not overtaken and not got:
                return f"{made.id} suppressed for no reason"
            case "superseded" if not overtaken and not got:
                return f"{made.id} superseded by nothing"
            case "dead":
                lost = _how_dead(made, oracle)
                if lost:
                    return lost
            case _:
                continue
    return ""


def _how_dead(made: Any, oracle: Oracle) -> str:
    if not oracle.notice_of(made.id) and not oracle.is_missed(made.receiver):
        return f"{made.id} is dead, and the operator was not told"
    if not oracle.stand_in_for(made):
        return f"{made.id} is dead, and nobody stands in"
    return ""


def _was_passed_over(run: Run, one: Expected) -> bool:
    """Whether no repeat had to be written down: a later one fell due before anybody could look, and only the last
    is written; or no route named its receiver any more."""
    spec = one.adoption.spec
    files = [files for at, files in run.facts.disk if at <= one.due - MOMENT]
    if files and one.receiver not in receivers_of(one.rung.cause, files[-1].rules):
        # The routes changed while the milestone was closed, so that nothing of it had to be written.
        return True
    later = [
        rung.at
        for rung in (rungs_of(spec) if spec else ())
        if rung.window == one.rung.window and rung.at > one.rung.at and is_repeat(rung, spec)
    ]
    if not later:
        return False
    off = any(outage.begins <= one.due and min(later) <= outage.ends for outage in run.facts.outages)
    return off or (one.at_load and min(later) <= one.adoption.at)


def _ids(oracle: Oracle, key: str) -> list[str]:
    return [made.id for made in oracle.deliveries_of.get(key, ())]


def _was_spoken_of(oracle: Oracle, one: Expected, until: datetime) -> bool:
    """Whether anything that was said can have held it back or put it off."""
    for saying in oracle.facts.sayings.get(one.milestone, ()):
        if saying.at > until:
            break
        if saying.at >= one.due - MOMENT or saying.kind in {"done", "cancel"}:
            return True
        if saying.until and saying.until > one.due - MOMENT:
            return True
    return False


def _was_unreadable(run: Run, expected: Expected, until: datetime) -> bool:
    """Whether no machine could read the milestone, for want of its zone, or one lost a zone in that moment."""
    spec = expected.adoption.spec
    gaps = run.facts.zone_gaps if run.profile.nodes == 1 else ()
    return any(
        begins < until
        and expected.due - MOMENT < ends + MOMENT
        and (begins > expected.due - MOMENT or (spec is not None and spec.zone == zone))
        for _node, zone, begins, ends in gaps
    )


def _was_unknown(run: Run, expected: Expected, until: datetime) -> bool:
    """Whether the files of no machine had the receiver, so that it waits, and goes to the fallback after an hour."""
    return expected.receiver == LEADS and any(
        outage.begins < until and expected.due - MOMENT < outage.ends for outage in run.facts.strangers
    )


def _moved_away(oracle: Oracle, milestone: str, windows: frozenset[str], seq: int) -> datetime | None:
    """Since when, up to ``seq``, the ledger has known other windows than these."""
    since = None
    for one in reversed([one for one in oracle.facts.adoptions.get(milestone, ()) if one.seq <= seq]):
        if one.spec is not None and windows_of(one.spec) == windows:
            break
        since = one.at
    return since
