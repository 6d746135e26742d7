"""One reconciliation as a value: what it is asked for, what it knows so far, and what it reports."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime

from alertd.core.config import Config
from alertd.core.ledger.fingerprint import TimelineFingerprint
from alertd.core.milestones.milestone import Milestone
from alertd.core.planning.trust import Circumstances, Trust
from alertd.engine.resolving import ReadTimeline, keep_in_memory

AT_ONCE = 100
"""How many milestones are planned and written together, so that other work runs soon."""


@dataclass(slots=True, kw_only=True)
class Report:
    """What one reconciliation changed, as counts and as ids of milestones.

    Attributes:
        kept: timelines without a file that stay as they are, because no file is left, or because a file that
            cannot be read may hold them.
        holders: the files that cannot be read and may hold a timeline of ``kept``; () if no file is left.
        failed: what was raised for milestones or timelines that could not be planned, by id. They stay as
            they are.
        read: how many timelines were not trusted, so that their milestones were read.
        unread: the timelines whose files could not be read again. They stay as they are.
    """

    loaded: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    withdrawn: list[str] = field(default_factory=list)
    kept: tuple[str, ...] = ()
    holders: tuple[str, ...] = ()
    failed: dict[str, Exception] = field(default_factory=dict)
    read: int = 0
    unread: list[str] = field(default_factory=list)
    owed: int = 0
    cancelled: int = 0

    @property
    def changed(self) -> bool:
        return bool(self.loaded or self.moved or self.withdrawn or self.owed or self.cancelled)


async def _go_on() -> None:
    """Do nothing between two steps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PassOptions:
    """What a reconciliation is asked for.

    Attributes:
        now: an aware UTC instant.
        reconsider: the configuration has changed, so decide again about reminders that wait for a mute or a
            snooze.
        in_doubt: ``now`` may lie far in the past. Nothing is cancelled or withdrawn because it is so far
            ahead, and digests stay as they are.
        elsewhere: receivers that this configuration does not have and another live node knows, as in a
            rolling deploy. What is scheduled for them stays as it is.
        term: returns the term of the lead to write under. It is called for each transaction.
        give_way: lets other work run. It is called between the milestones, and never between reading and
            writing a milestone.
        read: reads the milestones of a timeline that are not in memory.
        trust: which timelines are left alone if nothing of them has changed.
        at_once: how many milestones are planned and written together.
    """

    now: datetime
    reconsider: bool = False
    in_doubt: bool = False
    elsewhere: Set[str] = frozenset()
    term: Callable[[], Awaitable[int]] | None = None
    give_way: Callable[[], Awaitable[None]] = _go_on
    read: ReadTimeline = keep_in_memory
    trust: Trust = Trust.RECONCILED
    at_once: int = AT_ONCE


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcilePass:
    """One reconciliation: what it is asked for, and the report that it fills in.

    Attributes:
        circumstances: what decides beside a file whether its timeline is trusted.
        kept: the fingerprints in the ledger when the pass began, by timeline.
        bases: the resolved milestones, by full id, that deadlines of later timelines count from.
        unsettled: timelines of which the next pass has to look at something again.
    """

    options: PassOptions
    config: Config
    circumstances: Circumstances
    kept: Mapping[str, TimelineFingerprint]
    report: Report = field(default_factory=Report)
    bases: dict[str, Milestone] = field(default_factory=dict)
    unsettled: set[str] = field(default_factory=set)

    async def find_term(self) -> int | None:
        return await self.options.term() if self.options.term else None
