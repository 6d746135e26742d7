"""Read the state of the daemons and the ledger for ``alertd status`` and the API, and name what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Annotated

from typing_extensions import TypedDict

from alertd import __version__
from alertd.core.explain.facts import DeliveryFacts, format_utc, make_delivery_facts
from alertd.core.ledger.records import Attempt, Delivery, DeliveryState, Known, Record, ScheduledReminder
from alertd.core.ledger.unreadable import Unreadable, summarize_unreadable
from alertd.core.message.reasons import describe_reason
from alertd.core.planning.audit import Stray, Waiting, report_unreadable
from alertd.core.shape import Count, Doc, Instant
from alertd.core.words import format_count, format_span
from alertd.engine.rows_apart import INSPECTED
from alertd.engine.status import LiveReport, find_differences
from alertd.errors import LedgerDamaged
from alertd.ports import LedgerReader, NodeReport

NEXT = 5
LOOKED_AT = 25
"""How many pending reminders are read. Several receivers of a reminder are shown as one line."""

SHOWN = 20

GONE_AFTER = timedelta(minutes=5)
SILENT_AFTER = timedelta(seconds=50)
"""A daemon reports every 20 seconds."""

LATE_AFTER = timedelta(minutes=1)
"""The daemon decides about a reminder as soon as it is due."""

UNTAKEN_AFTER = timedelta(minutes=5)
"""A delivery may wait for a rate limit."""

FAILING_AFTER = timedelta(minutes=30)
"""How long a channel may accept nothing of what is tried on it."""

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
        unreadable: rows of the ledger that this process cannot read.
        waiting: the oldest work that waits.
        gone: the nodes that are known to have ended without reporting that.
        unanswered: a sentence for each daemon of this machine that did not answer.
        obstacle: why the ledger cannot be written, if that is known; else "".
        damage: the damage that ended the search for unreadable rows early; "" if the search reached its end.
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
    unreadable: Sequence[Unreadable] = ()
    waiting: Waiting = Waiting()  # noqa: RUF009  frozen
    gone: Collection[str] = ()
    unanswered: Sequence[str] = ()
    obstacle: str = ""
    damage: str = ""

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
        return tuple(
            node
            for node in self.nodes
            if not node.stopped and abs(self.now - node.seen_at) < GONE_AFTER and node.node not in self.gone
        )

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
        return (*self._find_wrong_daemons(), *self._find_wrong_work())

    def _find_wrong_daemons(self) -> Iterator[str]:
        if not self.nodes:
            yield "no daemon has run on this ledger"
        elif not self.live_nodes:
            silence = format_span(abs(self.now - self.nodes[0].seen_at))
            yield f"no daemon is running: the last was seen {silence} ago"
        yield from self.unanswered
        if self.obstacle:
            yield f"the ledger cannot be written: {self.obstacle}"
        for node in self.live_nodes:
            if self.now - node.seen_at >= SILENT_AFTER:
                silence = format_span(self.now - node.seen_at)
                yield (
                    f"{node.node} has not reported for {silence}: it cannot write the ledger, is stuck,"
                    " or has ended without reporting that"
                )
        known = [node for node in self.nodes if node.node not in self.gone]
        yield from map(str, find_differences(known, self.now))
        for node in self.live_nodes:
            yield from (f"the audit of {node.node} found: {finding}" for finding in node.findings)
        if self.damage:
            yield self.damage
        reported = {finding for node in self.live_nodes for finding in node.findings}
        if self.unreadable and str(report_unreadable(self.unreadable)) not in reported:
            # The daemon may find these rows a minute later, or may be able to read them.
            yield summarize_unreadable(self.unreadable)
        yield from (f"{channel} does not answer" for channel in sorted(self._paused))

    @property
    def _paused(self) -> frozenset[str]:
        return frozenset(channel for node in self.live_nodes for channel in node.paused)

    def _find_wrong_work(self) -> Iterator[str]:
        if self.live_nodes and not self.counts.get("milestones"):
            yield "no milestone is loaded, so alertd sends no reminders"
        if self.problems:
            yield f"{format_count(len(self.problems), 'problem')} in the files"
        for channel, (first, last) in self.failing.items():
            if channel not in self._paused and last.at - first.at >= FAILING_AFTER:
                yield f"a delivery to {channel} has failed for {format_span(self.now - first.at)}"
        late = self.waiting.undecided
        if late is not None and self.now - late > LATE_AFTER:
            yield f"a reminder has been waiting for {format_span(self.now - late)}"
        # The deliveries that are read are the newest, and the ledger knows the oldest that no node has taken.
        untaken = [delivery.next_at for delivery, _, _ in self.ready]
        untaken += [self.waiting.untaken] if self.waiting.untaken is not None else []
        if untaken and self.now - min(untaken) > UNTAKEN_AFTER:
            yield f"a delivery has been waiting for {format_span(self.now - min(untaken))}"
        for stray in self.strays:
            if self.now - stray.since > LATE_AFTER:
                span = format_span(self.now - stray.since)
                yield (
                    f"no daemon knows the receiver of {stray.described}; the oldest has waited for {span}: "
                    "put the receiver back into alertd.yaml, or fix the file of its milestones"
                )
        for name, number in self.lost.items():
            times = "once" if number == 1 else f"{number} times"
            yield f"the process ended {times} while alertd was sending {name}"
        if self.fresh_dead:
            deliveries = "1 delivery" if self.fresh_dead == 1 else f"{self.fresh_dead} deliveries"
            yield f"{deliveries} died in the last seven days"


async def read_health(
    ledger: LedgerReader,
    now: datetime,
    *,
    live: Sequence[LiveReport] = (),
    is_gone: Callable[[str], bool] = lambda _node: False,
    unanswered: Sequence[str] = (),
    obstacle: str = "",
) -> Health:
    """Read the state of the daemons and the ledger at ``now``.

    Args:
        live: the present state of daemons, which replaces what they last wrote into the ledger.
        is_gone: returns whether a node is known to have ended.
        unanswered: a sentence for each daemon that should have answered for ``live``.
        obstacle: why the ledger cannot be written, if that is known.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    by_name = {report.node: report for report in live}
    nodes = [
        replace(node, seen_at=now, findings=by_name[node.node].findings, paused=by_name[node.node].paused)
        if node.node in by_name
        else node
        for node in await ledger.read_nodes()
    ]
    coming = tuple(await ledger.read_upcoming(LOOKED_AT))
    records = await ledger.read_records_by_id([reminder.milestone for reminder in coming])
    running = [node for node in nodes if not node.stopped and abs(now - node.seen_at) < GONE_AFTER]
    receivers = {receiver for node in running or nodes[:1] for receiver in node.receivers}
    known = Known(receivers=frozenset(receivers)) if receivers else None
    waiting = await ledger.find_waiting(now, known=known)
    damage = ""
    try:
        unreadable = await ledger.find_unreadable(INSPECTED)
    except LedgerDamaged as error:
        # Only the tables that this report needs must be sound.
        unreadable, damage = await ledger.find_unreadable(0), str(error)
    return Health(
        now=now,
        nodes=tuple(nodes),
        coming=coming,
        records=records,
        ready=tuple(await ledger.find_deliveries(state=DeliveryState.READY, limit=SHOWN)),
        dead=tuple(await ledger.find_deliveries(state=DeliveryState.DEAD, limit=SHOWN)),
        counts=dict(await ledger.count_rows()),
        lost=waiting.lost,
        strays=waiting.strays,
        leader=await ledger.read_leader(),
        size=await ledger.read_size(),
        unreadable=tuple(unreadable),
        waiting=waiting,
        gone=frozenset(node.node for node in nodes if not node.stopped and is_gone(node.node)),
        unanswered=tuple(unanswered),
        obstacle=obstacle,
        damage=damage,
    )


class NodeFacts(TypedDict):
    """What a daemon reports of itself."""

    node: str
    version: str
    started_at: Instant
    seen_at: Annotated[Instant, Doc("When it reported last; it does so every 20 seconds.")]
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
