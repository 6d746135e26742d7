"""Makes the calendar to which people subscribe: which entries it has, and when their alarms ring.

Rules that hold here:
- An entry contains nothing that is only true today, because calendar programs decide when they fetch it.
- An entry has alarms for the reminders that are still to come, at the instants that the planner computes.
- LAST-MODIFIED and DTSTAMP are the time of the last change of the milestone (RFC 5545, section 3.8.7.2, for a
  calendar without METHOD).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from alertd.core.explain.words import describe_stated
from alertd.core.ledger.records import Record
from alertd.core.message.claims import make_claim_lines, make_contested_sentence
from alertd.core.milestones.fields import collect_field_values, find_first_link
from alertd.core.milestones.milestone import compute_state, is_contested, list_stated_windows
from alertd.core.milestones.occurrence import Occurrence, list_occurrences
from alertd.core.planning.decide import is_acknowledged
from alertd.core.routing.labels import list_lasting_labels
from alertd.core.routing.matcher import Matcher
from alertd.core.words import capitalize, format_count, phrase_offset
from alertd.notify.render.ics import CalendarAlarm, Dated, build_calendar, build_entries

AHEAD = timedelta(days=400)
"""How far ahead alarms are listed. Later alarms appear when the calendar is fetched again."""

BEHIND = timedelta(days=400)
"""A milestone whose last window ended longer ago is left out, unless it is overdue."""

GONE_FOR = timedelta(days=30)
"""How long a withdrawn milestone is shown as cancelled, before it is left out."""

MOST = 5_000
"""The most milestones in one calendar."""

MOST_ALARMS = 20
REFRESH = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarRequest:
    """Which calendar a client asks for.

    Attributes:
        timeline: the id of the timeline; "" for all timelines.
        labels: the matchers, all of which a milestone must match.
        rings: whether the entries have alarms.
    """

    timeline: str = ""
    labels: tuple[Matcher, ...] = ()
    rings: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarContext:
    """The circumstances of a calendar.

    Attributes:
        now: the present instant, in UTC.
        host: the domain of the UIDs, in ASCII.
        base: the beginning of all links; "" for a calendar without links.
    """

    now: datetime
    host: str
    base: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarDocument:
    """A finished calendar.

    Attributes:
        content: the calendar in UTF-8.
        fresh_until: the instant of the first alarm, after which the calendar must be made again; None if
            there is no alarm.
    """

    content: bytes
    fresh_until: datetime | None


def make_calendar(
    touched: Sequence[tuple[Record, datetime]],
    asked: CalendarRequest,
    around: CalendarContext,
    most: int = MOST,
) -> CalendarDocument:
    """Make the calendar of the records that match ``asked``.

    Args:
        touched: each record with the time of its last change.
        most: the most milestones; the ones whose end is nearest to today are kept.
    """
    chosen = [(record, at) for record, at in touched if _is_in(record, at, asked, around.now)]
    kept = sorted(chosen, key=lambda pair: _measure_distance(pair[0], around.now))[:most]
    entries = [
        entry
        for record, at in sorted(kept, key=lambda pair: pair[0].id)
        for entry in build_entries(_make_dated(record, asked, around), at, around.host)
    ]
    made = build_calendar(
        entries,
        method="",
        name=_name_calendar(asked, touched),
        description=_describe_left_out(len(kept), len(chosen)),
        refresh=REFRESH,
    )
    rings = [alarm.at for entry in entries for alarm in entry.alarms]
    return CalendarDocument(content=made, fresh_until=min(rings, default=None))


def list_alarms(record: Record, now: datetime) -> tuple[tuple[CalendarAlarm, ...], ...]:
    """List the alarms that are still to come for each live window, in the order in which the windows end.

    A closed milestone has no alarms. An acknowledgement suppresses the alarms until it ends. The alarms that
    fall into a snooze become one alarm at its end.
    """
    milestone, status = record.milestone, record.status
    windows = [stated.window.id for stated in list_stated_windows(milestone)]
    if record.withdrawn or status.closed:
        return ()
    by_window: dict[str, dict[datetime, CalendarAlarm]] = {name: {} for name in windows}
    for occurrence in list_occurrences(milestone, now, now + AHEAD):
        if not is_acknowledged(status, record.window_ids, occurrence.at):
            at = max(occurrence.at, status.snooze_until) if status.snooze_until else occurrence.at
            by_window[occurrence.stated.window.id][at] = CalendarAlarm(
                at=at, text=_describe_alarm(record, occurrence)
            )
    return tuple(tuple(alarms.values())[:MOST_ALARMS] for alarms in by_window.values())


def _describe_alarm(record: Record, occurrence: Occurrence) -> str:
    """Describe an alarm: ``7 days before the deadline: Forces leave, by September 2026 – the minister``."""
    which, title = capitalize(phrase_offset(occurrence.offset)), record.milestone.title
    return f"{which}: {title}, {describe_stated(occurrence.stated)}"


def _make_dated(record: Record, asked: CalendarRequest, around: CalendarContext) -> Dated:
    milestone = record.milestone
    contested = is_contested(milestone)
    fields = collect_field_values(milestone)
    page = f"{around.base}/milestones/{milestone.id}" if around.base else find_first_link(fields)
    return Dated(
        milestone=milestone.id,
        title=milestone.title,
        timeline_title=milestone.timeline_title,
        zone=milestone.zone.key,
        state=compute_state(milestone, record.status, around.now),
        revision=record.revision,
        claims=make_claim_lines(milestone, around.now, "", record.status.done_on),
        contested=contested,
        contradiction=make_contested_sentence(milestone) if contested else "",
        tentative=milestone.tentative,
        fields=fields,
        page=page,
        done_on=record.status.done_on,
        withdrawn=record.withdrawn,
        alarms=list_alarms(record, around.now) if asked.rings else (),
    )


def _is_in(record: Record, touched: datetime, asked: CalendarRequest, now: datetime) -> bool:
    milestone = record.milestone
    if record.withdrawn and touched < now - GONE_FOR:
        return False
    labels = list_lasting_labels(milestone)
    if not all(matcher.matches(labels) for matcher in asked.labels):
        return False
    latest = max(_list_ends(record), default=now)
    return latest >= now - BEHIND or not (record.status.closed or record.withdrawn)


def _measure_distance(record: Record, now: datetime) -> tuple[float, str]:
    """Measure how far away the nearest end of a milestone is. A milestone without an end is sorted last."""
    away = (abs((end - now).total_seconds()) for end in _list_ends(record))
    return min(away, default=float("inf")), record.id


def _list_ends(record: Record) -> Iterator[datetime]:
    for stated in list_stated_windows(record.milestone):
        if stated.window.ends is not None:
            yield stated.window.ends


def _name_calendar(asked: CalendarRequest, touched: Sequence[tuple[Record, datetime]]) -> str:
    """Name the calendar: ``Withdrawal of the coalition: phase=2``."""
    titles = (record.milestone.timeline_title for record, _ in touched)
    what = next(filter(None, titles), asked.timeline) if asked.timeline else "Deadlines"
    labels = ", ".join(f"{matcher.name}{matcher.op}{matcher.value}" for matcher in asked.labels)
    return what + (f": {labels}" if labels else "")


def _describe_left_out(kept: int, chosen: int) -> str:
    if kept == chosen:
        return ""
    return f"{kept:,} of {format_count(chosen, 'milestone')}, those nearest to today; ask for fewer by label"
