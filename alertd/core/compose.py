"""Turns a leased delivery into a message: what, by when as given, how far away, on whose word.

Composed anew at each attempt, so that the numbers of days are true when it arrives; what it is
about, and its id, stay the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from alertd.core.claims import accounts_of, claim_lines, contested_sentence
from alertd.core.deadline import Qualifier, deadline_name
from alertd.core.ledger import Delivery, Lease, Move, Owed, Record, Value
from alertd.core.message import Item, Kind, Message, Tone
from alertd.core.milestone import Milestone, StatedWindow, is_contested, operative_windows, state_of
from alertd.core.occurrence import Cause, labels_of
from alertd.core.route import Match, Route, match_routes
from alertd.core.wording import (
    MONTHS,
    by_account,
    count,
    day_text,
    days_until,
    distance,
    instant_text,
    listing,
    moved_by,
    offset_words,
    sentence,
    span_text,
)

LATE_FROM = timedelta(hours=1)
"""A reminder that is later than this says so."""

MAX_SUBJECT = 150
SOON_DAYS = 7

_WEIGHT = {
    Cause.OPENS: 0,
    Cause.APPROACHING: 1,
    Cause.DUE: 2,
    Cause.OVERDUE: 3,
    Cause.MOVED: 4,
    Cause.DONE: 5,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What a message says beside what the lease holds.

    Attributes:
        route: the root, for the reason why this receiver gets it.
        upcoming: by full milestone id, the next occurrence that this receiver is owed.
    """

    route: Route
    upcoming: Mapping[str, Owed] = field(default_factory=dict)


def compose(lease: Lease, members: Sequence[Owed], now: datetime, around: Circumstances) -> Message:
    """The message of ``lease`` about those of its members that may still be sent.

    Args:
        members: not empty unless the delivery is a notice.
        now: an aware UTC instant.
    """
    delivery = lease.delivery
    attempt = delivery.attempts + 1
    if delivery.notice is not None:
        notice = delivery.notice
        return _message(delivery, Kind.NOTICE, notice.headline, now, attempt, lines=notice.lines)
    by_milestone: dict[str, list[Owed]] = {}
    for owed in members:
        by_milestone.setdefault(owed.milestone, []).append(owed)
    items = sorted(
        (_item(lease.records[name], owed, now, around) for name, owed in by_milestone.items()),
        key=_urgency,
    )
    intro = _stand_in(delivery)
    if len(items) == 1:
        return _message(
            delivery, Kind.SINGLE, _subject(items[0]), now, attempt, items=tuple(items), intro=intro
        )
    subject = _subject_of_many(items)
    return _message(delivery, Kind.MANY, subject, now, attempt, items=tuple(items), intro=intro)


def test_message(delivery: Delivery, now: datetime) -> Message:
    """What ``alertd send-test`` sends."""
    lines = (
        f"This is a test of {delivery.channel}. No deadline is behind it.",
        "If you can read this, reminders for this receiver will reach you.",
    )
    return _message(delivery, Kind.TEST, "Test message from alertd", now, 1, lines=lines)


def _message(
    delivery: Delivery,
    kind: Kind,
    subject: str,
    now: datetime,
    attempt: int,
    *,
    items: tuple[Item, ...] = (),
    lines: tuple[str, ...] = (),
    intro: str = "",
) -> Message:
    return Message(
        id=delivery.id,
        receiver=delivery.receiver,
        channel=delivery.channel,
        kind=kind,
        subject=_cut(subject),
        at=now,
        attempt=attempt,
        intro=intro,
        items=items,
        lines=lines,
    )


def _item(record: Record, owed: Sequence[Owed], now: datetime, around: Circumstances) -> Item:
    milestone = record.milestone
    main = max(owed, key=lambda one: (_WEIGHT[one.cause], one.at))
    stated = _stated(milestone, main)
    contested = is_contested(milestone)
    return Item(
        milestone=milestone.id,
        timeline=milestone.timeline,
        timeline_title=milestone.timeline_title,
        title=milestone.title,
        cause=main.cause,
        offset=main.offset,
        state=state_of(milestone, record.standing, now),
        tone=_tone(main.cause, stated, now),
        headline=_headline(record, main, stated, now),
        phrase=_phrase(record, main, stated),
        badge=_badge(main, stated, now),
        revision=record.revision,
        zone=milestone.zone.key,
        details=tuple(_details(record, main, owed, now)),
        late=_late(main, milestone, now),
        next=_next(around.upcoming.get(milestone.id), record),
        why=_why(main, milestone, around.route),
        claims=claim_lines(milestone, now, stated.window.id if stated else ""),
        contested=contested,
        tentative=milestone.tentative,
        description=milestone.description,
        url=milestone.url,
        labels=milestone.labels,
        keys=tuple(one.key for one in owed),
    )


