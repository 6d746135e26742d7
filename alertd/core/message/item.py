"""Makes the item about a milestone in a message: its headline, details, tone and reason.

The cause of the reminder decides the sentences. Their numbers of days count from the day of the message.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from alertd.core.deadline import Qualifier, format_deadline
from alertd.core.ledger.records import Delivery, Record, ScheduledReminder
from alertd.core.message.claims import make_claim_lines, make_contested_sentence
from alertd.core.message.headlines import (
    compare_values,
    describe_windows,
    find_stated,
    make_before_sentence,
    make_change_headline,
    make_move_headline,
    make_opens_headline,
)
from alertd.core.message.links import Links
from alertd.core.message.message import Item, Tone
from alertd.core.message.reasons import make_late_sentence, make_next_sentence, make_why_sentence
from alertd.core.milestones.fields import collect_field_values
from alertd.core.milestones.milestone import (
    Milestone,
    StatedWindow,
    compute_state,
    is_contested,
    list_stated_windows,
)
from alertd.core.milestones.occurrence import Cause
from alertd.core.planning.decide import CHANGES
from alertd.core.routing.labels import list_labels
from alertd.core.routing.route import Route
from alertd.core.words import (
    Away,
    count_days_until,
    describe_account,
    describe_countdown,
    describe_distance,
    format_count,
    format_day,
    join_with_or,
    make_sentence,
    measure_distance,
)

SOON_DAYS = 7

_WEIGHT = {
    Cause.OPENS: 0,
    Cause.APPROACHING: 1,
    Cause.DUE: 2,
    Cause.OVERDUE: 3,
    Cause.MOVED: 4,
    Cause.DONE: 5,
    Cause.ACKNOWLEDGED: 6,
    Cause.CANCELLED: 7,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemContext:
    """The contents of an item that are not in the lease.

    Attributes:
        route: the root route, which decides what a digest shows.
        upcoming: the next reminder for this receiver, by full milestone id.
        links: makes the links to alertd's page; None if alertd serves no page.
    """

    route: Route
    upcoming: Mapping[str, ScheduledReminder] = field(default_factory=dict)
    links: Links | None = None


def make_item(
    record: Record, owed: Sequence[ScheduledReminder], delivery: Delivery, now: datetime, around: ItemContext
) -> Item:
    """Make the item about a milestone from all of its reminders in a delivery.

    Args:
        owed: the reminders, at least one. The item is about the one with the most important cause.
        now: an aware UTC instant.
    """
    milestone = record.milestone
    main = max(owed, key=lambda reminder: (_WEIGHT[reminder.cause], reminder.at))
    stated = find_stated(milestone, main)
    contested, links = is_contested(milestone), around.links
    acts = links.make_actions(milestone.id, delivery.receiver, delivery.bound_at) if links else ()
    return Item(
        milestone=milestone.id,
        timeline=milestone.timeline,
        timeline_title=milestone.timeline_title,
        title=milestone.title,
        cause=main.cause,
        offset=main.offset,
        state=compute_state(milestone, record.status, now),
        tone=_choose_tone(main.cause, stated, now),
        headline=_make_headline(record, main, stated, now),
        phrase=_choose_phrase(record, main, stated),
        badge=_make_badge(main, stated, now),
        revision=record.revision,
        zone=milestone.zone.key,
        details=tuple(_make_details(record, main, owed, now)),
        caveat=_make_caveat(milestone, main.cause),
        contradiction=make_contested_sentence(milestone) if contested else "",
        late=make_late_sentence(main, milestone, now),
        next="" if main.cause in CHANGES else make_next_sentence(around.upcoming.get(milestone.id), record),
        why=make_why_sentence(main, delivery),
        claims=make_claim_lines(milestone, now, stated.window.id if stated else "", record.status.done_on),
        contested=contested,
        tentative=milestone.tentative,
        fields=collect_field_values(milestone),
        route_labels=list_labels(milestone, main.cause, main.offset),
        move=main.move,
        done_on=record.status.done_on,
        evidence=record.status.evidence,
        keys=tuple(reminder.key for reminder in owed),
        page=links.make_page_url(milestone.id) if links else "",
        # A done or cancelled milestone offers no further actions.
        actions=() if record.status.closed else acts,
    )


def _make_headline(
    record: Record, owed: ScheduledReminder, stated: StatedWindow | None, now: datetime
) -> str:
    """Make the headline, a sentence without its full stop."""
    milestone = record.milestone
    if owed.cause is Cause.DONE and record.status.done_on:
        return f"Done on {format_day(record.status.done_on)}, says {record.status.done_by}"
    if owed.cause is Cause.MOVED and owed.move is not None:
        return make_move_headline(owed.move)
    if owed.cause in CHANGES:
        return make_change_headline(owed.cause, record)
    if stated is None:
        return "No date is given"
    if owed.cause is Cause.OPENS:
        return make_opens_headline(stated)
    if not is_contested(milestone) and _is_last_day(stated, now):
        name = format_deadline(stated.claims[0].deadline)
        account = describe_account(stated.accounts)
        return f"Due today, the last day of {name}" + (f", {account}" if account else "")
    return describe_windows(milestone, now)


def _is_last_day(stated: StatedWindow, now: datetime) -> bool:
    """Tell whether today is the last day of a window of several days that has a plain name."""
    deadline = stated.claims[0].deadline
    plain = not deadline.choices and "/" not in deadline.edtf and deadline.qualifier is Qualifier.NONE
    found = measure_distance(stated.window, now)
    is_today = found is not None and found.away is Away.TODAY
    return plain and stated.window.spans_days and is_today


def _make_details(
    record: Record, main: ScheduledReminder, owed: Sequence[ScheduledReminder], now: datetime
) -> list[str]:
    milestone = record.milestone
    said: list[str] = []
    if main.cause is Cause.DONE and record.status.evidence:
        evidence = f"Evidence: {record.status.evidence}"
        # Mail programs would take a full stop after a link for a part of the link.
        said.append(evidence if "://" in evidence else make_sentence(evidence))
    if main.cause is Cause.MOVED and main.move is not None:
        said.append(make_before_sentence(main.move))
    if main.cause is Cause.ACKNOWLEDGED:
        said.append("No reminder until then, unless its date moves.")
    for reminder in owed:
        if reminder.cause is Cause.OPENS and reminder is not main:
            stated = find_stated(milestone, reminder)
            if stated is not None:
                said.append(make_sentence(make_opens_headline(stated)))
    # For any other cause the headline already gives the status of each claim.
    says_no_standing = main.cause in (Cause.OPENS, Cause.MOVED, Cause.ACKNOWLEDGED)
    if says_no_standing and any(stated.window.ends for stated in list_stated_windows(milestone)):
        said.append(make_sentence(describe_windows(milestone, now)))
    return [text for text in said if text]


def _make_caveat(milestone: Milestone, cause: Cause) -> str:
    is_over = cause in (Cause.DONE, Cause.CANCELLED)
    return "Tentative: agreed but not signed." if milestone.tentative and not is_over else ""


def _choose_phrase(record: Record, owed: ScheduledReminder, stated: StatedWindow | None) -> str:
    if owed.cause is Cause.MOVED and owed.move is not None:
        _, new = compare_values(owed.move)
        return join_with_or([value.phrase for value in new or owed.move.after]) or "no date"
    for value in record.values:
        if value.window_id == owed.window_id:
            return value.phrase
    if stated is None:
        return "no date"
    return join_with_or([value.phrase for value in record.values])


def _make_badge(owed: ScheduledReminder, stated: StatedWindow | None, now: datetime) -> str:
    if owed.cause is Cause.DONE:
        return "done"
    if owed.cause is Cause.MOVED or owed.cause in CHANGES:
        return owed.cause.value
    if stated is None:
        return "no date"
    found, days = measure_distance(stated.window, now), count_days_until(stated.window, now)
    if found is None or days is None:
        return "begun"
    if found.has_passed:
        return f"{format_count(-days, 'day')} past" if days < 0 else describe_distance(stated.window, now)
    words = describe_countdown(found, stated.claims)
    return f"in {words}" if found.away is Away.AHEAD else words


def _choose_tone(cause: Cause, stated: StatedWindow | None, now: datetime) -> Tone:
    if cause is Cause.MOVED:
        return Tone.MOVED
    if cause is Cause.DONE:
        return Tone.DONE
    if cause in CHANGES or stated is None or stated.window.ends is None:
        return Tone.CALM
    if stated.window.ends <= now:
        return Tone.LATE
    days = count_days_until(stated.window, now)
    return Tone.SOON if days is not None and days <= SOON_DAYS else Tone.CALM


def rank_item(item: Item) -> tuple[int, float, str]:
    """Return a sort key that puts the most urgent items first."""
    order = (Tone.LATE, Tone.SOON, Tone.MOVED, Tone.CALM, Tone.DONE)
    days = [claim.days for claim in item.claims if claim.headline and claim.days is not None]
    return (order.index(item.tone), float(min(days, default=0)), item.milestone)
