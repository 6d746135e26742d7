"""Describes plans, records and explanations in words without markup, for the terminal and the page alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from alertd.core.config import Config
from alertd.core.deadline import format_deadline_phrase
from alertd.core.explain.explanation import Done, Explanation
from alertd.core.ledger.moves import WINDOW_FACTS
from alertd.core.ledger.records import Delivery, DeliveryState, HistoryEntry, ReminderState, ScheduledReminder
from alertd.core.message.claims import make_contested_sentence
from alertd.core.message.headlines import describe_windows
from alertd.core.message.message import ClaimLine
from alertd.core.message.reasons import LATE_FROM, describe_reason
from alertd.core.milestones.milestone import (
    Rank,
    StatedWindow,
    is_contested,
    list_live_claims,
    list_operative_windows,
    list_stated_windows,
)
from alertd.core.milestones.occurrence import Cause
from alertd.core.milestones.status import MilestoneStatus
from alertd.core.planning.decide import is_acknowledged
from alertd.core.planning.plan import Planned
from alertd.core.reason import AwaitedDigest, MuteInterval, OutsideIntervals, QuietHours
from alertd.core.routing.labels import list_added_names
from alertd.core.routing.route import Match, Quiet
from alertd.core.time.instant import to_wall
from alertd.core.words import (
    MONTHS,
    format_count,
    format_day,
    format_instant,
    format_span,
    join_with_and,
    make_sentence,
    phrase_offset,
    phrase_offset_briefly,
)

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

CAUSE_WORDS = {
    Cause.OPENS: "as the window opens",
    Cause.APPROACHING: "before the deadline",
    Cause.DUE: "on the day",
    Cause.OVERDUE: "after the deadline",
}

KINDS = {
    "loaded": "loaded", "moved": "moved", "withdrawn": "withdrawn", "returned": "back again",
    "ack": "acknowledged", "snooze": "snoozed", "done": "done", "cancel": "cancelled", "reopen": "reopened",
}  # fmt: skip
"""The words for the kinds of history entries."""


# -- days and instants
def format_day_heading(day: date) -> str:
    """Format a day as ``Wednesday, 23 September 2026``."""
    return f"{WEEKDAYS[day.weekday()]}, {format_day(day)}"


def format_local(at: datetime, zone: ZoneInfo) -> str:
    """Format an aware instant in a zone as ``2026-10-01 00:00 +03:00``."""
    local = at.astimezone(zone)
    offset = f"{local:%z}"
    return f"{local:%Y-%m-%d %H:%M} {offset[:3]}:{offset[3:5]}"


# -- reminders
def describe_offset(offset: str) -> str:
    """Describe an offset briefly, for a column: ``7 days before``, ``on the day``, ``opens``."""
    if offset == "opens":
        return "opens"
    return phrase_offset_briefly(offset)


def describe_stated(stated: StatedWindow) -> str:
    """Describe a deadline as it was given, with its sources: ``by September 2026 – the minister``."""
    claim = stated.claims[0]
    who = join_with_and([source.brief for source in stated.accounts])
    return format_deadline_phrase(claim.deadline, claim.reading) + (f" – {who}" if who else "")


def describe_delay(planned: Planned) -> str:
    """Describe why a reminder is sent later than it is due; "" if it is not."""
    due = to_wall(planned.occurrence.at, planned.occurrence.stated.window.zone)
    day = f"{WEEKDAYS[due.weekday()][:3]} {due.day} {MONTHS[due.month - 1][:3]}"
    match planned.muted_by:
        case AwaitedDigest(digest=digest):
            return f"due {day} {due:%H:%M}, waits for the digest {digest}"
        case QuietHours(hours=hours):
            return f"due {day} {due:%H:%M}, held back by quiet hours, {hours}"
        case OutsideIntervals(intervals=intervals):
            return f"due {day} {due:%H:%M}, held back by not {', '.join(intervals)}"
        case MuteInterval(interval=interval):
            return f"due {day} {due:%H:%M}, held back by {interval}"
        case None:
            return ""


class Course(StrEnum):
    """The course of a reminder, in a word."""

    SENT = "sent"
    WAITING = "waiting"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """The fate of a reminder. ``text`` gives details in words; it is "" if there are none."""

    course: Course
    text: str = ""


def find_fate(planned: Planned, found: Explanation) -> Fate:
    """Find the fate of a reminder: from the ledger if it has the reminder, and else from the plan."""
    if found.done is not None and (owed := found.done.owed.get(planned.key)):
        return find_owed_fate(owed, found.done)
    if planned.key in found.overtaken:
        return Fate(course=Course.DROPPED, text="overtaken by a later one")
    return Fate(course=Course.WAITING)


def find_owed_fate(owed: ScheduledReminder, done: Done) -> Fate:
    """Find the fate of a reminder in the ledger."""
    if owed.told_at is not None:
        late = owed.told_at - owed.at
        text = f"sent {format_span(late)} late" if late >= LATE_FROM else "sent"
        return Fate(course=Course.SENT, text=text)
    if owed.state is ReminderState.PENDING:
        return Fate(course=Course.WAITING, text=describe_reason(owed.reason))
    if owed.state is ReminderState.BOUND:
        carriers = [
            delivery
            for delivery, _, _ in done.deliveries
            if delivery.receiver == owed.receiver and owed.key in delivery.members
        ]
        words = ", ".join(dict.fromkeys(describe_state(delivery) for delivery in carriers))
        return Fate(course=Course.WAITING, text=words)
    reason = f": {describe_reason(owed.reason)}" if owed.reason else ""
    return Fate(course=Course.DROPPED, text=owed.state.value + reason)


def describe_next(found: Explanation) -> str:
    """Describe the next reminder in a sentence."""
    zone = found.milestone.zone
    status = found.done.status if found.done else None
    if status is not None and status.closed:
        what = f"done on {format_day(status.done_on)}" if status.done_on else "cancelled"
        return f"Nothing: it is {what}."
    coming = found.next
    resumes = _find_resume_time(found)
    if resumes is not None and (coming is None or resumes < coming.at):
        return f"{format_instant(resumes, zone)}, when the acknowledgement ends: that it has passed, once."
    if coming is None:
        return "Nothing more is sent."
    together = sorted(
        other.receiver
        for other in found.reminders
        if other.at == coming.at and other.occurrence == coming.occurrence
    )
    if status is not None and status.snooze_until is not None and coming.at < status.snooze_until:
        until = format_instant(status.snooze_until, zone)
        return f"{until}, when the snooze ends: what is still true then, once."
    which = f"{phrase_offset(coming.occurrence.offset)}, {describe_stated(coming.occurrence.stated)}"
    return f"{format_instant(coming.at, zone)}: {which}, to {join_with_and(together)}."


def _find_resume_time(found: Explanation) -> datetime | None:
    """Find the end of an acknowledgement, if an overdue reminder waits for that; None if none does."""
    until = found.done.status.ack_until if found.done else None
    if found.done is None or until is None or until <= found.at:
        return None
    owed = found.done.owed
    held = [
        planned
        for planned in found.reminders
        if planned.occurrence.cause is Cause.OVERDUE
        and planned.at <= until
        and (
            planned.at > found.at
            or (planned.key in owed and owed[planned.key].state is ReminderState.PENDING)
        )
        and is_acknowledged(found.done.status, [planned.occurrence.stated.window.id], found.at)
    ]
    return until if held else None


# -- status
def make_status_lines(status: MilestoneStatus, zone: ZoneInfo, now: datetime) -> Iterator[str]:
    """Make a sentence for each action of a person that is in force at ``now``, an aware UTC instant."""
    if status.cancelled:
        yield f"Cancelled by {status.cancelled_by}: no further reminder."
    if status.done_on is not None:
        evidence = f" Evidence: {status.evidence}" if status.evidence else ""
        yield f"Done on {format_day(status.done_on)}, says {status.done_by}.{evidence}"
    if status.ack_until is not None and now < status.ack_until:
        yield f"Acknowledged by {status.ack_by} until {format_instant(status.ack_until, zone)}."
    if status.snooze_until is not None and now < status.snooze_until:
        yield f"Snoozed by {status.snooze_by} until {format_instant(status.snooze_until, zone)}."


def make_state_lines(found: Explanation) -> Iterator[str]:
    """Make sentences about the actions in force, the status of each claim, and the windows that remind."""
    milestone = found.milestone
    if found.done:
        yield from make_status_lines(found.done.status, milestone.zone, found.at)
    if not list_live_claims(milestone):
        yield "No claim is live: it never reminds."
        return
    if not found.state.is_closed:
        yield make_sentence(describe_windows(milestone, found.at))
    if milestone.tentative:
        yield "Tentative: agreed but not signed."
    if is_contested(milestone):
        yield make_contested_sentence(milestone)
        windows = format_count(len(list_stated_windows(milestone)), "different window")
        rank = list_live_claims(milestone)[0].rank.value
        reminding = "each of them reminds"
        operative = list_operative_windows(milestone)
        if len(operative) < len(list_stated_windows(milestone)):
            reminding = f"only {join_with_and([describe_stated(stated) for stated in operative])} reminds"
        yield (
            f"Its live claims, those of rank {rank}, have {windows}."
            f" By `contested: {milestone.policy.contested.value}`, {reminding}."
        )


def explain_not_counted(line: ClaimLine) -> str:
    """Explain why a claim is not live."""
    return "never reminds" if line.rank == Rank.DEPRECATED else "outranked"


def describe_span(line: ClaimLine, zone: ZoneInfo) -> tuple[tuple[str, str], ...]:
    """Describe the bounds of a claim's window: pairs of a name and an instant in its zone and in UTC."""
    if line.begins is not None and line.begins == line.ends:
        return (("at", _format_both(line.begins, zone)),)
    begins = _format_both(line.begins, zone) if line.begins else "at no known time"
    ends = f"{_format_both(line.ends, zone)}, exclusive" if line.ends else "at no known time"
    return (("begins", begins), ("ends", ends))


