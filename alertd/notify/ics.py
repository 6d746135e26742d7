"""Dates for a calendar (RFC 5545): each window a deadline can have becomes an entry over all of its days.

A calendar replaces what it has by what comes under the same UID with a higher SEQUENCE. So the UID is made of
the milestone and of which of its windows it is, counted in the order in which they end: a date that moves
moves its entry, and what becomes contested gets a second one. What is wanted no more is sent as cancelled.

Windows are all-day entries, and a deadline with a time of day is an entry at that time. No entry makes
anybody busy, and none rings: the reminders are alertd's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from alertd.core.message import ClaimLine, Item
from alertd.core.milestone import State
from alertd.core.occurrence import digest
from alertd.core.wording import day_text
from alertd.notify.clean import line, link
from alertd.notify.text import account_text

if TYPE_CHECKING:
    from icalendar import Calendar, Event

PRODUCT = "-//alertd//alertd//EN"

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One VEVENT.

    Attributes:
        uid: the same for as long as the milestone has such a window.
        sequence: the milestone's revision: raised when a date moves.
        stamp: when this was made, an aware UTC instant.
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


def entries_of(item: Item, stamp: datetime, host: str) -> tuple[Entry, ...]:
    """An entry for each live window of a milestone that has a bound, in the order in which they end.

    Those that a move has left over follow, cancelled.

    Args:
        stamp: when this is made, an aware UTC instant.
        host: the domain of the UIDs; it should stay the same for years.
    """
    live = [claim for claim in item.claims if claim.live]
    made = [_entry(item, claim, number, stamp, host) for number, claim in enumerate(live)]
    entries = [one for one in made if one is not None]
    if item.move is None or not entries:
        return tuple(entries)
    left_over = range(len(live), len(item.move.before))
    return (*entries, *(_cancelled(entries[0], item, number, host) for number in left_over))


def calendar_of(entries: tuple[Entry, ...], *, method: str = "PUBLISH", name: str = "") -> bytes:
    """The entries as an iCalendar file.

    Args:
        method: ``PUBLISH`` for a mail (RFC 5546, section 3.2.1); "" for a feed.
        name: what a calendar application calls it (RFC 7986, section 5.1).
    """
    from icalendar import Calendar

    calendar: Calendar = Calendar()
    calendar.add("prodid", PRODUCT)
    calendar.add("version", "2.0")
    calendar.add("calscale", "GREGORIAN")
    if method:
        calendar.add("method", method)
    if name:
        calendar.add("name", name)
        calendar.add("x-wr-calname", name)
    for entry in entries:
        calendar.add_component(vevent(entry))
    made: bytes = calendar.to_ical()
    return made


def vevent(entry: Entry) -> Event:
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
    return made


def uid_of(milestone: str, number: int, host: str) -> str:
    """The UID of a milestone's window number ``number``, from 0; it holds nothing that a person wrote."""
    return f"{digest('calendar', milestone, str(number))}@{host}"


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


def _entry(item: Item, claim: ClaimLine, number: int, stamp: datetime, host: str) -> Entry | None:
    span = span_of(claim, ZoneInfo(item.zone))
    if span is None:
        return None
    briefs = ", ".join(account.brief for account in claim.accounts)
    by_whom = f", {briefs}" if item.contested and briefs else ""
    return Entry(
        uid=uid_of(item.milestone, number, host),
        sequence=item.revision,
        stamp=stamp,
        begins=span[0],
        ends=span[1],
        summary=f"{'Done: ' if item.state is State.DONE else ''}{item.title} ({claim.phrase}{by_whom})",
        description=_description(item, claim),
        url=item.page or item.url,
        status=_status(item),
        name=item.timeline_title,
        milestone=item.milestone,
        edtf=claim.edtf,
    )


def _cancelled(like: Entry, item: Item, number: int, host: str) -> Entry:
    return Entry(
        uid=uid_of(item.milestone, number, host),
        sequence=like.sequence,
        stamp=like.stamp,
        begins=like.begins,
        ends=like.ends,
        summary=item.title,
        status="CANCELLED",
        milestone=item.milestone,
    )


def _description(item: Item, claim: ClaimLine) -> str:
    accounts = [account_text(account) for account in claim.accounts]
    stated = ": ".join(filter(None, (claim.phrase[:1].upper() + claim.phrase[1:], "; ".join(accounts))))
    done = f"Done on {day_text(item.done_on)}." if item.done_on else ""
    parts = [stated, done, claim.note, item.contradiction, item.description, item.milestone]
    return "\n".join(part for part in parts if part)


def _status(item: Item) -> str:
    """What is done stays where it was: it has come about, which is no cancellation."""
    if item.state is State.CANCELLED:
        return "CANCELLED"
    return "TENTATIVE" if item.tentative and item.state is not State.DONE else "CONFIRMED"
