"""Read the state of the daemons and the ledger for ``alertd status`` and the API, and name what is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated

from typing_extensions import TypedDict

from alertd import __version__
from alertd.core.explain.facts import DeliveryFacts, format_utc, make_delivery_facts
from alertd.core.ledger.records import Attempt, Delivery, DeliveryState, Known, Record, ScheduledReminder
from alertd.core.message.reasons import describe_reason
from alertd.core.planning.audit import Stray
from alertd.core.shape import Count, Doc, Instant
from alertd.core.words import format_count, format_span
from alertd.engine.status import find_differences
from alertd.ports import LedgerReader, NodeReport

NEXT = 5
LOOKED_AT = 25
"""How many pending reminders are read. Several receivers of a reminder are shown as one line."""

SHOWN = 20

GONE_AFTER = timedelta(minutes=5)
"""A daemon reports once a minute."""

LATE_AFTER = timedelta(minutes=5)
DEAD_FOR = timedelta(days=7)
"""How long a dead delivery counts as something wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """The ledger at one instant.

    Attributes:
        coming: pending reminders, the earliest first.
        records: the records of the milestones in ``coming``, by full id.
        leader: the node that reconciles.
        ready, dead: deliveries, the newest first, at most :data:`SHOWN`.
        lost: the ready deliveries whose last lease was lost, by id: how many leases in a row each has lost.
        strays: what waits for receivers that no live daemon knows.
        size: the size of the ledger on disk, in bytes.
    """

    now: datetime
    nodes: Sequence[NodeReport]
    coming: Sequence[ScheduledReminder]
    records: Mapping[str, Record]
    ready: Sequence[tuple[Delivery, Sequence[Attempt], Sequence[ScheduledReminder]]]
    dead: Sequence[tuple[Delivery, Sequence[Attempt], Sequence[ScheduledReminder]]]
    counts: Mapping[str, int]
    lost: Mapping[str, int] = field(default_factory=dict)
    strays: Sequence[Stray] = ()
    leader: str = ""
    size: int = 0

    @property
    def failing(self) -> Mapping[str, tuple[Attempt, Attempt]]:
        """The first and the last failure of the deliveries that wait, by channel."""
        failed: dict[str, list[Attempt]] = {}
        for delivery, attempts, _ in self.ready:
            failed.setdefault(delivery.channel, []).extend(attempts)
        in_order = {
            name: sorted(found, key=lambda attempt: attempt.at) for name, found in failed.items() if found
        }
        return {name: (found[0], found[-1]) for name, found in sorted(in_order.items())}

    @property
    def live_nodes(self) -> tuple[NodeReport, ...]:
        return tuple(node for node in self.nodes if not node.stopped and self.now - node.seen_at < GONE_AFTER)

    @property
    def problems(self) -> tuple[str, ...]:
        """The problems in the files of the live daemons, or of the last daemon if none is live."""
        nodes = self.live_nodes or tuple(self.nodes[:1])
        return tuple(dict.fromkeys(problem for node in nodes for problem in node.problems))

    @property
    def fresh_dead(self) -> int:
        return sum(
            self.now - (delivery.settled_at or delivery.bound_at) < DEAD_FOR for delivery, _, _ in self.dead
        )

    @property
    def wrong(self) -> tuple[str, ...]:
        """A sentence without its full stop for each thing that is wrong; () when all is well."""
        return tuple(self._find_wrong())

    def _find_wrong(self) -> Iterator[str]:
        if not self.nodes:
            yield "no daemon has run on this ledger"
        elif not self.live_nodes:
            silence = format_span(self.now - self.nodes[0].seen_at)
            yield f"no daemon is running: the last was seen {silence} ago"
        yield from map(str, find_differences(self.nodes, self.now))
        for node in self.live_nodes:
            yield from (f"the audit of {node.node} found: {finding}" for finding in node.findings)
        paused = sorted({channel for node in self.live_nodes for channel in node.paused})
        yield from (f"{channel} does not answer" for channel in paused)
        if self.problems:
            yield f"{format_count(len(self.problems), 'problem')} in the files"
        late = [reminder for reminder in self.coming if self.now - reminder.wake_at > LATE_AFTER]
        if late:
            yield f"a reminder has been waiting for {format_span(self.now - late[0].wake_at)}"
        stuck = [
            delivery.next_at for delivery, _, _ in self.ready if self.now - delivery.next_at > LATE_AFTER
        ]
        if stuck:
            yield f"a delivery has been waiting for {format_span(self.now - min(stuck))}"
        for stray in self.strays:
            if self.now - stray.since > LATE_AFTER:
                span = format_span(self.now - stray.since)
                yield f"no daemon knows the receiver of {stray.described}; the oldest has waited for {span}"
        for name, number in self.lost.items():
            times = "once" if number == 1 else f"{number} times"
            yield f"the process ended {times} while alertd was sending {name}"
        if self.fresh_dead:
            deliveries = "1 delivery" if self.fresh_dead == 1 else f"{self.fresh_dead} deliveries"
            yield f"{deliveries} died in the last seven days"


