"""Which of all milestones the timeline page shows, in which order, and how many there are of each kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from alertd.core.time.instant import local_date
from alertd.core.words import MONTHS, count
from alertd.web.timeline.axis import Axis, Zoom, axis_of, usual_zoom
from alertd.web.timeline.entries import FAR_OFF, Group, TimelineEntry
from alertd.web.timeline.query import Query

PER_PAGE = 100
LISTED = 12
"""The most that each of the lists has, of what is overdue and of what is next."""

BUCKETS = 40
MOST_LABELS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """A part of the axis, and how much ends in it.

    Attributes:
        x, width: in percent.
        height: of 100, the highest being 100.
        late: of 100, the part of it that is overdue.
        start: its first day.
    """

    x: float
    width: float
    height: float
    late: float
    start: date
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """See the module.

    Attributes:
        shown: those of this page.
        matching: how many there are on all pages.
        outside: how many match and are nowhere on the axis.
        counts: of all that match the text and the label, by group.
        overdue, coming: what is listed, the most urgent first; with how many there are of each.
        buckets: the whole in one picture, when it has several pages.
        labels: what could be asked for by label, ``name=value`` each.
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
    """What the page shows of ``entries``."""
    found = [one for one in entries if one.has(query.text, query.matcher)]
    counts = Counter(one.group(now).value for one in found)
    counts["moved"] = sum(one.moved for one in found)
    counts["contested"] = sum(len(one.windows) > 1 for one in found)
    asked = [one for one in found if one.is_in(query.state, now)]
    bounds = [span for one in asked for span in one.spans(now)]
    zoom = query.zoom or usual_zoom(bounds, zone, now)
    axis = axis_of(zoom, query.start, bounds, zone, now)
    on_axis = [one for one in asked if _is_on(one, axis, now)]
    on_axis.sort(key=_by_date if query.order == "date" else _by_timeline)
    pages = max(1, -(-len(on_axis) // PER_PAGE))
    page = min(query.page, pages)
    overdue = [one for one in asked if one.group(now) is Group.OVERDUE]
    coming = [one for one in asked if one.group(now) in (Group.OPEN, Group.UPCOMING)]
    return Choice(
        axis=axis,
        zoom=zoom,
        shown=on_axis[(page - 1) * PER_PAGE : page * PER_PAGE],
        matching=len(on_axis),
        outside=len(asked) - len(on_axis),
        pages=pages,
        page=page,
        counts=counts,
        overdue=sorted(overdue, key=_by_date, reverse=True)[:LISTED],
        overdue_count=len(overdue),
        coming=sorted((one for one in coming if one.first_end() != FAR_OFF), key=_by_date)[:LISTED],
        coming_count=len(coming),
        buckets=_buckets(on_axis, axis, now) if pages > 1 else (),
        labels=_labels(entries),
    )


def _is_on(entry: TimelineEntry, axis: Axis, now: datetime) -> bool:
    """Whether any of it is on the axis; what has no date is only on the one of all."""
    spans = list(entry.spans(now))
    return any(axis.touches(*span) for span in spans) if spans else True


def _by_date(entry: TimelineEntry) -> tuple[float, str]:
    return (entry.first_end(), entry.id)


def _by_timeline(entry: TimelineEntry) -> tuple[str, float, str]:
    return (entry.timeline, entry.first_end(), entry.id)


def _labels(entries: Iterable[TimelineEntry]) -> Sequence[str]:
    pairs = Counter(
        f"{name}={value}" for one in entries for name, value in one.labels.items() if name != "milestone"
    )
    return sorted(name for name, _ in pairs.most_common(MOST_LABELS))


def _buckets(entries: Iterable[TimelineEntry], axis: Axis, now: datetime) -> Sequence[Bucket]:
    """How much ends when; what ends beyond the axis, or never, is in none of them."""
    days = (axis.last - axis.first).days + 1
    length = max(1, -(-days // BUCKETS))
    every: Counter[int] = Counter()
    late: Counter[int] = Counter()
    for one in entries:
        ends = one.windows[0][1] if one.windows else None
        if ends is None or not axis.begins < ends <= axis.ends:
            continue
        # The end is exclusive: what ends at midnight is of the day before.
        number = (local_date(ends - timedelta(microseconds=1), axis.zone) - axis.first).days // length
        every[number] += 1
        late[number] += one.group(now) is Group.OVERDUE
    most = max(every.values(), default=1)
    return [
        Bucket(
            x=round(number * length / days * 100, 2),
            width=round(length / days * 100, 2),
            height=round(every[number] / most * 100, 1),
            late=round(late[number] / most * 100, 1),
            start=(start := axis.first + timedelta(days=number * length)),
            words=_words(start, start + timedelta(days=length - 1), every[number], late[number]),
        )
        for number in sorted(every)
    ]


def _words(first: date, last: date, number: int, late: int) -> str:
    """``23 Nov 2026 to 29 Nov 2026: 14 deadlines, 3 overdue``."""
    days = _day(first) if first == last else f"{_day(first)} to {_day(last)}"
    return f"{days}: {count(number, 'deadline')}" + (f", {late} overdue" if late else "")


def _day(day: date) -> str:
    return f"{day.day} {MONTHS[day.month - 1][:3]} {day.year}"
