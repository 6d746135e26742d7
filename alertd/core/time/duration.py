"""Durations such as ``90d``, ``1y6mo`` and ``PT12H``. A duration keeps its nominal and its exact part apart.

The nominal part (years, months, weeks and days) moves the calendar date and keeps the clock time. The exact
part (hours, minutes and seconds) is a fixed number of seconds. ``1d`` is not the same as ``24h``, because a
local day has 23 or 25 hours when the clocks change.
"""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from alertd.errors import DurationError

MAX_YEARS = 100
_MAX_TEXT = 64
_MONTH_S = 2_629_800  # 30.4375 days, the mean Julian month. Only the upper bound on a duration uses it.
_MAX_S = MAX_YEARS * 12 * _MONTH_S

_UNITS = ("y", "mo", "w", "d", "h", "min", "s")  # from the largest to the smallest
_N = r"([0-9]{1,12})"
_SHORTHAND = re.compile(
    rf"([+-]?)(?=[0-9])(?:{_N}y)?(?:{_N}mo)?(?:{_N}w)?(?:{_N}d)?(?:{_N}h)?(?:{_N}min)?(?:{_N}s)?"
)
_ISO = re.compile(
    rf"([+-]?)P(?=[0-9T])(?:{_N}Y)?(?:{_N}M)?(?:{_N}W)?(?:{_N}D)?"
    rf"(?:T(?=[0-9])(?:{_N}H)?(?:{_N}M)?(?:{_N}S)?)?"
)
_PIECE = re.compile(r"\s*([0-9]+)\s*([A-Za-z]+)\s*(?:,|and\b)?\s*")
_WORDS = {
    **dict.fromkeys(("y", "yr", "yrs", "year", "years"), "y"),
    **dict.fromkeys(("mo", "mon", "mth", "month", "months"), "mo"),
    **dict.fromkeys(("w", "wk", "week", "weeks"), "w"),
    **dict.fromkeys(("d", "day", "days"), "d"),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), "h"),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), "min"),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), "s"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Duration:
    """A length of time. No two of its three parts have opposite signs.

    Attributes:
        months: the years and months of the nominal part, in months.
        days: the weeks and days of the nominal part, in days.
        seconds: the exact part (hours, minutes and seconds), in seconds.

    Raises:
        ValueError: one part is negative and another part is positive.
    """

    months: int = 0
    days: int = 0
    seconds: int = 0

    def __post_init__(self) -> None:
        parts = (self.months, self.days, self.seconds)
        if min(parts) < 0 < max(parts):
            raise ValueError(f"the parts of a duration have one sign: {parts}")

    def __neg__(self) -> Duration:
        return self * -1

    def __add__(self, other: Duration) -> Duration:
        """Add each part to the same part of ``other``.

        Raises:
            ValueError: the sum has parts with opposite signs, such as a month minus five days.
        """
        return Duration(
            months=self.months + other.months,
            days=self.days + other.days,
            seconds=self.seconds + other.seconds,
        )

    def __mul__(self, times: int) -> Duration:
        return Duration(months=self.months * times, days=self.days * times, seconds=self.seconds * times)

    def __bool__(self) -> bool:
        """Return False for a duration of zero."""
        return bool(self.months or self.days or self.seconds)

    def __str__(self) -> str:
        """Return the canonical shorthand, such as ``1y6mo``, ``-7d`` or ``0d``.

        `parse_duration` can read it.
        """
        if not self:
            return "0d"
        years, months = divmod(abs(self.months), 12)
        minutes, seconds = divmod(abs(self.seconds), 60)
        hours, minutes = divmod(minutes, 60)
        amounts = (years, months, 0, abs(self.days), hours, minutes, seconds)
        sign = "-" if min(self.months, self.days, self.seconds) < 0 else ""
        return sign + "".join(f"{n}{unit}" for n, unit in zip(amounts, _UNITS, strict=True) if n)

    @property
    def has_exact(self) -> bool:
        """Whether the duration has hours, minutes or seconds, and so cannot be counted in calendar days."""
        return self.seconds != 0

    @property
    def is_exact(self) -> bool:
        """Whether the duration has hours, minutes or seconds and no nominal part."""
        return self.seconds != 0 and not self.months and not self.days


def parse_duration(text: str) -> Duration:
    """Read a shorthand (``30d``, ``1y6mo``, ``1d12h``) or an ISO 8601 duration (``P1M``, ``P1DT12H``).

    Each unit occurs at most once, from the largest unit to the smallest, with a whole number. A sign before
    the duration is optional. The magnitude is at most ``MAX_YEARS`` years.

    Raises:
        DurationError: the text has neither form. If the intended text can be found, the error's advice gives
            it.

    Source: ISO 8601-1:2019 section 5.5.2 without fractions. The shorthand is alertd's own.
    """
    if len(text) > _MAX_TEXT:
        raise DurationError(text, f"longer than {_MAX_TEXT} characters", offset=_MAX_TEXT)
    match = _SHORTHAND.fullmatch(text) or _ISO.fullmatch(text)
    if match is None:
        raise _explain_refusal(text)
    years, months, weeks, days, hours, minutes, seconds = (int(n or 0) for n in match.groups()[1:])
    sign = -1 if match[1] == "-" else 1
    duration = Duration(
        months=sign * (years * 12 + months),
        days=sign * (weeks * 7 + days),
        seconds=sign * (hours * 3600 + minutes * 60 + seconds),
    )
    if abs(duration.months * _MONTH_S + duration.days * 86_400 + duration.seconds) > _MAX_S:
        raise DurationError(text, f"more than {MAX_YEARS} years")
    return duration