def _stated(milestone: Milestone, owed: Owed) -> StatedWindow | None:
    stated = operative_windows(milestone)
    for one in stated:
        if one.window.id == owed.window_id:
            return one
    return stated[0] if stated else None


def _headline(record: Record, owed: Owed, stated: StatedWindow | None, now: datetime) -> str:
    """One sentence without its full stop."""
    milestone = record.milestone
    if owed.cause is Cause.DONE and record.standing.done_on:
        return f"Done on {day_text(record.standing.done_on)}, says {record.standing.done_by}"
    if owed.cause is Cause.MOVED and owed.move is not None:
        return _moved(owed.move)
    if stated is None:
        return "No date is given"
    if owed.cause is Cause.OPENS:
        return _opens(stated)
    if is_contested(milestone):
        return standings(milestone, now)
    text = _as_of(stated, now)
    if text == "due today" and stated.window.spans_days:
        text = f"due today, the last day of {deadline_name(stated.claims[0].deadline)}"
    return _capital(f"{text} {by_account(accounts_of(stated))}".strip())


def standings(milestone: Milestone, now: datetime) -> str:
    """Where each live window stands, on whose word: what a contested milestone's headline says."""
    parts = [
        f"{_as_of(one, now) or one.claims[0].deadline.text} {by_account(accounts_of(one))}".strip()
        for one in operative_windows(milestone)
    ]
    return _capital("; ".join(parts))


def _as_of(stated: StatedWindow, now: datetime) -> str:
    text = distance(stated.window, now)
    vague = all(claim.deadline.qualifier is not Qualifier.NONE for claim in stated.claims)
    return f"{text}, not confirmed," if vague and text.startswith("passed") else text


def _opens(stated: StatedWindow) -> str:
    claim = stated.claims[0]
    name = deadline_name(claim.deadline)
    unit = claim.deadline.precision.value
    if name[0].isdigit() or name.split()[0] in MONTHS:
        return f"{name}, the {unit} in which this is due, has begun"
    return _capital(f"{name}, the time in which this is due, has begun")


def _moved(move: Move) -> str:
    before, after = move.before, move.after
    gone = [value for value in before if value.window_id not in {one.window_id for one in after}]
    new = [value for value in after if value.window_id not in {one.window_id for one in before}]
    if len(gone) == 1 and len(new) == 1:
        by = moved_by(gone[0].window_id, new[0].window_id)
        text = f"Moved from {_unby(gone[0].phrase)} to {_unby(new[0].phrase)}"
        return text + (f", {by}" if by else "") + _on_word(new[0])
    if new and not gone:
        return f"Now also claimed: {listing([value.phrase + _on_word(value) for value in new])}"
    if gone and not new:
        return f"No longer claimed: {listing([value.phrase + _on_word(value) for value in gone])}"
    if not gone:
        return "The dates are as before"
    return f"Moved from {listing([one.phrase for one in gone])} to {listing([one.phrase for one in new])}"


def _details(record: Record, main: Owed, owed: Sequence[Owed], now: datetime) -> list[str]:
    milestone = record.milestone
    said: list[str] = []
    if main.cause is Cause.DONE and record.standing.evidence:
        said.append(f"Evidence: {record.standing.evidence}")
    if main.cause is Cause.MOVED and main.move is not None:
        said.extend(f"Before: {value.phrase}{_on_word(value)}." for value in main.move.before)
        said.extend(f"Now: {value.phrase}{_on_word(value)}." for value in main.move.after)
        if not is_contested(milestone):
            said.append(sentence(standings(milestone, now)))
    for one in owed:
        if one.cause is Cause.OPENS and one is not main:
            stated = _stated(milestone, one)
            if stated is not None:
                said.append(sentence(_opens(stated)))
    if main.cause is Cause.OPENS and is_contested(milestone):
        said.append(sentence(standings(milestone, now)))
    if is_contested(milestone):
        said.append(contested_sentence(milestone))
    if milestone.tentative:
        said.append("Tentative: agreed but not signed.")
    return said


def _phrase(record: Record, owed: Owed, stated: StatedWindow | None) -> str:
    if owed.cause is Cause.MOVED and owed.move is not None:
        return listing([value.phrase for value in owed.move.after]) or "no date"
    for value in record.values:
        if value.window_id == owed.window_id:
            return value.phrase
    if stated is None:
        return "no date"
    return listing([value.phrase for value in record.values])


