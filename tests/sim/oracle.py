"""What the invariants ask: who stood how at which moment, what was expected, what became of it.

It knows the facts and its own calendar. Of the product it reads what the ledger says in the end: that is what
is to be judged.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any

from tests.sim.expected import Rung, receivers_of, rungs_of, windows_of
from tests.sim.facts import Adoption, Facts, Row, Saying, Sending, Verdict
from tests.sim.spec import CATCH_UP_DAYS, OPS, SPARE, Files, Spec

CATCH_UP = timedelta(days=CATCH_UP_DAYS)
REMINDERS = frozenset({"opens", "approaching", "due", "overdue"})
MOMENT = timedelta(seconds=120)
"""How long everything takes when nothing goes wrong, generously."""


@dataclass(frozen=True, slots=True)
class Violation:
    """An invariant that does not hold; ``words`` name the lines of the trace to look at."""

    invariant: str
    what: str
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """What people have said, summed up."""

    closed: str = ""
    ack: Saying | None = None
    snoozed_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Expected:
    """One reminder that somebody is to get.

    Attributes:
        due: when; not before the ledger knew of it.
        adoption: by which it is expected.
        until: when the ledger was told otherwise about the milestone.
        at_load: it was past already when its milestone was first loaded.
    """

    milestone: str
    receiver: str
    rung: Rung
    due: datetime
    adoption: Adoption
    until: datetime
    at_load: bool = False

    @property
    def words(self) -> tuple[str, ...]:
        return (f"{self.milestone} ",)

    def __str__(self) -> str:
        return (
            f"{self.milestone} {self.rung.offset} of {self.rung.window} for {self.receiver}, due {self.due}"
        )


class Oracle:
    """See the module."""

    def __init__(self, facts: Facts, ledger: Any) -> None:
        self.facts = facts
        self.owed: dict[str, Any] = ledger._owed
        self.deliveries: dict[str, Any] = ledger._deliveries
        self.records: dict[str, Any] = ledger._records
        self.holds: dict[str, Any] = ledger._holds
        self.history: list[Any] = list(ledger._history.values())
        self.slack = MOMENT + timedelta(seconds=facts.largest_step_s)

    # -- indexes

    @cached_property
    def row_of(self) -> dict[tuple[str, str, str, str], Row]:
        return {
            (row.milestone, row.receiver, row.window, row.offset): row
            for row in self.facts.rows.values()
            if row.cause in REMINDERS
        }

    @cached_property
    def rows_of(self) -> dict[str, list[Row]]:
        """The rows of each milestone."""
        found: dict[str, list[Row]] = defaultdict(list)
        for row in self.facts.rows.values():
            found[row.milestone].append(row)
        return found

    @cached_property
    def verdicts_of(self) -> dict[str, list[Verdict]]:
        found: dict[str, list[Verdict]] = defaultdict(list)
        for one in self.facts.verdicts:
            found[one.key].append(one)
        return found

    @cached_property
    def bound_of(self) -> dict[tuple[str, str], list[tuple[Verdict, Row]]]:
        """What was bound for each milestone and receiver."""
        found: dict[tuple[str, str], list[tuple[Verdict, Row]]] = defaultdict(list)
        for one in self.facts.verdicts:
            row = self.facts.rows.get(one.key)
            if one.state == "bound" and row:
                found[row.milestone, row.receiver].append((one, row))
        return found

    @cached_property
    def deliveries_of(self) -> dict[str, list[Any]]:
        """The deliveries that carry an occurrence, the fallback's left out."""
        found: dict[str, list[Any]] = defaultdict(list)
        for one in self.deliveries.values():
            for key in () if one.fallback_for else one.members:
                found[key].append(one)
        return found

    @cached_property
    def receipts(self) -> list[Sending]:
        return self.facts.receipts

    @cached_property
    def received(self) -> dict[tuple[str, str], list[Sending]]:
        """The receipts of each occurrence on each channel."""
        found: dict[tuple[str, str], list[Sending]] = defaultdict(list)
        for one in self.receipts:
            for key in one.keys:
                found[key, one.channel].append(one)
        return found

    @cached_property
    def receipts_of(self) -> dict[str, list[Sending]]:
        found: dict[str, list[Sending]] = defaultdict(list)
        for one in self.receipts:
            found[one.delivery].append(one)
        return found

    @cached_property
    def sendings_of(self) -> dict[str, list[Sending]]:
        found: dict[str, list[Sending]] = defaultdict(list)
        for one in self.facts.sendings:
            found[one.delivery].append(one)
        return found

    # -- what the ledger knew, and what people had said

    def adopted(self, milestone: str, seq: int) -> Adoption | None:
        found = [one for one in self.facts.adoptions.get(milestone, ()) if one.seq <= seq]
        return found[-1] if found else None

    def is_down(self, begins: datetime, ends: datetime) -> bool:
        """Whether no node was up at some moment of a span."""
        return any(outage.begins <= ends and begins <= outage.ends for outage in self.facts.outages)

    def adoptions_between(self, milestone: str, begins: datetime, ends: datetime) -> list[Adoption]:
        """Those in force at some moment of a span."""
        known = self.facts.adoptions.get(milestone, [])
        found = []
        for place, one in enumerate(known):
            over_at = known[place + 1].at if place + 1 < len(known) else None
            if one.at <= ends and (over_at is None or over_at >= begins):
                found.append(one)
        return found

    def windows(self, milestone: str, seq: int) -> frozenset[str]:
        one = self.adopted(milestone, seq)
        return windows_of(one.spec) if one and one.spec else frozenset()

    def standing(self, milestone: str, seq: int) -> Standing:
        now = Standing()
        for one in self.facts.sayings.get(milestone, ()):
            if one.seq > seq:
                break
            match one.kind:
                case "ack":
                    now = Standing(ack=one, snoozed_until=now.snoozed_until)
                case "snooze":
                    now = Standing(ack=now.ack, snoozed_until=one.until)
                case "done" | "cancel":
                    now = Standing(closed=one.kind)
                case _:
                    now = Standing()
        return now

    def is_acked(self, standing: Standing, windows: frozenset[str], at: datetime) -> bool:
        ack = standing.ack
        return ack is not None and ack.until is not None and at < ack.until and windows <= ack.windows

    def filed(self, files: Files, name: str) -> Spec | None:
        """A milestone as the files have it; with dates that count from what the ledger has, if they count from another."""
        follower = files.follower(name)
        if follower is None:
            return files.of(name)
        known = self.facts.adoptions.get(follower.base, [])
        return follower.resolve(known[-1].spec if known else None, self.done_on(follower.base, 10**9))

    def done_on(self, milestone: str, seq: int) -> date | None:
        """On which day a milestone was done, by what people had said."""
        day = None
        for one in self.facts.sayings.get(milestone, ()):
            if one.seq <= seq and one.kind in {"done", "cancel", "reopen"}:
                day = one.said_at.date() if one.kind == "done" else None
        return day

    def was_stopped(self, milestone: str, begins: datetime, ends: datetime) -> bool:
        """Whether at some moment of a span somebody had said to be quiet about it."""
        sayings = self.facts.sayings.get(milestone, [])
        seqs = [one.seq for one in sayings if begins <= one.at <= ends]
        before = [one.seq for one in sayings if one.at < begins]
        for seq in (*before[-1:], *seqs):
            standing = self.standing(milestone, seq)
            held = standing.ack is not None and standing.ack.until is not None and standing.ack.until > begins
            if standing.closed or held:
                return True
        return False

    def was_closed(self, milestone: str, begins: datetime, ends: datetime) -> bool:
        """Whether a milestone was done or cancelled at some moment of a span."""
        sayings = self.facts.sayings.get(milestone, [])
        seqs = [one.seq for one in sayings if begins <= one.at <= ends]
        before = [one.seq for one in sayings if one.at < begins]
        return any(self.standing(milestone, seq).closed for seq in (*before[-1:], *seqs))

    def was_changed(self, expected: Expected, begins: datetime, ends: datetime) -> bool:
        """Whether at some moment of a span the ledger did not know of this reminder, or of another time."""
        for one in self.adoptions_between(expected.milestone, begins, ends):
            if one.spec is None:
                return True
            same = any(
                rung.window == expected.rung.window
                and rung.offset == expected.rung.offset
                and rung.at == expected.rung.at
                for rung in rungs_of(one.spec)
            )
            if not same or expected.receiver not in receivers_of(expected.rung.cause, one.rules):
                return True
        return False

    def dues(self, row: Row, begins: datetime, ends: datetime) -> list[datetime]:
        """When a reminder is due by what the ledger knew at some moment of a span."""
        return [
            rung.at
            for one in self.adoptions_between(row.milestone, begins, ends)
            if one.spec is not None
            for rung in rungs_of(one.spec)
            if (rung.window, rung.offset) == (row.window, row.offset)
        ]

    def dues_after(self, milestone: str, due: datetime) -> list[datetime]:
        """When other reminders of the milestone were due later, by anything that the ledger ever knew of it."""
        return [
            rung.at
            for one in self.facts.adoptions.get(milestone, ())
            if one.spec is not None
            for rung in rungs_of(one.spec)
            if rung.at > due
        ]

    # -- what was expected

    def expected(self, until: datetime) -> Iterator[Expected]:
        """Every reminder that became due before ``until`` while the ledger knew of it."""
        for milestone, known in sorted(self.facts.adoptions.items()):
            for place, one in enumerate(known):
                over_at = known[place + 1].at if place + 1 < len(known) else until
                before = known[place - 1].spec if place else None
                if one.spec is not None:
                    yield from self._of_adoption(
                        milestone, one, one.spec, before, min(over_at, until), place == 0
                    )

    def _of_adoption(
        self,
        milestone: str,
        one: Adoption,
        spec: Spec,
        before: Spec | None,
        over_at: datetime,
        is_first: bool,
    ) -> Iterator[Expected]:
        pending = {
            (rung.window, rung.offset) for rung in (rungs_of(before) if before else ()) if rung.at > one.at
        }
        for rung in rungs_of(spec):
            at_load = is_first and one.at - CATCH_UP < rung.at <= one.at
            # New rules of a time zone can bring it forward past the present moment.
            forward = rung.at <= one.at and (rung.window, rung.offset) in pending
            if (one.at < rung.at < over_at) or at_load or forward:
                due = max(rung.at, one.at)
                for receiver in receivers_of(rung.cause, one.rules):
                    yield Expected(
                        milestone=milestone,
                        receiver=receiver,
                        rung=rung,
                        due=due,
                        adoption=one,
                        until=over_at,
                        at_load=at_load,
                    )

    # -- what became of it

    @cached_property
    def decided_at(self) -> dict[tuple[int, str, str], list[Row]]:
        """What was bound or put off in one transaction, for each milestone and receiver."""
        found: dict[tuple[int, str, str], list[Row]] = defaultdict(list)
        for one in self.facts.verdicts:
            row = self.facts.rows.get(one.key)
            if row and one.state in {"bound", "pending"}:
                found[one.seq, row.milestone, row.receiver].append(row)
        return found

    def was_overtaken(self, expected: Expected, key: str) -> bool:
        """Whether a later reminder of the same milestone was bound or put off when this one gave way to it, or a
        later one, or the news of a move, was bound for them at another time."""
        due, milestone, receiver = expected.rung.at, expected.milestone, expected.receiver
        for verdict in self.verdicts_of.get(key, ()):
            if verdict.state == "superseded":
                rows = self.decided_at[verdict.seq, milestone, receiver]
                return any(max(self._dues_at(row, verdict), default=due) > due for row in rows)
        for verdict, row in self.bound_of.get((milestone, receiver), ()):
            if row.cause == "moved" or max(self._dues_at(row, verdict), default=due) > due:
                return True
        return False

    def _dues_at(self, row: Row, verdict: Verdict) -> list[datetime]:
        return self.dues(row, verdict.at - timedelta(hours=3), verdict.at)

    def notice_of(self, delivery: str) -> bool:
        """Whether the operator was told that a delivery is dead, or the ledger shows that even that failed."""
        return any(
            one.notice is not None
            and one.notice.slot.startswith(f"dead/{delivery}/")
            and one.receiver == OPS
            and (one.id in self.receipts_of or one.state.value == "dead")
            for one in self.deliveries.values()
        )

    def is_missed(self, receiver: str) -> bool:
        """Whether the operator was told that the files of no node have a receiver."""
        return any(
            one.notice is not None
            and one.notice.slot.startswith(f"unknown/{receiver}/")
            and one.receiver == OPS
            and one.id in self.receipts_of
            for one in self.deliveries.values()
        )

    def was_stray(self, receiver: str, key: str) -> bool:
        """Whether the fallback receiver has what was owed to a receiver that no node knew, and the operator knows."""
        has = any(
            one.receiver == SPARE and one.fallback_for == receiver and key in one.members
            for one in self.deliveries.values()
            if one.id in self.receipts_of
        )
        return has and self.is_missed(receiver)

    def stand_in_for(self, delivery: Any) -> list[Any]:
        return [
            one
            for one in self.deliveries.values()
            if one.receiver == SPARE
            and one.fallback_for in {delivery.channel, delivery.receiver}
            and set(one.members) <= set(delivery.members)
        ]
