"""What is planned, done and explained, in words without markup: one wording for terminal and page."""

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
from alertd.core.message.claims import accounts_of, contested_sentence
from alertd.core.message.headlines import standings
from alertd.core.message.message import ClaimLine
from alertd.core.message.reasons import LATE_FROM, reason_text
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
from alertd.core.planning.decide import acknowledged
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
"""What the history keeps, by its kind."""


# -- days and instants
def day_heading(day: date) -> str:
    """``Wednesday, 23 September 2026``."""
    return f"{WEEKDAYS[day.weekday()]}, {format_day(day)}"


def local_text(at: datetime, zone: ZoneInfo) -> str:
    """``2026-10-01 00:00 +03:00``."""
    local = at.astimezone(zone)
    offset = f"{local:%z}"
    return f"{local:%Y-%m-%d %H:%M} {offset[:3]}:{offset[3:5]}"


# -- reminders
def when_words(offset: str) -> str:
    """The offset as short as a column needs it: ``7 days before``, ``on the day``, ``opens``."""
    if offset == "opens":
        return "opens"
    return phrase_offset_briefly(offset)


def stated_words(stated: StatedWindow) -> str:
    """The deadline as it was given, and whose word it is: ``by September 2026 – the minister``."""
    claim = stated.claims[0]
    who = join_with_and([source.brief for source in accounts_of(stated)])
    return format_deadline_phrase(claim.deadline, claim.reading) + (f" – {who}" if who else "")


