"""What is counted as it happens: told by the daemon, kept by whoever wants it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from alertd.core.config import Definitions
from alertd.core.ledger.records import DeliveryState, ReminderState
from alertd.core.message.reasons import describe_reason
from alertd.core.milestones.recurrence import series_of
from alertd.core.planning.audit import Audit
from alertd.engine.dispatch import BindResult
from alertd.engine.reconcile import Report
from alertd.ports import Settlement
from alertd.system.telemetry import Event, Log


class Observer:
    """Counts nothing. Each method returns at once and never raises."""

    def settled(self, settlement: Settlement, *, fenced: bool) -> None:
        """How a try ended was written down; ``fenced``: it does not count, somebody else has the delivery."""

    def reloaded(self, *, accepted: bool, took_s: float, at: datetime) -> None:
        """The files were read, and taken or refused."""

    def audited(self, audit: Audit) -> None:
        """There was an audit."""


_VERDICTS = {
    ReminderState.PENDING: Event.OCCURRENCE_DEFERRED,
    ReminderState.SUPERSEDED: Event.OCCURRENCE_SUPERSEDED,
    ReminderState.SUPPRESSED: Event.OCCURRENCE_SUPPRESSED,
    ReminderState.EXPIRED: Event.OCCURRENCE_EXPIRED,
}


def log_loaded(log: Log, definitions: Definitions) -> None:
    """What was read from the files."""
    log.info(
        Event.CONFIG_LOADED,
        timelines=len(definitions.timelines),
        milestones=sum(len(timeline.milestones) for timeline in definitions.timelines),
        problems=len(definitions.problems),
    )


def log_report(log: Log, report: Report) -> None:
    """What a reconciliation changed; nothing when it changed nothing."""
    for say, event, names in (
        (log.info, Event.MILESTONE_MOVED, report.moved),
        (log.warning, Event.MILESTONE_WITHDRAWN, report.withdrawn),
        (log.debug, Event.MILESTONE_LOADED, report.loaded),
    ):
        # What repeats is one line, however many of its instances are written down.
        by_series: dict[str, list[str]] = {}
        for name in names:
            by_series.setdefault(series_of(name), []).append(name)
        for series, instances in by_series.items():
            if len(instances) == 1:
                say(event, milestone=instances[0])
            else:
                say(event, milestone=series, instances=len(instances))
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
    """What was decided about what is due."""
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
    """How a try ended. The same failure again is debug, a new one a warning.

    Args:
        fenced: somebody else has taken the delivery since, so that this end does not count.
    """
    facts = _facts(settlement)
    if fenced:
        log.warning(Event.DELIVERY_FENCED, **facts)
        return
    match settlement.state:
        case DeliveryState.SENT:
            log.info(Event.DELIVERY_SENT, **facts)
        case DeliveryState.READY:
            again = settlement.lease.delivery.reason == settlement.reason
            say = log.debug if again else log.warning
            say(Event.DELIVERY_RETRIED, next_at=settlement.next_at, **facts)
        case DeliveryState.DEAD:
            log.error(Event.DELIVERY_DIED, **facts)
        case DeliveryState.SUPPRESSED:
            log.info(Event.DELIVERY_SUPPRESSED, **facts)
        case DeliveryState.SUPERSEDED:
            log.info(Event.DELIVERY_SUPERSEDED, **facts)


def _facts(settlement: Settlement) -> dict[str, Any]:
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
        # What waits for a digest is not late; the digest can be.
        edition = lease.delivery.edition
        due = edition.at if edition else min(owed.at for owed in lease.owed)
        late = settlement.at - due
        facts["late_s"] = round(late.total_seconds(), 3)
    return facts
