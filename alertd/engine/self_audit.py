"""Audits the ledger each minute. While audits pass, the daemon feeds systemd's watchdog."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from math import inf

from alertd.core.config import Config, Definitions, Timeline, UnreadMilestones, list_milestones
from alertd.core.ledger.records import DeliveryState, Known
from alertd.core.milestones.milestone import Milestone
from alertd.core.planning.audit import (
    SLICE,
    Audit,
    AuditFault,
    AuditFinding,
    audit,
    find_unscheduled,
    list_counts,
    list_expected,
    list_instances,
    list_notices,
    report_damage,
)
from alertd.engine.deps import Dependencies
from alertd.engine.resolving import ReadTimeline, keep_in_memory, resolve_timelines
from alertd.errors import LedgerDamaged, LedgerError, TimelineUnread
from alertd.ports import LEASE_FOR, LedgerReader
from alertd.system.telemetry import Event

DEAD_LIMIT = 100
"""How many of the latest dead deliveries an audit looks at."""


FILES_AT_ONCE = 20
"""How many files an audit reads at most, whose milestones are not in memory."""


class Auditor:
    """Compares definitions, plan and ledger, a slice of the milestones in each audit.

    Args:
        read: reads the milestones of a timeline that are not in memory, or raises TimelineUnread.

    Attributes:
        missing: the timelines of which the last audit has missed reminders, by id.
    """

    def __init__(self, ledger: LedgerReader, read: ReadTimeline = keep_in_memory) -> None:
        self.missing: frozenset[str] = frozenset()
        self._ledger = ledger
        self._read = read
        self._waiting: list[Timeline] = []
        self._rest: list[Milestone] = []
        self._definitions: Definitions | None = None
        self._done: Mapping[str, date] = {}

    def use(self, definitions: Definitions | None, done: Mapping[str, date]) -> None:
        """Compare with the definitions that were reconciled last; None: another node reconciles."""
        if definitions is self._definitions and done == self._done:
            return
        self._definitions, self._done = definitions, done
        self._begin()

    async def run(
        self,
        config: Config,
        now: datetime,
        *,
        planned_at: datetime,
        shut: frozenset[str],
        open_findings: Sequence[AuditFinding] = (),
        known: Known | None = None,
    ) -> Audit:
        """Audit once. Raises LedgerError, since a ledger that cannot be read cannot pass."""
        waiting = await self._ledger.find_waiting(now, shut, known=known)
        if any(finding.fault is AuditFault.UNDECIDABLE for finding in open_findings):
            # The daemon has looked at these reminders. If it stops looking, they are late or it is stuck.
            waiting = replace(waiting, undecided=None)
        return audit(
            waiting,
            now,
            planned_at=planned_at,
            lease_for=LEASE_FOR,
            missing=await self._find_missing(config, now),
            untold=await self._find_unreported(config),
            open_findings=open_findings,
        )

    async def _find_missing(self, config: Config, now: datetime) -> list[str]:
        self.missing = frozenset()
        batch = await self._take_slice()
        if not batch:
            return []
        wanted = _list_expected(batch, config, now)
        present = await self._ledger.find_known(owed=tuple(wanted))
        missing = {key: name for key, name in wanted.items() if key not in present}
        if not missing:
            return []
        records = await self._ledger.read_records_by_id(list_instances(batch, now, config.catch_up))
        good = find_unscheduled(missing, batch, records, config.route, now, config.catch_up)
        found = sorted(name for key, name in missing.items() if key not in good)
        self.missing = frozenset(name.partition("/")[0] for name in found)
        return found

    async def _take_slice(self) -> list[Milestone]:
        """Return the next milestones, resolved, at most SLICE of them.

        Repeated calls go through all timelines, in the order of their files. A file that cannot be read is
        left out.
        """
        files = 0
        while len(self._rest) < SLICE and self._waiting and files < FILES_AT_ONCE:
            timeline = self._waiting.pop()
            files += isinstance(timeline.milestones, UnreadMilestones)
            self._rest += await self._read_resolved(timeline)
        batch, self._rest = self._rest[:SLICE], self._rest[SLICE:]
        if not self._rest and not self._waiting:
            self._begin()
        return batch

    def _begin(self) -> None:
        timelines = self._definitions.timelines if self._definitions is not None else ()
        self._waiting, self._rest = [*reversed(timelines)], []

    async def _read_resolved(self, timeline: Timeline) -> list[Milestone]:
        definitions = self._definitions
        if definitions is None:
            return []
        try:
            read = await self._read(timeline)
            resolved = await resolve_timelines(self._ledger, self._read, definitions, [read], self._done, {})
        except (TimelineUnread, ValueError):
            return []
        return [resolved[name] for name in list_milestones([read])]

    async def _find_unreported(self, config: Config) -> list[str]:
        operator = config.receivers.get(config.operator)
        if operator is None:
            return []
        dead = await self._ledger.find_deliveries(state=DeliveryState.DEAD, limit=DEAD_LIMIT)
        names = [spec.name for spec in operator.notifiers]
        deliveries = [delivery for delivery, _, _ in dead]
        wanted = list_notices(deliveries, operator.name, names)
        counts = list_counts(deliveries, operator.name, names)
        present = await self._ledger.find_known(deliveries=(*wanted, *counts.values()))
        return sorted(
            dead_id
            for notice, dead_id in wanted.items()
            if notice not in present and counts.get(dead_id) not in present
        )


def _list_expected(batch: Sequence[Milestone], config: Config, now: datetime) -> Mapping[str, str]:
    """List the reminders that must be in the ledger. What cannot be planned is another finding."""
    try:
        return list_expected(batch, config.route, now, config.catch_up)
    except Exception:  # a bug that a milestone triggers: leave this milestone out
        if len(batch) == 1:
            return {}
    wanted: dict[str, str] = {}
    for milestone in batch:
        wanted |= _list_expected([milestone], config, now)
    return wanted


BEAT_EVERY_S = 60.0
"""How often the dead man's switch is told of faults while no audit can be made."""

