"""Test that after any sequence of calls, the ledgers in SQL and in memory have the same answers and state."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from alertd.core.ledger.records import DeliveryState, Lease, Record, ReminderState, ScheduledReminder
from alertd.core.milestones.occurrence import Cause
from alertd.core.milestones.status import ActionKind
from alertd.core.planning.decide import Decisions, Rules, Verdict, decide, make_delivery_id
from alertd.core.reason import MuteInterval, PlainReason
from alertd.errors import AlertdError
from alertd.ports import Changes, Ledger, Settlement
from alertd.store import open_ledger
from alertd.testing.memory_ledger import MemoryLedger
from tests.contract.samples import (
    DAY,
    HOUR,
    MINUTE,
    NOW,
    a_delivery,
    a_notice,
    a_record,
    a_value,
    an_action,
    an_attempt,
    an_entry,
    an_owed,
)
from tests.postgres import Server, virtual_ledger

MILESTONES = ("iraq/phase-1", "iraq/phase-2", "other/one")
RECEIVERS = ("desk", "leads")
CHANNELS = ("desk/hook", "desk/mail", "leads/hook")
HOURS = st.integers(min_value=0, max_value=12).map(lambda hours: NOW + hours * HOUR)
CAUSES = st.sampled_from(Cause)
STATES = st.sampled_from(ReminderState)


@st.composite
def records(draw: st.DrawFn) -> Record:
    return a_record(
        draw(st.sampled_from(MILESTONES)),
        title=draw(st.sampled_from(("one", "another"))),
        revision=draw(st.integers(min_value=1, max_value=3)),
        values=tuple(
            a_value(edtf=edtf) for edtf in draw(st.lists(st.sampled_from(("2026", "2027")), max_size=2))
        ),
        withdrawn=draw(st.booleans()),
        loaded_at=draw(HOURS),
    )


@st.composite
def owed(draw: st.DrawFn, ids: Sequence[str] = MILESTONES) -> ScheduledReminder:
    """Generate an occurrence with one of a few keys. Each key determines milestone, receiver and cause."""
    milestone, receiver, cause = draw(st.sampled_from(ids)), draw(st.sampled_from(RECEIVERS)), draw(CAUSES)
    at = draw(HOURS)
    return an_owed(
        f"{milestone} {receiver} {cause}",
        at=at,
        milestone=milestone,
        receiver=receiver,
        cause=cause,
        wake_at=at + draw(st.sampled_from((timedelta(), HOUR, 6 * HOUR))),
        state=draw(st.sampled_from((ReminderState.PENDING,) * 4 + tuple(ReminderState))),
        group=draw(st.sampled_from(((), (("timeline", "iraq"),)))),
    )


class Ledgers(RuleBasedStateMachine):
    """Calls both and compares what they return or raise, and afterwards everything that can be read."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.model: Ledger = MemoryLedger()
        self.real: Ledger = self.runner.run(self.opened())
        self.now = NOW
        self.leases: list[Lease] = []

    async def opened(self) -> Ledger:
        """Return the ledger under test, empty."""
        raise NotImplementedError

    def teardown(self) -> None:
        self.runner.run(self.real.close())
        self.runner.close()

    def both(self, call: Callable[[Ledger], Awaitable[Any]]) -> Any:
        """Return the answer of both ledgers, or None if both raise the same error."""
        expected, found = (self.runner.run(_answer(call, ledger)) for ledger in (self.model, self.real))
        assert found == expected
        return None if isinstance(expected, tuple) and expected[0] == "refused" else expected

    @initialize()
    def fill(self) -> None:
        self.both(lambda ledger: ledger.apply(Changes(records=tuple(a_record(one) for one in MILESTONES))))

    @rule(hours=st.integers(min_value=-1, max_value=6))
    def time_passes(self, hours: int) -> None:
        self.now += hours * HOUR

    @rule(
        written=st.lists(records(), max_size=2),
        found=st.lists(owed((*MILESTONES, "no/such")) | owed(), max_size=4),
        cancelled=st.lists(owed(), max_size=2),
        noted=st.booleans(),
    )
    def reload(
        self,
        written: list[Record],
        found: list[ScheduledReminder],
        cancelled: list[ScheduledReminder],
        noted: bool,
    ) -> None:
        changes = Changes(
            records=tuple({record.id: record for record in written}.values()),
            owed=tuple({one.key: one for one in found}.values()),
            cancelled=tuple((one.key, PlainReason.NOT_OWED) for one in cancelled),
            history=(an_entry(at=self.now),) if noted else (),
            deliveries=(a_notice(),) if noted else (),
        )
        self.both(lambda ledger: ledger.apply(changes))

    @rule(limit=st.integers(min_value=1, max_value=4), mutes=st.booleans())
    def bind_what_is_due(self, limit: int, mutes: bool) -> None:
        due = self.both(lambda ledger: ledger.find_due(self.now, limit))
        rules = Rules(
            catch_up=DAY,
            notifiers={"desk": ("hook", "mail"), "leads": ("hook",)},
            muted=lambda *_: None,
        )
        decisions = decide(due, self.now, rules)
        if mutes:
            decisions = _put_off(decisions, self.now + HOUR)
        self.both(lambda ledger: ledger.bind(decisions))

    @rule(chosen=st.lists(owed(), max_size=2), becomes=STATES)
    def bind_anything(self, chosen: list[ScheduledReminder], becomes: ReminderState) -> None:
        keys = tuple(dict.fromkeys(one.key for one in chosen))
        verdicts = tuple(Verdict(key=key, state=becomes, reason=PlainReason.DEADLINE_MOVED) for key in keys)
        made = (a_delivery(*keys, bound_at=self.now),) if keys and becomes is ReminderState.BOUND else ()
        self.both(lambda ledger: ledger.bind(Decisions(deliveries=made, verdicts=verdicts)))

    @rule(
        limit=st.integers(min_value=0, max_value=5),
        per_channel=st.integers(min_value=1, max_value=3),
        most=st.dictionaries(st.sampled_from(CHANNELS), st.integers(0, 2), max_size=2),
        held_for=st.sampled_from((5 * MINUTE, 3 * HOUR)),
    )
    def lease(self, limit: int, per_channel: int, most: dict[str, int], held_for: timedelta) -> None:
        self.leases += self.both(
            lambda ledger: ledger.lease(
                "node", self.now, duration=held_for, limit=limit, per_channel=per_channel, most=most
            )
        )

    @rule(data=st.data(), state=st.sampled_from(DeliveryState), repeats=st.booleans())
    def settle(self, data: st.DataObject, state: DeliveryState, repeats: bool) -> None:
        if not self.leases:
            return
        chosen = data.draw(st.lists(st.sampled_from(self.leases), max_size=3))
        settlements = [self._settlement(lease, state) for lease in chosen]
        for _ in range(2 if repeats else 1):
            self.both(lambda ledger: ledger.settle(settlements))

    @rule(
        kind=st.sampled_from(ActionKind),
        milestone=st.sampled_from((*MILESTONES, "no/such")),
        found=st.lists(owed(), max_size=1),
    )
    def act(self, kind: ActionKind, milestone: str, found: list[ScheduledReminder]) -> None:
        action = an_action(kind, milestone=milestone, at=self.now)
        self.both(lambda ledger: ledger.act(action, found))

    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        known = [lease.delivery.id for lease in self.leases]
        name = data.draw(st.sampled_from([*known, "msg_none"]))
        self.both(lambda ledger: ledger.retry(name, self.now, "ada"))

    @rule(
        node=st.sampled_from("ab"),
        duration=st.sampled_from((MINUTE, 3 * HOUR)),
        instead_of=st.sampled_from(("", "", "a")),
    )
    def lead(self, node: str, duration: timedelta, instead_of: str) -> None:
        self.both(lambda ledger: ledger.take_lead(node, self.now, duration=duration, instead_of=instead_of))
        self.both(lambda ledger: ledger.read_leader())

    @rule(node=st.sampled_from("ab"))
    def retire(self, node: str) -> None:
        self.both(lambda ledger: ledger.retire(node))

    @rule(term=st.integers(min_value=1, max_value=4), written=records())
    def apply_under_a_lead(self, term: int, written: Record) -> None:
        self.both(lambda ledger: ledger.apply(Changes(records=(written,)), term=term))

    @invariant()
    def everything_reads_the_same(self) -> None:
        self.both(lambda ledger: ledger.read_timelines())
        self.both(lambda ledger: ledger.read_timeline("iraq"))
        self.both(lambda ledger: ledger.read_latest(("iraq/phase-2", "other/one")))
        self.both(lambda ledger: ledger.read_done_dates())
        self.both(lambda ledger: ledger.read_records())
        self.both(lambda ledger: ledger.read_owed("other/one"))
        self.both(lambda ledger: ledger.find_due(self.now, 3))
        self.both(lambda ledger: ledger.find_next_wake(self.now))
        self.both(lambda ledger: ledger.read_upcoming(5))
        self.both(lambda ledger: ledger.find_deliveries(limit=5))
        self.both(lambda ledger: ledger.find_deliveries(milestone="iraq/phase-2", state=DeliveryState.READY))
        self.both(lambda ledger: ledger.read_history())
        self.both(lambda ledger: ledger.count_rows())

    def _settlement(self, lease: Lease, state: DeliveryState) -> Settlement:
        final = state is not DeliveryState.READY
        members = lease.delivery.members
        fallback = a_delivery(
            *members,
            id=make_delivery_id("leads", "hook", (*members, "desk")),
            receiver="leads",
            fallback_for="desk",
            bound_at=self.now,
        )
        return Settlement(
            lease=lease,
            state=state,
            at=self.now,
            next_at=None if final else self.now + HOUR,
            attempt=an_attempt(lease),
            told=members if state is DeliveryState.SENT else (),
            remember={name: {"ts": str(lease.fence)} for name in lease.records},
            follow_up=(fallback,) if state is DeliveryState.DEAD else (),
        )


