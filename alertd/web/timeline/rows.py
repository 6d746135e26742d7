"""Makes the rows of the timeline page for its template: the text and the drawing of each milestone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from alertd.core.deadline import Qualifier, Window, read_window
from alertd.core.explain.words import explain_not_counted
from alertd.core.ledger.moves import MoveSide, read_windows
from alertd.core.ledger.records import HistoryEntry, Record
from alertd.core.message.claims import make_claim_lines
from alertd.core.message.message import ClaimLine
from alertd.core.milestones.fields import FieldReach, collect_field_values, select_shown_fields
from alertd.core.milestones.milestone import (
    StatedWindow,
    compute_state,
    is_contested,
    list_stated_windows,
    list_windows_not_live,
)
from alertd.core.planning.decide import is_acknowledged
from alertd.core.time.instant import to_local_date
from alertd.core.words import format_day, join_with_and
from alertd.web.timeline.axis import Axis
from alertd.web.timeline.entries import GROUPS, Group
from alertd.web.timeline.marks import Drawing, draw

OFF = "off"
"""The look of a claim that does not count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRow:
    """One claim in a row.

    Attributes:
        look: ``overdue``, ``open``, ``upcoming``, ``done`` or ``off``.
        phrase: the date in words, ``by September 2026``.
        who: the sources, ``the minister and Reuters``.
        status: how far away the date is, ``passed 55 days ago``.
    """

    look: str
    phrase: str
    who: str
    status: str
    note: str
    drawing: Drawing


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineRow:
    """One milestone in the timeline.

    Attributes:
        state: the state in words, ``passed by some``.
        group: the group under which the page shows the milestone.
        tags: other facts about the milestone, a few words each.
        fields: the fields of its file that a list of milestones shows.
    """

    id: str
    title: str
    timeline: str
    timeline_title: str
    state: str
    group: str
    tags: Sequence[str]
    fields: Sequence[str]
    lines: Sequence[ClaimRow]


def make_row(record: Record, move: HistoryEntry | None, axis: Axis) -> TimelineRow:
    """Make the row of a milestone, as of the instant of the axis.

    Args:
        move: the last move in the history; None if there was none.
    """
    milestone, now = record.milestone, axis.now
    state = compute_state(milestone, record.status, now)
    return TimelineRow(
        id=milestone.id,
        title=milestone.title,
        timeline=milestone.timeline,
        timeline_title=milestone.timeline_title or milestone.timeline,
        state=state.value,
        group=GROUPS[state].value,
        tags=tuple(list_tags(record, move, now)),
        fields=tuple(
            shown.text for shown in select_shown_fields(collect_field_values(milestone), FieldReach.LISTED)
        ),
        lines=tuple(_make_lines(record, move, axis)),
    )


def list_tags(record: Record, move: HistoryEntry | None, now: datetime) -> Iterator[str]:
    """List the facts about a milestone that its status does not show."""
    milestone, status = record.milestone, record.status
    zone = milestone.zone
    if is_contested(milestone):
        yield "contested"
    if milestone.tentative:
        yield "tentative"
    if move is not None:
        yield f"moved on {format_day(to_local_date(move.at, zone))}"
    if status.ack_until is not None and is_acknowledged(status, record.window_ids, now):
        yield f"acknowledged until {format_day(to_local_date(status.ack_until, zone))}"
    if status.snooze_until is not None and now < status.snooze_until:
        yield f"snoozed until {format_day(to_local_date(status.snooze_until, zone))}"


def _make_lines(record: Record, move: HistoryEntry | None, axis: Axis) -> Iterator[ClaimRow]:
    """Make a line for each live window in the order of their ends, then for each claim that does not count.

    ``make_claim_lines`` uses the same order.
    """
    milestone = record.milestone
    stated = [*list_stated_windows(milestone), *list_windows_not_live(milestone)]
    before = _match_replaced(list_stated_windows(milestone), move, milestone.zone)
    told = make_claim_lines(milestone, axis.now, "", record.status.done_on)
    for window, line in zip(stated, told, strict=True):
        look = _choose_look(record, line, axis.now)
        surest = min(window.claims, key=lambda claim: claim.deadline.qualifier is not Qualifier.NONE)
        drawing = draw(
            surest.deadline,
            surest.reading,
            window.window,
            axis,
            overdue=look == Group.OVERDUE,
            done_on=record.status.done_on if window is stated[0] else None,
            before=before.get(window.window.id, ()) if line.live else (),
        )
        yield ClaimRow(
            look=look,
            phrase=line.phrase,
            who=join_with_and([account.brief for account in line.accounts]),
            status=line.status if line.live else explain_not_counted(line),
            note=line.note,
            drawing=drawing,
        )


def _choose_look(record: Record, line: ClaimLine, now: datetime) -> str:
    status = record.status
    if status.cancelled or not line.live:
        return OFF
    if status.done_on is not None:
        return Group.DONE
    if line.ends is not None and line.ends <= now:
        return Group.OVERDUE
    return Group.OPEN if line.begins is not None and line.begins <= now else Group.UPCOMING


def _match_replaced(
    stated: Sequence[StatedWindow], move: HistoryEntry | None, zone: ZoneInfo
) -> dict[str, tuple[Window, ...]]:
    """Map the id of each window to the windows that it replaced in the last move."""
    before = read_windows(move, MoveSide.BEFORE)
    live = [window.window.id for window in stated]
    gone = [read_window(window_id, zone) for window_id in before if window_id not in live]
    new = [window_id for window_id in live if window_id not in before] or live
    if not gone or not new:
        return {}
    if len(gone) == len(new):
        return {after: (old,) for old, after in zip(gone, new, strict=True)}
    return {new[0]: tuple(gone)}
