"""The self-audit: checks that the ledger holds every planned reminder, and that the daemon processes them.

The audit looks for faults that must never happen: a planned reminder without a row, a due row without a
decision, a ready delivery that no node leases, a lease that does not end, and a dead delivery that alertd did
not report. Broken files and receivers that do not answer are no findings, since alertd reports them by other
notices.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from alertd.core.config import Config
from alertd.core.ledger.file import FileLoss
from alertd.core.ledger.records import DeadHour, Delivery, Record
from alertd.core.ledger.stop import is_stopped
from alertd.core.ledger.unreadable import Unreadable, summarize_unreadable
from alertd.core.milestones.milestone import Milestone, list_operative_windows
from alertd.core.milestones.occurrence import Occurrence, list_repeats, list_steps
from alertd.core.planning.decide import make_delivery_id
from alertd.core.planning.plan import expand, plan_occurrence
from alertd.core.reason import NotConfigured
from alertd.core.routing.route import Route
from alertd.core.words import format_count, format_deliveries, format_span, join_with_and

DECIDED_WITHIN = timedelta(minutes=5)
TAKEN_WITHIN = timedelta(minutes=10)
PLANNED_WITHIN = timedelta(hours=13)
"""Longer than two intervals between the daemon's periodic reconciliations."""

DIFFERS_BY = timedelta(seconds=2)
"""The difference between a node's clock and the ledger's that is no finding."""

AHEAD = timedelta(days=1)
MAX_LOST_SHOWN = 20
SLICE = 500
"""The number of milestones whose plan each audit compares. The next audit continues after them."""


class AuditFault(StrEnum):
    """A kind of fault that the audit finds."""

    UNDECIDED = "undecided"
    UNTAKEN = "untaken"
    ENDLESS_LEASE = "endless lease"
    UNPLANNED = "unplanned"
    MISSING = "missing"
    UNTOLD = "untold"
    VANISHED = "vanished"
    DIFFERS = "differs"
    DOUBTED = "doubted"
    UNHEARD = "unheard"
    UNREACHED = "unreached"
    CONFIGURATION = "configuration"
    FILE = "file"
    UNREADABLE = "unreadable"
    UNPLANNABLE = "unplannable"
    UNDECIDABLE = "undecidable"
    LEASES_LOST = "leases lost"
    UNSIGNED = "unsigned"
    UNKNOWN_RECEIVER = "unknown receiver"
    UNAUDITED = "unaudited"
    """The audit itself failed."""
    UNWRITABLE = "unwritable"
    """The ledger cannot be written."""
    LATE = "late"
    """Something is due, and the loop has not looked at it."""
    STUCK = "stuck"
    """The loop does not finish what it is doing."""
    LAGGING = "lagging"
    """The loop has woken late for minutes."""
    DISPLACED = "displaced"
    """The ledger's file was deleted, moved or replaced."""
    DAMAGED = "damaged"
    """Pages of the ledger are damaged."""


CURRENT = frozenset({AuditFault.UNWRITABLE, AuditFault.LATE, AuditFault.STUCK, AuditFault.LAGGING})
"""Faults that a daemon knows from its memory at every moment, without the ledger.

These faults alone cause no restart, which would lose the outcomes that the daemon still has to record. A loop
that is stuck feeds no watchdog, and neither does a daemon whose ledger has failed for long.
"""

