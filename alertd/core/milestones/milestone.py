"""Milestones, the claims about their deadlines, and the sources of these claims."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from alertd.core.deadline import Deadline, Reading, Window, compute_window
from alertd.core.milestones.policy import Contested, Policy
from alertd.core.milestones.status import MilestoneStatus
from alertd.core.time.duration import Duration


class Rank(StrEnum):
    """The rank of a claim among all claims of a milestone. The ranks are those of Wikidata statements."""

    PREFERRED = "preferred"
    NORMAL = "normal"
    DEPRECATED = "deprecated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The source of a claim.

    Attributes:
        id: the id of the source in its file.
        who: the person or organization, in the words that messages use.
        short: a few words for "by ...'s account".
        publisher: who published the statement.
        published: the date of publication as an EDTF text; "" when the date is unknown.
        url: the address of the statement; "" when it has none.
    """

    id: str
    who: str
    short: str = ""
    publisher: str = ""
    published: str = ""
    url: str = ""

    @property
    def brief(self) -> str:
        """The short name of the source for "by ...'s account"."""
        return self.short or self.who.partition(",")[0] or self.publisher or self.id


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A deadline as its sources give it.

    Attributes:
        deadline: the deadline.
        reading: the edge of the deadline that counts.
        sources: who stated the deadline.
        rank: the rank among the claims of the milestone.
        note: a remark for people.
        derived: how alertd computed the deadline, such as ``90d after phase-1``; "" when a source stated it.
    """

    deadline: Deadline
    reading: Reading = Reading.END
    sources: tuple[Source, ...] = ()
    rank: Rank = Rank.NORMAL
    note: str = ""
    derived: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RelativeClaim:
    """A deadline that counts from another milestone, the base.

    alertd counts from the window of the base or, once the base is done, from the date on which it was done.

    Attributes:
        base: the full id of the base.
        by: the time from the base to the deadline.
    """

    base: str
    by: Duration
    sources: tuple[Source, ...] = ()
    rank: Rank = Rank.NORMAL
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recurrence:
    """A rule without the prefix ``RRULE:``, which :mod:`alertd.core.milestones.recurrence` has checked."""

    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Milestone:
    """An outcome that has a deadline.

    Attributes:
        id: the full id, ``timeline/id``, or ``timeline/id@2026-09-30`` for an instance of a recurring series.
        zone: the time zone of the deadlines and the reminders.
        claims: the claims in the order of the file. The claims of ``relative`` are added when
            ``core/planning/relative.py`` resolves them.
        repeat: the recurrence rule of a series; None for a milestone that does not recur.
        labels: the labels of the timeline and of the milestone. Routes match these labels and the labels that
            ``core/routing/labels.py`` adds.
        owner: the person or team that is responsible for the milestone; "" when the file names no owner.
        tentative: the milestone is agreed but not signed. Every message contains this fact.
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
    """A distinct window and the live claims that give it. Several sources can give the same window."""

    window: Window
    claims: tuple[Claim, ...]

    @property
    def accounts(self) -> tuple[Source, ...]:
        """The sources of the window, each once, in the order of the file."""
        by_id = {source.id: source for claim in self.claims for source in claim.sources}
        return tuple(by_id.values())

    @property
    def source_ids(self) -> tuple[str, ...]:
        """The ids of the sources of all claims, in order and without repetition."""
        return tuple(dict.fromkeys(source.id for claim in self.claims for source in claim.sources))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Windows:
    """The windows of all claims of one milestone.

    Attributes:
        stated: see :func:`list_stated_windows`.
        operative: see :func:`list_operative_windows`.
        not_live: see :func:`list_windows_not_live`.
    """

    stated: tuple[StatedWindow, ...]
    operative: tuple[StatedWindow, ...]
    not_live: tuple[StatedWindow, ...]


