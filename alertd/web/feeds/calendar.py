"""The deadlines as a calendar that others subscribe to: what is in it, and when each of it rings.

Rules that hold here:
- an entry says nothing that is true of today alone: a calendar is read when it likes;
- it has the reminders of the policy that are still to come, at the instants that the plan has them;
- LAST-MODIFIED and DTSTAMP are when the milestone last changed (RFC 5545, section 3.8.7.2, without a METHOD).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from alertd.core.explain.words import stated_words
from alertd.core.ledger.records import Record
from alertd.core.message.claims import claim_lines, contested_sentence
from alertd.core.milestones.milestone import is_contested, state_of, stated_windows
from alertd.core.milestones.occurrence import Occurrence, occurrences
from alertd.core.planning.decide import acknowledged
from alertd.core.routing.matcher import Matcher
from alertd.core.words import capital, count, offset_words
from alertd.notify.render.ics import CalendarAlarm, Dated, calendar_of, entries_of

AHEAD = timedelta(days=400)
"""How far ahead an entry rings; what comes later is in it by then."""

BEHIND = timedelta(days=400)
"""What ended longer ago is no longer in a calendar, unless it is overdue still."""

GONE_FOR = timedelta(days=30)
"""How long what was withdrawn is shown as cancelled; after that it is not shown."""

MOST = 5_000
"""Milestones in one calendar."""

MOST_ALARMS = 20
REFRESH = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarRequest:
    """Which calendar.

    Attributes:
        timeline: its id; "" for all of them.
        labels: all of which a milestone must match.
        rings: whether its entries have alarms.
    """

    timeline: str = ""
    labels: tuple[Matcher, ...] = ()
    rings: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarContext:
    """What a calendar is made with.

    Attributes:
        host: the domain of the UIDs, in ASCII.
        base: what links begin with; "": there are none.
    """

    now: datetime
    host: str
    base: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarDocument:
    """A calendar.

    Attributes:
        fresh_until: when the first of its alarms has passed, and it is another one.
    """

    content: bytes
    fresh_until: datetime | None


def calendar(
    touched: Sequence[tuple[Record, datetime]],
    asked: CalendarRequest,
    around: CalendarContext,
    most: int = MOST,
) -> CalendarDocument:
    """The calendar of those records that are asked for.

    Args:
        touched: with each record when it last changed.
        most: milestones; those whose end is nearest to today are kept.
    """
    chosen = [(record, at) for record, at in touched if _is_in(record, at, asked, around.now)]
    kept = sorted(chosen, key=lambda one: _distance(one[0], around.now))[:most]
    entries = [
        entry
        for record, at in sorted(kept, key=lambda one: one[0].id)
        for entry in entries_of(_dated(record, asked, around), at, around.host)
    ]
    made = calendar_of(
        entries,
        method="",
        name=_name(asked, touched),
        description=_left_out(len(kept), len(chosen)),
        refresh=REFRESH,
    )
    rings = [alarm.at for entry in entries for alarm in entry.alarms]
    return CalendarDocument(content=made, fresh_until=min(rings, default=None))


def alarms_of(record: Record, now: datetime) -> tuple[tuple[CalendarAlarm, ...], ...]:
    """What is still to come for each live window, in the order in which they end.

    What people have said is kept: what is closed is silent, an acknowledgement silences until it ends, and
    what falls into a snooze rings at its end, once.
    """
    milestone, standing = record.milestone, record.standing
    windows = [one.window.id for one in stated_windows(milestone)]
    if record.withdrawn or standing.closed:
        return ()
    by_window: dict[str, dict[datetime, CalendarAlarm]] = {name: {} for name in windows}
    for one in occurrences(milestone, now, now + AHEAD):
        if not acknowledged(standing, record.window_ids, one.at):
            at = max(one.at, standing.snooze_until) if standing.snooze_until else one.at
            by_window[one.stated.window.id][at] = CalendarAlarm(at=at, text=_alarm_text(record, one))
    return tuple(tuple(alarms.values())[:MOST_ALARMS] for alarms in by_window.values())


def _alarm_text(record: Record, one: Occurrence) -> str:
    """``7 days before the deadline: Forces leave, by September 2026 – the minister``."""
    which, title = capital(offset_words(one.offset)), record.milestone.title
    return f"{which}: {title}, {stated_words(one.stated)}"


def _dated(record: Record, asked: CalendarRequest, around: CalendarContext) -> Dated:
    milestone = record.milestone
    contested = is_contested(milestone)
    page = f"{around.base}/milestones/{milestone.id}" if around.base else milestone.url
    return Dated(
        milestone=milestone.id,
        title=milestone.title,
        timeline_title=milestone.timeline_title,
        zone=milestone.zone.key,
        state=state_of(milestone, record.standing, around.now),
        revision=record.revision,
        claims=claim_lines(milestone, around.now, "", record.standing.done_on),
        contested=contested,
        contradiction=contested_sentence(milestone) if contested else "",
        tentative=milestone.tentative,
        description=milestone.description,
        page=page,
        done_on=record.standing.done_on,
        withdrawn=record.withdrawn,
        alarms=alarms_of(record, around.now) if asked.rings else (),
    )


def _is_in(record: Record, touched: datetime, asked: CalendarRequest, now: datetime) -> bool:
    milestone = record.milestone
    if record.withdrawn and touched < now - GONE_FOR:
        return False
    labels = {**milestone.labels, "timeline": milestone.timeline, "milestone": milestone.id}
    if not all(matcher.matches(labels) for matcher in asked.labels):
        return False
    latest = max(_ends(record), default=now)
    return latest >= now - BEHIND or not (record.standing.closed or record.withdrawn)


def _distance(record: Record, now: datetime) -> tuple[float, str]:
    """How far away the nearest of its ends is; what has none is farthest."""
    away = (abs((end - now).total_seconds()) for end in _ends(record))
    return min(away, default=float("inf")), record.id


def _ends(record: Record) -> Iterator[datetime]:
    for one in stated_windows(record.milestone):
        if one.window.ends is not None:
            yield one.window.ends


def _name(asked: CalendarRequest, touched: Sequence[tuple[Record, datetime]]) -> str:
    """``Withdrawal of the coalition: phase=2``."""
    titles = (record.milestone.timeline_title for record, _ in touched)
    what = next(filter(None, titles), asked.timeline) if asked.timeline else "Deadlines"
    labels = ", ".join(f"{one.name}{one.op}{one.value}" for one in asked.labels)
    return what + (f": {labels}" if labels else "")


def _left_out(kept: int, chosen: int) -> str:
    if kept == chosen:
        return ""
    return f"{kept:,} of {count(chosen, 'milestone')}, those nearest to today; ask for fewer by label"