LASTING = CURRENT | {
    AuditFault.VANISHED,
    AuditFault.DIFFERS,
    AuditFault.DOUBTED,
    AuditFault.UNHEARD,
    AuditFault.UNREACHED,
    AuditFault.CONFIGURATION,
    AuditFault.FILE,
    AuditFault.UNREADABLE,
    AuditFault.UNPLANNABLE,
    AuditFault.UNDECIDABLE,
    AuditFault.LEASES_LOST,
    AuditFault.UNSIGNED,
    AuditFault.UNKNOWN_RECEIVER,
    AuditFault.UNAUDITED,
    AuditFault.DISPLACED,
    AuditFault.DAMAGED,
}
"""Faults that a restart does not fix, so a person has to act."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFinding:
    """A fault with its details. ``str()`` gives a sentence without its full stop."""

    fault: AuditFault
    detail: str

    def __str__(self) -> str:
        return f"{self.fault.value}: {self.detail}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stray:
    """What waits for a receiver that no node knows.

    Attributes:
        reminders, deliveries: how many are due.
        since: since when the oldest of them has been due, an aware UTC instant.
    """

    receiver: str
    reminders: int
    deliveries: int
    since: datetime

    @property
    def described(self) -> str:
        """What waits, and for whom."""
        counts = [
            format_count(self.reminders, "reminder") if self.reminders else "",
            format_deliveries(self.deliveries) if self.deliveries else "",
        ]
        return f"{join_with_and([text for text in counts if text])} for {self.receiver!r}"


def join_strays(strays: Iterable[Stray]) -> tuple[Stray, ...]:
    """Add up the strays of each receiver. They are sorted by the receiver."""
    joined: dict[str, Stray] = {}
    for stray in strays:
        other = joined.get(stray.receiver)
        joined[stray.receiver] = (
            stray
            if other is None
            else Stray(
                receiver=stray.receiver,
                reminders=stray.reminders + other.reminders,
                deliveries=stray.deliveries + other.deliveries,
                since=min(stray.since, other.since),
            )
        )
    return tuple(joined[name] for name in sorted(joined))


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """The oldest work that waits in the ledger, as aware UTC instants; None for no such work.

    Attributes:
        undecided: the earliest ``wake_at`` of the pending reminders.
        untaken: the earliest ``next_at`` of the ready deliveries that no node leases and whose channel is not
            paused.
        lease: the latest end of a lease on a ready delivery.
        lost: the ready deliveries whose last lease was lost, by id: how many leases in a row each has lost,
            at most :data:`MAX_LOST_SHOWN` deliveries, sorted by that number in descending order.
        strays: the work for receivers that no node knows, sorted by receiver. ``undecided`` and ``untaken``
            do not cover this work.
    """

    undecided: datetime | None = None
    untaken: datetime | None = None
    lease: datetime | None = None
    lost: Mapping[str, int] = field(default_factory=dict)
    strays: tuple[Stray, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """The result of an audit.

    Attributes:
        strays: the work for receivers that no node knows.
    """

    at: datetime
    findings: tuple[AuditFinding, ...] = ()
    strays: tuple[Stray, ...] = ()

    @property
    def passed(self) -> bool:
        return not self.findings

    @property
    def is_sound(self) -> bool:
        """Whether the daemon itself works, even if a person has to fix other faults.

        While the ledger cannot be written, everything else that the audit finds may follow from that.
        """
        faults = {finding.fault for finding in self.findings}
        return AuditFault.UNWRITABLE in faults or faults <= LASTING


def audit(
    waiting: Waiting,
    now: datetime,
    *,
    planned_at: datetime,
    lease_for: timedelta,
    missing: Sequence[str] = (),
    untold: Sequence[str] = (),
    open_findings: Sequence[AuditFinding] = (),
) -> Audit:
    """Judge what the caller read from the ledger.

    Args:
        now: an aware UTC instant.
        planned_at: when the ledger was last reconciled with the files, an aware UTC instant.
        lease_for: how long a lease lasts.
        missing: planned reminders that are not in the ledger, described in words.
        untold: ids of dead deliveries that alertd did not report to the operator.
        open_findings: findings of other parts that still hold.
    """
    findings = [*open_findings]
    for fault, since, within, what in (
        (
            AuditFault.UNDECIDED,
            waiting.undecided,
            DECIDED_WITHIN,
            "a reminder fell due {} ago and was not looked at",
        ),
        (
            AuditFault.UNTAKEN,
            waiting.untaken,
            TAKEN_WITHIN,
            "a delivery has been ready for {} and was not taken",
        ),
        (AuditFault.UNPLANNED, planned_at, PLANNED_WITHIN, "the plan was last made {} ago"),
    ):
        if since is not None and now - since > within:
            findings.append(AuditFinding(fault=fault, detail=what.format(format_span(now - since))))
    if waiting.lease is not None and waiting.lease - now > 2 * lease_for:
        detail = f"a delivery is held for {format_span(waiting.lease - now)} to come"
        findings.append(AuditFinding(fault=AuditFault.ENDLESS_LEASE, detail=detail))
    findings += [report_stray(stray, now) for stray in waiting.strays if now - stray.since > DECIDED_WITHIN]
    if waiting.lost:
        findings.append(report_lost_leases(waiting.lost))
    if missing:
        findings.append(
            AuditFinding(fault=AuditFault.MISSING, detail=_summarize(missing, "not in the ledger"))
        )
    if untold:
        findings.append(
            AuditFinding(fault=AuditFault.UNTOLD, detail=_summarize(untold, "dead without notice"))
        )
    return Audit(at=now, findings=tuple(findings), strays=waiting.strays)


def report_vanished(timelines: Sequence[str], holders: Sequence[str] = ()) -> AuditFinding:
    """Report that alertd keeps the milestones of timelines without a file.

    Args:
        holders: the broken files that may hold these timelines; () if no definition file is left.
    """
    shown = ", ".join(timelines[:3]) + (f" and {len(timelines) - 3} more" if len(timelines) > 3 else "")
    files = holders[0] + (f" and {len(holders) - 1} more" if len(holders) > 1 else "") if holders else ""
    why = f"{files} cannot be read and may hold timelines that have no file" if files else ""
    return AuditFinding(
        fault=AuditFault.VANISHED,
        detail=f"{why or 'milestones/ holds no file'}, and {shown} stays as it was",
    )


def report_displaced(loss: FileLoss, failure: str = "") -> AuditFinding:
    """Report that the ledger's file was taken away.

    Args:
        failure: why the ledger could not be saved; "" if it was saved.
    """
    detail = f"{loss}; it cannot be saved: {failure}" if failure else str(loss)
    return AuditFinding(fault=AuditFault.DISPLACED, detail=detail)


def report_unexamined(reason: str) -> AuditFinding:
    """Report that the ledger's file cannot be examined, so that its loss would not be noticed."""
    detail = f"{reason}; alertd does not notice while this lasts if the file is taken away"
    return AuditFinding(fault=AuditFault.DISPLACED, detail=detail)


