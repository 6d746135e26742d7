"""Durations such as ``90d``, ``1y6mo`` and ``PT12H``, nominal and exact parts kept apart.

A nominal part (years, months, weeks, days) moves the calendar and keeps the clock time; an exact part (hours,
minutes, seconds) is so many seconds. ``1d`` is not ``24h``: a local day has 23 or 25 hours twice a year.
"""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from alertd.errors import DurationError

MAX_YEARS = 100
_MAX_TEXT = 64
_MONTH_S = 2_629_800  # 30.4375 days, the mean Julian month: only for the bound on the magnitude
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
    """A length of time; its three parts have one sign.

    Attributes:
        months: nominal, years and months together.
        days: nominal, weeks and days together.
        seconds: exact, hours, minutes and seconds together.

    Raises:
        ValueError: one part is negative and another positive.
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
        """Part by part; a ValueError when the sum has parts of both signs, such as a month less five days."""
        return Duration(
            months=self.months + other.months,
            days=self.days + other.days,
            seconds=self.seconds + other.seconds,
        )

    def __mul__(self, times: int) -> Duration:
        return Duration(months=self.months * times, days=self.days * times, seconds=self.seconds * times)

    def __bool__(self) -> bool:
        """False for a duration of nothing at all."""
        return bool(self.months or self.days or self.seconds)

    def __str__(self) -> str:
        """The canonical shorthand, which `parse_duration` reads back: ``1y6mo``, ``-7d``, ``0d``."""
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
        """True with hours, minutes or seconds in it: it can't be counted in calendar days."""
        return self.seconds != 0

    @property
    def is_exact(self) -> bool:
        """True with nothing but hours, minutes and seconds in it."""
        return self.seconds != 0 and not self.months and not self.days


def parse_duration(text: str) -> Duration:
    """Read a shorthand (``30d``, ``1y6mo``, ``1d12h``) or an ISO 8601 duration (``P1M``, ``P1DT12H``).

    Units go from the largest to the smallest, each once, in whole numbers; a sign may stand in front. At most
    ``MAX_YEARS`` years either way.

    Raises:
        DurationError: it is neither of the two; its advice names what would be right, where that is known.

    Source: ISO 8601-1:2019 section 5.5.2, less its fractions; the shorthand is our own.
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
    """A duration as an offset from a deadline: ``-7d`` before it, ``0d`` on the day, ``+1d`` after it."""
    text = str(duration)
    return text if not duration or text[0] == "-" else "+" + text


def shift_date(day: date, by: Duration) -> date:
    """``day`` moved by a nominal duration: months first, cut once to the month's last day, then days.

    2020-02-29 by ``1y1mo`` is 2021-03-29: the cut comes after years and months together.

    Raises:
        ValueError: ``by`` has an exact part, or the day would leave the calendar's years 1 to 9999.

    Source: XML Schema Part 2 appendix E has the same order of steps.
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
    """A naive wall time moved by the nominal part of ``by`` alone: another day at the same clock time.

    The exact part is for the caller to add to the instant, once the zone is known.

    Raises:
        ValueError: the day would leave the calendar's years 1 to 9999.
    """
    nominal = Duration(months=by.months, days=by.days)
    return datetime.combine(shift_date(wall.date(), nominal), wall.timetz())


def _explain_refusal(text: str) -> DurationError:
    """Why ``text`` is no duration, and what would be."""
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
    """Why a text that begins with P is no ISO 8601 duration."""
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
    """Why a text that is not ISO 8601 is no shorthand either."""
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
