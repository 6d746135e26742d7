"""Recurring milestones. alertd expands their rule, which is a rule of RFC 5545, in local wall time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from itertools import islice, takewhile
from typing import TYPE_CHECKING

from alertd.core.deadline import Deadline, Precision, parse_deadline
from alertd.core.milestones.milestone import Claim, Milestone, Recurrence
from alertd.errors import RecurrenceError

if TYPE_CHECKING:
    from dateutil.rrule import rrule

MAX_INSTANCES = 10_000
_ALLOWED_FREQ = ("YEARLY", "MONTHLY", "WEEKLY", "DAILY")
_ALLOWED = frozenset((
    "FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST",
    "BYMONTH", "BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYDAY", "BYSETPOS",
))  # fmt: skip
_WITH_A_CLOCK = frozenset(("BYHOUR", "BYMINUTE", "BYSECOND"))
_PART = re.compile(r"([A-Z]+)=([A-Z0-9,+\-:]+)")
_UNTIL = re.compile(r"[0-9]{8}(T[0-9]{6}Z?)?")
_NUMBER = re.compile(r"[1-9][0-9]{0,4}")


def parse_recurrence(text: str, first: Deadline) -> Recurrence:
    """Parse ``RRULE:FREQ=MONTHLY;...`` for a series whose first deadline is ``first``.

    Raises:
        RecurrenceError: the text is not a supported rule, or the rule can have several instances on one date.
            The error is also raised when ``first`` is coarser than a day, because the id of an instance
            contains its date, and when ``first`` is not a date of the rule. RFC 5545 does not define the
            recurrence set for such a start, and alertd would never send a reminder for ``first``.

    Source: RFC 5545 section 3.3.10 for the rule, and section 3.8.5.3 for the start.
    """
    rule = text.removeprefix("RRULE:").strip()
    if len(rule) > 500:
        raise RecurrenceError(text, "longer than 500 characters")
    parts: dict[str, str] = {}
    for part in rule.split(";"):
        read = _PART.fullmatch(part)
        if not read:
            raise RecurrenceError(text, f"{part!r} is no part of a rule", "RRULE:FREQ=MONTHLY;BYMONTHDAY=-1")
        if read[1] in parts:
            raise RecurrenceError(text, f"{read[1]} is given twice")
        parts[read[1]] = read[2]
    if parts.get("FREQ") not in _ALLOWED_FREQ:
        raise RecurrenceError(text, "FREQ must be one of " + ", ".join(_ALLOWED_FREQ))
    _refuse_parts(text, parts)
    wall = read_wall_time(text, first)
    try:
        begins = _make_rule(rule, wall).after(wall, inc=True)
    except (ValueError, TypeError, OverflowError) as error:
        raise RecurrenceError(text, str(error)) from error
    if begins != wall:
        reason = f"its first deadline, {wall.date()}, is none of its dates"
        advice = f"the first of them is {begins.date()}: write that, or another rule" if begins else ""
        raise RecurrenceError(text, reason, advice)
    return Recurrence(rule=rule)


def read_wall_time(text: str, deadline: Deadline) -> datetime:
    """Return the naive local time of a deadline that recurs by the rule ``text``. A day becomes its midnight.

    Raises:
        RecurrenceError: the deadline is coarser than a day, or has a UTC offset.
    """
    wall = _find_wall_time(deadline)
    if wall is None:
        raise RecurrenceError(text, "a recurring deadline must be a day or a local date-time", "2026-09-30")
    return wall


def _refuse_parts(text: str, parts: Mapping[str, str]) -> None:
    """Refuse rules that are ambiguous or unbounded, or that have several instances on one date."""
    for name, value in parts.items():
        if name in _WITH_A_CLOCK:
            raise RecurrenceError(text, f"{name} is not supported: an instance is named by its date")
        if name not in _ALLOWED:
            raise RecurrenceError(text, f"{name} is not supported", "use " + ", ".join(sorted(_ALLOWED)))
        if name in ("INTERVAL", "COUNT") and not _NUMBER.fullmatch(value):
            raise RecurrenceError(text, f"{name} must be a whole number from 1 to 99999, not {value}")
        if name == "UNTIL" and not _UNTIL.fullmatch(value):
            raise RecurrenceError(text, f"UNTIL={value} is no date", "write UNTIL=20261231")
    if "COUNT" in parts and "UNTIL" in parts:
        raise RecurrenceError(text, "COUNT and UNTIL exclude each other", "keep one of them")


def expand_instances(milestone: Milestone, since: date, until: date) -> tuple[Milestone, ...]:
    """Return the instances whose local date is in [since, until), each with an id such as ``id@2026-09-30``.

    A milestone that does not recur is returned unchanged. In an instance of a recurring milestone, every
    claim moves by as many days as the first claim, and keeps its sources and its note. The result has at most
    :data:`MAX_INSTANCES` instances.
    """
    if milestone.repeat is None or not milestone.claims:
        return (milestone,)
    first = _find_wall_time(milestone.claims[0].deadline)
    if first is None:
        return (milestone,)
    rule = _make_rule(milestone.repeat.rule, first)
    start = datetime.combine(since, time.min)
    end = datetime.combine(until, time.min)
    walls = takewhile(lambda wall: wall < end, rule.xafter(start, inc=True))
    return tuple(_make_instance(milestone, wall.date()) for wall in islice(walls, MAX_INSTANCES))


def get_series_id(full_id: str) -> str:
    """Return the id of the series for the id of an instance, such as ``timeline/id@2026-09-30``.

    Any other id is returned unchanged.
    """
    return full_id.partition("@")[0]


def _make_instance(milestone: Milestone, day: date) -> Milestone:
    first = _find_day(milestone.claims[0].deadline)
    assert first is not None  # noqa: S101  expand_instances() checked that there is a day
    claims = tuple(_move_claim(claim, day - first) for claim in milestone.claims)
    return replace(milestone, id=f"{milestone.id}@{day.isoformat()}", claims=claims, repeat=None)


def _move_claim(claim: Claim, by: timedelta) -> Claim:
    own = _find_day(claim.deadline)
    return claim if own is None else replace(claim, deadline=_move_deadline(claim.deadline, own + by))


def _move_deadline(deadline: Deadline, day: date) -> Deadline:
    """Return the deadline on another day, with the same time of day and the same qualifier."""
    rest = deadline.edtf[10:]
    return parse_deadline(day.isoformat() + rest)


def _find_wall_time(deadline: Deadline) -> datetime | None:
    day = _find_day(deadline)
    if day is None:
        return None
    latest = deadline.latest
    return latest if isinstance(latest, datetime) else datetime.combine(day, time.min)


def _find_day(deadline: Deadline) -> date | None:
    if (
        deadline.choices
        or "/" in deadline.edtf
        or deadline.precision not in (Precision.DAY, Precision.MINUTE, Precision.SECOND)
    ):
        return None
    latest = deadline.latest
    if isinstance(latest, datetime):
        return latest.date() if latest.tzinfo is None else None
    return latest if isinstance(latest, date) else None


def _make_rule(text: str, first: datetime) -> rrule:
    from dateutil.rrule import rrule, rrulestr

    # RFC 5545 requires UNTIL in UTC if DTSTART has a time zone. A UTC time cannot be compared with the naive
    # local times here, so the Z is removed. The date before the Z is the date that the writer intended.
    text = re.sub(r"(UNTIL=\d{8})(T\d{6})?Z?", lambda m: m[1] + (m[2] or "T235959"), text)
    made = rrulestr(text, dtstart=first)
    if not isinstance(made, rrule):
        raise ValueError("one rule, please: a set of rules is not supported")
    # For a rule that no date satisfies (30 February), dateutil searches until the year 9999.
    if made.after(first - timedelta(seconds=1), inc=True) is None:
        raise ValueError("the rule has no instance at all")
    return made