def held_back(planned: Planned) -> str:
    """Why a reminder is later than it is due; "" when it is not."""
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
    """How a reminder went, in a word."""

    SENT = "sent"
    WAITING = "waiting"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What became of a reminder, in words; "" for one that is simply to come."""

    course: Course
    text: str = ""


def fate_of(planned: Planned, found: Explanation) -> Fate:
    """What became of a reminder, or what will."""
    if found.done is not None and (owed := found.done.owed.get(planned.key)):
        return owed_fate(owed, found.done)
    if planned.key in found.overtaken:
        return Fate(course=Course.DROPPED, text="overtaken by a later one")
    return Fate(course=Course.WAITING)


def owed_fate(owed: ScheduledReminder, done: Done) -> Fate:
    """The same for what the ledger has of it."""
    if owed.told_at is not None:
        late = owed.told_at - owed.at
        text = f"sent {format_span(late)} late" if late >= LATE_FROM else "sent"
        return Fate(course=Course.SENT, text=text)
    if owed.state is ReminderState.PENDING:
        return Fate(course=Course.WAITING, text=reason_text(owed.reason))
    if owed.state is ReminderState.BOUND:
        carriers = [
            one for one, _, _ in done.deliveries if one.receiver == owed.receiver and owed.key in one.members
        ]
        words = ", ".join(dict.fromkeys(state_words(one) for one in carriers))
        return Fate(course=Course.WAITING, text=words)
    reason = f": {reason_text(owed.reason)}" if owed.reason else ""
    return Fate(course=Course.DROPPED, text=owed.state.value + reason)


def next_words(found: Explanation) -> str:
    """What comes next, a sentence."""
    zone = found.milestone.zone
    standing = found.done.standing if found.done else None
    if standing is not None and standing.closed:
        what = f"done on {format_day(standing.done_on)}" if standing.done_on else "cancelled"
        return f"Nothing: it is {what}."
    one = found.next
    resumes = _resumes_at(found)
    if resumes is not None and (one is None or resumes < one.at):
        return f"{format_instant(resumes, zone)}, when the acknowledgement ends: that it has passed, once."
    if one is None:
        return "Nothing more is sent."
    together = sorted(
        other.receiver
        for other in found.reminders
        if other.at == one.at and other.occurrence == one.occurrence
    )
    if standing is not None and standing.snooze_until is not None and one.at < standing.snooze_until:
        until = format_instant(standing.snooze_until, zone)
        return f"{until}, when the snooze ends: what is still true then, once."
    which = f"{phrase_offset(one.occurrence.offset)}, {stated_words(one.occurrence.stated)}"
    return f"{format_instant(one.at, zone)}: {which}, to {join_with_and(together)}."


def _resumes_at(found: Explanation) -> datetime | None:
    """The end of an acknowledgement, when an overdue reminder has fallen or falls due before it."""
    until = found.done.standing.ack_until if found.done else None
    if found.done is None or until is None or until <= found.at:
        return None
    owed = found.done.owed
    held = [
        one
        for one in found.reminders
        if one.occurrence.cause is Cause.OVERDUE
        and one.at <= until
        and (one.at > found.at or (one.key in owed and owed[one.key].state is ReminderState.PENDING))
        and acknowledged(found.done.standing, [one.occurrence.stated.window.id], found.at)
    ]
    return until if held else None


# -- where it stands
def standing_lines(standing: MilestoneStatus, zone: ZoneInfo, now: datetime) -> Iterator[str]:
    """One sentence for each thing that people have said and that holds at ``now``."""
    if standing.cancelled:
        yield f"Cancelled by {standing.cancelled_by}: no further reminder."
    if standing.done_on is not None:
        evidence = f" Evidence: {standing.evidence}" if standing.evidence else ""
        yield f"Done on {format_day(standing.done_on)}, says {standing.done_by}.{evidence}"
    if standing.ack_until is not None and now < standing.ack_until:
        yield f"Acknowledged by {standing.ack_by} until {format_instant(standing.ack_until, zone)}."
    if standing.snooze_until is not None and now < standing.snooze_until:
        yield f"Snoozed by {standing.snooze_by} until {format_instant(standing.snooze_until, zone)}."


def state_lines(found: Explanation) -> Iterator[str]:
    """What people have said, where each claim stands, and which of several windows remind."""
    milestone = found.milestone
    if found.done:
        yield from standing_lines(found.done.standing, milestone.zone, found.at)
    if not list_live_claims(milestone):
        yield "No claim is live: it never reminds."
        return
    if not found.state.is_closed:
        yield make_sentence(standings(milestone, found.at))
    if milestone.tentative:
        yield "Tentative: agreed but not signed."
    if is_contested(milestone):
        yield contested_sentence(milestone)
        windows = format_count(len(list_stated_windows(milestone)), "different window")
        rank = list_live_claims(milestone)[0].rank.value
        reminding = "each of them reminds"
        operative = list_operative_windows(milestone)
        if len(operative) < len(list_stated_windows(milestone)):
            reminding = f"only {join_with_and([stated_words(stated) for stated in operative])} reminds"
        yield (
            f"Its live claims, those of rank {rank}, have {windows}."
            f" By `contested: {milestone.policy.contested.value}`, {reminding}."
        )


def not_counted(line: ClaimLine) -> str:
    """Why a claim that is not live isn't."""
    return "never reminds" if line.rank == Rank.DEPRECATED else "outranked"


def claim_span(line: ClaimLine, zone: ZoneInfo) -> tuple[tuple[str, str], ...]:
    """A claim's bounds, named, each both in its zone and in UTC."""
    if line.begins is not None and line.begins == line.ends:
        return (("at", _both(line.begins, zone)),)
    begins = _both(line.begins, zone) if line.begins else "at no known time"
    ends = f"{_both(line.ends, zone)}, exclusive" if line.ends else "at no known time"
    return (("begins", begins), ("ends", ends))


# -- routes
@dataclass(frozen=True, slots=True, kw_only=True)
class RouteTold:
    """By which route a receiver gets what: its name, ``gets all reminders: ...``, and further sentences."""

    receiver: str
    text: str
    more: tuple[str, ...]


