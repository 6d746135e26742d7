"""A small world under a virtual clock: definitions, a ledger, and receivers that write down what they get.

scene = Scene(ledger, at="2026-09-01")
scene.define(a_milestone("t/m", "2026-09-30"))
await scene.reconcile()
await scene.until("2026-10-31")
assert scene.told() == ["2026-09-23T09:00 desk t/m -7d", ...]
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

import structlog

from alertd.core.config import Config, Definitions, NotifierSpec, Receiver, Timeline
from alertd.core.deadline import parse_deadline
from alertd.core.ledger.outcome import Outcome, Sent
from alertd.core.ledger.records import Lease
from alertd.core.message.message import Message
from alertd.core.milestones.milestone import Claim, Milestone, Rank, RelativeClaim, Source
from alertd.core.milestones.policy import Policy
from alertd.core.milestones.recurrence import parse_recurrence
from alertd.core.milestones.status import Action, ActionKind
from alertd.core.routing.matcher import parse_matcher
from alertd.core.routing.route import Route
from alertd.core.time.duration import parse_duration
from alertd.engine.actions import act
from alertd.engine.binding import Binder
from alertd.engine.delivery import ClockReading, Dispatcher
from alertd.engine.reconcile import reconcile
from alertd.engine.reconcile_pass import PassOptions, Report
from alertd.ports import LEASE_FOR, Ledger, Settlement
from alertd.store import open_ledger
from alertd.system.telemetry import Log
from alertd.testing.memory_ledger import MemoryLedger

UTC_ZONE = ZoneInfo("UTC")
MINISTER = Source(id="minister", who="A. Minister", short="the minister")
REUTERS = Source(id="reuters", who="Reuters")
ROOT = Route(receiver="desk", path="route")
MAX_TURNS = 2_000


def when(text: str) -> datetime:
    """``2026-09-30`` or ``2026-09-30T09:00``, in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def a_claim(deadline: str, source: Source = MINISTER, rank: Rank = Rank.NORMAL, note: str = "") -> Claim:
    return Claim(deadline=parse_deadline(deadline), sources=(source,), rank=rank, note=note)


def a_milestone(id: str, *deadlines: str | Claim, **changes: Any) -> Milestone:  # noqa: A002
    """Deadlines after the first are Reuters'. ``every`` is a rule, ``after`` is ``(base, duration)``."""
    claims = tuple(
        one if isinstance(one, Claim) else a_claim(one, MINISTER if number == 0 else REUTERS)
        for number, one in enumerate(deadlines)
    )
    rule = changes.pop("every", None)
    base = changes.pop("after", None)
    made = Milestone(
        id=id,
        timeline=id.partition("/")[0],
        timeline_title="A timeline",
        title="It comes about",
        zone=UTC_ZONE,
        policy=Policy(),
        claims=claims,
        repeat=parse_recurrence(rule, claims[0].deadline) if rule else None,
        relative=(RelativeClaim(base=base[0], by=parse_duration(base[1])),) if base else (),
    )
    return replace(made, **changes)


def a_receiver(name: str, *notifiers: str) -> Receiver:
    specs = tuple(NotifierSpec(name=one, type="fake", options=None) for one in notifiers or ("hook",))
    return Receiver(name=name, notifiers=specs)


def a_config(*receivers: str, **changes: Any) -> Config:
    names = receivers or ("desk",)
    base = Config(zone=UTC_ZONE, route=ROOT, receivers={name: a_receiver(name) for name in names})
    return replace(base, **changes)


def route_to(
    receiver: str, matcher: str = 'milestone=~".+"', *, go_on: bool = False, **changes: Any
) -> Route:
    """A route of the root's; it takes everything unless it is told otherwise."""
    made = Route(
        receiver=receiver, matchers=(parse_matcher(matcher),), continue_=go_on, path="route.routes[0]"
    )
    return replace(made, **changes)


