"""An occurrence is one reminder that is due at an instant: milestone x window x offset (RFC 5545)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum

from alertd.core.deadline import Window
from alertd.core.milestones.milestone import Milestone, StatedWindow, list_operative_windows
from alertd.core.milestones.policy import Policy, Roll
from alertd.core.milestones.recurrence import get_series_id
from alertd.core.time.duration import Duration, format_offset, shift_date, shift_wall
from alertd.core.time.instant import to_instant

EVER = timedelta(days=36_525)
"""A range that is longer than this means "from the beginning on"."""

REPEAT_SPAN = timedelta(days=800)
"""From the beginning on, the steps of ``then_every`` further than this before the end of the range are
left out: a milestone that has been overdue for decades still nags, and does not bring its decades along."""

SERIES_REPEAT_SPAN = timedelta(days=400)
"""How long one instance of a series nags: by then the next ones do."""

MAX_REPEATS = 100_000
"""The most steps of ``then_every`` that one call makes for one window."""

_MARGIN = timedelta(days=40)  # a roll, a zone, a window of a day


class Cause(StrEnum):
    """Why a message exists."""

    OPENS = "opens"
    APPROACHING = "approaching"
    DUE = "due"
    OVERDUE = "overdue"
    MOVED = "moved"
    DONE = "done"
    ACKNOWLEDGED = "acknowledged"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """One reminder.

    Attributes:
        offset: ``-7d``, ``0d``, ``+1d``, or the cause's own name for opens and for news.
        at: when it is due, an aware UTC instant.
        stated: the window it belongs to and who states it.
    """

    milestone: str
    cause: Cause
    offset: str
    at: datetime
    stated: StatedWindow


def list_occurrences(milestone: Milestone, since: datetime, until: datetime) -> tuple[Occurrence, ...]:
    """All reminders of ``milestone`` that are due in [since, until), sorted by instant.

    Args:
        milestone: with its relative claims resolved and its recurrence expanded.
        since, until: aware UTC instants.
    """
    found = [
        Occurrence(milestone=milestone.id, cause=cause, offset=offset, at=at, stated=stated)
        for stated in list_operative_windows(milestone)
        for cause, offset, at in _generate_reminders(milestone, stated.window, since, until)
        if since <= at < until
    ]
    return tuple(sorted(found, key=lambda one: (one.at, one.stated.window.id, one.offset)))


def find_first_instant(milestone: Milestone) -> datetime | None:
    """When the first reminder of any window is due: from then on the policy's horizon is reached."""
    instants = [
        at
        for stated in list_operative_windows(milestone)
        for _, _, at in _generate_ladder(milestone.policy, stated.window)
    ]
    return min(instants, default=None)


def make_occurrence_key(milestone: str, window_id: str, slot: str, receiver: str) -> str:
    """The stable name of one occurrence for one receiver: 22 characters of base62.

    It holds neither title nor instant: a corrected title, another time of day or new tzdata
    sends nothing again.

    Args:
        slot: the occurrence's offset.
    """
    return fingerprint("occurrence", milestone, window_id, slot, receiver)


def fingerprint(*parts: str) -> str:
    """BLAKE2b-128 of the parts, each with its length before it, as 22 characters of base62."""
    hasher = hashlib.blake2b(digest_size=16)
    for part in parts:
        raw = part.encode()
        hasher.update(len(raw).to_bytes(4, "big"))
        hasher.update(raw)
    number = int.from_bytes(hasher.digest(), "big")
    letters = []
    for _ in range(22):
        number, rest = divmod(number, 62)
        letters.append(_BASE62[rest])
    return "".join(reversed(letters))


_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def compute_longest_span(duration: Duration) -> timedelta:
    """The longest that a duration can be, whatever months it meets."""
    return timedelta(days=31 * duration.months + duration.days, seconds=duration.seconds)


