"""Invariants about what must not come: nothing after a person's word, nothing of an old date, nothing twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta

from tests.sim.expected import windows_of
from tests.sim.facts import Row, Sending
from tests.sim.oracle import CATCH_UP, REMINDERS, Oracle, Violation
from tests.sim.spec import CHANNELS, DAMPING_S, LEASE_S
from tests.sim.world import Run

TICK = timedelta(microseconds=5)

LEASE = timedelta(seconds=LEASE_S)
SOON = timedelta(seconds=3)
"""How long a call of the ledger takes at the most, and a tenth of a second."""


def copies(run: Run, oracle: Oracle) -> Iterator[Violation]:
    """An occurrence reaches a channel under one id only; and a delivery once, and once more at most for each
    try of which nobody knows whether it arrived: no answer, an answer that was lost, a node that died or lost
    its lease before it had written the outcome down. Where none of that happens it arrives once. After an
    acceptance was written down, no further try begins."""
    ids: dict[tuple[str, str], set[str]] = defaultdict(set)
    for receipt in oracle.receipts:
        for key in receipt.keys:
            stands_in = (
                bool(oracle.deliveries[receipt.delivery].fallback_for)
                if receipt.delivery in oracle.deliveries
                else False
            )
            if not stands_in:
                ids[key, receipt.channel].add(receipt.delivery)
    for (_key, channel), names in ids.items():
        if len(names) > 1:
            yield Violation(
                "copies", f"one occurrence on {channel} under {sorted(names)}", tuple(sorted(names))
            )
    for name, receipts in oracle.receipts_of.items():
        sendings = oracle.sendings_of[name]
        allowed = 1 + sum(_is_ambiguous(one, run) for one in sendings)
        if len(receipts) > allowed:
            yield Violation("copies", f"{name} arrived {len(receipts)} times, {allowed} allowed", (name,))
        if len(receipts) > 1 and not run.profile.is_ambiguous:
            yield Violation(
                "copies", f"{name} arrived {len(receipts)} times, and nothing ever failed", (name,)
            )
        settled = [one.settled_seq for one in sendings if one.settled == "sent"]
        if settled and any(one.seq > min(settled) for one in sendings):
            yield Violation("copies", f"{name} was sent again after it counted as sent", (name,))


def _is_ambiguous(one: Sending, run: Run) -> bool:
    if one.answer in {"", "unknown", "raised"}:
        return True
    died = (one.node, one.life) in run.facts.deaths
    return one.settled == "fenced" or (died and not one.settled)


def final_once_confirmed(run: Run, oracle: Oracle) -> Iterator[Violation]:
    """From the moment at which the ledger has an acknowledgement, done or cancel, which is before it is
    confirmed, no lease is taken of a reminder that it stops and leads to a send.

    A send begins with its lease: what was leased before is in flight, and can still arrive. It cannot
    linger: a send starts within the time of its lease or not at all. So nothing starts later than one
    lease (5 minutes) after the confirmation, whatever was frozen meanwhile."""
    for sending in run.facts.sendings:
        if sending.leasing is None:
            continue
        for row in _rows(sending, run):
            status = oracle.standing(row.milestone, sending.leasing.seq)
            late = oracle.standing(row.milestone, _seq_before(oracle, row.milestone, sending))
            if row.cause == "done":
                continue
            windows = oracle.windows(row.milestone, sending.leasing.seq)
            reminder = row.cause in REMINDERS
            if status.closed or (
                reminder and oracle.is_acked(status, windows, min(sending.leasing.looked, sending.looked))
            ):
                yield _late(sending, row, "leased after it was stopped")
            elif late.closed or (
                reminder and oracle.is_acked(late, windows, max(sending.at, sending.looked))
            ):
                yield _late(sending, row, "started more than a lease after it was stopped")


def acted_on_is_let_go(run: Run, oracle: Oracle) -> Iterator[Violation]:
    """What is leased ahead begins only if nobody has stopped it since the lease, and nothing that was leased
    ahead is sent before it has begun. It is sent at once when it has begun, unless the ledger was slow."""
    for sending in run.facts.sendings:
        leasing, beginning = sending.leasing, sending.beginning
        if leasing is None or not leasing.ahead:
            continue
        words = (sending.delivery,)
        if beginning is None or beginning.fence < leasing.fence:
            yield Violation("acted_on_is_let_go", f"{sending.delivery} was sent and had not begun", words)
            continue
        if not run.profile.is_ambiguous and not run.profile.nodes > 1 and sending.at - beginning.at > SOON:
            yield Violation("acted_on_is_let_go", f"{sending.delivery} waited after it had begun", words)
        for row in _rows(sending, run):
            if row.cause == "done":
                continue
            status = oracle.standing(row.milestone, beginning.seq)
            is_reminder = row.cause in REMINDERS
            windows = oracle.windows(row.milestone, beginning.seq)
            is_acked = is_reminder and oracle.is_acked(
                status, windows, min(leasing.looked, beginning.looked, sending.looked)
            )
            if status.closed or is_acked or (is_reminder and row.window not in windows):
                yield Violation(
                    "acted_on_is_let_go",
                    f"{row.milestone} {row.offset} in {sending.delivery}: begun after it was stopped",
                    (sending.delivery, f"{row.milestone} "),
                )


def _seq_before(oracle: Oracle, milestone: str, sending: Sending) -> int:
    """The last thing said more than a lease before a send started, and not taken back before it."""
    said = [one for one in oracle.facts.sayings.get(milestone, ()) if one.seq <= sending.seq]
    if not said or sending.at - said[-1].at <= LEASE:
        return 0
    return said[-1].seq


def _late(sending: Sending, row: Row, what: str) -> Violation:
    return Violation(
        "final_once_confirmed",
        f"{row.milestone} {row.offset} in {sending.delivery} at {sending.at}: {what}",
        (sending.delivery, f"{row.milestone} "),
    )


def moved(run: Run, oracle: Oracle) -> Iterator[Violation]:
    """No lease that leads to a send is taken of a reminder of an old date once the ledger has the new one, and
    no send of it starts later than one lease after. Whoever was told the old date is told the new one: the
    last thing that a channel has of a milestone is true in the end, and of each move it hears once."""
    yield from _old_windows(run, oracle)
    by_place: dict[tuple[str, str], list[tuple[Sending, Row]]] = defaultdict(list)
    for sending in sorted(oracle.receipts, key=lambda one: one.seq):
        receiver = sending.channel.partition("/")[0]
        for row in _rows(sending, run):
            if row.receiver == receiver and row.cause != "done":
                by_place[row.milestone, sending.channel].append((sending, row))
    for (milestone, channel), told in sorted(by_place.items()):
        yield from _told(milestone, channel, told, run, oracle)


def _old_windows(run: Run, oracle: Oracle) -> Iterator[Violation]:
    for sending in run.facts.sendings:
        leasing = sending.leasing
        for row in _rows(sending, run) if leasing else ():
            if row.cause not in REMINDERS or leasing is None:
                continue
            words = (sending.delivery, f"{row.milestone} ")
            what = f"{row.milestone} {row.offset} of {row.window} in {sending.delivery} at {sending.at}"
            if row.window not in oracle.windows(row.milestone, leasing.seq):
                yield Violation("moved", f"{what}: leased after the date had moved", words)
                continue
            now = oracle.adopted(row.milestone, sending.seq)
            windows = windows_of(now.spec) if now and now.spec else frozenset()
            if now and row.window not in windows and sending.at - now.at > LEASE:
                yield Violation("moved", f"{what}: started more than a lease after it had moved", words)


def _told(
    milestone: str, channel: str, told: list[tuple[Sending, Row]], run: Run, oracle: Oracle
) -> Iterator[Violation]:
    words = (f"{milestone} ",)
    known = run.facts.adoptions[milestone]
    last: Row | None = None
    since: set[str] = set()
    last_ids: dict[frozenset[str], str] = {}
    for sending, row in told:
        if row.cause != "moved":
            since.add(row.window)
            continue
        if last is not None and last.moved_to == row.moved_to and last.key != row.key:
            if not (_was_other(oracle, milestone, last, row) or _was_reopened(oracle, milestone, told, last)):
                yield Violation(
                    "moved", f"{milestone}: {channel} was told of one move twice", (*words, sending.delivery)
                )
        last, since = row, set()
        last_ids[row.moved_to] = sending.delivery
    now = known[-1]
    if now.spec is None or oracle.standing(milestone, 10**9).closed:
        return
    if any(_is_closed_when_adopted(oracle, milestone, one.seq) for one in known[1:]):
        # Whoever closes a milestone wants to hear no more of it; that its date moved then is not told later.
        return
    if now.at > run.facts.ends - timedelta(seconds=DAMPING_S) - timedelta(days=2.5):
        return
    windows = windows_of(now.spec)
    wrong = since - windows
    stale = last is not None and last.moved_to != windows
    if (wrong or stale) and not _excused(milestone, channel, run, oracle):
        knows = sorted(last.moved_to) if last and stale else sorted(wrong)
        yield Violation(
            "moved", f"{milestone}: {channel} still believes {knows}, it is {sorted(windows)}", words
        )


def _was_other(oracle: Oracle, milestone: str, first: Row, second: Row) -> bool:
    """Whether the date was another one between the binding of two moves."""
    begins = min((one.seq for one in oracle.verdicts_of[first.key] if one.state == "bound"), default=0)
    ends = max((one.seq for one in oracle.verdicts_of[second.key] if one.state == "bound"), default=0)
    return any(
        begins <= one.seq <= ends and (one.spec is None or windows_of(one.spec) != first.moved_to)
        for one in oracle.facts.adoptions[milestone]
    )


def _was_reopened(oracle: Oracle, milestone: str, told: list[tuple[Sending, Row]], first: Row) -> bool:
    """Whether the milestone was closed while nobody knew whether a move had arrived, so that it is told again when the
    milestone is opened again."""
    tries = [sending for sending, row in told if row.key == first.key]
    since = tries[0].at
    is_known = any(sending.settled == "sent" for sending in tries)
    return not is_known and any(
        one.kind in {"done", "cancel"} and one.at >= since for one in oracle.facts.sayings.get(milestone, ())
    )


def _is_closed_when_adopted(oracle: Oracle, milestone: str, seq: int) -> bool:
    return bool(oracle.standing(milestone, seq).closed)


def _excused(milestone: str, channel: str, run: Run, oracle: Oracle) -> bool:
    """The move is dead on this channel and the operator knows; or it waits for Monday; or somebody had closed
    the milestone when it fell due: then it was no news, and when it is opened again the next reminder says it."""
    receiver = channel.partition("/")[0]
    if receiver not in CHANNELS:
        return True
    for row in run.facts.rows.values():
        if row.milestone != milestone or row.receiver != receiver or row.cause != "moved":
            continue
        for made in oracle.deliveries_of.get(row.key, ()):
            if made.channel == channel and made.state.value == "dead" and oracle.notice_of(made.id):
                return True
        for verdict in oracle.verdicts_of.get(row.key, ()):
            if verdict.state == "suppressed" and oracle.standing(milestone, verdict.seq).closed:
                return True
        owed = oracle.owed[row.key]
        if owed.state.value == "pending" and owed.wake_at > run.facts.ends - timedelta(hours=2):
            return True
    return False


def clock_steps_repeat_nothing(run: Run, oracle: Oracle) -> Iterator[Violation]:
    """A wall clock that is set back repeats nothing, and one that is set forward sends each missed one once:
    an occurrence is bound once, ever; and where only clocks go wrong, each delivery arrives once."""
    for key, verdicts in oracle.verdicts_of.items():
        if sum(one.state == "bound" for one in verdicts) > 1:
            row = run.facts.rows[key]
            yield Violation(
                "clock_steps_repeat_nothing",
                f"{row.milestone} {row.offset} was bound twice",
                (f"{row.milestone} ",),
            )


def wrong_clocks_decide_nothing(run: Run, oracle: Oracle) -> Iterator[Violation]:
    """While a wall clock is wrong for less than five minutes, nothing is decided that is not due by the true
    time: nothing is bound early, superseded by what is to come, or expired for good."""
    if not run.profile.glimpses or run.profile.steps:
        return
    for one in run.facts.verdicts:
        row = run.facts.rows.get(one.key)
        if row is None or row.cause not in REMINDERS or one.state == "pending":
            continue
        dues = oracle.dues(row, one.at - timedelta(hours=3), one.at)
        age = CATCH_UP if one.state == "expired" else timedelta()
        if dues and min(dues) + age > one.at + TICK:
            yield Violation(
                "wrong_clocks_decide_nothing",
                f"{row.milestone} {row.offset} was {one.state} at {one.at}, due {min(dues)}",
                (f"{row.milestone} ",),
            )


def _rows(sending: Sending, run: Run) -> list[Row]:
    return [row for key in sending.keys if (row := run.facts.rows.get(key))]
