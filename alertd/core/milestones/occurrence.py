"""Occurrences. An occurrence is a reminder that is due at an instant.

It belongs to one milestone, one window and one offset. The word is the term of RFC 5545.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from alertd.core.deadline import Window
from alertd.core.milestones.milestone import Milestone, StatedWindow, list_operative_windows
from alertd.core.milestones.policy import Policy, Roll
from alertd.core.milestones.recurrence import get_series_id
from alertd.core.time.duration import Duration, format_offset, shift_date, shift_wall
from alertd.core.time.instant import to_instant

EVER = timedelta(days=36_525)
"""A range that is longer than this counts as a range without a beginning."""

REPEAT_SPAN = timedelta(days=800)
"""In a range without a beginning, how far before the end of the range the repeats of ``then_every`` start.

A milestone that has been overdue for decades therefore has reminders now, without decades of earlier
reminders.
"""

SERIES_REPEAT_SPAN = timedelta(days=400)
"""How long after its deadline one instance of a series repeats.

By then, later instances of the series remind.
"""

REPEATS_AHEAD = 8
"""How many of the coming repeats of ``then_every`` the ledger holds for one window.

A repeat comes at most once an hour, so these cover more than the time between two reconciliations. A decision
about a due repeat schedules the following ones, too.
"""

MAX_REPEATS = 100_000
"""The maximum number of repeats of ``then_every`` that one call generates for one window."""

_NEVER = datetime.max.replace(tzinfo=UTC)
_BEGINNING = datetime.min.replace(tzinfo=UTC)
_MARGIN = timedelta(days=40)  # covers a rolled day, the offset of a zone and the length of a day


class Cause(StrEnum):
    """The reason for which a message exists."""

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
        milestone: the full id of the milestone.
        cause: the reason for the reminder.
        offset: ``-7d``, ``0d`` or ``+1d``; for ``opens`` and for news, the value of the cause.
        at: the aware UTC instant at which the reminder is due.
        stated: the window of the reminder and the claims that give this window.
    """

    milestone: str
    cause: Cause
    offset: str
    at: datetime
    stated: StatedWindow


class Ladder(NamedTuple):
    """The reminders that a policy gives a window, except the repeats of ``then_every``.

    Attributes:
        steps: cause, offset and UTC instant of each reminder.
        first: the earliest instant.
        last: the latest instant; an instant before ``first`` if there are no reminders.
    """

    steps: tuple[tuple[Cause, str, datetime], ...]
    first: datetime
    last: datetime


class Ladders:
    """Computes a ladder once for all milestones that have the same policy and the same window."""

    def __init__(self) -> None:
        # Hashing a policy takes longer than its ladder. An identity is valid as long as the object exists, so
        # the values keep both objects.
        self._known: dict[tuple[int, int], tuple[Policy, Window, Ladder]] = {}

    def find(self, policy: Policy, window: Window) -> Ladder:
        key = (id(policy), id(window))
        found = self._known.get(key)
        if found is None:
            steps = tuple(_generate_ladder(policy, window))
            instants = [at for _, _, at in steps]
            ladder = Ladder(
                steps=steps, first=min(instants, default=_NEVER), last=max(instants, default=_BEGINNING)
            )
            found = self._known[key] = (policy, window, ladder)
        return found[2]

    def may_remind(self, milestone: Milestone, since: datetime, until: datetime) -> bool:
        """Whether the milestone can have a reminder in [since, until); if False, it has none.

        The arguments are those of :func:`list_occurrences`.
        """
        policy = milestone.policy
        for stated in list_operative_windows(milestone):
            window = stated.window
            if policy.then_every is not None and window.ends is not None and window.ends < until:
                return True
            _, first, last = self.find(policy, window)
            if last >= since and first < until:
                return True
        return False


def list_occurrences(
    milestone: Milestone, since: datetime, until: datetime, ladders: Ladders | None = None
) -> tuple[Occurrence, ...]:
    """Return all reminders of ``milestone`` that are due in [since, until), sorted by instant.

    Args:
        milestone: a milestone whose relative claims are resolved and whose recurrence is expanded.
        since: an aware UTC instant, inclusive.
        until: an aware UTC instant, exclusive.
        ladders: the ladders that the caller's other milestones have, so that none is computed twice.
    """
    ladders = ladders or Ladders()
    found: list[Occurrence] = []
    for stated in list_operative_windows(milestone):
        ladder = ladders.find(milestone.policy, stated.window)
        found += [
            Occurrence(milestone=milestone.id, cause=cause, offset=offset, at=at, stated=stated)
            for cause, offset, at in _generate_reminders(milestone, stated.window, ladder, since, until)
            if since <= at < until
        ]
    found.sort(key=lambda occurrence: (occurrence.at, occurrence.stated.window.id, occurrence.offset))
    return tuple(found)


