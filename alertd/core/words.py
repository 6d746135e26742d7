"""Small pieces of English: dates, distances, accounts, lists. One wording a thing.

A date is never rendered as a time when it is a month, and no word says more than is known: what
has a qualifier has "passed, not confirmed".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import Enum, auto
from zoneinfo import ZoneInfo

from alertd.core.deadline import Qualifier, Window, format_deadline, parse_deadline
from alertd.core.milestones.milestone import Claim, Source
from alertd.core.milestones.policy import INLINE
from alertd.core.time.duration import Duration, parse_duration
from alertd.core.time.instant import to_local_date, to_wall
from alertd.errors import DeadlineError

MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip


def format_day(day: date) -> str:
    """``30 September 2026``."""
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}"


def format_instant(at: datetime, zone: ZoneInfo) -> str:
    """``30 September 2026, 09:00 (Asia/Baghdad)``."""
    wall = to_wall(at, zone)
    return f"{format_day(wall.date())}, {wall:%H:%M} ({zone.key})"


def format_published(edtf: str) -> str:
    """The date of publication as people read it; the text itself when it is no EDTF."""
    try:
        return format_deadline(parse_deadline(edtf)) if edtf else ""
    except DeadlineError:
        return edtf


def join_with_and(parts: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    if len(parts) < 2:
        return "".join(parts)
    return ", ".join(parts[:-1]) + " and " + parts[-1]


def join_with_or(parts: Sequence[str]) -> str:
    """``a``, ``a or b``, ``a, b or c``."""
    if len(parts) < 2:
        return "".join(parts)
    return ", ".join(parts[:-1]) + " or " + parts[-1]


def format_count(number: int, noun: str) -> str:
    """``1 day``, ``2 days``, ``1,100 days``."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def make_sentence(text: str) -> str:
    """Capital letter at the start, full stop at the end."""
    if not text:
        return ""
    return capitalize(text) if text[-1] in ".!?…" else capitalize(text) + "."


def capitalize(text: str) -> str:
    """The first letter a capital one, the rest as it is."""
    return text[:1].upper() + text[1:]