@dataclass(slots=True)
class StepClock:
    """A clock that is set by hand; the monotonic one follows it forward only when it is told to."""

    at: datetime
    seconds: float = 1_000.0

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.seconds

    def advance(self, to: datetime) -> None:
        self.seconds += max(0.0, (to - self.at).total_seconds())
        self.at = to

    def step(self, by: timedelta) -> None:
        """The wall clock alone: somebody has set it, or the machine has slept."""
        self.at += by


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """One send, whatever became of it."""

    at: datetime
    channel: str
    message: Message
    prior: Mapping[str, Mapping[str, str]]
    outcome: Outcome

    def lines(self) -> list[str]:
        items = self.message.items
        if not items:
            return [f"{self.at:%Y-%m-%dT%H:%M} {self.message.receiver} {self.message.kind}"]
        return [
            f"{self.at:%Y-%m-%dT%H:%M} {self.message.receiver} {item.milestone} {item.offset}"
            for item in items
        ]


@dataclass(slots=True, kw_only=True)
class Recorder:
    """A notifier that keeps the contract and writes everything down.

    Attributes:
        answers: outcomes to come, or exceptions to be raised; then everything is accepted.
        closed: how often it was closed.
    """

    clock: Callable[[], datetime]
    channel: str = "desk/hook"
    log: list[Telling] = field(default_factory=list)
    answers: list[Outcome | Exception] = field(default_factory=list)
    closed: int = 0

    async def send(self, message: Message, prior: Mapping[str, Mapping[str, str]]) -> Outcome:
        answer = self.answers.pop(0) if self.answers else Sent()
        if isinstance(answer, Exception):
            raise answer
        self.log.append(
            Telling(at=self.clock(), channel=self.channel, message=message, prior=prior, outcome=answer)
        )
        return answer

    async def aclose(self) -> None:
        self.closed += 1


class Scene:
    """See the module."""

    def __init__(self, ledger: Ledger, at: str, config: Config | None = None) -> None:
        self.ledger = ledger
        self.clock = StepClock(when(at))
        self.config = config or a_config()
        self.timelines: tuple[Timeline, ...] = ()
        self.broken: frozenset[str] = frozenset()
        self.reconciled: Config | None = None
        self.log: list[Telling] = []
        self.recorders: dict[str, Recorder] = {}
        self.faults: list[tuple[str, BaseException]] = []

    @property
    def now(self) -> datetime:
        return self.clock.at

    def define(self, *milestones: Milestone) -> None:
        """From now on the files say this; one file a timeline. Nothing: one file that says so."""
        by_timeline: dict[str, list[Milestone]] = {}
        for one in milestones:
            by_timeline.setdefault(one.timeline, []).append(one)
        self.timelines = tuple(
            Timeline(id=name, title="A timeline", file=f"milestones/{name}.yaml", milestones=tuple(members))
            for name, members in (by_timeline or {"none": []}).items()
        )

    async def reconcile(self, at: str = "") -> Report:
        if at:
            self.clock.advance(when(at))
        definitions = Definitions(config=self.config, timelines=self.timelines, broken=self.broken)
        # As the daemon does at its start, and when the configuration has changed.
        is_new, self.reconciled = self.reconciled != self.config, self.config
        return await reconcile(self.ledger, definitions, PassOptions(now=self.now, reconsider=is_new))

    async def change(self, at: str, *milestones: Milestone) -> Report:
        """Play on to ``at``, then the files say something else."""
        await self.until(at)
        self.define(*milestones)
        return await self.reconcile()

    def recorder(self, channel: str = "desk/hook") -> Recorder:
        if channel not in self.recorders:
            self.recorders[channel] = Recorder(clock=lambda: self.now, channel=channel, log=self.log)
        return self.recorders[channel]

    def binder(self) -> Binder:
        return Binder(self.ledger, self.config)

    async def lease(self, owner: str = "node-1") -> Sequence[Lease]:
        """Lease all that is ready, as a node would that has nothing in flight."""
        return await self.ledger.lease(owner, self.now, duration=LEASE_FOR, limit=200, per_channel=8)

    async def deliver(self, lease: Lease) -> Settlement:
        """Send one delivery that has just been leased."""
        return await self.dispatcher().deliver(lease, ClockReading.take(self.clock))

    def dispatcher(self) -> Dispatcher:
        channels = [
            f"{receiver.name}/{spec.name}"
            for receiver in self.config.receivers.values()
            for spec in receiver.notifiers
        ]
        return Dispatcher(
            clock=self.clock,
            config=self.config,
            notifiers={channel: self.recorder(channel) for channel in channels},
            on_fault=lambda channel, error: self.faults.append((channel, error)),
        )

    async def turn(self) -> None:
        """All that can be done at this instant: bind, lease, send, settle."""
        binder = self.binder()
        for _ in range(MAX_TURNS):
            while (await binder.bind(self.now)).more:
                pass
            leases = await self.lease()
            if not leases:
                return
            settlements = [await self.deliver(lease) for lease in leases]
            assert not await self.ledger.settle(settlements)
        raise AssertionError("it never ends")

    async def until(self, at: str) -> None:
        """Play to ``at``, stopping wherever there is something to do."""
        end = when(at)
        for _ in range(MAX_TURNS):
            await self.turn()
            next_at = await self.ledger.find_next_wake(self.now)
            if next_at is None or next_at > end:
                self.clock.advance(end)
                await self.turn()
                return
            assert next_at > self.now, "something is due and nothing becomes of it"
            self.clock.advance(next_at)
        raise AssertionError("it never ends")

    async def act(self, kind: ActionKind, milestone: str, **more: Any) -> None:
        if "until" in more:
            more["until"] = when(more["until"])
        if "done_on" in more:
            more["done_on"] = date.fromisoformat(more["done_on"])
        action = Action(kind=kind, milestone=milestone, at=self.now, by="ada", why="she knows", **more)
        await act(self.ledger, self.config, action)

    def told(self, receiver: str = "", since: str = "2000-01-01") -> list[str]:
        """What was sent, a line each; of one receiver without its name."""
        lines = [line for one in self.log if one.at >= when(since) for line in one.lines()]
        if receiver:
            return [
                line.replace(f" {receiver} ", " ", 1)
                for line in lines
                if line.partition(" ")[2].partition(" ")[0] == receiver
            ]
        return lines

    async def states(self, milestone: str) -> dict[str, str]:
        """``window offset`` of everything owed, and in which state it is; of one receiver."""
        return {
            f"{one.window_id} {one.offset}".strip(): one.state.value
            for one in await self.ledger.read_owed(milestone)
        }

    async def offsets(self, milestone: str, state: str) -> list[str]:
        """The offsets of what is owed in one state, by instant."""
        return [one.offset for one in await self.ledger.read_owed(milestone) if one.state.value == state]