def _generate_reminders(
    milestone: Milestone, window: Window, since: datetime, until: datetime
) -> Iterator[tuple[Cause, str, datetime]]:
    rungs = tuple(_generate_ladder(milestone.policy, window))
    yield from rungs
    taken = {offset for _, offset, _ in rungs}
    if milestone.id != get_series_id(milestone.id) and window.ends is not None:
        until = min(until, window.ends + SERIES_REPEAT_SPAN)
    for nag in _generate_repeats(milestone.policy, window, since, until):
        if nag[1] not in taken:
            yield nag


def _generate_ladder(policy: Policy, window: Window) -> Iterator[tuple[Cause, str, datetime]]:
    """All but the steps of ``then_every``; what would leave the calendar is never due."""
    if policy.opens and window.spans_days and window.first_day is not None and window.begins is not None:
        instant = _compute_instant(policy, window, window.first_day, later=True)
        yield Cause.OPENS, Cause.OPENS.value, max(instant, window.begins)
    if window.last_day is None:
        return
    for lead in dict.fromkeys(policy.before):
        instant_before = _shift(policy, window, -lead)
        if instant_before is not None:
            yield Cause.APPROACHING, format_offset(-lead), instant_before
    if policy.on_day:
        yield Cause.DUE, "0d", _compute_on_day(policy, window, window.last_day)
    for delay in dict.fromkeys(policy.after):
        instant_after = _compute_overdue(policy, window, delay)
        if instant_after is not None:
            yield Cause.OVERDUE, format_offset(delay), instant_after


def _generate_repeats(
    policy: Policy, window: Window, since: datetime, until: datetime
) -> Iterator[tuple[Cause, str, datetime]]:
    """The steps after the ladder's last rung, from about ``since`` until ``until``."""
    step = policy.then_every
    if not step or window.ends is None or until <= window.ends:
        return
    last = policy.after[-1] if policy.after else Duration()
    start = until - REPEAT_SPAN if until - since > EVER else since
    ahead = start - window.ends - compute_longest_span(last) - _MARGIN
    skip = max(0, ahead // compute_longest_span(step))
    for count in range(skip + 1, skip + MAX_REPEATS + 1):
        delay = last + step * count
        instant = _compute_overdue(policy, window, delay)
        if instant is None or instant >= until:
            return
        yield Cause.OVERDUE, format_offset(delay), instant


def _compute_overdue(policy: Policy, window: Window, delay: Duration) -> datetime | None:
    """Whatever a zone's clocks do, nothing is called overdue before its end."""
    instant = _shift(policy, window, delay)
    return instant if instant is None or window.ends is None else max(instant, window.ends)


def _shift(policy: Policy, window: Window, by: Duration) -> datetime | None:
    """The instant that lies ``by`` from the deadline; None when that leaves the calendar.

    Calendar units move the local date and keep the time of day; hours and minutes are exact, and
    count from the exclusive end. The calendar part is taken first.
    """
    if window.last_day is None or window.ends is None:
        return None
    later = by.days > 0 or by.months > 0
    exact = timedelta(seconds=by.seconds)
    try:
        if by.is_exact:
            return window.ends + exact
        if window.clock is None and not by.has_exact:
            return _compute_instant(policy, window, shift_date(window.last_day, by), later=later)
        end = window.clock or datetime.combine(window.last_day + timedelta(days=1), time.min)
        wall = shift_wall(end, by)
        if not by.has_exact:
            wall = datetime.combine(_roll(policy, wall.date(), later=later), wall.time())
        return to_instant(wall, window.zone) + exact
    except (ValueError, OverflowError):
        return None


def _compute_on_day(policy: Policy, window: Window, day: date) -> datetime:
    instant = _compute_instant(policy, window, day, later=False)
    if window.clock is not None and window.ends is not None:
        return min(instant, window.ends)
    return instant


def _compute_instant(policy: Policy, window: Window, day: date, *, later: bool) -> datetime:
    return to_instant(datetime.combine(_roll(policy, day, later=later), policy.at), window.zone)


def _roll(policy: Policy, day: date, *, later: bool) -> date:
    if policy.roll is Roll.NONE:
        return day
    return policy.calendar.find_later(day) if later else policy.calendar.find_earlier(day)
