"""Gathers what the parts of a daemon find wrong at the moment, for the self-audit and the status."""

from __future__ import annotations

from dataclasses import dataclass

from alertd.core.config import Config
from alertd.core.planning.audit import (
    AuditFault,
    AuditFinding,
    find_unreached,
    report_clock_difference,
    report_clock_doubt,
    report_undecidable,
    report_unplannable,
    report_unreadable,
    report_unsigned,
    report_vanished,
)
from alertd.engine.binding import name_sets
from alertd.engine.clocks import LedgerClock
from alertd.engine.deps import Dependencies
from alertd.engine.ledger_watch import FileWatch, PageCheck
from alertd.engine.links import LinkMaker
from alertd.engine.liveness import Liveness
from alertd.engine.loop_lag import LoopLag
from alertd.engine.planner import Planner
from alertd.engine.reload import Reloader
from alertd.engine.rows_apart import RowsApart
from alertd.engine.sender import Sender
from alertd.engine.status import StatusReporter


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """Asks each part of a daemon what is wrong. The parts know nothing of each other's faults."""

    deps: Dependencies
    apart: RowsApart
    clock: LedgerClock
    file: FileWatch
    lag: LoopLag
    links: LinkMaker
    liveness: Liveness
    pages: PageCheck
    planner: Planner
    reloader: Reloader
    sender: Sender
    status: StatusReporter

    def gather_current(self) -> tuple[AuditFinding, ...]:
        """Gather what is known without the loop: whether it is late or stuck, and what is wrong on disk."""
        return (*self.liveness.findings(), *self.lag.findings(), *self._find_file_faults())

    def gather(self, config: Config) -> list[AuditFinding]:
        """Gather everything that is wrong, for an audit."""
        companion = self.reloader.companion
        found = [*self.liveness.findings(), *self.lag.findings()]
        if companion is not None:
            found += companion.findings()
        found += self._find_file_faults()
        if self.status.kept:
            found.append(report_vanished(self.status.kept, self.status.holders))
        if self.apart.rows:
            found.append(report_unreadable(self.apart.rows))
        if self.planner.unplanned:
            found.append(report_unplannable(self.planner.unplanned))
        if self.reloader.active.binder.undecidable:
            found.append(report_undecidable(name_sets(self.reloader.active.binder.undecidable)))
        if step := self.clock.trusted.step:
            found.append(report_clock_doubt(step))
        if self.status.hung:
            found.append(AuditFinding(fault=AuditFault.FILE, detail=self.status.hung))
        if self.status.config_fault:
            found.append(AuditFinding(fault=AuditFault.CONFIGURATION, detail=self.status.config_fault))
        found += [
            AuditFinding(fault=AuditFault.FILE, detail=problem) for problem in self.deps.file_problems()
        ]
        if self.clock.differs:
            found.append(report_clock_difference(self.clock.ahead))
        if unanswered := find_unreached(config, self.sender.paused):
            found.append(unanswered)
        # The links are made anew, so that the finding is there before a message goes out without them.
        self.links.make(config)
        if self.links.failure:
            found.append(report_unsigned(self.links.failure))
        return found

    def _find_file_faults(self) -> list[AuditFinding]:
        return [*self.file.findings(), *self.pages.findings()]
