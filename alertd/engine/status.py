"""What a daemon says of itself: to its operator, in the ledger, to systemd, and of the other nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from alertd import __version__
from alertd.core.config import Config
from alertd.core.ledger.records import Notice
from alertd.core.planning.audit import Audit
from alertd.core.words import count, listing
from alertd.engine.deps import Dependencies
from alertd.engine.dispatch import notices
from alertd.engine.sender import Sender
from alertd.errors import LedgerError
from alertd.ports import Changes, NodeReport
from alertd.system.telemetry import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """See the module.

    Attributes:
        leads: it is the node that reconciles.
        is_well: its audits are sound and recent; while they are not, the watchdog is not fed.
        in_flight: sends under way, by channel.
        paused: channels that do not answer it.
        audit: the last one; None before the first.
        differences: in what the live nodes differ.
        clock_ahead: how far its clock is ahead of the ledger's; zero where that has none of its own.
        problems: in the files that it runs on.
        ledger_failing: the ledger could not be used when it last tried.
    """

    leads: bool
    is_well: bool
    in_flight: Mapping[str, int] = field(default_factory=dict)
    paused: tuple[str, ...] = ()
    audit: Audit | None = None
    differences: tuple[Difference, ...] = ()
    clock_ahead: timedelta = timedelta()
    problems: tuple[str, ...] = ()
    ledger_failing: bool = False


LIVE_FOR = timedelta(minutes=3)
"""A node that has said nothing for longer is compared with nobody; one that has stopped says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Live nodes that do not run the same.

    Attributes:
        what: ``definitions`` or ``versions``.
        by: what they run, a digest of the files or a version, with the names of the nodes that run it.
    """

    what: str
    by: tuple[tuple[str, tuple[str, ...]], ...]

    def __str__(self) -> str:
        """A sentence without its full stop."""
        parts = [
            f"{listing(nodes)} {'run' if len(nodes) > 1 else 'runs'} {value}" for value, nodes in self.by
        ]
        return f"the daemons run different {self.what}: {'; '.join(parts)}"


def differences(nodes: Iterable[NodeReport], now: datetime) -> tuple[Difference, ...]:
    """Each way in which the live nodes differ; () when all run the same."""
    live = [node for node in nodes if not node.stopped and now - node.seen_at < LIVE_FOR]
    found = (
        _difference("definitions", live, lambda node: node.config_id[:12]),
        _difference("versions", live, lambda node: node.version),
    )
    return tuple(one for one in found if one is not None)


def _difference(
    what: str, nodes: Iterable[NodeReport], value_of: Callable[[NodeReport], str]
) -> Difference | None:
    by: dict[str, list[str]] = {}
    for node in nodes:
        # One that has loaded nothing yet differs from nobody.
        if value_of(node):
            by.setdefault(value_of(node), []).append(node.node)
    if len(by) < 2:
        return None
    return Difference(what=what, by=tuple((value, tuple(sorted(by[value]))) for value in sorted(by)))


MAX_LINES = 20
"""How many problems a notice lists."""


class Herald:
    """Speaks for one daemon.

    Attributes:
        problems: of the files that it runs on, or would if they had none.
        kept: timelines that stay as they were, since there is no file at all any more.
        differences: in what live nodes differ, as it was seen last.
    """

    def __init__(self, world: Dependencies, flights: Sender) -> None:
        self.problems: tuple[str, ...] = ()
        self.kept: tuple[str, ...] = ()
        self.differences: tuple[Difference, ...] = ()
        self._world = world
        self._flights = flights
        self._started_at = world.clock.now()

    async def tell_problems(self, config: Config | None, headline: str) -> None:
        """A notice to the operator that ``config`` names; the same problems make one a day."""
        if config is not None:
            await self._tell(config, headline, self.problems[:MAX_LINES])

    async def _tell(self, config: Config, headline: str, lines: tuple[str, ...]) -> None:
        now = self._world.clock.now()
        slot = "/".join(("problems", f"{now:%Y-%m-%d}", *lines))
        notice = Notice(slot=slot, headline=headline, lines=lines)
        await self._world.ledger.apply(Changes(deliveries=tuple(notices(config, notice, now))))

    async def tell_kept(self, config: Config, kept: tuple[str, ...]) -> None:
        """Say that there is no file any more, or that there is one again; once each."""
        before, self.kept = self.kept, kept
        if kept and not before:
            self._world.log.error(Event.FILES_VANISHED, timelines=len(kept), problem=self.vanished)
            await self._tell(config, "No definition file is left", (self.vanished,))
        elif before and not kept:
            self._world.log.info(Event.FILES_RETURNED)

    @property
    def all_problems(self) -> tuple[str, ...]:
        """Of the files, those that are gone with them."""
        return (*self.problems, self.vanished) if self.kept else self.problems

    @property
    def vanished(self) -> str:
        """What is to be said of :attr:`kept`; "" when there is nothing."""
        if not self.kept:
            return ""
        return (
            f"milestones/ holds no file, and {count(len(self.kept), 'timeline')} of it "
            f"{'stays' if len(self.kept) == 1 else 'stay'} as before ({listing(self.kept[:3])}"
            f"{' and others' if len(self.kept) > 3 else ''}); bring the files back, or, to withdraw "
            "everything, leave one file with a timeline of no milestones"
        )

    async def report(self, config: Config | None, config_id: str, findings: tuple[str, ...]) -> None:
        """Write down how this node stands, for ``alertd status``."""
        await self._world.ledger.report(
            NodeReport(
                node=self._world.node,
                version=__version__,
                started_at=self._started_at,
                seen_at=self._world.clock.now(),
                config_id=config_id,
                problems=self.all_problems,
                receivers=tuple(config.receivers) if config else (),
                findings=findings,
                paused=self._flights.paused,
            )
        )

    async def compare(self) -> None:
        """Say when live nodes run different things, once for each change of it."""
        world = self._world
        found = differences(await world.ledger.nodes(), world.clock.now())
        for one in found:
            if one not in self.differences:
                world.log.warning(Event.NODES_DIFFERED, what=one.what, nodes=str(one))
        if self.differences and not found:
            world.log.info(Event.NODES_AGREED)
        self.differences = found

    async def retire(self) -> None:
        """Leave the lead to others, and say that this node has ended."""
        try:
            await self._world.ledger.retire(self._world.node)
        except LedgerError as error:
            self._world.log.error(Event.LEDGER_FAILED, reason=str(error))

    async def status(self, next_at: datetime | None) -> str:
        """One line for ``systemctl status``."""
        parts = []
        coming = await self._world.ledger.coming(1)
        if coming:
            parts.append(
                f"next: {coming[0].milestone} {coming[0].offset} at {coming[0].wake_at:%Y-%m-%d %H:%M}Z"
            )
        elif next_at is None:
            parts.append("nothing to remind of")
        if self._flights.count:
            parts.append(f"sending {self._flights.count}")
        if self._flights.paused:
            parts.append(f"no answer from {', '.join(self._flights.paused)}")
        if self.kept:
            parts.append("milestones/ holds no file")
        if self.problems:
            parts.append(f"{len(self.problems)} problems in the files")
        return "; ".join(parts)