def routes_told(found: Explanation, config: Config) -> Iterator[RouteTold]:
    """Each route that leads to a receiver of this milestone."""
    by_route: dict[tuple[str, str], list[Planned]] = {}
    for one in found.reminders:
        by_route.setdefault((one.receiver, one.match.path), []).append(one)
    for planned in by_route.values():
        yield _route_told(planned[0].match, _taken(planned, found.reminders), config)


def labels_told(found: Explanation) -> str:
    """What routes can match here, a sentence."""
    labels = ", ".join(f'{name}="{value}"' for name, value in found.milestone.labels.items())
    return f"Its labels: {labels or 'none'}; and {join_with_and(list_added_names(found.milestone))}."


# -- deliveries and history
def state_words(delivery: Delivery) -> str:
    """``retrying`` for what is ready and was tried already; else the state."""
    if delivery.state is DeliveryState.READY:
        return "retrying" if delivery.attempts else "waiting"
    return delivery.state.value


def entry_lines(entry: HistoryEntry, zone: ZoneInfo | None) -> Iterator[str]:
    """What an entry of the history says beside its kind; without a zone instants stay as they are kept."""
    facts = {name: value for name, value in entry.facts.items() if name not in WINDOW_FACTS}
    if "from" in facts and "to" in facts:
        yield f"from {facts.pop('from')} to {facts.pop('to')}"
    if "until" in facts and zone is not None:
        facts["until"] = format_instant(datetime.fromisoformat(facts["until"]), zone)
    for name, value in facts.items():
        yield f"{name.replace('_', ' ')}: {value}"
    if entry.by:
        yield f"by {entry.by}" + (f": {entry.why}" if entry.why else "")


def _both(at: datetime, zone: ZoneInfo) -> str:
    """``2026-10-01 00:00 +03:00 = 2026-09-30 21:00 UTC``."""
    return f"{local_text(at, zone)} = {at:%Y-%m-%d %H:%M} UTC"


def _taken(planned: Sequence[Planned], every: Sequence[Planned]) -> str:
    """Which reminders a route takes: by cause where it takes all of one, else each by its offset."""
    mine, all_of = {_slot(one) for one in planned}, {_slot(one) for one in every}
    if mine == all_of:
        return "all reminders"
    causes = [cause for cause in CAUSE_WORDS if any(slot[0] is cause for slot in mine)]
    if mine == {slot for slot in all_of if slot[0] in causes}:
        return f"the reminders {join_with_and([CAUSE_WORDS[cause] for cause in causes])}"
    return join_with_and(list(dict.fromkeys(when_words(one.occurrence.offset) for one in planned)))


def _slot(planned: Planned) -> tuple[Cause, str, str]:
    one = planned.occurrence
    return (one.cause, one.offset, one.stated.window.id)


def _route_told(match: Match, taken: str, config: Config) -> RouteTold:
    why = "takes what no other route has taken"
    if match.matchers:
        why = f"takes {join_with_and([str(matcher) for matcher in match.matchers])}"
    receiver = config.receivers[match.receiver]
    specs = [spec.name for spec in receiver.notifiers]
    by = f"By {join_with_and(specs)}" if specs else "It has no notifier: nothing is sent"
    more = [f"{by}, {_together(match)}."]
    for words, named in (("Held back during", match.mute), ("Sent only during", match.active)):
        if named:
            more.append(f"{words} {join_with_and([one.name for one in named])}.")
    if receiver.quiet is not None:
        more.append(_quiet(receiver.quiet))
    return RouteTold(receiver=match.receiver, text=f"gets {taken}: {match.path} {why}.", more=tuple(more))


def _together(match: Match) -> str:
    if match.digest is not None:
        return f"in its digest, {match.digest.name}"
    grouped = "every label" if match.group_by == ("...",) else join_with_and(match.group_by)
    return f"in one message for each {grouped}" if grouped else "all in one message"


def _quiet(quiet: Quiet) -> str:
    exempt = join_with_and([str(matcher) for matcher in quiet.exempt])
    return f"Quiet hours {quiet.hours.name}" + (f", but not for {exempt}." if exempt else ".")