def report_damage(damage: str) -> AuditFinding:
    """Report that pages of the ledger are damaged."""
    return AuditFinding(fault=AuditFault.DAMAGED, detail=damage)


def report_unreadable(rows: Sequence[Unreadable]) -> AuditFinding:
    """Report the rows that this node cannot read, at least one."""
    return AuditFinding(fault=AuditFault.UNREADABLE, detail=summarize_unreadable(rows))


def report_unplannable(names: Sequence[str]) -> AuditFinding:
    """Report the milestones or timelines, at least one, whose planning raises an exception."""
    detail = _summarize(names, "a bug in alertd keeps this from being planned; the log has the traceback")
    return AuditFinding(fault=AuditFault.UNPLANNABLE, detail=detail)


def report_undecidable(names: Sequence[str]) -> AuditFinding:
    """Report the milestones, at least one, about whose due reminders nothing can be decided."""
    detail = _summarize(names, "due, and nothing can be decided about it; the log has the traceback")
    return AuditFinding(fault=AuditFault.UNDECIDABLE, detail=detail)


def report_lost_leases(lost: Mapping[str, int]) -> AuditFinding:
    """Report the deliveries that were being sent when alertd ended.

    Args:
        lost: how many leases in a row each has lost, by the id of the delivery.
    """
    shown = [f"{name} ({format_count(number, 'lease')})" for name, number in lost.items()]
    detail = _summarize(shown, "the process probably ended during the attempt")
    return AuditFinding(fault=AuditFault.LEASES_LOST, detail=detail)