STALE_AFTER_S = 600.0
"""How long an audit counts. If the ledger fails for less, the watchdog must not kill the daemon, which holds
outcomes that are not settled yet."""


class SelfAudit:
    """Audits the ledger and keeps the last audit; tells the log, the metrics and the dead man's switch."""

    def __init__(self, deps: Dependencies, read: ReadTimeline = keep_in_memory) -> None:
        self._deps = deps
        self._auditor = Auditor(deps.ledger, read)
        self._audit: Audit | None = None
        self._audited_s = deps.clock.monotonic()
        self._heartbeat: asyncio.Task[None] | None = None
        self._heartbeat_failure = ""
        self._beat_s = -inf

    @property
    def last(self) -> Audit | None:
        """The last audit; None before the first."""
        return self._audit

    @property
    def findings(self) -> tuple[str, ...]:
        """The findings of the last audit, a sentence each."""
        return tuple(str(finding) for finding in self._audit.findings) if self._audit else ()

    @property
    def missing(self) -> frozenset[str]:
        """The timelines of which the last audit has missed reminders, by id."""
        return self._auditor.missing

    def is_well(self) -> bool:
        """Return whether the last audit is recent and found nothing that a restart may fix.

        True before the first audit.
        """
        sound = self._audit is None or self._audit.is_sound
        return sound and self._deps.clock.monotonic() - self._audited_s < STALE_AFTER_S

    async def run(
        self,
        config: Config,
        plan: Definitions | None,
        done: Mapping[str, date],
        *,
        planned_at: datetime,
        shut: frozenset[str],
        open_findings: Sequence[AuditFinding] = (),
        known: Known | None = None,
    ) -> None:
        """Audit, log what has changed since the last audit, and tell the dead man's switch.

        Args:
            plan: the definitions that this node has reconciled; None when another node leads.
            done: done dates by full id.
            planned_at: when the ledger was last reconciled (UTC).
            shut: channels that nothing may be sent to now.
            open_findings: the faults that other parts of the daemon find at the moment.
            known: what this node knows; None: there are no strays.

        Raises:
            LedgerError: the ledger cannot be read; the last audit counts until it is stale.
        """
        deps, before = self._deps, self.findings
        self._auditor.use(plan, done)
        now = deps.clock.now()
        try:
            self._audit = await self._auditor.run(
                config, now, planned_at=planned_at, shut=shut, open_findings=open_findings, known=known
            )
            self._audited_s = deps.clock.monotonic()
        except LedgerDamaged as error:
            # Nothing else can be found out, and a restart would not help.
            self._audit = Audit(at=now, findings=(*open_findings, report_damage(str(error))))
            self._audited_s = deps.clock.monotonic()
        except LedgerError:
            raise
        except Exception as error:
            # An audit that cannot run must not pass, and must not stop the reminders either.
            failed = AuditFinding(fault=AuditFault.UNAUDITED, detail=f"the audit failed: {error!r}")
            self._audit = Audit(at=now, findings=(failed, *open_findings))
        deps.observer.audited(self._audit)
        for finding in self.findings:
            if finding not in before:
                deps.log.error(Event.AUDIT_FAILED, finding=finding)
        if before and not self.findings:
            deps.log.info(Event.AUDIT_PASSED)
        self._tell_switch(config, self._audit)

    def report_current(self, config: Config, found: tuple[AuditFinding, ...], *, has_changed: bool) -> None:
        """Log faults of this moment, and tell the dead man's switch, which no audit may do by now.

        Args:
            found: the faults; not empty.
            has_changed: these faults are not those of the last call.
        """
        deps = self._deps
        if has_changed:
            for finding in found:
                deps.log.error(Event.AUDIT_FAILED, finding=str(finding))
        if has_changed or deps.clock.monotonic() - self._beat_s >= BEAT_EVERY_S:
            self._tell_switch(config, Audit(at=deps.clock.now(), findings=found))

    def _tell_switch(self, config: Config, result: Audit) -> None:
        # One request at a time: a switch that hangs gets no second one.
        if self._deps.beat is not None and config.heartbeat is not None and self._heartbeat is None:
            self._beat_s = self._deps.clock.monotonic()
            self._heartbeat = asyncio.create_task(self._send_heartbeat(config, result))

    async def wait_told(self) -> None:
        """Wait until the dead man's switch has been told, if it is being told now."""
        if self._heartbeat is not None:
            await asyncio.wait({self._heartbeat})

    async def close(self) -> None:
        """Give up a request to the dead man's switch that is under way."""
        if self._heartbeat is not None:
            self._heartbeat.cancel()
            await asyncio.gather(self._heartbeat, return_exceptions=True)

    async def _send_heartbeat(self, config: Config, audit: Audit) -> None:
        deps = self._deps
        try:
            failure = await deps.beat(config, audit) if deps.beat else ""
        finally:
            self._heartbeat = None
        if failure and failure != self._heartbeat_failure:
            deps.log.warning(Event.HEARTBEAT_FAILED, reason=failure)
        self._heartbeat_failure = failure
