"""What the timeline page keeps of every milestone: enough to choose and to sort by, and no more.

Thousands of them are held at a time; what is drawn of the few that a page shows is read anew. They are made
of what Python's collector of garbage need not look at: while it looks everything waits, reminders too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from alertd.core.ledger.records import Record
from alertd.core.milestones.milestone import State, state_by, stated_windows
from alertd.core.milestones.status import NOTHING_SAID, MilestoneStatus
from alertd.core.routing.matcher import Matcher
from alertd.web.timeline.marks import bounds_of

Bounds = tuple[datetime | None, datetime | None]
"""A half-open range of instants; None where it has no bound."""

FAR_OFF = float("inf")


class Group(StrEnum):
    """Under which word a milestone stands on the page."""

    OVERDUE = "overdue"
    OPEN = "open"
    UPCOMING = "upcoming"
    DONE = "done"
    CANCELLED = "cancelled"


GROUPS = {
    State.PASSED_BY_ALL: Group.OVERDUE,
    State.PASSED_BY_SOME: Group.OVERDUE,
    State.OPEN: Group.OPEN,
    State.UPCOMING: Group.UPCOMING,
    State.DONE: Group.DONE,
    State.CANCELLED: Group.CANCELLED,
}

MOVED, CONTESTED = "moved", "contested"
FILTERS = (*(group.value for group in Group), MOVED, CONTESTED)
"""What can be asked for by ``state``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineEntry:
    """One milestone.

    Attributes:
        labels: its own and its timeline's, ``timeline`` and ``milestone``.
        windows: bounds of its live claims, the one that ends first first.
        ghosts: bounds of the windows that it has moved from last.
        haystack: what a text is looked for in, in lower case.
    """

    id: str
    title: str
    timeline: str
    timeline_title: str
    labels: Mapping[str, str]
    windows: tuple[Bounds, ...]
    standing: MilestoneStatus
    ghosts: tuple[Bounds, ...]
    moved: bool
    haystack: str

    def group(self, now: datetime) -> Group:
        return GROUPS[state_by(self.windows, self.standing, now)]

    def is_in(self, asked: str, now: datetime) -> bool:
        """Whether it is what ``state`` asks for."""
        if asked == MOVED:
            return self.moved
        if asked == CONTESTED:
            return len(self.windows) > 1
        return not asked or self.group(now) == asked

    def has(self, text: str, matcher: Matcher | None) -> bool:
        """Whether every word of a text is in it, and its labels match."""
        words = text.lower().split()
        return all(word in self.haystack for word in words) and (
            matcher is None or matcher.matches(self.labels)
        )

    def spans(self, now: datetime) -> Iterable[Bounds]:
        """All that is drawn of it; what is overdue goes on until now."""
        for begins, ends in self.windows:
            late = not self.standing.closed and ends is not None and ends <= now
            yield begins, now if late else ends
        yield from self.ghosts

    def first_end(self) -> float:
        """What it is sorted by in time: as a number, the earliest end of a live claim."""
        ends = self.windows[0][1] if self.windows else None
        return ends.timestamp() if ends else FAR_OFF


def entry_of(record: Record, from_windows: str) -> TimelineEntry:
    """What to keep of a record.

    Args:
        from_windows: of its last move, as the history has them; "" when it never moved.
    """
    milestone = record.milestone
    stated = stated_windows(milestone)
    live = {one.window.id for one in stated}
    gone = [one for one in from_windows.split("; ") if one and one not in live]
    who = " ".join(source.who for claim in milestone.claims for source in claim.sources)
    values = " ".join(milestone.labels.values())
    return TimelineEntry(
        id=milestone.id,
        title=milestone.title,
        timeline=milestone.timeline,
        timeline_title=milestone.timeline_title,
        labels={**milestone.labels, "timeline": milestone.timeline, "milestone": milestone.id},
        windows=tuple((one.window.begins, one.window.ends) for one in stated),
        standing=NOTHING_SAID if record.standing == NOTHING_SAID else record.standing,
        ghosts=tuple(bounds_of(one, milestone.zone) for one in gone),
        moved=bool(gone),
        haystack=f"{milestone.title} {milestone.id} {milestone.timeline_title} {values} {who}".lower(),
    )
