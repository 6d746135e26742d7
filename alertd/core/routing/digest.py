"""A digest: at which instants a route's reminders go out together, and what is known of the next one.

The instants are local times of the digest's own zone, by the rules of core/time/instant.py: what a gap
swallows
comes after it, what a fold repeats comes once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from alertd.core.time.instant import to_instant, to_local_date
from alertd.core.time.interval import SEARCH_BOUND, NamedInterval, find_next_change

DAY_NAMES = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
EVERY_DAY = tuple(range(7))
AHEAD = timedelta(days=14)

_DAY = timedelta(days=1)
_LONGEST_GAP = 33
"""Days from one instant to the next at the most: a month, and the days that a zone's clocks may skip."""

_MAX_QUIET = 400
"""Instants in a row that quiet hours may swallow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """What ``digest:`` of a route says.

    Attributes:
        weekdays: on which it is sent, Monday is 0; () for the first day of each month.
        at: local time of day.
        ahead: how far ahead it shows what is coming; whole days.
        even_if_empty: it is sent also when there is nothing to say.
    """

    weekdays: tuple[int, ...]
    at: time
    zone: ZoneInfo
    ahead: timedelta = AHEAD
    even_if_empty: bool = False

    @property
    def name(self) -> str:
        """Its schedule, and what makes it the same digest: ``every Monday at 08:00 (UTC)``.

        The ledger knows digests by this, and ids of deliveries are made of it: it may never be worded anew.
        """
        days = [DAY_NAMES[day].capitalize() for day in self.weekdays]
        if not days:
            when = "on the first day of every month"
        elif len(days) == len(DAY_NAMES):
            when = "every day"
        else:
            when = "every " + " and ".join(filter(None, (", ".join(days[:-1]), days[-1])))
        return f"{when} at {self.at:%H:%M} ({self.zone.key})"


@dataclass(frozen=True, slots=True, kw_only=True)
class NextDigest:
    """The digest that a receiver is owed next, as the ledger has it.

    Attributes:
        key: made of the receiver and the digest's name, 22 characters of base62.
        at: when it is due, an aware UTC instant; it stays until the digest has been made, however late.
        since: when the one before it was made, or from when on there is one.
    """

    key: str
    receiver: str
    name: str
    at: datetime
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestIssue:
    """One digest that was made: what its delivery is about, beside the members.

    Attributes:
        name: its digest's.
        zone: whose days it counts.
        at: the instant at which it was due.
        until: up to when it shows what is coming, exclusive.
        overview: ids of milestones that it shows without a reminder of their own being due.
        more: how many were left out, so that it stays bearable.
        even_if_empty: it is sent also when nothing of it is true any more.
    """

    name: str
    zone: str
    at: datetime
    since: datetime
    until: datetime
    overview: tuple[str, ...] = ()
    more: int = 0
    even_if_empty: bool = False


def find_digest_instant(one: Digest, after: datetime, quiet: NamedInterval | None = None) -> datetime:
    """The first instant later than ``after`` at which the digest is sent, in UTC.

    Args:
        quiet: the receiver's quiet hours. A digest that falls into them goes out at their end, unless
            the next one comes within a day of it: then that one says it all.
    """
    instant = _find_scheduled(one, after)
    for _ in range(_MAX_QUIET):
        if quiet is None or not quiet.contains(instant):
            return instant
        ends = find_next_change(quiet.contains, quiet.intervals, instant) or instant + SEARCH_BOUND
        following = _find_scheduled(one, instant)
        if following > ends + _DAY:
            return ends
        instant = following
    return instant


def _find_scheduled(one: Digest, after: datetime) -> datetime:
    day = to_local_date(after, one.zone) - _DAY
    for _ in range(_LONGEST_GAP + 2):
        is_meant = day.weekday() in one.weekdays if one.weekdays else day.day == 1
        if is_meant:
            instant = to_instant(datetime.combine(day, one.at), one.zone)
            if instant > after:
                return instant
        day += _DAY
    return after.astimezone(UTC) + SEARCH_BOUND  # no weekday at all: definitions refuse that