def list_live_claims(milestone: Milestone) -> tuple[Claim, ...]:
    """Return the live claims: the preferred claims if there are any, else the normal claims.

    A deprecated claim is never live.
    """
    for rank in (Rank.PREFERRED, Rank.NORMAL):
        found = tuple(claim for claim in milestone.claims if claim.rank is rank)
        if found:
            return found
    return ()


def list_stated_windows(milestone: Milestone) -> tuple[StatedWindow, ...]:
    """Return the distinct windows of the live claims, by their end. Windows without an end come last."""
    return _get_windows(milestone).stated


def list_operative_windows(milestone: Milestone) -> tuple[StatedWindow, ...]:
    """Return the windows for which alertd sends reminders, as the policy's ``contested`` selects them.

    ``preferred`` selects the window of the first live claim in the file.
    """
    return _get_windows(milestone).operative


def list_windows_not_live(milestone: Milestone) -> tuple[StatedWindow, ...]:
    """Return a window for each claim that is not live, in the order of the file.

    alertd never sends reminders for these windows.
    """
    return _get_windows(milestone).not_live


def is_contested(milestone: Milestone) -> bool:
    """Whether the live claims of the milestone have different windows."""
    return len(list_stated_windows(milestone)) > 1


class State(StrEnum):
    """The state of a milestone."""

    UPCOMING = "upcoming"
    OPEN = "open"
    PASSED_BY_SOME = "passed by some"
    PASSED_BY_ALL = "passed by all"
    DONE = "done"
    CANCELLED = "cancelled"

    @property
    def is_closed(self) -> bool:
        """Whether a person has marked the milestone as done or cancelled."""
        return self in (State.DONE, State.CANCELLED)


def compute_state(milestone: Milestone, status: MilestoneStatus, now: datetime) -> State:
    """Compute the state of a milestone at ``now``, an aware instant.

    A window has passed from its exclusive end on.
    """
    bounds = [(stated.window.begins, stated.window.ends) for stated in list_stated_windows(milestone)]
    return compute_state_from_bounds(bounds, status, now)


def compute_state_from_bounds(
    windows: Sequence[tuple[datetime | None, datetime | None]], status: MilestoneStatus, now: datetime
) -> State:
    """Compute the state of a milestone like :func:`compute_state`, from the bounds of its live windows.

    Args:
        windows: the first instant and the exclusive end of each live window, in UTC; None for a missing
            bound.
        status: the result of people's actions on the milestone.
        now: an aware instant.
    """
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


def _get_windows(milestone: Milestone) -> _Windows:
    """Compute the windows at the first call, and cache them in the milestone, whose fields never change."""
    found = milestone._windows
    if found is None:
        found = _compute_windows(milestone)
        object.__setattr__(milestone, "_windows", found)
    return found


def _compute_windows(milestone: Milestone) -> _Windows:
    claims = milestone.claims
    if len(claims) == 1 and claims[0].rank is not Rank.DEPRECATED:  # nearly every milestone
        window = compute_window(claims[0].deadline, milestone.zone, claims[0].reading)
        only = (StatedWindow(window=window, claims=claims),)
        return _Windows(stated=only, operative=only, not_live=())
    live = list_live_claims(milestone)
    by_id: dict[str, tuple[Window, list[Claim]]] = {}
    not_live: list[StatedWindow] = []
    for claim in milestone.claims:
        window = compute_window(claim.deadline, milestone.zone, claim.reading)
        if claim in live:
            by_id.setdefault(window.id, (window, []))[1].append(claim)
        else:
            not_live.append(StatedWindow(window=window, claims=(claim,)))
    found = [StatedWindow(window=window, claims=tuple(claims)) for window, claims in by_id.values()]
    stated = tuple(sorted(found, key=_make_end_key))
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
            return tuple(candidate for candidate in stated if live[0] in candidate.claims)


def _make_end_key(stated: StatedWindow) -> tuple[bool, float, str]:
    ends = stated.window.ends
    return (ends is None, ends.timestamp() if ends else 0.0, stated.window.id)
