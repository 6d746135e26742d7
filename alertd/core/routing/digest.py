"""Digests: the schedule on which a route sends its reminders together, and the state of the next digest.

The instants of a digest are local times in the time zone of the digest. :mod:`alertd.core.time.instant`
converts
them: a time that a gap skips comes after the gap, and a time that a fold repeats is used once.
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
"""The maximum number of days between two digests: a month, and days that the clocks of a zone can skip."""

_MAX_QUIET = 400
"""How many digests in a row quiet hours can hold before the search ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """The value of ``digest:`` in a route.

    Attributes:
        weekdays: the days on which the digest is sent; Monday is 0. An empty tuple means the first day of
            each month.
        at: the local time of day.
        zone: the time zone of ``at``.
        ahead: how far ahead the digest lists milestones, in whole days.
        even_if_empty: the digest is also sent when it has no content.
    """

    weekdays: tuple[int, ...]
    at: time
    zone: ZoneInfo
    ahead: timedelta = AHEAD
    even_if_empty: bool = False

    @property
    def name(self) -> str:
        """The schedule in words, which identifies the digest: ``every Monday at 08:00 (UTC)``.

        The ledger identifies digests by this name, and the ids of deliveries are computed from it. Therefore
        the wording must never change.
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
    """The next digest for a receiver, as the ledger stores it.

    Attributes:
        key: the fingerprint of the receiver and the digest's name, 22 characters of base62.
        receiver: the name of the receiver.
        name: the name of the digest.
        at: the aware UTC instant at which the digest is due. It does not change until the digest has been
            built, even if that is late.
        since: the aware UTC instant at which the previous digest was built. Before the first digest, it is
            the instant at which the digest was configured.
    """

    key: str
    receiver: str
    name: str
    at: datetime
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestIssue:
    """One digest that has been built: the content of its delivery, apart from the reminders.

    Attributes:
        name: the name of the digest.
        zone: the key of the time zone in which the digest counts days.
        at: the aware UTC instant at which the digest was due.
        since: the aware UTC instant at which the previous digest was built.
        until: the exclusive end of the time that the digest looks ahead, in UTC.
        overview: the ids of milestones that the digest lists although they have no reminder in it.
        more: how many milestones are left out because the digest would be too long.
        even_if_empty: the digest is also sent when none of its content applies any more.
    """

    name: str
    zone: str
    at: datetime
    since: datetime
    until: datetime
    overview: tuple[str, ...] = ()
    more: int = 0
    even_if_empty: bool = False


def find_digest_instant(digest: Digest, after: datetime, quiet: NamedInterval | None = None) -> datetime:
    """Find the first instant later than ``after`` at which the digest is sent, in UTC.

    Args:
        digest: the digest of a route.
        after: an aware instant.
        quiet: the receiver's quiet hours. A digest that falls within quiet hours is sent when they end,
            unless the next digest is due within a day of that end: then the next digest includes everything.
    """
    instant = _find_scheduled(digest, after)
    for _ in range(_MAX_QUIET):
        if quiet is None or not quiet.contains(instant):
            return instant
        ends = find_next_change(quiet.contains, quiet.intervals, instant) or instant + SEARCH_BOUND
        following = _find_scheduled(digest, instant)
        if following > ends + _DAY:
            return ends
        instant = following
    return instant


def _find_scheduled(digest: Digest, after: datetime) -> datetime:
    day = to_local_date(after, digest.zone) - _DAY
    for _ in range(_LONGEST_GAP + 2):
        is_scheduled = day.weekday() in digest.weekdays if digest.weekdays else day.day == 1
        if is_scheduled:
            instant = to_instant(datetime.combine(day, digest.at), digest.zone)
            if instant > after:
                return instant
        day += _DAY
    return after.astimezone(UTC) + SEARCH_BOUND  # no weekday matches; the definitions refuse such a digest
