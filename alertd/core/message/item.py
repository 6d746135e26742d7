"""One milestone in a message: what is said of it, in which tone, and why it is said.

The sentences come from the cause; the numbers of days in them are those of the day of the message.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from alertd.core.deadline import Qualifier, format_deadline
from alertd.core.ledger.records import Delivery, Record, ScheduledReminder
from alertd.core.message.claims import accounts_of, claim_lines, contested_sentence
from alertd.core.message.headlines import (
    before_sentence,
    changed_headline,
    gone_and_new,
    moved_headline,
    opens_headline,
    standings,
    stated_for,
)
from alertd.core.message.links import Links
from alertd.core.message.message import Item, Tone
from alertd.core.message.reasons import late_sentence, next_sentence, why_sentence
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
    """What a message says beside what the lease holds.

    Attributes:
        route: the root: a digest shows what its route takes.
        upcoming: by full milestone id, the next occurrence that this receiver is owed.
        links: where it leads; None when nobody serves a page.
    """

    route: Route
    upcoming: Mapping[str, ScheduledReminder] = field(default_factory=dict)
    links: Links | None = None


def item_of(
    record: Record, owed: Sequence[ScheduledReminder], delivery: Delivery, now: datetime, around: ItemContext
) -> Item:
    """The item about a milestone, for all that a delivery carries of it.

    Args:
        owed: at least one; the weightiest of them is what it is about.
    """
    milestone = record.milestone
    main = max(owed, key=lambda one: (_WEIGHT[one.cause], one.at))
    stated = stated_for(milestone, main)
    contested, links = is_contested(milestone), around.links
    acts = links.actions(milestone.id, delivery.receiver, delivery.bound_at) if links else ()
    return Item(
        milestone=milestone.id,
        timeline=milestone.timeline,
        timeline_title=milestone.timeline_title,
        title=milestone.title,
        cause=main.cause,
        offset=main.offset,
        state=compute_state(milestone, record.standing, now),
        tone=_tone(main.cause, stated, now),
        headline=_headline(record, main, stated, now),
        phrase=_phrase(record, main, stated),
        badge=_badge(main, stated, now),
        revision=record.revision,
        zone=milestone.zone.key,
        details=tuple(_details(record, main, owed, now)),
        caveat=_caveat(milestone, main.cause),
        contradiction=contested_sentence(milestone) if contested else "",
        late=late_sentence(main, milestone, now),
        next="" if main.cause in CHANGES else next_sentence(around.upcoming.get(milestone.id), record),
        why=why_sentence(main, delivery),
        claims=claim_lines(milestone, now, stated.window.id if stated else "", record.standing.done_on),
        contested=contested,
        tentative=milestone.tentative,
        fields=collect_field_values(milestone),
        route_labels=list_labels(milestone, main.cause, main.offset),
        move=main.move,
        done_on=record.standing.done_on,
        evidence=record.standing.evidence,
        keys=tuple(one.key for one in owed),
        page=links.page(milestone.id) if links else "",
        # Of what is done or cancelled nothing more is to be said.
        actions=() if record.standing.closed else acts,
    )


def _headline(record: Record, owed: ScheduledReminder, stated: StatedWindow | None, now: datetime) -> str:
    """One sentence without its full stop."""
    milestone = record.milestone
    if owed.cause is Cause.DONE and record.standing.done_on:
        return f"Done on {format_day(record.standing.done_on)}, says {record.standing.done_by}"
    if owed.cause is Cause.MOVED and owed.move is not None:
        return moved_headline(owed.move)
    if owed.cause in CHANGES:
        return changed_headline(owed.cause, record)
    if stated is None:
        return "No date is given"
    if owed.cause is Cause.OPENS:
        return opens_headline(stated)
    if not is_contested(milestone) and _is_last_day(stated, now):
        name = format_deadline(stated.claims[0].deadline)
        account = describe_account(accounts_of(stated))
        return f"Due today, the last day of {name}" + (f", {account}" if account else "")
    return standings(milestone, now)


def _is_last_day(stated: StatedWindow, now: datetime) -> bool:
    """Whether today is the last day of a window of several days that has a plain name."""
    deadline = stated.claims[0].deadline
    plain = not deadline.choices and "/" not in deadline.edtf and deadline.qualifier is Qualifier.NONE
    found = measure_distance(stated.window, now)
    is_today = found is not None and found.away is Away.TODAY
    return plain and stated.window.spans_days and is_today


def _details(
    record: Record, main: ScheduledReminder, owed: Sequence[ScheduledReminder], now: datetime
) -> list[str]:
    milestone = record.milestone
    said: list[str] = []
    if main.cause is Cause.DONE and record.standing.evidence:
        evidence = f"Evidence: {record.standing.evidence}"
        # A full stop after a link would be taken for a part of it.
        said.append(evidence if "://" in evidence else make_sentence(evidence))
    if main.cause is Cause.MOVED and main.move is not None:
        said.append(before_sentence(main.move))
    if main.cause is Cause.ACKNOWLEDGED:
        said.append("No reminder until then, unless its date moves.")
    for one in owed:
        if one.cause is Cause.OPENS and one is not main:
            stated = stated_for(milestone, one)
            if stated is not None:
                said.append(make_sentence(opens_headline(stated)))
    # The headline of anything else says already where each claim stands.
    says_no_standing = main.cause in (Cause.OPENS, Cause.MOVED, Cause.ACKNOWLEDGED)
    if says_no_standing and any(one.window.ends for one in list_stated_windows(milestone)):
        said.append(make_sentence(standings(milestone, now)))
    return [one for one in said if one]


def _caveat(milestone: Milestone, cause: Cause) -> str:
    is_over = cause in (Cause.DONE, Cause.CANCELLED)
    return "Tentative: agreed but not signed." if milestone.tentative and not is_over else ""


def _phrase(record: Record, owed: ScheduledReminder, stated: StatedWindow | None) -> str:
    if owed.cause is Cause.MOVED and owed.move is not None:
        _, new = gone_and_new(owed.move)
        return join_with_or([value.phrase for value in new or owed.move.after]) or "no date"
    for value in record.values:
        if value.window_id == owed.window_id:
            return value.phrase
    if stated is None:
        return "no date"
    return join_with_or([value.phrase for value in record.values])


def _badge(owed: ScheduledReminder, stated: StatedWindow | None, now: datetime) -> str:
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


def _tone(cause: Cause, stated: StatedWindow | None, now: datetime) -> Tone:
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


def urgency(item: Item) -> tuple[int, float, str]:
    """What to sort items by, the most urgent first."""
    order = (Tone.LATE, Tone.SOON, Tone.MOVED, Tone.CALM, Tone.DONE)
    days = [claim.days for claim in item.claims if claim.headline and claim.days is not None]
    return (order.index(item.tone), float(min(days, default=0)), item.milestone)
