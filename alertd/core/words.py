"""Small pieces of English: dates, distances, accounts, lists. One wording a thing.

A date is never rendered as a time when it is a month, and no word says more than is known: what
has a qualifier has "passed, not confirmed".
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from alertd.core.deadline import Qualifier, Window, deadline_name, parse_deadline
from alertd.core.milestones.milestone import Claim, Source
from alertd.core.time.duration import Duration, parse_duration
from alertd.core.time.instant import local_date, to_wall
from alertd.errors import DeadlineError

MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip


def day_text(day: date) -> str:
    """``30 September 2026``."""
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}"


def instant_text(at: datetime, zone: ZoneInfo) -> str:
    """``30 September 2026, 09:00 (Asia/Baghdad)``."""
    wall = to_wall(at, zone)
    return f"{day_text(wall.date())}, {wall:%H:%M} ({zone.key})"


def published_text(edtf: str) -> str:
    """The date of publication as people read it; the text itself when it is no EDTF."""
    try:
        return deadline_name(parse_deadline(edtf)) if edtf else ""
    except DeadlineError:
        return edtf


def listing(parts: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    if len(parts) < 2:
        return "".join(parts)
    return ", ".join(parts[:-1]) + " and " + parts[-1]


def either(parts: Sequence[str]) -> str:
    """``a``, ``a or b``, ``a, b or c``."""
    if len(parts) < 2:
        return "".join(parts)
    return ", ".join(parts[:-1]) + " or " + parts[-1]


def count(number: int, noun: str) -> str:
    """``1 day``, ``2 days``, ``1,100 days``."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def sentence(text: str) -> str:
    """Capital letter at the start, full stop at the end."""
    if not text:
        return ""
    return capital(text) if text[-1] in ".!?…" else capital(text) + "."


def capital(text: str) -> str:
    """The first letter a capital one, the rest as it is."""
    return text[:1].upper() + text[1:]


def span_text(span: timedelta) -> str:
    """The length of a time in its largest unit, rounded down: ``27 days``, ``3 hours``."""
    seconds = int(span.total_seconds())
    for unit, name in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= unit:
            return count(seconds // unit, name)
    return count(max(seconds, 0), "second")


_NAMED_OFFSETS = {
    "opens": "when its time begins",
    "moved": "because it moved",
    "done": "because it is done",
    "acknowledged": "because it is acknowledged",
    "cancelled": "because it is cancelled",
}


def offset_words(offset: str) -> str:
    """``-7d`` as ``7 days before the deadline``; ``0d`` as ``on the day``."""
    if offset in _NAMED_OFFSETS:
        return _NAMED_OFFSETS[offset]
    if offset == "0d":
        return "on the day"
    words = duration_words(parse_duration(offset.lstrip("+-")))
    return f"{words} before the deadline" if offset.startswith("-") else f"{words} after the deadline"


def duration_words(duration: Duration) -> str:
    """``90d`` as ``90 days``, ``1y6mo`` as ``1 year 6 months``."""
    years, months = divmod(duration.months, 12)
    hours, rest = divmod(duration.seconds, 3_600)
    minutes, seconds = divmod(rest, 60)
    parts = (
        (years, "year"), (months, "month"), (duration.days, "day"),
        (hours, "hour"), (minutes, "minute"), (seconds, "second"),
    )  # fmt: skip
    return " ".join(count(number, noun) for number, noun in parts if number) or "0 days"


def possessive(name: str) -> str:
    """``the minister's``, ``Reuters'``, ``my boss's``."""
    return name + ("'" if name.endswith("s") and not name.endswith("ss") else "'s")


def by_account(sources: Sequence[Source]) -> str:
    """``by the minister's account``, ``by the accounts of the minister and Reuters``; "" without sources."""
    names = list(dict.fromkeys(source.brief for source in sources))
    if not names:
        return ""
    if len(names) == 1:
        return f"by {possessive(names[0])} account"
    return f"by the accounts of {listing(names)}"


def days_until(window: Window, now: datetime) -> int | None:
    """Calendar days in the window's zone from today to its last day; negative once that is past."""
    if window.last_day is None:
        return None
    return (window.last_day - local_date(now, window.zone)).days


def distance(window: Window, now: datetime) -> str:
    """How far away: ``due in 37 days``, ``due today``, ``passed 55 days ago``; "" without an end."""
    days = days_until(window, now)
    if days is None or window.ends is None:
        return ""
    passed = window.ends <= now
    away = abs(window.ends - now)
    if window.clock is not None and away < timedelta(days=1):
        if away < timedelta(minutes=1):
            return "due now"
        return f"passed {span_text(away)} ago" if passed else f"due in {span_text(away)}"
    if passed:
        return "passed yesterday" if days == -1 else f"passed {count(-days, 'day')} ago"
    if days <= 0:
        return "due today"
    return "due tomorrow" if days == 1 else f"due in {count(days, 'day')}"


def status_of(claims: Sequence[Claim], window: Window, now: datetime, account: str = "") -> str:
    """:func:`distance`, no more certain than the surest of those who state it.

    ``due in about 7 days by the minister's account, not certain``; ``passed yesterday, not confirmed``.

    Args:
        claims: all that state ``window``.
        account: such as ``by the minister's account``.
    """
    text = distance(window, now)
    qualifiers = {claim.deadline.qualifier for claim in claims}
    if not text or Qualifier.NONE in qualifiers:
        return f"{text} {account}".strip()
    passed = text.startswith("passed")
    if Qualifier.UNCERTAIN not in qualifiers and not passed:
        text = _roughly(text)
    doubt = "" if qualifiers == {Qualifier.APPROXIMATE} else ", not certain"
    return f"{text} {account}".strip() + (", not confirmed" if passed else doubt)


def _roughly(text: str) -> str:
    """``due in about 7 days``; what is due today or tomorrow is ``due about now``."""
    return text.replace("due in ", "due in about ") if text.startswith("due in ") else "due about now"


def done_text(window: Window, done_on: date) -> str:
    """How what was done stands to a window: ``done 12 days before the end``, ``done 18 days after``."""
    if window.last_day is None:
        return ""
    days = (done_on - window.last_day).days
    if days == 0:
        return "done on the last day" if window.spans_days else "done on the day"
    if days > 0:
        return f"done {count(days, 'day')} after"
    return f"done {count(-days, 'day')} before" + (" the end" if window.spans_days else "")


def moved_by(before: str, after: str) -> str:
    """``92 days later``, ``3 hours earlier``; "" when either has no end or nothing can be counted.

    Args:
        before, after: window ids; their last part is the exclusive end, or the date-time.
    """
    first, second = _clock(before), _clock(after)
    if first and second and abs(second - first) < timedelta(days=1) and first != second:
        return f"{span_text(abs(second - first))} {'later' if second > first else 'earlier'}"
    ends = last_day_of(before), last_day_of(after)
    if ends[0] is None or ends[1] is None or ends[0] == ends[1]:
        return ""
    days = (ends[1] - ends[0]).days
    return f"{count(abs(days), 'day')} {'later' if days > 0 else 'earlier'}"


def last_day_of(window_id: str) -> date | None:
    """The last day of a window, inclusive, read off its id; None for one without an end."""
    _, slash, end = window_id.rpartition("/")
    if end == "..":
        return None
    return date.fromisoformat(end[:10]) - timedelta(days=1 if slash else 0)


def _clock(window_id: str) -> datetime | None:
    """A local date-time; None for a window of days and for one with an offset, its zone not known here."""
    if "T" not in window_id or window_id.endswith("Z"):
        return None
    return datetime.fromisoformat(window_id)
