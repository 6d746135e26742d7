"""A milestone is the thing that has a deadline: what is claimed of it, by whom, and what stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from alertd.core.deadline import Deadline, Reading, Window, window_of
from alertd.core.milestones.policy import Contested, Policy
from alertd.core.milestones.recurrence import Recurrence
from alertd.core.milestones.status import MilestoneStatus
from alertd.core.time.duration import Duration


class Rank(StrEnum):
    """How a claim stands beside the others (Wikidata's ranks)."""

    PREFERRED = "preferred"
    NORMAL = "normal"
    DEPRECATED = "deprecated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Who said it.

    Attributes:
        who: the person or body, as it is to be read in a message.
        short: a few words for "by ...'s account".
        publisher: where it was published.
        published: the date of publication, as an EDTF text; "" when unknown.
        url: where to read it; "" when there is none.
    """

    id: str
    who: str
    short: str = ""
    publisher: str = ""
    published: str = ""
    url: str = ""

    @property
    def brief(self) -> str:
        return self.short or self.who.partition(",")[0] or self.publisher or self.id


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One deadline as its sources give it.

    Attributes:
        derived: how it was computed when nobody stated it, such as ``90d after phase-1``.
    """

    deadline: Deadline
    reading: Reading = Reading.END
    sources: tuple[Source, ...] = ()
    rank: Rank = Rank.NORMAL
    note: str = ""
    derived: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RelativeClaim:
    """A deadline counted from another milestone's: its window or, once done, its done date.

    Attributes:
        base: full id of the other milestone.
        by: how long after it.
    """

    base: str
    by: Duration
    sources: tuple[Source, ...] = ()
    rank: Rank = Rank.NORMAL
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Milestone:
    """The thing that has a deadline.

    Attributes:
        id: full id, ``timeline/id``, or ``timeline/id@2026-09-30`` for one of a recurring series.
        labels: the timeline's and its own; what routes match, beside those that
            ``core/planning/plan.py`` adds.
        claims: in the order of the file. Until ``core/planning/relative.py`` has resolved them, those in
            ``relative`` are missing from it.
        owner: the person or team that answers for it; "" when the file names none.
        tentative: agreed but not signed; every message says so.
    """

    id: str
    timeline: str
    timeline_title: str
    title: str
    zone: ZoneInfo
    policy: Policy
    claims: tuple[Claim, ...] = ()
    relative: tuple[RelativeClaim, ...] = ()
    repeat: Recurrence | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    url: str = ""
    owner: str = ""
    tentative: bool = False
    _windows: _Windows | None = field(default=None, init=False, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedWindow:
    """One distinct window and the live claims that state it: one deadline, perhaps many sources."""

    window: Window
    claims: tuple[Claim, ...]

    @property
    def source_ids(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(source.id for claim in self.claims for source in claim.sources))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Windows:
    """The windows of all claims of one milestone.

    Attributes:
        stated: see :func:`stated_windows`.
        operative: see :func:`operative_windows`.
        not_live: see :func:`windows_not_live`.
    """

    stated: tuple[StatedWindow, ...]
    operative: tuple[StatedWindow, ...]
    not_live: tuple[StatedWindow, ...]


def live_claims(milestone: Milestone) -> tuple[Claim, ...]:
    """Those of the best rank present: preferred if any, else normal; never deprecated."""
    for rank in (Rank.PREFERRED, Rank.NORMAL):
        found = tuple(claim for claim in milestone.claims if claim.rank is rank)
        if found:
            return found
    return ()


def stated_windows(milestone: Milestone) -> tuple[StatedWindow, ...]:
    """The distinct windows of the live claims, the one that ends first first, endless ones last."""
    return _windows_of(milestone).stated


def operative_windows(milestone: Milestone) -> tuple[StatedWindow, ...]:
    """Those that remind, by the policy's ``contested``.

    ``preferred`` takes the window of the live claim that the file names first.
    """
    return _windows_of(milestone).operative


def windows_not_live(milestone: Milestone) -> tuple[StatedWindow, ...]:
    """A window for each claim that is not live, in the order of the file; they never remind."""
    return _windows_of(milestone).not_live


def is_contested(milestone: Milestone) -> bool:
    return len(stated_windows(milestone)) > 1


class State(StrEnum):
    """Where a milestone stands."""

    UPCOMING = "upcoming"
    OPEN = "open"
    PASSED_BY_SOME = "passed by some"
    PASSED_BY_ALL = "passed by all"
    DONE = "done"
    CANCELLED = "cancelled"

    @property
    def is_closed(self) -> bool:
        """Whether a person has said that nothing more is to come of it."""
        return self in (State.DONE, State.CANCELLED)


def state_of(milestone: Milestone, status: MilestoneStatus, now: datetime) -> State:
    """The state at ``now``, an aware instant. Passed means: from the window's exclusive end on."""
    bounds = [(one.window.begins, one.window.ends) for one in stated_windows(milestone)]
    return state_by(bounds, status, now)


def state_by(
    windows: Sequence[tuple[datetime | None, datetime | None]], status: MilestoneStatus, now: datetime
) -> State:
    """The same, for whoever has the bounds of the live windows at hand."""
    if status.cancelled:
        return State.CANCELLED
    if status.done_on is not None:
        return State.DONE
    passed = [ends is not None and ends <= now for _, ends in windows]
    if windows and all(passed):
        return State.PASSED_BY_ALL
    if any(passed):
        return State.PASSED_BY_SOME
    if any(begins is not None and begins <= now for begins, _ in windows):
        return State.OPEN
    return State.UPCOMING


def _windows_of(milestone: Milestone) -> _Windows:
    """Computed when they are first asked for, and kept with the milestone: its fields never change."""
    found = milestone._windows
    if found is None:
        found = _compute_windows(milestone)
        object.__setattr__(milestone, "_windows", found)
    return found


def _compute_windows(milestone: Milestone) -> _Windows:
    live = live_claims(milestone)
    by_id: dict[str, tuple[Window, list[Claim]]] = {}
    not_live: list[StatedWindow] = []
    for claim in milestone.claims:
        window = window_of(claim.deadline, milestone.zone, claim.reading)
        if claim in live:
            by_id.setdefault(window.id, (window, []))[1].append(claim)
        else:
            not_live.append(StatedWindow(window=window, claims=(claim,)))
    found = [StatedWindow(window=window, claims=tuple(claims)) for window, claims in by_id.values()]
    stated = tuple(sorted(found, key=_by_end))
    return _Windows(
        stated=stated,
        operative=_choose_operative(stated, live, milestone.policy.contested),
        not_live=tuple(not_live),
    )


def _choose_operative(
    stated: tuple[StatedWindow, ...], live: Sequence[Claim], contested: Contested
) -> tuple[StatedWindow, ...]:
    if len(stated) < 2:
        return stated
    match contested:
        case Contested.EACH:
            return stated
        case Contested.EARLIEST:
            return stated[:1]
        case Contested.LATEST:
            return stated[-1:]
        case Contested.PREFERRED:
            return tuple(one for one in stated if live[0] in one.claims)


def _by_end(stated: StatedWindow) -> tuple[bool, float, str]:
    ends = stated.window.ends
    return (ends is None, ends.timestamp() if ends else 0.0, stated.window.id)
