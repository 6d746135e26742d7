"""The state of a daemon as its operator, the ledger, systemd, the page and the other nodes see it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from alertd import __version__
from alertd.core.config import Config
from alertd.core.ledger.file import FileLoss
from alertd.core.ledger.records import Notice
from alertd.core.ledger.unreadable import Unreadable
from alertd.core.planning.audit import CURRENT, Audit, AuditFinding
from alertd.core.words import format_count, join_with_and
from alertd.engine.deps import Dependencies
from alertd.engine.leader import LeaderLease
from alertd.engine.notices import address_notice
from alertd.engine.self_audit import SelfAudit
from alertd.engine.sender import Sender
from alertd.errors import LedgerError
from alertd.ports import Changes, NodeReport
from alertd.system.telemetry import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonStatus:
    """The state of a daemon at one moment, for the page, the API and the metrics.

    Attributes:
        leads: this node reconciles.
        is_well: its audits are sound and recent. While they are not, systemd's watchdog is not fed.
        in_flight: how many sends are under way, by channel.
        leased_ahead: how many deliveries are leased ahead, by channel.
        paused: channels whose receiver does not answer.
        audit: the last audit; None before the first.
        differences: in what the live nodes differ.
        clock_ahead: how far the node's clock is ahead of the ledger's; zero if the ledger has no clock.
        problems: the problems in the definition files.
        ledger_failing: the ledger could not be used at the last try.
        unreadable: the rows of the ledger that the node cannot read.
        leader: the node that reconciles; "" if this node does not know.
        current: the faults of this moment, which the daemon knows without the ledger.
        look_age_s: seconds since the loop last finished what it was doing.
    """

    leads: bool
    is_well: bool
    in_flight: Mapping[str, int] = field(default_factory=dict)
    leased_ahead: Mapping[str, int] = field(default_factory=dict)
    paused: tuple[str, ...] = ()
    audit: Audit | None = None
    differences: tuple[Difference, ...] = ()
    clock_ahead: timedelta = timedelta()
    problems: tuple[str, ...] = ()
    ledger_failing: bool = False
    unreadable: tuple[Unreadable, ...] = ()
    leader: str = ""
    current: tuple[AuditFinding, ...] = ()
    look_age_s: float = 0.0

    @property
    def findings(self) -> tuple[AuditFinding, ...]:
        """The faults of this moment, and what else the last audit found."""
        found = self.audit.findings if self.audit else ()
        return (*self.current, *(finding for finding in found if finding.fault not in CURRENT))


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveReport:
    """What a daemon answers about itself at this moment, without the ledger.

    Attributes:
        node: the name of the node.
        findings: the faults of this moment, and what its last audit found, a sentence each.
        paused: channels whose receiver does not answer this node.
    """

    node: str
    findings: tuple[str, ...] = ()
    paused: tuple[str, ...] = ()


def make_live_report(node: str, daemon_status: DaemonStatus) -> LiveReport:
    """Make the answer of the daemon ``node``."""
    return LiveReport(
        node=node, findings=tuple(map(str, daemon_status.findings)), paused=daemon_status.paused
    )


LIVE_FOR = timedelta(minutes=3)
"""A node whose last report is older is not compared with others. A node that stops reports that it has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Live nodes that run different definitions or versions.

    Attributes:
        what: ``definitions`` or ``versions``.
        by: each fingerprint or version, with the names of the nodes that run it.
    """

    what: str
    by: tuple[tuple[str, tuple[str, ...]], ...]

    def __str__(self) -> str:
        """A sentence without its full stop."""
        parts = [
            f"{join_with_and(nodes)} {'run' if len(nodes) > 1 else 'runs'} {value}"
            for value, nodes in self.by
        ]
        return f"the daemons run different {self.what}: {'; '.join(parts)}"


def find_live(nodes: Iterable[NodeReport], now: datetime) -> list[NodeReport]:
    """Find the nodes that have reported lately, and have not ended."""
    return [node for node in nodes if not node.stopped and abs(now - node.seen_at) < LIVE_FOR]


def find_receivers_elsewhere(nodes: Iterable[NodeReport], now: datetime, node: str) -> frozenset[str]:
    """Find the receivers that live nodes other than ``node`` know."""
    live = find_live(nodes, now)
    return frozenset(receiver for other in live if other.node != node for receiver in other.receivers)


def find_differences(nodes: Iterable[NodeReport], now: datetime) -> tuple[Difference, ...]:
    """Compare the live nodes. Returns each way in which they differ; () when all run the same."""
    live = find_live(nodes, now)
    found = (
        _difference("definitions", live, lambda node: node.config_id[:12]),
        _difference("versions", live, lambda node: node.version),
    )
    return tuple(difference for difference in found if difference is not None)


def _difference(
    what: str, nodes: Iterable[NodeReport], value_of: Callable[[NodeReport], str]
) -> Difference | None:
    by: dict[str, list[str]] = {}
    for node in nodes:
        # A node that has loaded nothing yet is not compared.
        if value_of(node):
            by.setdefault(value_of(node), []).append(node.node)
    if len(by) < 2:
        return None
    return Difference(what=what, by=tuple((value, tuple(sorted(by[value]))) for value in sorted(by)))


MAX_LINES = 20
"""How many problems a notice lists."""


class StatusReporter:
    """Reports the state of one daemon.

    Attributes:
        fingerprint: the fingerprint of the definitions in force; "" before the first.
        line: the line for ``systemctl status``.
        problems: the problems of the definition files as last read.
        kept: timelines without a file that are kept as they were.
        holders: the broken files that may hold these timelines; () if no definition file is left.
        hung: says that the configuration folder hangs; "" if it does not.
        config_fault: why the configuration in force is not that of ``alertd.yaml``; "" if it is.
        differences: in what the live nodes differed when they were last compared.
        elsewhere: the receivers that live nodes with other definitions knew then.
    """

    def __init__(self, deps: Dependencies, sender: Sender, audit: SelfAudit, lease: LeaderLease) -> None:
        self.fingerprint = ""
        self.line = ""
        self.problems: tuple[str, ...] = ()
        self.kept: tuple[str, ...] = ()
        self.holders: tuple[str, ...] = ()
        self.hung = ""
        self.config_fault = ""
        self.differences: tuple[Difference, ...] = ()
        self.elsewhere: frozenset[str] = frozenset()
        self._deps = deps
        self._sender = sender
        self._audit = audit
        self._lease = lease
        self._started_at = deps.clock.now()

    async def tell_problems(self, config: Config | None, headline: str) -> None:
        """Send the problems to the operator. The same problems make one notice a day."""
        if config is not None:
            await self._tell(config, headline, self.problems[:MAX_LINES])

    async def _tell(self, config: Config, headline: str, lines: tuple[str, ...]) -> None:
        now = self._deps.clock.now()
        slot = "/".join(("problems", f"{now:%Y-%m-%d}", *lines))
        notice = Notice(slot=slot, headline=headline, lines=lines)
        await self._deps.ledger.apply(Changes(deliveries=tuple(address_notice(config, notice, now))))

    async def tell_hung(self, config: Config | None) -> None:
        """Tell the operator that the configuration folder hangs, once a day."""
        if config is not None:
            await self._tell(config, "The configuration folder does not answer", (self.hung,))

    async def tell_kept(self, config: Config, kept: tuple[str, ...], holders: tuple[str, ...] = ()) -> None:
        """Tell the operator once that timelines are kept without a file, and log once when that has ended.

        Args:
            holders: the broken files that may hold the timelines; () if no definition file is left.
        """
        before, self.kept, self.holders = (self.kept, self.holders), kept, holders
        if kept and (kept, holders) != before:
            self._deps.log.error(Event.FILES_VANISHED, timelines=len(kept), problem=self.vanished)
            headline = "Timelines without a file are kept" if holders else "No definition file is left"
            await self._tell(config, headline, (self.vanished,))
        elif before[0] and not kept:
            self._deps.log.info(Event.FILES_RETURNED)

    async def tell_displaced(self, config: Config | None, loss: FileLoss) -> None:
        """Tell the operator that the ledger's file was taken away."""
        if config is not None:
            await self._tell(config, "The ledger's file was taken away", (str(loss),))

    async def tell_unplanned(self, config: Config, names: Sequence[str]) -> None:
        """Tell the operator what could not be planned. The same names make one notice a day."""
        lines = (
            *names[:MAX_LINES],
            "Nothing else is held up by this; what the ledger has of it stays in force.",
            "It is a bug in alertd: the log of the daemon has the traceback, as milestone.failed.",
        )
        await self._tell(config, "A milestone could not be planned", lines)

    async def tell_undecidable(self, config: Config, names: Sequence[str]) -> None:
        """Tell the operator about due reminders that stay pending, because nothing can be decided about them.

        The same names make one notice a day.
        """
        lines = (
            *names[:MAX_LINES],
            "These reminders are due, and wait. Nothing else is held up by this.",
            "It is a bug in alertd, or the ledger refuses what was decided: the log of the daemon has the "
            "traceback, as occurrence.failed. Editing the milestone may avoid it.",
        )
        await self._tell(config, "Due reminders cannot be decided about", lines)

    @property
    def all_problems(self) -> tuple[str, ...]:
        """The problems of the files, that timelines are kept without a file, and that the folder hangs."""
        return (*self.problems, *filter(None, (self.vanished, self.hung)))

    @property
    def vanished(self) -> str:
        """The sentence about :attr:`kept`; "" when no timeline is kept without a file."""
        if not self.kept:
            return ""
        if self.holders:
            return (
                f"{format_count(len(self.kept), 'timeline')} without a file "
                f"{'stays' if len(self.kept) == 1 else 'stay'} as before ({join_with_and(self.kept[:3])}"
                f"{' and others' if len(self.kept) > 3 else ''}), because {join_with_and(self.holders[:3])}"
                f"{' and others' if len(self.holders) > 3 else ''} cannot be read and may hold "
                f"{'it' if len(self.kept) == 1 else 'them'}; correct the file, or remove it"
            )
        return (
            f"milestones/ holds no file, and {format_count(len(self.kept), 'timeline')} of it "
            f"{'stays' if len(self.kept) == 1 else 'stay'} as before ({join_with_and(self.kept[:3])}"
            f"{' and others' if len(self.kept) > 3 else ''}); bring the files back, or, to withdraw "
            "everything, leave one file with a timeline of no milestones"
        )

    async def report(self, config: Config | None) -> None:
        """Write this node's report into the ledger, for ``alertd status``.

        Args:
            config: the configuration in force; None when there is none yet.

        Raises:
            LedgerError: the ledger cannot be written.
        """
        await self._deps.ledger.report(
            NodeReport(
                node=self._deps.node,
                version=__version__,
                started_at=self._started_at,
                seen_at=self._deps.clock.now(),
                config_id=self.fingerprint,
                problems=self.all_problems,
                receivers=tuple(config.receivers) if config else (),
                findings=self._audit.findings,
                paused=self._sender.paused,
            )
        )

    async def compare_nodes(self) -> None:
        """Log when live nodes run different definitions or versions, once for each change."""
        deps = self._deps
        nodes, now = await deps.ledger.read_nodes(), deps.clock.now()
        found = find_differences(nodes, now)
        others = (node for node in nodes if node.config_id != self.fingerprint)
        self.elsewhere = find_receivers_elsewhere(others, now, deps.node)
        for difference in found:
            if difference not in self.differences:
                deps.log.warning(Event.NODES_DIFFERED, what=difference.what, nodes=str(difference))
        if self.differences and not found:
            deps.log.info(Event.NODES_AGREED)
        self.differences = found

    async def retire(self) -> None:
        """Give up the lead, and record that this node has ended."""
        try:
            await self._deps.ledger.retire(self._deps.node)
        except LedgerError as error:
            self._deps.log.error(Event.LEDGER_FAILED, reason=str(error))

    async def refresh(self, next_at: datetime | None) -> None:
        """Compose :attr:`line` anew.

        Args:
            next_at: when something is due next (UTC); None: nothing is.

        Raises:
            LedgerError: the ledger cannot be read.
        """
        parts = []
        if not self._lease.held:
            parts.append(f"stands by; {self._lease.leader or 'another node'} leads")
        coming = await self._deps.ledger.read_upcoming(1)
        if coming:
            parts.append(
                f"next: {coming[0].milestone} {coming[0].offset} at {coming[0].wake_at:%Y-%m-%d %H:%M}Z"
            )
        elif next_at is None:
            parts.append("nothing to remind of")
        if self._sender.count:
            parts.append(f"sending {self._sender.count}")
        if self._sender.paused:
            parts.append(f"no answer from {', '.join(self._sender.paused)}")
        if self.kept:
            parts.append("timelines without a file are kept" if self.holders else "milestones/ holds no file")
        if self.hung:
            parts.append("the configuration folder does not answer")
        if self.config_fault:
            parts.append(self.config_fault)
        if self.problems:
            parts.append(f"{len(self.problems)} problems in the files")
        self.line = "; ".join(parts)
