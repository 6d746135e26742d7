"""Calendar files, parsed again with the library icalendar."""

from dataclasses import replace
from datetime import UTC, date, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any
from zoneinfo import ZoneInfo

import icalendar
import pytest
import recurring_ical_events  # type: ignore[import-untyped]

from alertd.core.message.message import ClaimLine, Item
from alertd.core.milestones.fields import make_sample_values
from alertd.core.milestones.milestone import State
from alertd.notify.email.address import parse_mailbox
from alertd.notify.email.message import Letterhead, build_mail
from alertd.notify.render.clean import clean_message
from alertd.notify.render.ics import build_calendar, build_entries, describe_item, find_span, make_uid
from alertd.testing import sample_message, with_links

AT = datetime(2026, 11, 24, 6, tzinfo=UTC)
HOST = "example.org"


def events(item: Item) -> list[Any]:
    calendar = icalendar.Calendar.from_ical(build_calendar(build_entries(describe_item(item), AT, HOST)))
    assert calendar["METHOD"] == "PUBLISH"
    assert calendar["VERSION"] == "2.0"
    return list(calendar.walk("VEVENT"))


def item_of(name: str) -> Item:
    return with_links(clean_message(sample_message(name))).items[0]


def utc(month: int, day: int, hour: int) -> datetime:
    return datetime(2026, month, day, hour, tzinfo=UTC)


def a_claim(edtf: str, begins: datetime | None, ends: datetime | None) -> ClaimLine:
    return ClaimLine(phrase=edtf, edtf=edtf, status="", begins=begins, ends=ends)


def test_each_live_window_is_an_entry_over_all_of_its_days() -> None:
    """Each live window of a contested milestone has an entry with its source; a deprecated claim has none."""
    item = item_of("contested")

    found = events(item)

    assert [(event["DTSTART"].dt, event["DTEND"].dt) for event in found] == [
        (date(2026, 9, 1), date(2026, 10, 1)),
        (date(2026, 1, 1), date(2027, 1, 1)),
    ]
    assert [str(event["SUMMARY"]) for event in found] == [
        "Forces stationed in the Kurdish autonomous region leave (by September 2026, Sabit al-Abassi)",
        "Forces stationed in the Kurdish autonomous region leave (by the end of 2026, Reuters)",
    ]
    for event in found:
        assert event["DTSTAMP"].dt == AT
        assert event["SEQUENCE"] == item.revision
        assert event["STATUS"] == "TENTATIVE"
        assert event["TRANSP"] == "TRANSPARENT"
        assert event["URL"] == item.page
        assert not event.walk("VALARM")


def test_a_date_that_moves_moves_its_entry() -> None:
    """The entry has the same UID and a higher SEQUENCE."""
    before, after = item_of("contested"), item_of("moved")

    (earlier, *_), (later, *_) = events(before), events(after)

    assert later["UID"] == earlier["UID"] == make_uid(before.milestone, 0, HOST)
    assert later["SEQUENCE"] > earlier["SEQUENCE"]
    assert later["DTSTART"].dt != earlier["DTSTART"].dt


def test_what_a_move_leaves_over_is_cancelled() -> None:
    """After two windows became one, the second entry is cancelled."""
    item = item_of("moved")
    assert item.move is not None
    two = replace(item.move, before=(*item.move.before, *item.move.after))

    found = events(replace(item, move=two))

    assert [str(event["STATUS"]) for event in found] == ["TENTATIVE", "CANCELLED"]
    assert found[1]["UID"] == events(item_of("contested"))[1]["UID"]
    assert found[1]["SEQUENCE"] == item.revision


def test_what_is_done_stays_where_it_was() -> None:
    (found,) = events(item_of("done"))

    assert found["STATUS"] == "CONFIRMED"
    assert str(found["SUMMARY"]).startswith("Done: ")
    assert "Done on 18 September 2025." in found["DESCRIPTION"]


def test_what_is_cancelled_goes_from_the_calendar() -> None:
    (found,) = events(replace(item_of("approaching"), state=State.CANCELLED))

    assert found["STATUS"] == "CANCELLED"


