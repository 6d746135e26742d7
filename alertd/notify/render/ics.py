"""Builds calendar entries (RFC 5545): one for each window that a deadline can fall into.

A calendar replaces an entry by one with the same UID and a higher SEQUENCE. The UID is derived from the
milestone and from the number of the window, counted in the order in which windows end. Thus a date that moves
moves its entry, and a milestone that becomes contested gets a second entry. An entry that is no longer wanted
is sent as cancelled.

A window becomes an all-day entry, and a deadline with a time of day becomes an entry at that time. No entry
marks anybody as busy. Entries in a mail have no alarms, because the mail itself is the reminder. Entries in a
feed have alarms as the policy defines.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from alertd.core.message.message import ClaimLine, Item
from alertd.core.milestones.fields import FieldReach, FieldValues, find_first_link, select_shown_fields
from alertd.core.milestones.milestone import State
from alertd.core.milestones.occurrence import fingerprint
from alertd.core.words import format_day
from alertd.notify.render.clean import clean_line, clean_link
from alertd.notify.render.text import format_account

if TYPE_CHECKING:
    from icalendar import Calendar, Component, Event

PRODUCT = "-//alertd//alertd//EN"

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarAlarm:
    """A calendar alarm: an aware UTC instant and the text that the calendar shows then."""

    at: datetime
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dated:
    """The facts about one milestone that a calendar shows.

    Attributes:
        timeline_title: becomes the entry's category.
        claims: the milestone's claims, the live ones in the order in which they end. Only live ones are
            shown.
        contradiction: a sentence about the live claims that contradict each other; "" if none do.
        page: the URL of a page with details; "" for none.
        withdrawn: whether no definition file contains the milestone any more.
        left_over: how many windows the milestone has lost for which calendars may still have an entry.
        alarms: the alarms of each live claim, in the order of the claims; may be shorter than the claims.
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
    fields: FieldValues = field(default_factory=dict)
    page: str = ""
    done_on: date | None = None
    withdrawn: bool = False
    left_over: int = 0
    alarms: tuple[tuple[CalendarAlarm, ...], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarEntry:
    """One VEVENT.

    Attributes:
        uid: stays the same for as long as the milestone has a window with this number.
        sequence: the milestone's revision, which grows when a date moves.
        stamp: when the entry was made or, in a feed, when it last changed: an aware UTC instant.
        begins, ends: dates, where ``ends`` is the day after the last; or aware UTC instants, which may be
            equal.
        status: ``CONFIRMED``, ``TENTATIVE`` or ``CANCELLED``.
        name: the timeline's title, for the category.
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


def describe_item(item: Item) -> Dated:
    """Return what a calendar shows of a message's item."""
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
        fields=item.fields,
        page=item.page or find_first_link(item.fields),
        done_on=item.done_on,
        left_over=max(0, len(item.move.before) - live) if item.move else 0,
    )


def build_entries(dated: Dated, stamp: datetime, host: str) -> tuple[CalendarEntry, ...]:
    """Return an entry for each live window that has a bound, in the order in which the windows end.

    Cancelled entries for the windows that a move has removed follow.

    Args:
        stamp: when the entries are made or were changed, an aware UTC instant.
        host: the domain that UIDs are derived from. The domain should not change for years, because calendars
            would treat the entries as new.
    """
    live = [claim for claim in dated.claims if claim.live]
    made = [_entry(dated, claim, number, stamp, host) for number, claim in enumerate(live)]
    entries = [entry for entry in made if entry is not None]
    if not entries:
        return ()
    left_over = range(len(live), len(live) + dated.left_over)
    return (*entries, *(_cancel(entries[0], dated, number, host) for number in left_over))


