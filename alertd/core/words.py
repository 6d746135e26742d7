"""Short English texts for dates, distances, sources and lists, which give the whole product the same wording.

A text never claims more than is known. A month is never written as a day or a time. A deadline with a
qualifier has "passed, not confirmed".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import Enum, auto
from functools import lru_cache
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
    """Return a date such as ``30 September 2026``."""
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}"


def format_instant(at: datetime, zone: ZoneInfo) -> str:
    """Return the local time of an aware instant, such as ``30 September 2026, 09:00 (Asia/Baghdad)``."""
    wall = to_wall(at, zone)
    return f"{format_day(wall)}, {wall.hour:02}:{wall.minute:02} ({zone.key})"


@lru_cache(maxsize=512)
def format_published(edtf: str) -> str:
    """Return a date of publication in words. A text that is not EDTF is returned unchanged."""
    try:
        return format_deadline(parse_deadline(edtf)) if edtf else ""
    except DeadlineError:
        return edtf


def join_with_and(parts: Sequence[str]) -> str:
    """Return a list such as ``a``, ``a and b`` or ``a, b and c``."""
    if len(parts) < 2:
        return "".join(parts)
    return ", ".join(parts[:-1]) + " and " + parts[-1]


def join_with_or(parts: Sequence[str]) -> str:
    """Return a list such as ``a``, ``a or b`` or ``a, b or c``."""
    if len(parts) < 2:
        return "".join(parts)
    return ", ".join(parts[:-1]) + " or " + parts[-1]


def format_count(number: int, noun: str) -> str:
    """Return a number with its noun, such as ``1 day``, ``2 days`` or ``1,100 days``."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def format_deliveries(number: int) -> str:
    """Format a number of deliveries: ``1 delivery``, ``2 deliveries``."""
    return "1 delivery" if number == 1 else f"{number:,} deliveries"


def make_sentence(text: str) -> str:
    """Return ``text`` with a capital letter at its start and a full stop at its end."""
    if not text:
        return ""
    return capitalize(text) if text[-1] in ".!?…" else capitalize(text) + "."


def capitalize(text: str) -> str:
    """Return ``text`` with a capital first letter. All later letters stay as they are."""
    return text[:1].upper() + text[1:]


def format_span(span: timedelta) -> str:
    """Return a span in its largest unit, rounded down, such as ``27 days`` or ``3 hours``."""
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


@lru_cache(maxsize=512)
def phrase_offset(offset: str) -> str:
    """Return an offset in words: ``-7d`` is ``7 days before the deadline``, and ``0d`` is ``on the day``."""
    if offset in _NAMED_OFFSETS:
        return _NAMED_OFFSETS[offset]
    words = phrase_offset_briefly(offset)
    return words if offset == "0d" else f"{words} the deadline"


def phrase_offset_briefly(offset: str) -> str:
    """Return an offset in few words, for a column: ``-7d`` is ``7 days before``.

    The words for ``opens`` and for news are those of :func:`phrase_offset`.
    """
    if offset in _NAMED_OFFSETS:
        return _NAMED_OFFSETS[offset]
    if offset == "0d":
        return "on the day"
    words = describe_duration(parse_duration(offset.lstrip("+-")))
    return f"{words} before" if offset.startswith("-") else f"{words} after"


def describe_duration(duration: Duration) -> str:
    """Return a duration in words: ``90d`` is ``90 days``, and ``1y6mo`` is ``1 year 6 months``."""
    return " ".join(format_count(number, noun) for number, noun in split_duration(duration)) or "0 days"


def split_duration(duration: Duration) -> list[tuple[int, str]]:
    """Return the non-zero numbers of a duration with their units in the singular, the largest unit first."""
    years, months = divmod(duration.months, 12)
    hours, rest = divmod(duration.seconds, 3_600)
    minutes, seconds = divmod(rest, 60)
    parts = (
        (years, "year"), (months, "month"), (duration.days, "day"),
        (hours, "hour"), (minutes, "minute"), (seconds, "second"),
    )  # fmt: skip
    return [(number, noun) for number, noun in parts if number]


def format_policy_name(name: str) -> str:
    """Return the name of a policy, such as ``policy default``; ``its own policy`` for an inline policy."""
    return "its own policy" if name == INLINE else f"policy {name}"


def make_possessive(name: str) -> str:
    """Return the possessive form of a name, such as ``the minister's``, ``Reuters'`` or ``my boss's``."""
    return name + ("'" if name.endswith("s") and not name.endswith("ss") else "'s")