@pytest.mark.parametrize(
    ("claim", "span"),
    [
        # Open on one side: the day of the only bound.
        (a_claim("../2026-12", None, utc(12, 31, 22)), (date(2026, 12, 31), date(2027, 1, 1))),
        (a_claim("2026-12/..", utc(11, 30, 22), None), (date(2026, 12, 1), date(2026, 12, 2))),
        # In Cairo, 24 April has no midnight: the day begins, and the previous one ends, at one o'clock.
        (a_claim("2026-04-23", utc(4, 22, 22), utc(4, 23, 22)), (date(2026, 4, 23), date(2026, 4, 24))),
        (a_claim("2026-04-24", utc(4, 23, 22), utc(4, 24, 21)), (date(2026, 4, 24), date(2026, 4, 25))),
        (a_claim("../..", None, None), None),
    ],
)
def test_which_days_a_window_is(claim: ClaimLine, span: tuple[date, date] | None) -> None:
    """The days are local days in the milestone's zone."""
    assert find_span(claim, ZoneInfo("Africa/Cairo")) == span


def test_a_time_of_day_is_an_instant() -> None:
    """The entry has no end, which would have to be later than its beginning."""
    at = datetime(2026, 9, 30, 14, tzinfo=UTC)
    item = replace(item_of("approaching"), claims=(a_claim("2026-09-30T17:00", at, at),))

    (found,) = events(item)

    assert found["DTSTART"].dt == at
    assert "DTEND" not in found


def test_what_has_no_date_has_no_entry() -> None:
    assert (
        build_entries(
            describe_item(replace(item_of("approaching"), claims=(a_claim("../..", None, None),))), AT, HOST
        )
        == ()
    )


def test_another_reader_finds_it_on_its_days() -> None:
    made = build_calendar(build_entries(describe_item(item_of("contested")), AT, HOST), name="Deadlines")
    calendar = icalendar.Calendar.from_ical(made)

    days = ("20251231", "20260831", "20260930", "20261001")
    assert [len(recurring_ical_events.of(calendar).at(day)) for day in days] == [0, 1, 2, 1]


def test_no_text_can_end_a_line() -> None:
    evil = "x\r\nBEGIN:VALARM\r\nTRIGGER:-PT1H;\\n, ü" + "y" * 200
    item = replace(
        item_of("contested"), title=evil, fields=make_sample_values(evil), timeline_title=evil, milestone=evil
    )

    made = build_calendar(build_entries(describe_item(item), AT, HOST))
    found = events(item)

    assert b"\r\nBEGIN:VALARM" not in made
    assert all(len(line) <= 75 for line in made.split(b"\r\n"))
    assert [event.name for event in found] == ["VEVENT", "VEVENT"]
    assert not any(event.walk("VALARM") for event in found)


@pytest.mark.parametrize(
    ("name", "ics", "enclosed"),
    [
        ("contested", True, 1),
        ("moved", True, 1),
        ("contested", False, 0),
        ("many", True, 0),
        ("notice", True, 0),
    ],
)
def test_which_mails_enclose_their_dates(name: str, enclosed: int, *, ics: bool) -> None:
    """Mails about one milestone have a calendar file, unless ``ics`` is off; its type names the method."""
    desk = parse_mailbox("desk@example.org")
    letterhead = Letterhead(sender=desk, to=[desk], host=HOST, ics=ics)
    message = clean_message(sample_message(name))
    mail = message_from_bytes(build_mail(message, letterhead, AT), policy=SMTP)

    assert isinstance(mail, EmailMessage)
    found = [part for part in mail.walk() if part.get_content_type() == "text/calendar"]
    assert len(found) == enclosed
    for part in found:
        assert part.get_content_disposition() == "attachment"
        assert part.get_filename() == "deadline.ics"
        assert part.get_param("method") == "PUBLISH"
        assert icalendar.Calendar.from_ical(part.get_content()).walk("VEVENT")