def report_stray(stray: Stray, now: datetime) -> AuditFinding:
    """Report what waits for a receiver that no node knows."""
    span = format_span(now - stray.since)
    detail = f"{stray.described}, which no node has in its configuration, the oldest for {span}"
    return AuditFinding(fault=AuditFault.UNKNOWN_RECEIVER, detail=detail)


def report_unsigned(failure: str) -> AuditFinding:
    """Report that links cannot be signed, so that messages have no links that act."""
    detail = f"messages go out without the links that act, since these cannot be signed: {failure}"
    return AuditFinding(fault=AuditFault.UNSIGNED, detail=detail)


def report_clock_difference(ahead: timedelta) -> AuditFinding:
    """Report that the node's clock differs from the ledger's.

    Args:
        ahead: how far the node's clock is ahead; negative if it is behind.
    """
    where = "ahead of" if ahead > timedelta() else "behind"
    detail = f"this node's clock is {format_span(abs(ahead))} {where} the ledger's"
    return AuditFinding(fault=AuditFault.DIFFERS, detail=detail)


def report_clock_doubt(step: timedelta) -> AuditFinding:
    """Report that the wall clock was set, and that the new time is not confirmed yet.

    Args:
        step: how far the wall clock was set forward; negative if it was set back.
    """
    where = "ahead of" if step > timedelta() else "behind"
    detail = f"the clock is {format_span(abs(step))} {where} the time that is trusted, until it is confirmed"
    return AuditFinding(fault=AuditFault.DOUBTED, detail=detail)


def find_unreached(config: Config, paused: Iterable[str]) -> AuditFinding | None:
    """Report that no notice can reach the operator, because all channels of the operator are paused.

    Without an operator, the finding is that all channels of all receivers are paused.

    Args:
        paused: the channels that do not answer at the moment.
    """
    operator = config.receivers.get(config.operator)
    hears = {
        f"{receiver.name}/{spec.name}"
        for receiver in ([operator] if operator else config.receivers.values())
        for spec in receiver.notifiers
    }
    if not hears or not hears <= set(paused):
        return None
    who = f"the operator, by {join_with_and(sorted(hears))}" if operator else "anybody"
    return AuditFinding(fault=AuditFault.UNREACHED, detail=f"there is no way to tell {who}")


def list_expected(
    milestones: Iterable[Milestone], route: Route, now: datetime, behind: timedelta = timedelta()
) -> Mapping[str, str]:
    """List the reminders that must be in the ledger, each described for a finding, by key.

    These are the reminders that fall due within a day, and those that fell due recently. Of the repeats of
    `then_every`, these are the last due one and the next one.

    Args:
        milestones: relative claims resolved.
        now: an aware UTC instant.
        behind: how far back to look, at most a day. Reminders that are later than the catch-up time are
            expired.
    """
    since, until = now - min(behind, AHEAD), now + AHEAD
    return {
        planned.key: f"{instance.id} {occurrence.offset} for {planned.receiver}"
        for milestone in milestones
        for instance in expand(milestone, since, until)
        for occurrence in _list_held(instance, now, since, until)
        for planned in plan_occurrence(instance, occurrence, route)
    }