def format_span(span: timedelta) -> str:
    """The length of a time in its largest unit, rounded down: ``27 days``, ``3 hours``."""
    seconds = int(span.total_seconds())
    for unit, name in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= unit:
            return format_count(seconds // unit, name)
    return format_count(max(seconds, 0), "second")


_NAMED_OFFSETS = {
    "opens": "when its time begins",
    "moved": "because it moved",
    "done": "because it is done",
    "acknowledged": "because it is acknowledged",
    "cancelled": "because it is cancelled",
}


def describe_offset(offset: str) -> str:
    """``-7d`` as ``7 days before the deadline``; ``0d`` as ``on the day``."""
    if offset in _NAMED_OFFSETS:
        return _NAMED_OFFSETS[offset]
    words = describe_offset_briefly(offset)
    return words if offset == "0d" else f"{words} the deadline"


def describe_offset_briefly(offset: str) -> str:
    """``-7d`` as ``7 days before``, for a column; a named offset as :func:`describe_offset` has it."""
    if offset in _NAMED_OFFSETS:
        return _NAMED_OFFSETS[offset]
    if offset == "0d":
        return "on the day"
    words = describe_duration(parse_duration(offset.lstrip("+-")))
    return f"{words} before" if offset.startswith("-") else f"{words} after"


def describe_duration(duration: Duration) -> str:
    """``90d`` as ``90 days``, ``1y6mo`` as ``1 year 6 months``."""
    return " ".join(format_count(number, noun) for number, noun in split_duration(duration)) or "0 days"


def split_duration(duration: Duration) -> list[tuple[int, str]]:
    """The numbers of a duration that are not 0, each with its unit in the singular, the largest first."""
    years, months = divmod(duration.months, 12)
    hours, rest = divmod(duration.seconds, 3_600)
    minutes, seconds = divmod(rest, 60)
    parts = (
        (years, "year"), (months, "month"), (duration.days, "day"),
        (hours, "hour"), (minutes, "minute"), (seconds, "second"),
    )  # fmt: skip
    return [(number, noun) for number, noun in parts if number]


def describe_policy(name: str) -> str:
    """``policy default``; ``its own policy`` for one that is written out where it is used."""
    return "its own policy" if name == INLINE else f"policy {name}"


def make_possessive(name: str) -> str:
    """``the minister's``, ``Reuters'``, ``my boss's``."""
    return name + ("'" if name.endswith("s") and not name.endswith("ss") else "'s")


def describe_account(sources: Sequence[Source]) -> str:
    """``by the minister's account``, ``by the accounts of the minister and Reuters``; "" without sources."""
    names = list(dict.fromkeys(source.brief for source in sources))
    if not names:
        return ""
    if len(names) == 1:
        return f"by {make_possessive(names[0])} account"
    return f"by the accounts of {join_with_and(names)}"


def count_days_until(window: Window, now: datetime) -> int | None:
    """Calendar days in the window's zone from today to its last day; negative once that is past."""
    if window.last_day is None:
        return None
    return (window.last_day - to_local_date(now, window.zone)).days


class Away(Enum):
    """On which side of today a deadline lies, as far as its words differ."""

    PAST = auto()
    YESTERDAY = auto()
    NOW = auto()
    TODAY = auto()
    TOMORROW = auto()
    AHEAD = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Distance:
    """How far away the end of a window is.

    Attributes:
        span: the length of time in words, such as ``37 days``; "" where the day has a name.
    """

    away: Away
    span: str = ""

    @property
    def has_passed(self) -> bool:
        return self.away in (Away.PAST, Away.YESTERDAY)


def measure_distance(window: Window, now: datetime) -> Distance | None:
    """How far away the end of the window is; None without an end."""
    days = count_days_until(window, now)
    if days is None or window.ends is None:
        return None
    passed = window.ends <= now
    away = abs(window.ends - now)
    if window.clock is not None and away < timedelta(days=1):
        if away < timedelta(minutes=1):
            return Distance(away=Away.NOW)
        return Distance(away=Away.PAST if passed else Away.AHEAD, span=format_span(away))
    if passed:
        return Distance(away=Away.YESTERDAY if days == -1 else Away.PAST, span=format_count(-days, "day"))
    if days <= 0:
        return Distance(away=Away.TODAY)
    return Distance(away=Away.TOMORROW if days == 1 else Away.AHEAD, span=format_count(days, "day"))


def describe_distance(window: Window, now: datetime) -> str:
    """How far away: ``due in 37 days``, ``due today``, ``passed 55 days ago``; "" without an end."""
    found = measure_distance(window, now)
    return "" if found is None else _format_distance(found, is_rough=False)


def _format_distance(found: Distance, *, is_rough: bool) -> str:
    match found.away:
        case Away.PAST:
            return f"passed {found.span} ago"
        case Away.YESTERDAY:
            return "passed yesterday"
        case Away.AHEAD:
            return f"due in {'about ' if is_rough else ''}{found.span}"
        case Away.NOW | Away.TODAY | Away.TOMORROW if is_rough:
            return "due about now"
        case Away.NOW | Away.TODAY | Away.TOMORROW:
            return f"due {_NAMED_DAYS[found.away]}"


_NAMED_DAYS = {Away.NOW: "now", Away.TODAY: "today", Away.TOMORROW: "tomorrow"}


def describe_countdown(found: Distance, claims: Sequence[Claim]) -> str:
    """The distance without a verb: ``37 days``, ``about 7 days``, ``today``, ``55 days past``."""
    is_rough, _ = _assess_doubt(claims, found)
    match found.away:
        case Away.PAST | Away.YESTERDAY:
            return f"{found.span} past"
        case Away.AHEAD:
            return f"{'about ' if is_rough else ''}{found.span}"
        case Away.NOW | Away.TODAY | Away.TOMORROW:
            return "about now" if is_rough else _NAMED_DAYS[found.away]


def describe_doubt(found: Distance, claims: Sequence[Claim]) -> str:
    """``, not certain`` or ``, not confirmed``; "" when somebody who states the window is sure."""
    return _assess_doubt(claims, found)[1]


def _assess_doubt(claims: Sequence[Claim], found: Distance) -> tuple[bool, str]:
    """Whether the distance is a rough one, and what doubt is told after it."""
    qualifiers = {claim.deadline.qualifier for claim in claims}
    if Qualifier.NONE in qualifiers:
        return False, ""
    if found.has_passed:
        return False, ", not confirmed"
    doubt = "" if qualifiers == {Qualifier.APPROXIMATE} else ", not certain"
    return Qualifier.UNCERTAIN not in qualifiers, doubt


def describe_status(claims: Sequence[Claim], window: Window, now: datetime, account: str = "") -> str:
    """:func:`describe_distance`, no more certain than the surest of those who state it.

    ``due in about 7 days by the minister's account, not certain``; ``passed yesterday, not confirmed``.

    Args:
        claims: all that state ``window``.
        account: such as ``by the minister's account``.
    """
    found = measure_distance(window, now)
    if found is None:
        return account
    is_rough, doubt = _assess_doubt(claims, found)
    return f"{_format_distance(found, is_rough=is_rough)} {account}".strip() + doubt


def describe_done(window: Window, done_on: date) -> str:
    """How what was done stands to a window: ``done 12 days before the end``, ``done 18 days after``."""
    if window.last_day is None:
        return ""
    days = (done_on - window.last_day).days
    if days == 0:
        return "done on the last day" if window.spans_days else "done on the day"
    if days > 0:
        return f"done {format_count(days, 'day')} after"
    return f"done {format_count(-days, 'day')} before" + (" the end" if window.spans_days else "")


def describe_move(before: Window, after: Window) -> str:
    """``92 days later``, ``3 hours earlier``; "" when either has no end or nothing can be counted."""
    first, second = before.wall_clock, after.wall_clock
    if first and second and abs(second - first) < timedelta(days=1) and first != second:
        return f"{format_span(abs(second - first))} {'later' if second > first else 'earlier'}"
    if before.last_day is None or after.last_day is None or before.last_day == after.last_day:
        return ""
    days = (after.last_day - before.last_day).days
    return f"{format_count(abs(days), 'day')} {'later' if days > 0 else 'earlier'}"
