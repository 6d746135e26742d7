"""Chooses the milestones that the timeline page shows and their order, and counts each kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from alertd.core.routing.labels import MILESTONE
from alertd.core.time.instant import to_local_date
from alertd.core.words import MONTHS, format_count
from alertd.web.timeline.axis import Axis, Zoom, choose_zoom, make_axis
from alertd.web.timeline.entries import CONTESTED, FAR_OFF, MOVED, Group, TimelineEntry
from alertd.web.timeline.query import Query

PER_PAGE = 100
LISTED = 12
"""How many milestones each of the lists "overdue" and "next" has at most."""

BUCKETS = 40
MOST_LABELS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """A part of the axis, and how many windows end in it.

    Attributes:
        x, width: the place and the width, in percent of the axis.
        height: the height in percent of the highest bucket.
        late: the part of the height that is overdue, in percent of the highest bucket.
        start: the first day.
        words: the bucket in words, for screen readers.
    """

    x: float
    width: float
    height: float
    late: float
    start: date
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The content of a timeline page.

    Attributes:
        shown: the milestones on this page.
        matching: how many milestones all pages have.
        outside: how many milestones match but are not on the axis.
        counts: how many milestones match the text and the label, by group.
        overdue, coming: the lists, the most urgent first.
        overdue_count, coming_count: how many milestones the lists would have without a limit.
        buckets: a histogram of all pages; empty if there is only one page.
        labels: the labels for which a reader can filter, each as ``name=value``.
    """

    axis: Axis
    zoom: Zoom
    shown: Sequence[TimelineEntry]
    matching: int
    outside: int
    pages: int
    page: int
    counts: Mapping[str, int]
    overdue: Sequence[TimelineEntry]
    overdue_count: int
    coming: Sequence[TimelineEntry]
    coming_count: int
    buckets: Sequence[Bucket]
    labels: Sequence[str]


def choose(query: Query, entries: Sequence[TimelineEntry], zone: ZoneInfo, now: datetime) -> Choice:
    """Choose what the page shows of ``entries``."""
    found = [entry for entry in entries if entry.has(query.text, query.matcher)]
    counts = Counter(entry.group(now).value for entry in found)
    counts[MOVED] = sum(entry.moved for entry in found)
    counts[CONTESTED] = sum(len(entry.windows) > 1 for entry in found)
    asked = [entry for entry in found if entry.is_in(query.state, now)]
    bounds = [span for entry in asked for span in entry.spans(now)]
    zoom = query.zoom or choose_zoom(bounds, zone, now)
    axis = make_axis(zoom, query.start, bounds, zone, now)
    on_axis = [entry for entry in asked if _is_on(entry, axis, now)]
    on_axis.sort(key=_rank_by_date if query.order == "date" else _rank_by_timeline)
    pages = max(1, -(-len(on_axis) // PER_PAGE))
    page = min(query.page, pages)
    overdue = [entry for entry in asked if entry.group(now) is Group.OVERDUE]
    coming = [entry for entry in asked if entry.group(now) in (Group.OPEN, Group.UPCOMING)]
    return Choice(
        axis=axis,
        zoom=zoom,
        shown=on_axis[(page - 1) * PER_PAGE : page * PER_PAGE],
        matching=len(on_axis),
        outside=len(asked) - len(on_axis),
        pages=pages,
        page=page,
        counts=counts,
        overdue=sorted(overdue, key=_rank_by_date, reverse=True)[:LISTED],
        overdue_count=len(overdue),
        coming=sorted((entry for entry in coming if entry.first_end() != FAR_OFF), key=_rank_by_date)[
            :LISTED
        ],
        coming_count=len(coming),
        buckets=_make_buckets(on_axis, axis, now) if pages > 1 else (),
        labels=_list_labels(entries),
    )


def _is_on(entry: TimelineEntry, axis: Axis, now: datetime) -> bool:
    """Whether any part of a milestone is on the axis. A milestone without a date always counts as on it."""
    spans = list(entry.spans(now))
    return any(axis.touches(*span) for span in spans) if spans else True


def _rank_by_date(entry: TimelineEntry) -> tuple[float, str]:
    return (entry.first_end(), entry.id)


def _rank_by_timeline(entry: TimelineEntry) -> tuple[str, float, str]:
    return (entry.timeline, entry.first_end(), entry.id)


def _list_labels(entries: Iterable[TimelineEntry]) -> Sequence[str]:
    pairs = Counter(
        f"{name}={value}"
        for entry in entries
        for name, value in entry.labels.items()
        if name != MILESTONE.name  # every milestone has another value
    )
    return sorted(name for name, _ in pairs.most_common(MOST_LABELS))


def _make_buckets(entries: Iterable[TimelineEntry], axis: Axis, now: datetime) -> Sequence[Bucket]:
    """Count the ends of windows by part of the axis. Windows that do not end on the axis are ignored."""
    days = (axis.last - axis.first).days + 1
    length = max(1, -(-days // BUCKETS))
    every: Counter[int] = Counter()
    late: Counter[int] = Counter()
    for entry in entries:
        ends = entry.windows[0][1] if entry.windows else None
        if ends is None or not axis.begins < ends <= axis.ends:
            continue
        # The end is exclusive, so a window that ends at midnight belongs to the day before.
        number = (to_local_date(ends - timedelta(microseconds=1), axis.zone) - axis.first).days // length
        every[number] += 1
        late[number] += entry.group(now) is Group.OVERDUE
    most = max(every.values(), default=1)
    return [
        Bucket(
            x=round(number * length / days * 100, 2),
            width=round(length / days * 100, 2),
            height=round(every[number] / most * 100, 1),
            late=round(late[number] / most * 100, 1),
            start=(start := axis.first + timedelta(days=number * length)),
            words=_describe_bucket(start, start + timedelta(days=length - 1), every[number], late[number]),
        )
        for number in sorted(every)
    ]


def _describe_bucket(first: date, last: date, number: int, late: int) -> str:
    """Describe a bucket: ``23 Nov 2026 to 29 Nov 2026: 14 deadlines, 3 overdue``."""
    days = _format_day(first) if first == last else f"{_format_day(first)} to {_format_day(last)}"
    return f"{days}: {format_count(number, 'deadline')}" + (f", {late} overdue" if late else "")


def _format_day(day: date) -> str:
    return f"{day.day} {MONTHS[day.month - 1][:3]} {day.year}"