def _badge(owed: Owed, stated: StatedWindow | None, now: datetime) -> str:
    if owed.cause is Cause.DONE:
        return "done"
    if owed.cause is Cause.MOVED:
        return "moved"
    if stated is None:
        return "no date"
    text = distance(stated.window, now)
    days = days_until(stated.window, now)
    if text.startswith("passed ") and days is not None and days < 0:
        return f"{count(-days, 'day')} past"
    return text.removeprefix("due ") or "begun"


def _tone(cause: Cause, stated: StatedWindow | None, now: datetime) -> Tone:
    if cause is Cause.MOVED:
        return Tone.MOVED
    if cause is Cause.DONE:
        return Tone.DONE
    if stated is None or stated.window.ends is None:
        return Tone.CALM
    if stated.window.ends <= now:
        return Tone.LATE
    days = days_until(stated.window, now)
    return Tone.SOON if days is not None and days <= SOON_DAYS else Tone.CALM


def _late(owed: Owed, milestone: Milestone, now: datetime) -> str:
    late = now - owed.at
    if late < LATE_FROM:
        return ""
    due = instant_text(owed.at, milestone.zone)
    because = (
        f", held back by {owed.reason.removeprefix('muted by ')}" if owed.reason.startswith("muted") else ""
    )
    because = f", {owed.reason}" if owed.reason.startswith("snoozed") else because
    return f"This reminder was due on {due} and comes {span_text(late)} late{because}."


def _next(upcoming: Owed | None, record: Record) -> str:
    if upcoming is None:
        return "No further reminder is planned."
    value = next((one for one in record.values if one.window_id == upcoming.window_id), None)
    which = offset_words(upcoming.offset)
    if value is not None and len(record.values) > 1 and value.accounts:
        which += f" given by {listing(value.accounts)}"
    return f"Next reminder: {instant_text(upcoming.wake_at, record.milestone.zone)}, {which}."


def _why(owed: Owed, milestone: Milestone, route: Route) -> str:
    labels = labels_of(milestone, owed.cause, owed.offset)
    match = next((one for one in match_routes(route, labels) if one.receiver == owed.receiver), None)
    policy = f"policy {milestone.policy.name}, {offset_words(owed.offset)}"
    return f"Sent to {owed.receiver} by {_path(match)}; {policy}."


def _path(match: Match | None) -> str:
    if match is None:
        return "a route that has been changed since"
    if not match.matchers:
        return f"{match.path}, which takes everything"
    return f"{match.path}, which takes {listing([str(matcher) for matcher in match.matchers])}"


def _stand_in(delivery: Delivery) -> str:
    if not delivery.fallback_for:
        return ""
    return f"You get this in place of {delivery.fallback_for}, which could not be reached."


def _subject(item: Item) -> str:
    if item.cause is Cause.MOVED:
        start = item.headline
    elif item.cause is Cause.DONE:
        start = "Done"
    elif item.cause is Cause.OPENS:
        start = f"Begun, {item.phrase}"
    else:
        past = item.badge.endswith(" past")
        start = f"Passed {item.badge.removesuffix(' past')} ago" if past else f"Due {item.badge}"
    mark = " (contested)" if item.contested else ""
    return f"{start}{mark}: {item.title}"


def _subject_of_many(items: Sequence[Item]) -> str:
    names = {
        Tone.LATE: "passed",
        Tone.SOON: "due soon",
        Tone.CALM: "coming",
        Tone.MOVED: "moved",
        Tone.DONE: "done",
    }
    counts = [(sum(item.tone is tone for item in items), name) for tone, name in names.items()]
    parts = ", ".join(f"{number} {name}" for number, name in counts if number)
    return f"{count(len(items), 'deadline')}: {parts}"


def _urgency(item: Item) -> tuple[int, float, str]:
    order = (Tone.LATE, Tone.SOON, Tone.MOVED, Tone.CALM, Tone.DONE)
    days = [claim.days for claim in item.claims if claim.headline and claim.days is not None]
    return (order.index(item.tone), float(min(days, default=0)), item.milestone)


def _on_word(value: Value) -> str:
    return f", on the word of {listing(value.accounts)}" if value.accounts else ""


def _unby(phrase: str) -> str:
    """``by September 2026`` as ``September 2026``: "moved from by" is no English."""
    return phrase.removeprefix("by ")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _cut(text: str) -> str:
    return text if len(text) <= MAX_SUBJECT else text[: MAX_SUBJECT - 1] + "…"