# -- routes
@dataclass(frozen=True, slots=True, kw_only=True)
class RouteTold:
    """A route in words: the receiver, ``gets all reminders: ...``, and further sentences."""

    receiver: str
    text: str
    more: tuple[str, ...]


def describe_routes(found: Explanation, config: Config) -> Iterator[RouteTold]:
    """Describe each route that leads to a receiver of the milestone."""
    by_route: dict[tuple[str, str], list[Planned]] = {}
    for planned in found.reminders:
        by_route.setdefault((planned.receiver, planned.match.path), []).append(planned)
    for taken in by_route.values():
        yield _describe_route(taken[0].match, _describe_taken(taken, found.reminders), config)


def describe_labels(found: Explanation) -> str:
    """Describe the labels of a milestone that routes can match, in a sentence."""
    labels = ", ".join(f'{name}="{value}"' for name, value in found.milestone.labels.items())
    return f"Its labels: {labels or 'none'}; and {join_with_and(list_added_names(found.milestone))}."


# -- deliveries and history
def describe_state(delivery: Delivery) -> str:
    """Describe the state of a delivery: ``waiting`` or ``retrying`` if it is ready, else the state itself."""
    if delivery.state is DeliveryState.READY:
        return "retrying" if delivery.attempts else "waiting"
    return delivery.state.value