def format_offset(duration: Duration) -> str:
    """Return a duration as an offset from a deadline, such as ``-7d`` (before) or ``+1d`` (after)."""
    text = str(duration)
    return text if not duration or text[0] == "-" else "+" + text


def shift_date(day: date, by: Duration) -> date:
    """Move ``day`` by a nominal duration, first by the months and then by the days.

    If the month that is reached is too short, the day becomes its last day before the days are added. Years
    and
    months are added in one step: 2020-02-29 moved by ``1y1mo`` is 2021-03-29.

    Raises:
        ValueError: ``by`` has an exact part, or the result is not in the years 1 to 9999.

    Source: XML Schema Part 2 appendix E, which adds the parts in the same order.
    """
    if by.has_exact:
        raise ValueError(f"a calendar day can't be moved by hours, minutes or seconds: {by}")
    try:
        if by.months:
            year, month0 = divmod(day.year * 12 + day.month - 1 + by.months, 12)
            day = date(year, month0 + 1, min(day.day, monthrange(year, month0 + 1)[1]))
        return day + timedelta(days=by.days)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{day} moved by {by} leaves the calendar") from error


def shift_wall(wall: datetime, by: Duration) -> datetime:
    """Move a naive wall time by the nominal part of ``by``. The clock time does not change.

    This function ignores the exact part. The caller adds it to the instant, because only the caller knows the
    time zone.

    Raises:
        ValueError: the result is not in the years 1 to 9999.
    """
    nominal = Duration(months=by.months, days=by.days)
    return datetime.combine(shift_date(wall.date(), nominal), wall.timetz())


def _explain_refusal(text: str) -> DurationError:
    """Make the error for a ``text`` that is not a duration, with advice on what to write instead."""
    bare = text.strip()
    sign = bare[:1] if bare[:1] in ("+", "-") else ""
    body = bare[len(sign) :]
    if not bare:
        return DurationError(text, "empty", "write a duration such as 7d, 1mo or 12h")
    if not text.isascii():
        where = next(i for i, char in enumerate(text) if not char.isascii())
        return DurationError(text, "a character outside ASCII", "write digits and units such as 7d", where)
    if bare != text and _is_readable(bare):
        where = 0 if text[0].isspace() else len(bare)
        return DurationError(text, "space before or after it", f"write {bare}", where)
    if fraction := re.search(r"[.,][0-9]", text):
        advice = "write whole numbers of a smaller unit, such as 1h30min"
        return DurationError(text, "a fraction", advice, fraction.start())
    if body[:1] in ("P", "p"):
        return _explain_iso_refusal(text, sign, body)
    if body.isdigit():
        advice = f"write {sign}{body}d, {sign}{body}h or {sign}{body}min"
        return DurationError(text, "a number without a unit", advice)
    return _explain_shorthand_refusal(text, sign, body)


def _explain_iso_refusal(text: str, sign: str, body: str) -> DurationError:
    """Make the error for a text that begins with P and is not an ISO 8601 duration."""
    start = text.index(body[0])
    if body.upper() in ("P", "PT"):
        return DurationError(text, "a duration of no parts", "write 0d if none is meant", start)
    if body != body.upper() and _is_readable(sign + body.upper()):
        return DurationError(text, "its letters must be capitals", f"write {sign}{body.upper()}", start)
    if "T" not in body and _is_readable(candidate := sign + "PT" + body[1:]):
        return DurationError(text, "hours, minutes and seconds come after a T", f"write {candidate}", start)
    return DurationError(
        text, "not an ISO 8601 duration", "its units come once each in the order P1Y1M1W1DT1H1M1S", start
    )


def _explain_shorthand_refusal(text: str, sign: str, body: str) -> DurationError:
    """Make the error for a text that does not begin with P and is not a shorthand."""
    start = text.index(body) if body else 0
    pieces: list[tuple[str, str]] = []
    at = 0
    while at < len(body) and (piece := _PIECE.match(body, at)) is not None:
        number, word = piece[1], piece[2].lower()
        if word == "m":
            advice = f"write {number}mo for months or {number}min for minutes"
            return DurationError(text, "m could be months or minutes", advice, start + piece.start(2))
        if word not in _WORDS:
            reason, advice = f"no unit {piece[2][:20]!r}", "the units are y, mo, w, d, h, min and s"
            return DurationError(text, reason, advice, start + piece.start(2))
        pieces.append((number, _WORDS[word]))
        at = piece.end()
    if not pieces or at < len(body):
        return DurationError(text, "not a duration", "write one such as 7d, 1mo, 1d12h or P1M", start + at)
    units = [unit for _, unit in pieces]
    if len(set(units)) < len(units):
        return DurationError(text, "a unit twice", "write each unit once", start)
    ordered = sign + "".join(n + unit for n, unit in sorted(pieces, key=lambda piece: _UNITS.index(piece[1])))
    advice = f"write {ordered}" if _is_readable(ordered) else ""
    if units != sorted(units, key=_UNITS.index):
        return DurationError(text, "units go from the largest to the smallest", advice, start)
    return DurationError(text, "not a duration as alertd writes it", advice, start)


def _is_readable(text: str) -> bool:
    return (_SHORTHAND.fullmatch(text) or _ISO.fullmatch(text)) is not None
