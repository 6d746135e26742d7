"""The milestones that the timeline page shows, as its template needs them: what is read, what is drawn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from alertd.core.deadline import Qualifier, window_of
from alertd.core.explain.words import not_counted
from alertd.core.ledger.records import HistoryEntry, Record
from alertd.core.message.claims import claim_lines
from alertd.core.message.message import ClaimLine
from alertd.core.milestones.milestone import (
    Milestone,
    StatedWindow,
    is_contested,
    live_claims,
    state_of,
    stated_windows,
)
from alertd.core.planning.decide import acknowledged
from alertd.core.time.instant import local_date
from alertd.core.words import day_text, listing
from alertd.web.timeline.axis import Axis
from alertd.web.timeline.entries import GROUPS, Group
from alertd.web.timeline.marks import Drawing, draw

OFF = "off"
"""How what does not count looks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRow:
    """One claim.

    Attributes:
        look: ``overdue``, ``open``, ``upcoming``, ``done`` or ``off``.
        who: on whose word, ``the minister and Reuters``.
        status: where it stands, ``passed 55 days ago``.
    """

    look: str
    phrase: str
    who: str
    status: str
    note: str
    drawing: Drawing


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineRow:
    """One milestone.

    Attributes:
        state: ``passed by some``, as everywhere.
        group: the word that it stands under.
        tags: what else is to be known of it, a few words each.
    """

    id: str
    title: str
    timeline: str
    timeline_title: str
    state: str
    group: str
    tags: Sequence[str]
    lines: Sequence[ClaimRow]


def row_of(record: Record, move: HistoryEntry | None, axis: Axis) -> TimelineRow:
    """A record as it stands at the instant of the axis.

    Args:
        move: its last one, from the history.
    """
    milestone, now = record.milestone, axis.now
    state = state_of(milestone, record.standing, now)
    return TimelineRow(
        id=milestone.id,
        title=milestone.title,
        timeline=milestone.timeline,
        timeline_title=milestone.timeline_title or milestone.timeline,
        state=state.value,
        group=GROUPS[state].value,
        tags=tuple(tags_of(record, move, now)),
        lines=tuple(_lines(record, move, axis)),
    )


def tags_of(record: Record, move: HistoryEntry | None, now: datetime) -> Iterator[str]:
    """What is to be said of a milestone beside where it stands."""
    milestone, standing = record.milestone, record.standing
    zone = milestone.zone
    if is_contested(milestone):
        yield "contested"
    if milestone.tentative:
        yield "tentative"
    if move is not None:
        yield f"moved on {day_text(local_date(move.at, zone))}"
    if standing.ack_until is not None and acknowledged(standing, record.window_ids, now):
        yield f"acknowledged until {day_text(local_date(standing.ack_until, zone))}"
    if standing.snooze_until is not None and now < standing.snooze_until:
        yield f"snoozed until {day_text(local_date(standing.snooze_until, zone))}"


def _lines(record: Record, move: HistoryEntry | None, axis: Axis) -> Iterator[ClaimRow]:
    """Live windows in the order in which they end, then what does not count: as ``claim_lines`` has them."""
    milestone = record.milestone
    stated = [*stated_windows(milestone), *_not_live(milestone)]
    before = _places_taken(stated_windows(milestone), move)
    told = claim_lines(milestone, axis.now, "", record.standing.done_on)
    for one, line in zip(stated, told, strict=True):
        look = _look(record, line, axis.now)
        surest = min(one.claims, key=lambda claim: claim.deadline.qualifier is not Qualifier.NONE)
        drawing = draw(
            surest.deadline,
            surest.reading,
            one.window,
            axis,
            overdue=look == Group.OVERDUE,
            done_on=record.standing.done_on if one is stated[0] else None,
            before=before.get(one.window.id, ()) if line.live else (),
        )
        yield ClaimRow(
            look=look,
            phrase=line.phrase,
            who=listing([account.brief for account in line.accounts]),
            status=line.status if line.live else not_counted(line),
            note=line.note,
            drawing=drawing,
        )


def _not_live(milestone: Milestone) -> Iterator[StatedWindow]:
    live = live_claims(milestone)
    for claim in milestone.claims:
        if claim not in live:
            yield StatedWindow(
                window=window_of(claim.deadline, milestone.zone, claim.reading), claims=(claim,)
            )


def _look(record: Record, line: ClaimLine, now: datetime) -> str:
    standing = record.standing
    if standing.cancelled or not line.live:
        return OFF
    if standing.done_on is not None:
        return Group.DONE
    if line.ends is not None and line.ends <= now:
        return Group.OVERDUE
    return Group.OPEN if line.begins is not None and line.begins <= now else Group.UPCOMING


def _places_taken(stated: Sequence[StatedWindow], move: HistoryEntry | None) -> dict[str, tuple[str, ...]]:
    """By the id of a window, those whose place it has taken in the last move."""
    if move is None or "from_windows" not in move.facts:
        return {}
    before = move.facts["from_windows"].split("; ")
    live = [one.window.id for one in stated]
    gone = [one for one in before if one and one not in live]
    new = [one for one in live if one not in before] or live
    if not gone or not new:
        return {}
    if len(gone) == len(new):
        return {after: (old,) for old, after in zip(gone, new, strict=True)}
    return {new[0]: tuple(gone)}