def make_entry_lines(entry: HistoryEntry, zone: ZoneInfo | None) -> Iterator[str]:
    """Make the lines about the details of a history entry.

    Args:
        zone: the zone for instants; None to leave them as the ledger keeps them.
    """
    facts = {name: value for name, value in entry.facts.items() if name not in WINDOW_FACTS}
    if "from" in facts and "to" in facts:
        yield f"from {facts.pop('from')} to {facts.pop('to')}"
    if "until" in facts and zone is not None:
        facts["until"] = format_instant(datetime.fromisoformat(facts["until"]), zone)
    for name, value in facts.items():
        yield f"{name.replace('_', ' ')}: {value}"
    if entry.by:
        yield f"by {entry.by}" + (f": {entry.why}" if entry.why else "")


def _format_both(at: datetime, zone: ZoneInfo) -> str:
    """Format an instant twice: ``2026-10-01 00:00 +03:00 = 2026-09-30 21:00 UTC``."""
    return f"{format_local(at, zone)} = {at:%Y-%m-%d %H:%M} UTC"


def _describe_taken(taken: Sequence[Planned], every: Sequence[Planned]) -> str:
    """Describe the reminders that a route takes: by cause if it takes all of a cause, and else by offset."""
    mine, all_of = {_make_slot(planned) for planned in taken}, {_make_slot(planned) for planned in every}
    if mine == all_of:
        return "all reminders"
    causes = [cause for cause in CAUSE_WORDS if any(slot[0] is cause for slot in mine)]
    if mine == {slot for slot in all_of if slot[0] in causes}:
        return f"the reminders {join_with_and([CAUSE_WORDS[cause] for cause in causes])}"
    return join_with_and(list(dict.fromkeys(describe_offset(planned.occurrence.offset) for planned in taken)))


def _make_slot(planned: Planned) -> tuple[Cause, str, str]:
    occurrence = planned.occurrence
    return (occurrence.cause, occurrence.offset, occurrence.stated.window.id)


def _describe_route(match: Match, taken: str, config: Config) -> RouteTold:
    why = "takes what no other route has taken"
    if match.matchers:
        why = f"takes {join_with_and([str(matcher) for matcher in match.matchers])}"
    receiver = config.receivers[match.receiver]
    specs = [spec.name for spec in receiver.notifiers]
    by = f"By {join_with_and(specs)}" if specs else "It has no notifier: nothing is sent"
    more = [f"{by}, {_describe_grouping(match)}."]
    for words, named in (("Held back during", match.mute), ("Sent only during", match.active)):
        if named:
            more.append(f"{words} {join_with_and([interval.name for interval in named])}.")
    if receiver.quiet is not None:
        more.append(_describe_quiet(receiver.quiet))
    return RouteTold(receiver=match.receiver, text=f"gets {taken}: {match.path} {why}.", more=tuple(more))


def _describe_grouping(match: Match) -> str:
    if match.digest is not None:
        return f"in its digest, {match.digest.name}"
    grouped = "every label" if match.group_by == ("...",) else join_with_and(match.group_by)
    return f"in one message for each {grouped}" if grouped else "all in one message"


def _describe_quiet(quiet: Quiet) -> str:
    exempt = join_with_and([str(matcher) for matcher in quiet.exempt])
    return f"Quiet hours {quiet.hours.name}" + (f", but not for {exempt}." if exempt else ".")