def list_repeats(milestone: Milestone, now: datetime, until: datetime) -> tuple[Occurrence, ...]:
    """Return the repeats of ``then_every`` that the ledger holds at ``now``, sorted by instant.

    For each window these are the last repeat that is due, because only the last of a set is sent, and the
    next :data:`REPEATS_AHEAD`. Their number depends neither on the interval nor on the age of the deadline.

    Args:
        milestone: a milestone whose relative claims are resolved and whose recurrence is expanded.
        now: an aware UTC instant.
        until: an aware UTC instant, exclusive: later repeats are not listed.
    """
    found = [
        Occurrence(milestone=milestone.id, cause=Cause.OVERDUE, offset=offset, at=at, stated=stated)
        for stated in list_operative_windows(milestone)
        for offset, at in _generate_repeats_around(milestone, stated.window, now, until)
    ]
    found.sort(key=lambda occurrence: (occurrence.at, occurrence.stated.window.id, occurrence.offset))
    return tuple(found)


def list_steps(milestone: Milestone, until: datetime) -> tuple[Occurrence, ...]:
    """Return all reminders due before ``until``, without the repeats of ``then_every``, sorted by instant.

    Args:
        milestone: a milestone whose relative claims are resolved and whose recurrence is expanded.
        until: an aware UTC instant, exclusive.
    """
    found = [
        Occurrence(milestone=milestone.id, cause=cause, offset=offset, at=at, stated=stated)
        for stated in list_operative_windows(milestone)
        for cause, offset, at in _generate_ladder(milestone.policy, stated.window)
        if at < until
    ]
    found.sort(key=lambda occurrence: (occurrence.at, occurrence.stated.window.id, occurrence.offset))
    return tuple(found)


def find_first_instant(milestone: Milestone) -> datetime | None:
    """Return the UTC instant at which the first reminder of any window is due; None without reminders.

    From this instant on, the milestone is within the horizon of its policy.
    """
    instants = [
        at
        for stated in list_operative_windows(milestone)
        for _, _, at in _generate_ladder(milestone.policy, stated.window)
    ]
    return min(instants, default=None)


def make_occurrence_key(milestone: str, window_id: str, slot: str, receiver: str) -> str:
    """Make the stable key of one occurrence for one receiver: 22 characters of base62.

    The key depends neither on the title nor on the instant. Therefore alertd sends nothing again after a
    corrected title, a new time of day in the policy, or an update of the time zone database.

    Args:
        milestone: the full id of the milestone.
        window_id: the id of the window.
        slot: the offset of the occurrence.
        receiver: the name of the receiver.
    """
    return fingerprint("occurrence", milestone, window_id, slot, receiver)


def fingerprint(*parts: str) -> str:
    """Hash the parts with BLAKE2b-128, each preceded by its length, and return 22 characters of base62."""
    hasher = hashlib.blake2b(digest_size=16)
    for part in parts:
        raw = part.encode()
        hasher.update(len(raw).to_bytes(4, "big"))
        hasher.update(raw)
    number = int.from_bytes(hasher.digest(), "big")
    # Two letters at a time, since planning makes millions of keys.
    pairs = []
    for _ in range(11):
        number, rest = divmod(number, 62 * 62)
        pairs.append(_PAIRS[rest])
    return "".join(reversed(pairs))


_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PAIRS = tuple(first + second for first in _BASE62 for second in _BASE62)


def compute_longest_span(duration: Duration) -> timedelta:
    """Return the longest span that a duration can have, with 31 days for every month."""
    return timedelta(days=31 * duration.months + duration.days, seconds=duration.seconds)


def _generate_reminders(
    milestone: Milestone, window: Window, ladder: Ladder, since: datetime, until: datetime
) -> Iterator[tuple[Cause, str, datetime]]:
    yield from ladder.steps
    if milestone.policy.then_every is None:
        return
    taken = {offset for _, offset, _ in ladder.steps}
    for repeat in _generate_repeats(
        milestone.policy, window, since, _limit_repeats(milestone, window, until)
    ):
        if repeat[1] not in taken:
            yield repeat


