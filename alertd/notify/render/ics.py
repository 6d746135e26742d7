"""Dates for a calendar (RFC 5545): each window a deadline can have becomes an entry over all of its days.

A calendar replaces what it has by what comes under the same UID with a higher SEQUENCE. So the UID is made of
the milestone and of which of its windows it is, counted in the order in which they end: a date that moves
moves its entry, and what becomes contested gets a second one. What is wanted no more is sent as cancelled.

Windows are all-day entries, and a deadline with a time of day is an entry at that time. No entry makes
anybody busy. Those of a mail do not ring: it is the reminder itself. Those of a feed ring as the policy says.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from alertd.core.message.message import ClaimLine, Item
from alertd.core.milestones.milestone import State
from alertd.core.milestones.occurrence import fingerprint
from alertd.core.words import day_text
from alertd.notify.render.clean import line, link
from alertd.notify.render.text import account_text

if TYPE_CHECKING:
    from icalendar import Calendar, Component, Event

PRODUCT = "-//alertd//alertd//EN"

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarAlarm:
    """When to ring, an aware UTC instant, and what is said then."""

    at: datetime
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dated:
    """What a calendar shows of one milestone.

    Attributes:
        timeline_title: for the calendar's categories.
        claims: live ones in the order in which they end; others are not shown.
        contradiction: the live claims that contradict each other, a sentence; "" when it is not contested.
        page: where to read more; "" for nowhere.
        withdrawn: nobody maintains it any more.
        left_over: of how many windows there is an entry in calendars that the milestone no longer has.
        alarms: for each live claim, in their order; may be shorter.
    """

    milestone: str
    title: str
    timeline_title: str
    zone: str
    state: State
    revision: int
    claims: tuple[ClaimLine, ...]
    contested: bool = False
    contradiction: str = ""
    tentative: bool = False
    description: str = ""
    page: str = ""
    done_on: date | None = None
    withdrawn: bool = False
    left_over: int = 0
    alarms: tuple[tuple[CalendarAlarm, ...], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarEntry:
    """One VEVENT.

    Attributes:
        uid: the same for as long as the milestone has such a window.
        sequence: the milestone's revision: raised when a date moves.
        stamp: when this was made or, in a feed, when it last changed, an aware UTC instant.
        begins, ends: dates, of which ``ends`` is the day after the last; or aware UTC instants, which may
            be the same.
        status: ``CONFIRMED``, ``TENTATIVE`` or ``CANCELLED``.
        name: of the timeline, for the calendar's categories.
    """

    uid: str
    sequence: int
    stamp: datetime
    begins: date
    ends: date
    summary: str
    description: str = ""
    url: str = ""
    status: str = "CONFIRMED"
    name: str = ""
    milestone: str = ""
    edtf: str = ""
    alarms: tuple[CalendarAlarm, ...] = ()


def dated_of(item: Item) -> Dated:
    """What a calendar shows of a message's item."""
    live = sum(claim.live for claim in item.claims)
    return Dated(
        milestone=item.milestone,
        title=item.title,
        timeline_title=item.timeline_title,
        zone=item.zone,
        state=item.state,
        revision=item.revision,
        claims=item.claims,
        contested=item.contested,
        contradiction=item.contradiction,
        tentative=item.tentative,
        description=item.description,
        page=item.page or item.url,
        done_on=item.done_on,
        left_over=max(0, len(item.move.before) - live) if item.move else 0,
    )


def entries_of(dated: Dated, stamp: datetime, host: str) -> tuple[CalendarEntry, ...]:
    """An entry for each live window of a milestone that has a bound, in the order in which they end.

    Those that a move has left over follow, cancelled.

    Args:
        stamp: when this is made or was changed, an aware UTC instant.
        host: the domain that the UIDs are made of; it should stay the same for years.
    """
    live = [claim for claim in dated.claims if claim.live]
    made = [_entry(dated, claim, number, stamp, host) for number, claim in enumerate(live)]
    entries = [one for one in made if one is not None]
    if not entries:
        return ()
    left_over = range(len(live), len(live) + dated.left_over)
    return (*entries, *(_cancelled(entries[0], dated, number, host) for number in left_over))


def calendar_of(
    entries: Iterable[CalendarEntry],
    *,
    method: str = "PUBLISH",
    name: str = "",
    description: str = "",
    refresh: timedelta | None = None,
) -> bytes:
    """The entries as an iCalendar file.

    Args:
        method: ``PUBLISH`` for a mail (RFC 5546, section 3.2.1); "" for a feed.
        name, description: what a calendar application calls it (RFC 7986, sections 5.1 and 5.2), each also
            under the name that came before.
        refresh: how often to read it again (the same, section 5.7).
    """
    from icalendar import Calendar, vDuration

    calendar: Calendar = Calendar()
    calendar.add("prodid", PRODUCT)
    calendar.add("version", "2.0")
    calendar.add("calscale", "GREGORIAN")
    if method:
        calendar.add("method", method)
    for property_, text in {
        "name": name,
        "x-wr-calname": name,
        "description": description,
        "x-wr-caldesc": description,
    }.items():
        if text:
            calendar.add(property_, line(text))
    if refresh is not None:
        calendar.add("refresh-interval", vDuration(refresh), parameters={"value": "DURATION"})
        calendar.add("x-published-ttl", vDuration(refresh))
    for entry in entries:
        calendar.add_component(vevent(entry))
    made: bytes = calendar.to_ical()
    return made