def build_calendar(
    entries: Iterable[CalendarEntry],
    *,
    method: str = "PUBLISH",
    name: str = "",
    description: str = "",
    refresh: timedelta | None = None,
) -> bytes:
    """Return the entries as an iCalendar file.

    Args:
        method: ``PUBLISH`` for a mail (RFC 5546, section 3.2.1); "" for a feed.
        name, description: the calendar's name and description in an application (RFC 7986, sections 5.1 and
            5.2). Each is written under its older X- name too.
        refresh: how often an application should read the feed again (RFC 7986, section 5.7).
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
            calendar.add(property_, clean_line(text))
    if refresh is not None:
        calendar.add("refresh-interval", vDuration(refresh), parameters={"value": "DURATION"})
        calendar.add("x-published-ttl", vDuration(refresh))
    for entry in entries:
        calendar.add_component(build_vevent(entry))
    made: bytes = calendar.to_ical()
    return made


def build_vevent(entry: CalendarEntry) -> Event:
    """Return an entry as an object of the icalendar library."""
    from icalendar import Event

    made: Event = Event()
    made.add("uid", entry.uid)
    made.add("sequence", entry.sequence)
    made.add("dtstamp", entry.stamp)
    made.add("last-modified", entry.stamp)
    made.add("dtstart", entry.begins)
    # An entry at an instant has no DTEND, which would have to be later (RFC 5545, section 3.8.2.2).
    if entry.ends > entry.begins:
        made.add("dtend", entry.ends)
    made.add("summary", clean_line(entry.summary))
    made.add("status", entry.status)
    made.add("transp", "TRANSPARENT")
    for name, value in {
        "description": "\n".join(map(clean_line, entry.description.split("\n"))),
        "url": clean_link(entry.url),
        # The library does not escape X- properties: a line break would end the property.
        "x-alertd-milestone": clean_line(entry.milestone),
        "x-alertd-edtf": clean_line(entry.edtf),
    }.items():
        if value:
            made.add(name, value)
    if entry.name:
        made.add("categories", [clean_line(entry.name)])
    for alarm in entry.alarms:
        made.add_component(_valarm(alarm))
    return made


def _valarm(alarm: CalendarAlarm) -> Component:
    from icalendar import Alarm as VAlarm

    made = VAlarm()
    made.add("action", "DISPLAY")
    # An absolute instant: alertd counts from the end of the window, a relative trigger from the start of the
    # entry.
    made.add("trigger", alarm.at, parameters={"value": "DATE-TIME"})
    made.add("description", clean_line(alarm.text))
    return made


def make_uid(milestone: str, number: int, host: str) -> str:
    """Return the UID of the window with index ``number``, from 0, of a milestone.

    The UID is a fingerprint: it contains no text that a person wrote, and no domain (RFC 7986, section 5.3).
    """
    return fingerprint("calendar", host, milestone, str(number))


def find_span(claim: ClaimLine, zone: ZoneInfo) -> tuple[date, date] | None:
    """Return the first day and the day after the last; for a time of day, aware UTC instants; else None.

    If a window is open on one side, the span is the single day of its bound, the only day that is certain.
    """
    if "T" in claim.edtf and claim.begins and claim.ends:
        return claim.begins, claim.ends
    first = claim.begins.astimezone(zone).date() if claim.begins else None
    # Subtract a moment: on a day without a midnight, the previous day ends at another local time than 00:00.
    last = (claim.ends - timedelta(microseconds=1)).astimezone(zone).date() if claim.ends else None
    begins, ends = first or last, last or first
    return (begins, ends + _DAY) if begins and ends else None


def _entry(dated: Dated, claim: ClaimLine, number: int, stamp: datetime, host: str) -> CalendarEntry | None:
    span = find_span(claim, ZoneInfo(dated.zone))
    if span is None:
        return None
    briefs = ", ".join(account.brief for account in claim.accounts)
    by_whom = f", {briefs}" if dated.contested and briefs else ""
    return CalendarEntry(
        uid=make_uid(dated.milestone, number, host),
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


def _cancel(like: CalendarEntry, dated: Dated, number: int, host: str) -> CalendarEntry:
    return CalendarEntry(
        uid=make_uid(dated.milestone, number, host),
        sequence=like.sequence,
        stamp=like.stamp,
        begins=like.begins,
        ends=like.ends,
        summary=dated.title,
        status="CANCELLED",
        milestone=dated.milestone,
    )


def _description(dated: Dated, claim: ClaimLine) -> str:
    accounts = [format_account(account) for account in claim.accounts]
    stated = ": ".join(filter(None, (claim.phrase[:1].upper() + claim.phrase[1:], "; ".join(accounts))))
    done = f"Done on {format_day(dated.done_on)}." if dated.done_on else ""
    gone = "Withdrawn: it is no longer followed." if dated.withdrawn else ""
    fields = [
        shown.text for shown in select_shown_fields(dated.fields, FieldReach.ALONE) if not shown.is_link
    ]
    parts = [stated, done, gone, claim.note, dated.contradiction, *fields, dated.milestone]
    return "\n".join(part for part in parts if part)


def _status(dated: Dated) -> str:
    """Return the STATUS. A done milestone stays confirmed: it was met, not cancelled."""
    if dated.state is State.CANCELLED or (dated.withdrawn and dated.state is not State.DONE):
        return "CANCELLED"
    return "TENTATIVE" if dated.tentative and dated.state is not State.DONE else "CONFIRMED"