class Watched:
    """A ledger that writes down which of its methods were called, and rings each time."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.calls: list[str] = []
        self.called = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        self.calls.append(name)
        self.called.set()
        return getattr(self._ledger, name)

    @property
    def writes(self) -> list[str]:
        writes = {"apply", "bind", "settle", "settle_and_begin", "act", "retry", "report"}
        return [name for name in self.calls if name in writes]

    async def until_called(self, name: str, times: int = 1, limit_s: float = 10) -> None:
        async with asyncio.timeout(limit_s):
            while self.calls.count(name) < times:
                self.called.clear()
                await self.called.wait()


@asynccontextmanager
async def a_ledger(kind: str, folder: Path) -> AsyncIterator[Ledger]:
    """``memory``, ``sql`` (SQLite that is forgotten) or ``file`` (SQLite that is not)."""
    made: Ledger
    match kind:
        case "memory":
            made = MemoryLedger()
        case "sql":
            made = await open_ledger("sqlite://")
        case _:
            made = await open_ledger(f"sqlite:///{folder}/ledger.sqlite3")
    try:
        yield made
    finally:
        await made.close()


def a_log() -> tuple[Log, list[dict[str, Any]]]:
    """A logger, and where each of its events is put."""
    events: list[dict[str, Any]] = []

    def keep(_logger: object, _method: str, event: Any) -> Any:
        events.append(dict(event))
        raise structlog.DropEvent

    wrapper = structlog.make_filtering_bound_logger(logging.DEBUG)
    log = structlog.wrap_logger(
        None, processors=[structlog.processors.add_log_level, keep], wrapper_class=wrapper
    )
    return cast(Log, log), events


def offsets(told: Iterable[str]) -> list[str]:
    return [line.rpartition(" ")[2] for line in told]
