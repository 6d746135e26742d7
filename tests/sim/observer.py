"""Stands at the ports and writes down facts; it decides nothing."""

from __future__ import annotations

import asyncio
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from alertd.core.ledger.records import DeliveryState, Lease, ReminderState, ScheduledReminder
from alertd.core.message.message import Message
from alertd.core.message.reasons import describe_reason
from alertd.core.milestones.status import Action
from alertd.ports import Changes
from alertd.ports import Settlement as PortSettlement
from tests.sim.expected import windows_of
from tests.sim.facts import (
    Adoption,
    Beginning,
    Change,
    Facts,
    Granted,
    Leasing,
    Outage,
    Reconciled,
    Releasing,
    Row,
    Saying,
    Sending,
    Settling,
    Stop,
    Verdict,
)
from tests.sim.spec import LEADS, Spec

if TYPE_CHECKING:
    from tests.sim.node import Node
    from tests.sim.world import SimWorld


SPANS_S = {60: "calls in a minute", 3600: "calls in an hour"}
MOST_CALLS = 5_000
"""By then something is wrong for certain, and a run ends."""


class Observer:
    """Facts of one run, as they pass."""

    def __init__(self, world: SimWorld, facts: Facts) -> None:
        self._world = world
        self.facts = facts
        self._seq = 0
        self._writes = 0
        self._up: set[str] = set()
        self._down_since: datetime | None = world.now()
        self._looked: dict[str, datetime] = {}
        self._fences: dict[str, int] = {}
        self._taken: dict[tuple[str, str], Leasing] = {}
        self._begun_at: dict[tuple[str, str], Beginning] = {}
        self._open: dict[tuple[str, str], Sending] = {}
        self._owed: dict[str, ScheduledReminder] = {}
        self._deliveries: dict[str, DeliveryState] = {}
        self._done: dict[str, dict[str, date]] = {}
        self._calls: dict[tuple[str, int], tuple[int, int]] = {}

    # -- the ledger

    def called(self, node: Node) -> None:
        """A node calls the ledger: how often within a minute and an hour. A loop that spins is not played on."""
        for unit_s, name in SPANS_S.items():
            span = int(self._world.loop.time() // unit_s)
            was, number = self._calls.get((node.name, unit_s), (span, 0))
            number = number + 1 if was == span else 1
            self._calls[node.name, unit_s] = (span, number)
            if number > self.facts.most.get(name, 0):
                self.facts.most[name] = number
            if number > MOST_CALLS:
                node.say("SPINS", f"{number} calls in {unit_s} s")
                self._world.over.set()

    def asked(self, node: Any, name: str, args: tuple[Any, ...]) -> None:
        """Just before a transaction: which instant the node goes by."""
        if name == "find_due":
            self._looked[node.name] = args[0]
        if name in {"lease", "begin"}:
            self._looked[node.name] = args[1]
        if name == "settle_and_begin":
            self._looked[node.name] = args[2]

    def done(self, node: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        """Just after a transaction, before anybody hears of it."""
        match name:
            case "apply":
                self._applied(node, args[0])
            case "read_done_dates":
                self._done[node.name] = dict(result)
                return
            case "take_lead":
                self._granted(node, result)
            case "bind":
                if result:
                    self._bound(node, args[0].verdicts)
                    self._acted_owed(args[0].following)
            case "lease":
                self._leased(node, result, ahead=kwargs.get("ahead", False))
            case "begin":
                self._begun(node, args[0], result)
            case "release":
                for lease in args[0]:
                    given_back = Releasing(seq=self.next(), delivery=lease.delivery.id, fence=lease.fence)
                    self.facts.releasings.append(given_back)
                    node.say("gave back", lease.delivery.id)
            case "settle":
                self._settled(node, args[0], result)
            case "settle_and_begin":
                self._settled(node, args[0], result[0])
                self._begun(node, args[1], result[1])
            case "act":
                self._acted(args[0])
                self._acted_owed(args[1])
            case _:
                return
        self._compare()
        if self._world.ledger._writes != self._writes:
            self._writes = self._world.ledger._writes
            self._world.tell_others(node)

    def _applied(self, node: Node, changes: Changes) -> None:
        for one in changes.owed:
            self.facts.rows[one.key] = _row(one)
        if changes.records or changes.owed or changes.cancelled:
            names = {one.id for one in changes.records} | {one.milestone for one in changes.owed}
            found = Reconciled(
                seq=self.next(), node=node.name, life=node.life, milestones=tuple(sorted(names))
            )
            self.facts.reconciled.append(found)
        gone = {one.id for one in changes.records if one.withdrawn}
        touched = {one.id for one in changes.records} | {one.milestone for one in changes.owed}
        touched |= {self.facts.rows[key].milestone for key, _ in changes.cancelled}
        for name in sorted(touched):
            spec = None if name in gone else self._find_spec(node, name)
            adoption = Adoption(
                seq=self.next(), at=self._world.now(), milestone=name, spec=spec, rules=node.files.rules
            )
            known = self.facts.adoptions.setdefault(name, [])
            if not known or (known[-1].spec, known[-1].rules) != (spec, adoption.rules):
                known.append(adoption)
                node.say("adopted", f"{name} {', '.join(spec.deadlines) if spec else 'withdrawn'}")

    def _find_spec(self, node: Node, name: str) -> Spec | None:
        """What the node has written of a milestone: what its files say, with dates that count from what it had read."""
        follower = node.files.follower(name)
        if follower is None:
            return node.files.of(name)
        known = self.facts.adoptions.get(follower.base)
        return follower.resolve(
            known[-1].spec if known else None, self._done.get(node.name, {}).get(follower.base)
        )

    def _granted(self, node: Node, term: int | None) -> None:
        if term is not None:
            granted = Granted(seq=self.next(), node=node.name, life=node.life, term=term)
            self.facts.grants.append(granted)

    def _bound(self, node: Node, verdicts: tuple[Any, ...]) -> None:
        seq, at, looked = self.next(), self._world.now(), self._looked[node.name]
        for one in verdicts:
            verdict = Verdict(
                seq=seq, at=at, looked=looked, node=node.name, key=one.key, state=one.state.value,
                rules=node.files.rules,
            )  # fmt: skip
            self.facts.verdicts.append(verdict)
            row = self.facts.rows.get(one.key)
            what = f"{row.milestone} {row.receiver} {row.offset} {row.window}" if row else one.key
            node.say("decided", f"{what} {one.state.value} {describe_reason(one.reason)}".rstrip())

    def _leased(self, node: Node, leases: list[Lease], *, ahead: bool) -> None:
        for lease in leases:
            name = lease.delivery.id
            off = self._world.ledger.off
            self._fences[name] = self._fences.get(name, 0) + 1
            leasing = Leasing(
                seq=self.next(),
                at=self._world.now(),
                looked=self._looked[node.name],
                node=node.name,
                life=node.life,
                delivery=name,
                fence=lease.fence,
                now=self._looked[node.name] - off,
                until=lease.until - off,
                ahead=ahead,
            )
            self.facts.leasings.append(leasing)
            self._taken[node.name, name] = leasing
            node.say("leased", f"{name} fence {lease.fence}{' ahead' if ahead else ''}")
        if ahead and leases:
            self._world.interrupt(node, sorted({owed.milestone for one in leases for owed in one.owed}))

    def _begun(self, node: Node, leases: list[Lease], refused: frozenset[str]) -> None:
        for lease in leases:
            name = lease.delivery.id
            if name in refused:
                node.say("refused to begin", name)
                continue
            beginning = Beginning(
                seq=self.next(),
                at=self._world.now(),
                looked=self._looked[node.name],
                node=node.name,
                life=node.life,
                delivery=name,
                fence=lease.fence,
            )
            self.facts.beginnings.append(beginning)
            self._begun_at[node.name, name] = beginning
            node.say("begun", f"{name} fence {lease.fence}")

    def _settled(self, node: Node, settlements: list[PortSettlement], refused: frozenset[str]) -> None:
        for one in settlements:
            name = one.lease.delivery.id
            accepted = name not in refused
            self.facts.settlings.append(
                Settling(
                    seq=self.next(),
                    at=self._world.now(),
                    node=node.name,
                    delivery=name,
                    fence=one.lease.fence,
                    state=one.state.value,
                    receiver=one.lease.delivery.receiver,
                    channel=one.lease.delivery.channel,
                    knows=one.lease.delivery.receiver != LEADS or node.files.rules.knows_leads,
                    accepted=accepted,
                    newest_fence=self._fences.get(name, 0),
                )
            )
            sending = self._open.get((node.name, name))
            if sending and sending.life == node.life and not (sending.settled and not accepted):
                sending.settled = one.state.value if accepted else "fenced"
                sending.settled_seq = self._seq
            node.say("settled", f"{name} {one.state.value}{'' if accepted else ' FENCED'}")

    def _acted(self, action: Action) -> None:
        known = self.facts.sayings.setdefault(action.milestone, [])
        if any((one.said_at, one.kind) == (action.at, action.kind.value) for one in known):
            return
        adopted = self.facts.adoptions[action.milestone][-1]
        known.append(
            Saying(
                seq=self.next(),
                at=self._world.now(),
                kind=action.kind.value,
                milestone=action.milestone,
                said_at=action.at,
                until=action.until,
                windows=windows_of(adopted.spec) if adopted.spec else frozenset(),
            )
        )

    def _acted_owed(self, owed: tuple[ScheduledReminder, ...]) -> None:
        """What came with an action or a decision: the news that something is done, and repeats."""
        for one in owed:
            if one.key not in self.facts.rows:
                self.facts.rows[one.key] = _row(one)

    def confirmed(self, milestone: str, kind: str, said_at: datetime) -> None:
        """Whoever said it knows that it is written down."""
        for one in self.facts.sayings.get(milestone, ()):
            if (one.said_at, one.kind) == (said_at, kind):
                one.confirmed_at = self._world.now()

    def _compare(self) -> None:
        """Which rows changed their state in this transaction."""
        ledger: Any = self._world.ledger
        for key, owed in ledger._owed.items():
            old = self._owed.get(key)
            if old is not owed:
                self._owed[key] = owed
                self._note("owed", key, old.state if old else "", owed.state)
        for key, delivery in ledger._deliveries.items():
            before = self._deliveries.get(key)
            if before is not delivery.state:
                self._deliveries[key] = delivery.state
                self._note("delivery", key, before or "", delivery.state)

    def _note(self, table: str, key: str, before: str, after: ReminderState | DeliveryState) -> None:
        self.facts.changes.append(
            Change(
                seq=self._seq,
                at=self._world.now(),
                table=table,
                key=key,
                before=str(before),
                after=after.value,
            )
        )

    # -- sending

    def started(self, node: Node, channel: str, message: Message) -> Sending:
        keys = tuple(key for item in message.items for key in item.keys)
        sending = Sending(
            seq=self.next(),
            at=self._world.now(),
            looked=node.clock.now(),
            node=node.name,
            life=node.life,
            channel=channel,
            delivery=message.id,
            kind=message.kind.value,
            keys=keys,
            leasing=self._taken.get((node.name, message.id)),
            beginning=self._begun_at.get((node.name, message.id)),
        )
        self.facts.sendings.append(sending)
        self._open[node.name, message.id] = sending
        self._measure()
        return sending

    def _measure(self) -> None:
        """How much there is of what must not grow."""
        sizes = {"tasks": len(asyncio.all_tasks())}
        for node in self._world.nodes:
            for name, size in node.daemon.sizes.items() if node.daemon else ():
                sizes[name] = max(size, sizes.get(name, 0))
        for name, size in sizes.items():
            self.facts.most[name] = max(size, self.facts.most.get(name, 0))

    def arrived(self, sending: Sending) -> None:
        sending.accepted_at = self._world.now()
        sending.accepted_seq = self.next()
        self._world.trace.add(
            "sink", "accepted", f"{sending.channel} {sending.delivery} {self.words(sending)}"
        )

    def later(self, after_s: float, sending: Sending) -> None:
        self._world.later(after_s, lambda: self.arrived(sending))

    def answered(self, sending: Sending, answer: str) -> None:
        sending.answer = answer
        sending.answered_at = self._world.now()

    def words(self, sending: Sending) -> str:
        """What a message is about, in short."""
        rows = [self.facts.rows.get(key) for key in sending.keys]
        words = [f"{row.milestone} {row.offset}" for row in rows if row]
        return ", ".join(words) or sending.kind

    def milestones(self, sending: Sending) -> list[str]:
        rows = [self.facts.rows.get(key) for key in sending.keys]
        return sorted({row.milestone for row in rows if row})

    # -- nodes

    def up(self, node: Node) -> None:
        if self._down_since is not None:
            self.facts.outages.append(Outage(begins=self._down_since, ends=self._world.now()))
            self._down_since = None
        self._up.add(node.name)

    def stopped(self, node: Node) -> None:
        """The daemon has drained and ended."""
        ledger: Any = self._world.ledger
        kept = tuple(
            name
            for name, hold in sorted(ledger._holds.items())
            if hold.owner == f"{node.name}:{node.life}" and hold.ahead
        )
        self.facts.stops.append(Stop(node=node.name, at=self._world.now(), kept=kept))

    def died(self, node: Node) -> None:
        self.facts.deaths.add((node.name, node.life))
        self._up.discard(node.name)
        if not self._up and self._down_since is None:
            self._down_since = self._world.now()

    def surprise(self, node: Any, error: object) -> None:
        """An exception that nobody planned."""
        self.facts.surprises.append(f"{node.name}: {type(error).__name__}: {error}")
        node.say("SURPRISE", f"{type(error).__name__}: {error}")

    def next(self) -> int:
        self._seq += 1
        return self._seq


def _row(owed: ScheduledReminder) -> Row:
    move = owed.move
    return Row(
        key=owed.key,
        milestone=owed.milestone,
        receiver=owed.receiver,
        cause=owed.cause.value,
        offset=owed.offset,
        window=owed.window_id,
        moved_from=frozenset(value.window_id for value in move.before) if move else frozenset(),
        moved_to=frozenset(value.window_id for value in move.after) if move else frozenset(),
    )