def describe_account(sources: Sequence[Source]) -> str:
    """Return whose account it is, such as ``by the minister's account``; "" without sources.

    Several sources give ``by the accounts of the minister and Reuters``.
    """
    names = list(dict.fromkeys(source.brief for source in sources))
    if not names:
        return ""
    if len(names) == 1:
        return f"by {make_possessive(names[0])} account"
    return f"by the accounts of {join_with_and(names)}"


def count_days_until(window: Window, now: datetime) -> int | None:
    """Count the calendar days from today to the last day of the window, in the time zone of the window.

    The number is negative when the last day has passed, and None when the window has no end.
    """
    if window.last_day is None:
        return None
    return (window.last_day - _find_today(now, window.zone)).days


# A message asks many times which day it is, always at the same instant.
_find_today = lru_cache(maxsize=64)(to_local_date)


class Away(Enum):
    """The position of a deadline relative to now. Each position has its own wording."""

    PAST = auto()
    YESTERDAY = auto()
    NOW = auto()
    TODAY = auto()
    TOMORROW = auto()
    AHEAD = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Distance:
    """The distance from now to the end of a window.

    Attributes:
        away: the position of the end relative to now.
        span: the distance in words, such as ``37 days``; "" for ``NOW`` and ``TODAY``.
    """

    away: Away
    span: str = ""

    @property
    def has_passed(self) -> bool:
        """Whether the end of the window has passed."""
        return self.away in (Away.PAST, Away.YESTERDAY)


def measure_distance(window: Window, now: datetime) -> Distance | None:
    """Measure the distance from the aware instant ``now`` to the end of the window; None without an end."""
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
    """Return the distance in words, such as ``due in 37 days`` or ``due today``; "" without an end."""
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
    """Return the distance without a verb: ``37 days``, ``about 7 days``, ``today``, ``55 days past``."""
    is_rough, _ = _assess_doubt(claims, found)
    match found.away:
        case Away.PAST | Away.YESTERDAY:
            return f"{found.span} past"
        case Away.AHEAD:
            return f"{'about ' if is_rough else ''}{found.span}"
        case Away.NOW | Away.TODAY | Away.TOMORROW:
            return "about now" if is_rough else _NAMED_DAYS[found.away]


def describe_doubt(found: Distance, claims: Sequence[Claim]) -> str:
    """Return ``, not certain`` or ``, not confirmed``; "" when a claim without a qualifier is among them."""
    return _assess_doubt(claims, found)[1]


def _assess_doubt(claims: Sequence[Claim], found: Distance) -> tuple[bool, str]:
    """Return whether the distance is approximate, and the words of doubt that follow it."""
    qualifiers = {claim.deadline.qualifier for claim in claims}
    if Qualifier.NONE in qualifiers:
        return False, ""
    if found.has_passed:
        return False, ", not confirmed"
    doubt = "" if qualifiers == {Qualifier.APPROXIMATE} else ", not certain"
    return Qualifier.UNCERTAIN not in qualifiers, doubt


def describe_status(claims: Sequence[Claim], window: Window, now: datetime, account: str = "") -> str:
    """Return the distance in words, with the certainty of the most certain claim.

    Examples are ``due in about 7 days by the minister's account, not certain`` and ``passed yesterday, not
    confirmed``.

    Args:
        claims: all claims that give ``window``.
        window: the window to whose end the distance is measured.
        now: an aware instant.
        account: the words for the sources, such as ``by the minister's account``.
    """
    found = measure_distance(window, now)
    if found is None:
        return account
    is_rough, doubt = _assess_doubt(claims, found)
    return f"{_format_distance(found, is_rough=is_rough)} {account}".strip() + doubt


def describe_done(window: Window, done_on: date) -> str:
    """Return how a done date relates to a window, such as ``done 12 days before the end``."""
    if window.last_day is None:
        return ""
    days = (done_on - window.last_day).days
    if days == 0:
        return "done on the last day" if window.spans_days else "done on the day"
    if days > 0:
        return f"done {format_count(days, 'day')} after"
    return f"done {format_count(-days, 'day')} before" + (" the end" if window.spans_days else "")


def describe_move(before: Window, after: Window) -> str:
    """Return by how much a window moved, such as ``92 days later`` or ``3 hours earlier``.

    The result is "" when a window has no end, when the two ends are equal, or when both windows end on the
    same day and only one window has a time of day.
    """
    first, second = before.wall_clock, after.wall_clock
    if first and second and abs(second - first) < timedelta(days=1) and first != second:
        return f"{format_span(abs(second - first))} {'later' if second > first else 'earlier'}"
    if before.last_day is None or after.last_day is None or before.last_day == after.last_day:
        return ""
    days = (after.last_day - before.last_day).days
    return f"{format_count(abs(days), 'day')} {'later' if days > 0 else 'earlier'}"