async def read_health(ledger: LedgerReader, now: datetime) -> Health:
    """Read the state of the daemons and the ledger at ``now``.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    coming = tuple(await ledger.read_upcoming(LOOKED_AT))
    records = await ledger.read_records_by_id([reminder.milestone for reminder in coming])
    nodes = tuple(await ledger.read_nodes())
    live = [node for node in nodes if not node.stopped and now - node.seen_at < GONE_AFTER]
    receivers = {receiver for node in live or nodes[:1] for receiver in node.receivers}
    known = Known(receivers=frozenset(receivers)) if receivers else None
    waiting = await ledger.find_waiting(now, known=known)
    return Health(
        now=now,
        nodes=nodes,
        coming=coming,
        records=records,
        ready=tuple(await ledger.find_deliveries(state=DeliveryState.READY, limit=SHOWN)),
        dead=tuple(await ledger.find_deliveries(state=DeliveryState.DEAD, limit=SHOWN)),
        counts=dict(await ledger.count_rows()),
        lost=waiting.lost,
        strays=waiting.strays,
        leader=await ledger.read_leader(),
        size=await ledger.read_size(),
    )


class NodeFacts(TypedDict):
    """What a daemon reports of itself."""

    node: str
    version: str
    started_at: Instant
    seen_at: Annotated[Instant, Doc("When it reported last; it does so once a minute.")]
    config_id: Annotated[str, Doc("A fingerprint of the files that it has loaded.")]
    problems: Annotated[list[str], Doc("What is wrong in those files, each with its file, line and column.")]
    receivers: list[str]
    stopped: Annotated[bool, Doc("It has ended, and reported so.")]
    findings: Annotated[list[str], Doc("What its last audit of itself found wrong.")]
    paused: Annotated[list[str], Doc("The channels that do not answer it at the moment.")]


class PendingFacts(TypedDict):
    """A reminder that is pending."""

    at: Instant
    wake_at: Annotated[Instant, Doc("When the daemon looks at it; later than `at` where it is deferred.")]
    milestone: str
    offset: str
    receiver: str
    reason: str


class FailureFacts(TypedDict):
    """A try that failed."""

    at: Instant
    outcome: str
    reason: str


class FailingFacts(TypedDict):
    """The first and the last failure of what waits for a channel."""

    first: FailureFacts
    last: FailureFacts


class HealthFacts(TypedDict):
    """The state of the daemons and of the ledger, as `alertd status --format json` prints it."""

    ok: bool
    wrong: Annotated[list[str], Doc("A sentence for each thing that is wrong.")]
    version: str
    at: Instant
    nodes: list[NodeFacts]
    leader: Annotated[str, Doc("The node that plans; empty when there is none.")]
    next: list[PendingFacts]
    ready: list[DeliveryFacts]
    dead: list[DeliveryFacts]
    failing: Annotated[dict[str, FailingFacts], Doc("By channel.")]
    counts: Annotated[dict[str, Count], Doc("How many deliveries there are of each state.")]
    bytes: Annotated[Count, Doc("The size of the ledger on disk.")]


def health_facts(health: Health) -> HealthFacts:
    """Convert the state to JSON."""
    return {
        "ok": not health.wrong,
        "wrong": list(health.wrong),
        "version": __version__,
        "at": format_utc(health.now),
        "nodes": [_pack_node(node) for node in health.nodes],
        "leader": health.leader,
        "next": [
            {
                "at": format_utc(reminder.at),
                "wake_at": format_utc(reminder.wake_at),
                "milestone": reminder.milestone,
                "offset": reminder.offset,
                "receiver": reminder.receiver,
                "reason": describe_reason(reminder.reason),
            }
            for reminder in health.coming
        ],
        "ready": [make_delivery_facts(*row) for row in health.ready],
        "dead": [make_delivery_facts(*row) for row in health.dead],
        "failing": {
            channel: {"first": _pack_failure(first), "last": _pack_failure(last)}
            for channel, (first, last) in health.failing.items()
        },
        "counts": dict(health.counts),
        "bytes": health.size,
    }


def _pack_node(node: NodeReport) -> NodeFacts:
    return {
        "node": node.node,
        "version": node.version,
        "started_at": format_utc(node.started_at),
        "seen_at": format_utc(node.seen_at),
        "config_id": node.config_id,
        "problems": list(node.problems),
        "receivers": list(node.receivers),
        "stopped": node.stopped,
        "findings": list(node.findings),
        "paused": list(node.paused),
    }


def _pack_failure(attempt: Attempt) -> FailureFacts:
    return {
        "at": format_utc(attempt.at),
        "outcome": attempt.outcome,
        "reason": describe_reason(attempt.reason),
    }