async def _answer(call: Callable[[Ledger], Awaitable[Any]], ledger: Ledger) -> Any:
    try:
        return await call(ledger)
    except AlertdError as error:
        return ("refused", type(error).__name__)


def _put_off(decisions: Decisions, until: Any) -> Decisions:
    """The same occurrence, pending if it would have been sent."""
    verdicts = tuple(
        replace(one, state=ReminderState.PENDING, reason=MuteInterval(interval="weekend"), wake_at=until)
        if one.state is ReminderState.BOUND
        else one
        for one in decisions.verdicts
    )
    return Decisions(deliveries=(), verdicts=verdicts)


class OnSqlite(Ledgers):
    async def opened(self) -> Ledger:
        return await open_ledger("sqlite://")


def _as_many_as(share: float) -> settings:
    """Return settings for a share of the usual number of examples, because each one is 25 calls."""
    return settings(max_examples=int(settings().max_examples * share), stateful_step_count=25)


@pytest.mark.hypothesis
@pytest.mark.long
def test_sqlite_and_memory_cannot_be_told_apart() -> None:
    """For any calls in any order, SQLite and memory return the same answers and have the same content."""
    run_state_machine_as_test(OnSqlite, settings=_as_many_as(0.3))


@pytest.mark.hypothesis
@pytest.mark.server
@pytest.mark.long
def test_postgres_and_memory_cannot_be_told_apart(postgres: Server) -> None:
    """For any calls in any order, PostgreSQL and memory return the same answers and have the same content."""
    with ExitStack() as stack:

        class OnPostgres(Ledgers):
            async def opened(self) -> Ledger:
                stack.close()
                return await virtual_ledger(stack.enter_context(postgres.database()))

        run_state_machine_as_test(OnPostgres, settings=_as_many_as(0.2))