def vevent(entry: CalendarEntry) -> Event:
    """An entry as icalendar has it."""
    from icalendar import Event

    made: Event = Event()
    made.add("uid", entry.uid)
    made.add("sequence", entry.sequence)
    made.add("dtstamp", entry.stamp)
    made.add("last-modified", entry.stamp)
    made.add("dtstart", entry.begins)
    # An instant has no end of its own: DTEND would have to be later (RFC 5545, section 3.8.2.2).
    if entry.ends > entry.begins:
        made.add("dtend", entry.ends)
    made.add("summary", line(entry.summary))
    made.add("status", entry.status)
    made.add("transp", "TRANSPARENT")
    for name, value in {
        "description": "\n".join(map(line, entry.description.split("\n"))),
        "url": link(entry.url),
        # The library escapes only what it knows: of an X- property a line break would end the line.
        "x-alertd-milestone": line(entry.milestone),
        "x-alertd-edtf": line(entry.edtf),
    }.items():
        if value:
            made.add(name, value)
    if entry.name:
        made.add("categories", [line(entry.name)])
    for alarm in entry.alarms:
        made.add_component(_valarm(alarm))
    return made


def _valarm(alarm: CalendarAlarm) -> Component:
    from icalendar import Alarm as VAlarm

    made = VAlarm()
    made.add("action", "DISPLAY")
    # At an instant, and not so long before the entry begins: a lead counts from the end of the window.
    made.add("trigger", alarm.at, parameters={"value": "DATE-TIME"})
    made.add("description", line(alarm.text))
    return made


def uid_of(milestone: str, number: int, host: str) -> str:
    """The UID of a milestone's window number ``number``, from 0.

    A digest: nothing that a person wrote is in it, and no domain (RFC 7986, section 5.3).
    """
    return fingerprint("calendar", host, milestone, str(number))


def span_of(claim: ClaimLine, zone: ZoneInfo) -> tuple[date, date] | None:
    """First day and day after the last; aware UTC instants for a time of day; None for what has no bound.

    Of a window that is open on one side only the day of the other bound is certain.
    """
    if "T" in claim.edtf and claim.begins and claim.ends:
        return claim.begins, claim.ends
    first = claim.begins.astimezone(zone).date() if claim.begins else None
    # A moment earlier: where a day has no midnight, it begins, and the one before it ends, at another time.
    last = (claim.ends - timedelta(microseconds=1)).astimezone(zone).date() if claim.ends else None
    begins, ends = first or last, last or first
    return (begins, ends + _DAY) if begins and ends else None


def _entry(dated: Dated, claim: ClaimLine, number: int, stamp: datetime, host: str) -> CalendarEntry | None:
    span = span_of(claim, ZoneInfo(dated.zone))
    if span is None:
        return None
    briefs = ", ".join(account.brief for account in claim.accounts)
    by_whom = f", {briefs}" if dated.contested and briefs else ""
    return CalendarEntry(
        uid=uid_of(dated.milestone, number, host),
        sequence=dated.revision,
        stamp=stamp,
        begins=span[0],
        ends=span[1],
        summary=f"{'Done: ' if dated.state is State.DONE else ''}{dated.title} ({claim.phrase}{by_whom})",
        description=_description(dated, claim),
        url=dated.page,
        status=_status(dated),
        name=dated.timeline_title,
        milestone=dated.milestone,
        edtf=claim.edtf,
        alarms=dated.alarms[number] if number < len(dated.alarms) else (),
    )


def _cancelled(like: CalendarEntry, dated: Dated, number: int, host: str) -> CalendarEntry:
    return CalendarEntry(
        uid=uid_of(dated.milestone, number, host),
        sequence=like.sequence,
        stamp=like.stamp,
        begins=like.begins,
        ends=like.ends,
        summary=dated.title,
        status="CANCELLED",
        milestone=dated.milestone,
    )


def _description(dated: Dated, claim: ClaimLine) -> str:
    accounts = [account_text(account) for account in claim.accounts]
    stated = ": ".join(filter(None, (claim.phrase[:1].upper() + claim.phrase[1:], "; ".join(accounts))))
    done = f"Done on {day_text(dated.done_on)}." if dated.done_on else ""
    gone = "Withdrawn: it is no longer followed." if dated.withdrawn else ""
    parts = [stated, done, gone, claim.note, dated.contradiction, dated.description, dated.milestone]
    return "\n".join(part for part in parts if part)


def _status(dated: Dated) -> str:
    """What is done stays where it was: it has come about, which is no cancellation."""
    if dated.state is State.CANCELLED or (dated.withdrawn and dated.state is not State.DONE):
        return "CANCELLED"
    return "TENTATIVE" if dated.tentative and dated.state is not State.DONE else "CONFIRMED"
