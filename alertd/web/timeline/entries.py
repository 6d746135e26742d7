"""Defines the summary of a milestone that the timeline page caches to filter and to sort by.

Thousands of summaries are in memory at a time, so they hold no more than that needs. They contain only
objects that Python's garbage collector does not track: a collection stops the daemon, which delays reminders.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from alertd.core.deadline import read_window
from alertd.core.ledger.moves import MoveSide, read_windows
from alertd.core.ledger.records import HistoryEntry, Record
from alertd.core.milestones.milestone import State, compute_state_from_bounds, list_stated_windows
from alertd.core.milestones.status import NO_ACTIONS, MilestoneStatus
from alertd.core.routing.labels import list_lasting_labels
from alertd.core.routing.matcher import Matcher

Bounds = tuple[datetime | None, datetime | None]
"""A half-open range of instants in UTC; None where the range has no bound."""

FAR_OFF = float("inf")


class Group(StrEnum):
    """The group under which the page shows a milestone."""

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
"""The values that the parameter ``state`` accepts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineEntry:
    """The summary of one milestone.

    Attributes:
        labels: the labels that keep their value when the dates move; see :mod:`alertd.core.routing.labels`.
        windows: the bounds of its live claims, in the order of their ends.
        ghosts: the bounds of the windows that the last move has replaced.
        haystack: the text that a search looks through, in lower case.
    """

    id: str
    title: str
    timeline: str
    timeline_title: str
    labels: Mapping[str, str]
    windows: tuple[Bounds, ...]
    status: MilestoneStatus
    ghosts: tuple[Bounds, ...]
    moved: bool
    haystack: str

    def group(self, now: datetime) -> Group:
        return GROUPS[compute_state_from_bounds(self.windows, self.status, now)]

    def is_in(self, asked: str, now: datetime) -> bool:
        """Whether the milestone matches the filter ``state``; "" matches all."""
        if asked == MOVED:
            return self.moved
        if asked == CONTESTED:
            return len(self.windows) > 1
        return not asked or self.group(now) == asked

    def has(self, text: str, matcher: Matcher | None) -> bool:
        """Whether the milestone contains every word of ``text``, and its labels match."""
        words = text.lower().split()
        return all(word in self.haystack for word in words) and (
            matcher is None or matcher.matches(self.labels)
        )

    def spans(self, now: datetime) -> Iterable[Bounds]:
        """Yield the ranges that are drawn. An overdue window extends until ``now``."""
        for begins, ends in self.windows:
            late = not self.status.closed and ends is not None and ends <= now
            yield begins, now if late else ends
        yield from self.ghosts

    def first_end(self) -> float:
        """Return the earliest end of a live claim, in seconds since the epoch, for sorting."""
        ends = self.windows[0][1] if self.windows else None
        return ends.timestamp() if ends else FAR_OFF


def make_entry(record: Record, move: HistoryEntry | None) -> TimelineEntry:
    """Summarise a record.

    Args:
        move: its last move, from the history; None if it never moved.
    """
    milestone = record.milestone
    stated = list_stated_windows(milestone)
    live = {window.window.id for window in stated}
    gone = [
        read_window(window_id, milestone.zone)
        for window_id in read_windows(move, MoveSide.BEFORE)
        if window_id not in live
    ]
    who = " ".join(source.who for claim in milestone.claims for source in claim.sources)
    labels = list_lasting_labels(milestone)
    words = (milestone.title, milestone.timeline_title, *labels.values(), who)
    return TimelineEntry(
        id=milestone.id,
        title=milestone.title,
        timeline=milestone.timeline,
        timeline_title=milestone.timeline_title,
        labels=labels,
        windows=tuple((window.window.begins, window.window.ends) for window in stated),
        status=NO_ACTIONS if record.status == NO_ACTIONS else record.status,
        ghosts=tuple((window.begins, window.ends) for window in gone),
        moved=bool(gone),
        haystack=" ".join(words).lower(),
    )