def _limit_repeats(milestone: Milestone, window: Window, until: datetime) -> datetime:
    """Return the instant before which a milestone repeats: an instance of a series stops repeating."""
    if milestone.id != get_series_id(milestone.id) and window.ends is not None:
        return min(until, window.ends + SERIES_REPEAT_SPAN)
    return until


def _generate_repeats_around(
    milestone: Milestone, window: Window, now: datetime, until: datetime
) -> Iterator[tuple[str, datetime]]:
    """Yield the last repeat that is due and the next ones, without computing those before."""
    policy = milestone.policy
    step = policy.then_every
    if not step or window.ends is None:
        return
    until = _limit_repeats(milestone, window, until)
    taken = {offset for _, offset, _ in _generate_ladder(policy, window)}
    last = policy.after[-1] if policy.after else Duration()

    def find_instant(count: int) -> datetime | None:
        return _compute_overdue(policy, window, last + step * count)

    def is_taken(count: int) -> bool:
        return format_offset(last + step * count) in taken

    most = max(timedelta(), now - window.ends + _MARGIN) // _compute_shortest_span(step) + 1
    passed = bisect_right(range(1, most + 1), now, key=lambda count: find_instant(count) or _NEVER)
    while passed and is_taken(passed):
        passed -= 1
    count, ahead = max(1, passed), 0
    while ahead < REPEATS_AHEAD:
        instant = find_instant(count)
        if instant is None or instant >= until:
            return
        if not is_taken(count):
            ahead += instant > now
            yield format_offset(last + step * count), instant
        count += 1


def _compute_shortest_span(duration: Duration) -> timedelta:
    """Return a span that is shorter than a duration can be, with 28 days for every month."""
    days = timedelta(days=28 * duration.months + duration.days, seconds=duration.seconds)
    return days if duration.is_exact else days - timedelta(hours=2)


def _generate_ladder(policy: Policy, window: Window) -> Iterator[tuple[Cause, str, datetime]]:
    """Yield all reminders except the repeats of ``then_every``.

    Reminders outside the years 1 to 9999 are left out, because they are never due.
    """
    if policy.opens and window.spans_days and window.first_day is not None and window.begins is not None:
        instant = _compute_instant(policy, window, window.first_day, later=True)
        yield Cause.OPENS, Cause.OPENS.value, max(instant, window.begins)
    if window.last_day is None:
        return
    for lead, offset in _list_leads(policy.before):
        instant_before = _shift(policy, window, lead)
        if instant_before is not None:
            yield Cause.APPROACHING, offset, instant_before
    if policy.on_day:
        yield Cause.DUE, "0d", _compute_on_day(policy, window, window.last_day)
    for delay, offset in _list_delays(policy.after):
        instant_after = _compute_overdue(policy, window, delay)
        if instant_after is not None:
            yield Cause.OVERDUE, offset, instant_after


@lru_cache(maxsize=256)
def _list_leads(before: tuple[Duration, ...]) -> tuple[tuple[Duration, str], ...]:
    """Return the lead times as negative durations with their offsets, each once."""
    return tuple((-lead, format_offset(-lead)) for lead in dict.fromkeys(before))


@lru_cache(maxsize=256)
def _list_delays(after: tuple[Duration, ...]) -> tuple[tuple[Duration, str], ...]:
    """Return the delays with their offsets, each once."""
    return tuple((delay, format_offset(delay)) for delay in dict.fromkeys(after))


def _generate_repeats(
    policy: Policy, window: Window, since: datetime, until: datetime
) -> Iterator[tuple[Cause, str, datetime]]:
    """Yield the repeats of ``then_every``, which follow the last step of ``after``.

    The first repeat can be due somewhat before ``since``; the last repeat is due before ``until``.
    """
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
    """Compute the instant of an overdue reminder, which is never before the end of the window.

    Without this rule, a change of the zone's clocks could bring the reminder before the end.
    """
    instant = _shift(policy, window, delay)
    return instant if instant is None or window.ends is None else max(instant, window.ends)


def _shift(policy: Policy, window: Window, by: Duration) -> datetime | None:
    """Return the instant at distance ``by`` from the deadline; None when it is not in the years 1 to 9999.

    Calendar units move the local date and keep the time of day. Hours and minutes are exact and count from
    the exclusive end of the window. The calendar units are added first.
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
