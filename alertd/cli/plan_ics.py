"""Writes the plan as an iCalendar file with an event for each reminder, so that any calendar can show it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from icalendar import Calendar, Event, vText

from alertd import __version__
from alertd.core.deadline import format_deadline_phrase
from alertd.core.message.reasons import describe_hold
from alertd.core.milestones.fields import (
    FieldReach,
    collect_field_values,
    find_first_link,
    select_shown_fields,
)
from alertd.core.milestones.milestone import Milestone
from alertd.core.milestones.recurrence import get_series_id
from alertd.core.planning.plan import Planned
from alertd.core.reason import AwaitedDigest, Hold
from alertd.core.words import describe_account, make_sentence, phrase_offset


def build_calendar(planned: Sequence[Planned], milestones: Iterable[Milestone], now: datetime) -> str:
    """Return the calendar as RFC 5545 text, with lines that end in CRLF.

    An event's UID is the occurrence's key, so a calendar that imports the file again updates its events.
    Events have no duration, and do not mark the day as busy.
    """
    by_id = {milestone.id: milestone for milestone in milestones}
    calendar = Calendar()
    calendar.add("prodid", f"-//alertd//alertd {__version__}//EN")
    calendar.add("version", "2.0")
    calendar.add("calscale", "GREGORIAN")
    calendar.add("x-wr-calname", "alertd: reminders")
    for reminder in planned:
        calendar.add_component(
            _build_event(reminder, by_id[get_series_id(reminder.occurrence.milestone)], now)
        )
    text: bytes = calendar.to_ical()
    return text.decode()


def _explain_delay(muted_by: Hold | None) -> str:
    if isinstance(muted_by, AwaitedDigest):
        return f"In the digest {muted_by.digest}."
    return f"Held back by {describe_hold(muted_by)}." if muted_by else ""


def _build_event(planned: Planned, milestone: Milestone, now: datetime) -> Event:
    occurrence = planned.occurrence
    claim = occurrence.stated.claims[0]
    phrase = format_deadline_phrase(claim.deadline, claim.reading)
    account = describe_account(occurrence.stated.accounts)
    fields = collect_field_values(milestone)
    lines = [
        milestone.timeline_title,
        make_sentence(f"due {phrase}" + (f", {account}" if account else "")),
        "Tentative: agreed but not signed." if milestone.tentative else "",
        f"Reminder {phrase_offset(occurrence.offset)}, to {planned.receiver}.",
        _explain_delay(planned.muted_by),
        *(shown.text for shown in select_shown_fields(fields, FieldReach.ALONE) if not shown.is_link),
        occurrence.milestone,
    ]
    event = Event()
    event.add("uid", planned.key)
    event.add("dtstamp", now)
    event.add("dtstart", planned.at)
    event.add("summary", f"{milestone.title} ({phrase}): {phrase_offset(occurrence.offset)}")
    event.add("description", "\n".join(line for line in lines if line))
    event.add("categories", [vText(occurrence.cause.value), vText(milestone.timeline)])
    event.add("status", "TENTATIVE" if milestone.tentative else "CONFIRMED")
    event.add("transp", "TRANSPARENT")
    if link := find_first_link(fields):
        event.add("url", link)
    return event