def find_unscheduled(  # noqa: PLR0917  the plan and the ledger
    missing: Iterable[str],
    milestones: Iterable[Milestone],
    records: Mapping[str, Record],
    route: Route,
    now: datetime,
    behind: timedelta,
) -> frozenset[str]:
    """Find those of the missing reminders that are not in the ledger for a good reason.

    While a milestone is done or cancelled, no further repeats are scheduled. An instance of a series that an
    edit of the rule has added to the past is never scheduled.

    Args:
        missing: keys that :func:`list_expected` lists and the ledger does not have. The other arguments are
            those of :func:`list_expected`.
        records: the records of the milestones and instances, by full id.
    """
    asked, since, until = set(missing), now - min(behind, AHEAD), now + AHEAD
    found: set[str] = set()
    for milestone in milestones:
        for instance in expand(milestone, since, until):
            record = records.get(instance.id)
            if record is None and milestone.repeat is not None and _is_over(instance, now):
                unscheduled = (*list_steps(instance, until), *list_repeats(instance, now, until))
            elif record is not None and record.status.closed:
                unscheduled = list_repeats(instance, now, until)
            else:
                continue
            found.update(
                planned.key
                for occurrence in unscheduled
                for planned in plan_occurrence(instance, occurrence, route)
                if planned.key in asked
            )
    return frozenset(found)


def list_instances(milestones: Iterable[Milestone], now: datetime, behind: timedelta) -> tuple[str, ...]:
    """List the ids of the milestones and instances about which :func:`list_expected` asks."""
    since, until = now - min(behind, AHEAD), now + AHEAD
    return tuple(instance.id for milestone in milestones for instance in expand(milestone, since, until))


def _is_over(milestone: Milestone, now: datetime) -> bool:
    return all(
        stated.window.ends is not None and stated.window.ends <= now
        for stated in list_operative_windows(milestone)
    )


def _list_held(milestone: Milestone, now: datetime, since: datetime, until: datetime) -> Iterator[Occurrence]:
    yield from (step for step in list_steps(milestone, until) if step.at >= since)
    windows: set[str] = set()
    for repeat in list_repeats(milestone, now, until):
        if repeat.at < since or repeat.stated.window.id in windows:
            continue
        if repeat.at > now:
            windows.add(repeat.stated.window.id)
        yield repeat


def list_notices(dead: Iterable[Delivery], operator: str, notifiers: Sequence[str]) -> Mapping[str, str]:
    """List the notices that the operator must have for some dead deliveries, unless they are counted.

    A stopped channel and an unknown receiver each have a single notice of their own, so their dead deliveries
    are not listed.

    Args:
        operator: the name of the operator's receiver.
        notifiers: the names of the notifiers of that receiver.

    Returns:
        The id of each dead delivery, by the id of the notice about it.
    """
    return {
        make_delivery_id(operator, notifiers[0], ("notice", make_dead_slot(delivery))): delivery.id
        for delivery in dead
        if notifiers
        and delivery.notice is None
        and delivery.receiver != operator
        and not is_stopped(delivery)
        and not isinstance(delivery.reason, NotConfigured)
    }


def list_counts(dead: Iterable[Delivery], operator: str, notifiers: Sequence[str]) -> Mapping[str, str]:
    """List the notices that may count dead deliveries, in place of a notice about each.

    Returns:
        The id of the notice, by the id of the dead delivery.
    """
    return {
        delivery.id: make_delivery_id(
            operator,
            notifiers[0],
            ("notice", make_dead_hour_slot(DeadHour.find(delivery.channel, delivery.settled_at))),
        )
        for delivery in dead
        if notifiers and delivery.settled_at is not None
    }


def make_dead_hour_slot(hour: DeadHour) -> str:
    """Make the slot of the notice that counts the dead deliveries of a channel in one hour."""
    return f"dead/{hour.channel}/{hour.begins:%Y-%m-%dT%H}"


def make_dead_slot(delivery: Delivery, attempts: int | None = None) -> str:
    """Make the slot of the notice about a dead delivery, from its id and its number of attempts.

    Args:
        attempts: the number of attempts; by default the one of ``delivery``.
    """
    return f"dead/{delivery.id}/{delivery.attempts if attempts is None else attempts}"


def _summarize(names: Sequence[str], what: str) -> str:
    shown = ", ".join(names[:3])
    return f"{shown}{f' and {len(names) - 3} more' if len(names) > 3 else ''}: {what}"
