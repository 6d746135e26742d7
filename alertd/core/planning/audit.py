"""The self-audit: whether what should be in the ledger is there, and whether what is there moves.

It looks for what must never be: a reminder of the plan without a row, a row that fell due and was
not decided about, a delivery that is ready and not taken, a lease without end, a death that nobody
was told of. Broken files and receivers that do not answer are no findings: those are told as such.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from alertd.core.config import Config
from alertd.core.ledger.records import Delivery
from alertd.core.ledger.stop import is_stopped
from alertd.core.milestones.milestone import Milestone
from alertd.core.milestones.occurrence import occurrences
from alertd.core.planning.decide import make_delivery_id
from alertd.core.planning.plan import expand, plan_occurrence
from alertd.core.routing.route import Route
from alertd.core.words import listing, span_text

DECIDED_WITHIN = timedelta(minutes=5)
TAKEN_WITHIN = timedelta(minutes=10)
PLANNED_WITHIN = timedelta(hours=13)
"""Longer than two of the daemon's own reconciliations."""

DIFFERS_BY = timedelta(seconds=2)
"""A node's clock and the ledger's may differ by so much."""

AHEAD = timedelta(days=1)
SLICE = 500
"""Milestones whose plan is compared at each audit; the next audit takes the next ones."""


class AuditFault(StrEnum):
    """What can be wrong."""

    UNDECIDED = "undecided"
    UNTAKEN = "untaken"
    ENDLESS_LEASE = "endless lease"
    UNPLANNED = "unplanned"
    MISSING = "missing"
    UNTOLD = "untold"
    VANISHED = "vanished"
    DIFFERS = "differs"
    UNHEARD = "unheard"
    UNREACHED = "unreached"


LASTING = frozenset({AuditFault.VANISHED, AuditFault.DIFFERS, AuditFault.UNHEARD, AuditFault.UNREACHED})
"""What no restart mends: somebody has to see to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFinding:
    """One thing that is wrong. ``str()`` is a sentence without its full stop."""

    fault: AuditFault
    detail: str

    def __str__(self) -> str:
        return f"{self.fault.value}: {self.detail}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What waits in the ledger, as instants; None when nothing does.

    Attributes:
        undecided: the earliest ``wake_at`` of what is pending.
        untaken: the earliest ``next_at`` of what is ready, not held by a live lease and not of a
            channel that lets nothing through.
        lease: the latest end of a lease on what is ready.
    """

    undecided: datetime | None = None
    untaken: datetime | None = None
    lease: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """The result of one look."""

    at: datetime
    findings: tuple[AuditFinding, ...] = ()

    @property
    def passed(self) -> bool:
        return not self.findings

    @property
    def is_sound(self) -> bool:
        """Whether the daemon itself does what it should, whatever else is wrong."""
        return all(finding.fault in LASTING for finding in self.findings)


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
    """Judge what was found.

    Args:
        planned_at: when the plan was last brought into line with the files.
        missing: what the plan has and the ledger has not, as text.
        untold: ids of dead deliveries that the operator was not told of.
        open_findings: what was found before, and stands.
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
            findings.append(AuditFinding(fault=fault, detail=what.format(span_text(now - since))))
    if waiting.lease is not None and waiting.lease - now > 2 * lease_for:
        detail = f"a delivery is held for {span_text(waiting.lease - now)} to come"
        findings.append(AuditFinding(fault=AuditFault.ENDLESS_LEASE, detail=detail))
    if missing:
        findings.append(
            AuditFinding(fault=AuditFault.MISSING, detail=_summarize(missing, "not in the ledger"))
        )
    if untold:
        findings.append(
            AuditFinding(fault=AuditFault.UNTOLD, detail=_summarize(untold, "dead without notice"))
        )
    return Audit(at=now, findings=tuple(findings))


def report_vanished(timelines: Sequence[str]) -> AuditFinding:
    """There is no definition file any more, and these were not withdrawn for it."""
    shown = ", ".join(timelines[:3]) + (f" and {len(timelines) - 3} more" if len(timelines) > 3 else "")
    return AuditFinding(
        fault=AuditFault.VANISHED, detail=f"milestones/ holds no file, and {shown} stays as it was"
    )


def report_clock_difference(ahead: timedelta) -> AuditFinding:
    """The node's clock is not the ledger's."""
    where = "ahead of" if ahead > timedelta() else "behind"
    detail = f"this node's clock is {span_text(abs(ahead))} {where} the ledger's"
    return AuditFinding(fault=AuditFault.DIFFERS, detail=detail)


def find_unreached(config: Config, paused: Iterable[str]) -> AuditFinding | None:
    """Nobody would hear of a receiver that does not answer: the operator's own is one of them.

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
    who = f"the operator, by {listing(sorted(hears))}" if operator else "anybody"
    return AuditFinding(fault=AuditFault.UNREACHED, detail=f"there is no way to tell {who}")


def list_expected(
    milestones: Iterable[Milestone], route: Route, now: datetime, behind: timedelta = timedelta()
) -> Mapping[str, str]:
    """What must be in the ledger, by key, worded for a finding: what falls due within a day, or has just.

    Args:
        behind: how long ago; no longer than what is late is caught up with.
    """
    since, until = now - min(behind, AHEAD), now + AHEAD
    return {
        planned.key: f"{instance.id} {occurrence.offset} for {planned.receiver}"
        for milestone in milestones
        for instance in expand(milestone, since, until)
        for occurrence in occurrences(instance, since, until)
        for planned in plan_occurrence(instance, occurrence, route)
    }


def list_notices(dead: Iterable[Delivery], operator: str, notifiers: Sequence[str]) -> Mapping[str, str]:
    """For each death that the operator must have been told of, the notice's id and the dead one's.

    Of those that a stopped channel brings, one notice tells for all.
    """
    return {
        make_delivery_id(operator, notifiers[0], ("notice", make_dead_slot(delivery))): delivery.id
        for delivery in dead
        if notifiers
        and delivery.notice is None
        and delivery.receiver != operator
        and not is_stopped(delivery)
    }


def make_dead_slot(delivery: Delivery, attempts: int | None = None) -> str:
    """What makes the notice of a death: the delivery, and how often it had been tried."""
    return f"dead/{delivery.id}/{delivery.attempts if attempts is None else attempts}"


def _summarize(names: Sequence[str], what: str) -> str:
    shown = ", ".join(names[:3])
    return f"{shown}{f' and {len(names) - 3} more' if len(names) > 3 else ''}: {what}"
