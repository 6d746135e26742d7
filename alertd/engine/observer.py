"""Log what the daemon does, and define the observer that counts it, such as the metrics."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from alertd.core.config import Definitions
from alertd.core.ledger.records import DeliveryState, Lease, ReminderState
from alertd.core.message.reasons import describe_reason
from alertd.core.milestones.recurrence import get_series_id
from alertd.core.planning.audit import Audit
from alertd.engine.binding import BindResult
from alertd.engine.reconcile_pass import Report
from alertd.ports import Settlement
from alertd.system.telemetry import Event, Log


class Observer:
    """Is told what happens, and ignores it. A subclass must return at once and never raise."""

    def settled(self, settlement: Settlement, *, fenced: bool) -> None:
        """An attempt was settled. ``fenced``: another node has the delivery, so it does not count."""

    def lost(self, lease: Lease) -> None:
        """The earlier lease of a delivery ended without a settlement, and the delivery is leased again."""

    def reloaded(self, *, accepted: bool, took_s: float, at: datetime) -> None:
        """A reload has ended: the files were accepted or refused."""

    def audited(self, audit: Audit) -> None:
        """A self-audit has ended."""

    def lagged(self, lag_s: float) -> None:
        """The event loop has woken so much later than asked for."""


_VERDICTS = {
    ReminderState.PENDING: Event.OCCURRENCE_DEFERRED,
    ReminderState.SUPERSEDED: Event.OCCURRENCE_SUPERSEDED,
    ReminderState.SUPPRESSED: Event.OCCURRENCE_SUPPRESSED,
    ReminderState.EXPIRED: Event.OCCURRENCE_EXPIRED,
}


def log_loaded(log: Log, definitions: Definitions) -> None:
    """Log what was read from the files."""
    log.info(
        Event.CONFIG_LOADED,
        timelines=len(definitions.timelines),
        milestones=sum(timeline.count for timeline in definitions.timelines),
        problems=len(definitions.problems),
    )


def log_report(log: Log, report: Report) -> None:
    """Log what a reconciliation changed, if it changed anything."""
    for write, event, names in (
        (log.info, Event.MILESTONE_MOVED, report.moved),
        (log.warning, Event.MILESTONE_WITHDRAWN, report.withdrawn),
        (log.debug, Event.MILESTONE_LOADED, report.loaded),
    ):
        # A recurring milestone is one line, however many instances of it have changed.
        by_series: dict[str, list[str]] = {}
        for name in names:
            by_series.setdefault(get_series_id(name), []).append(name)
        for series, instances in by_series.items():
            if len(instances) == 1:
                write(event, milestone=instances[0])
            else:
                write(event, milestone=series, instances=len(instances))
    for name, error in report.failed.items():
        log.error(Event.MILESTONE_FAILED, milestone=name, exc_info=error)
    if report.changed:
        log.info(
            Event.PLAN_CHANGED,
            loaded=len(report.loaded),
            moved=len(report.moved),
            withdrawn=len(report.withdrawn),
            owed=report.owed,
            cancelled=report.cancelled,
        )


def log_bound(log: Log, bound: BindResult) -> None:
    """Log what was decided about due reminders."""
    for (milestone, receiver), error in bound.failed.items():
        log.error(Event.OCCURRENCE_FAILED, milestone=milestone, receiver=receiver, exc_info=error)
    for delivery in bound.deliveries:
        log.info(
            Event.DELIVERY_BOUND,
            delivery=delivery.id,
            channel=delivery.channel,
            occurrences=len(delivery.members),
        )
    for verdict in bound.verdicts:
        event = _VERDICTS.get(verdict.state)
        if event is not None:
            log.info(event, key=verdict.key, reason=describe_reason(verdict.reason), until=verdict.wake_at)


def log_settlement(log: Log, settlement: Settlement, *, fenced: bool) -> None:
    """Log how an attempt ended. A new failure is a warning; the same failure again is debug.

    Args:
        fenced: another node has leased the delivery since, so this settlement does not count.
    """
    facts = _gather_facts(settlement)
    if fenced:
        log.warning(Event.DELIVERY_FENCED, **facts)
        return
    match settlement.state:
        case DeliveryState.SENT:
            log.info(Event.DELIVERY_SENT, **facts)
        case DeliveryState.READY:
            again = settlement.lease.delivery.reason == settlement.reason
            write = log.debug if again else log.warning
            write(Event.DELIVERY_RETRIED, next_at=settlement.next_at, **facts)
        case DeliveryState.DEAD:
            log.error(Event.DELIVERY_DIED, **facts)
        case DeliveryState.SUPPRESSED:
            log.info(Event.DELIVERY_SUPPRESSED, **facts)
        case DeliveryState.SUPERSEDED:
            log.info(Event.DELIVERY_SUPERSEDED, **facts)


def log_lost_lease(log: Log, lease: Lease) -> None:
    """Log that a delivery is leased again whose earlier lease ended without a settlement."""
    log.warning(
        Event.LEASE_LOST,
        delivery=lease.delivery.id,
        channel=lease.delivery.channel,
        milestones=sorted({owed.milestone for owed in lease.owed}),
        lost=lease.delivery.lost_leases,
    )


def _gather_facts(settlement: Settlement) -> dict[str, Any]:
    lease, attempt = settlement.lease, settlement.attempt
    facts: dict[str, Any] = {
        "delivery": lease.delivery.id,
        "channel": lease.delivery.channel,
        "milestones": sorted({owed.milestone for owed in lease.owed}),
        "causes": sorted({owed.cause.value for owed in lease.owed}),
        "attempt": attempt.number if attempt else 0,
        "took_ms": attempt.took_ms if attempt else 0,
        "reason": describe_reason(settlement.reason),
    }
    if lease.owed:
        # A reminder that waits for a digest is not late, but the digest may be.
        edition = lease.delivery.edition
        due = edition.at if edition else min(owed.at for owed in lease.owed)
        late = settlement.at - due
        facts["late_s"] = round(late.total_seconds(), 3)
    return facts
