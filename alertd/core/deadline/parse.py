"""The parser for deadlines. It accepts a profile of EDTF and rejects every other text.

The parser never guesses. A text outside the profile raises a DeadlineError with a reason. Only after parsing
has failed does :mod:`refusal` find out what the writer probably meant.

Source: the Library of Congress's Extended Date/Time Format specification (2019), which became ISO
8601-2:2019. The profile has levels 0 and 1, and from level 2 the sub-year groupings 33 to 41 and the one-of
sets. The form `2026-Q3` is alertd's own, and means 2026-35.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone
from typing import NamedTuple

from alertd.core.deadline.refusal import explain_refusal
from alertd.core.deadline.value import (
    FIRST_YEAR,
    LAST_YEAR,
    MAX_OFFSET_H,
    Deadline,
    DeadlineRefused,
    Precision,
    Qualifier,
    Unbounded,
    count_days_in_month,
    refuse_clock,
    refuse_day,
    refuse_month,
    refuse_year,
)

MAX_TEXT = 200

_DATE = re.compile(r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2}))?)?([?~%])?")
_UNSPECIFIED = re.compile(r"(?:([0-9]{4})-(?:XX(-XX)?|([0-9]{2})-XX)|([0-9]{3})X|([0-9]{2})XX)([?~%])?")
_QUARTER = re.compile(r"([0-9]{4})-?Q([1-4])([?~%])?")
_DATE_TIME = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2})(?::([0-9]{2}))?"
    r"(?:(Z)|([+-])([0-9]{2})(?::([0-9]{2}))?)?"
)

_NONE = Qualifier.NONE
_QUALIFIERS: dict[str | None, Qualifier] = {
    None: _NONE,
    "?": Qualifier.UNCERTAIN,
    "~": Qualifier.APPROXIMATE,
    "%": Qualifier.BOTH,
}
_SUB_YEARS = {  # EDTF level 2, "Level 2 extension of season": code -> precision, first month, last month
    33: (Precision.QUARTER, 1, 3),
    34: (Precision.QUARTER, 4, 6),
    35: (Precision.QUARTER, 7, 9),
    36: (Precision.QUARTER, 10, 12),
    37: (Precision.QUADRIMESTER, 1, 4),
    38: (Precision.QUADRIMESTER, 5, 8),
    39: (Precision.QUADRIMESTER, 9, 12),
    40: (Precision.SEMESTER, 1, 6),
    41: (Precision.SEMESTER, 7, 12),
}


class _Part(NamedTuple):
    """A date or an interval that the parser has read. It becomes a deadline, or a part of a deadline."""

    edtf: str
    earliest: date | Unbounded
    latest: date | Unbounded
    precision: Precision
    qualifier: Qualifier


def parse_deadline(text: str) -> Deadline:
    """Parse one deadline.

    The parser accepts:

    - dates: ``2026-09-30``, ``2026-09``, ``2026``;
    - parts of a year: quarters as ``2026-Q3`` (canonical form ``2026-35``), periods of four months with the
      codes 37 to 39, and half years with the codes 40 and 41;
    - ``?``, ``~`` or ``%`` after a date;
    - ``X`` for unspecified digits at the end (``2026-09-XX``, ``2026-XX``, ``202X``, ``20XX``);
    - intervals, in which ``..`` is an open end and a missing date is an unknown end;
    - one-of sets, which can contain ranges;
    - date-times to the minute or the second, either local or with a UTC offset.

    Years go from ``FIRST_YEAR`` to ``LAST_YEAR``.

    Raises:
        DeadlineError: the text has none of these forms, or gives a date that does not exist.

    Source: EDTF (ISO 8601-2:2019) levels 0 and 1, and from level 2 "Level 2 extension of season" and "Set
    representation".
    """
    try:
        return _read(text)
    except DeadlineRefused as refused:
        raise explain_refusal(text, refused, _is_readable) from None


def _read(text: str) -> Deadline:
    match = _DATE.fullmatch(text)
    if match is not None:
        part = _read_date(match, 0)
    elif len(text) > MAX_TEXT:
        raise DeadlineRefused(f"longer than {MAX_TEXT} characters", offset=MAX_TEXT)
    elif text[:1] == "[":
        return _read_set(text)
    elif "/" in text:
        return _read_interval(text)
    elif (match := _DATE_TIME.fullmatch(text)) is not None:
        return _read_date_time(text, match)
    else:
        part = _read_other_date(text, 0)
    return _make_deadline(part, text)


def _make_deadline(part: _Part, text: str) -> Deadline:
    edtf, earliest, latest, precision, qualifier = part
    return Deadline(
        edtf=edtf, text=text, earliest=earliest, latest=latest, precision=precision, qualifier=qualifier
    )


def _is_readable(text: str) -> bool:
    try:
        _read(text)
    except DeadlineRefused:
        return False
    return True


def _read_part(text: str, at: int) -> _Part:
    """Read one date of an interval or of a set. The date begins at offset ``at`` of the whole text."""
    match = _DATE.fullmatch(text)
    if match is not None:
        return _read_date(match, at)
    if text and _DATE_TIME.fullmatch(text) is not None:
        raise DeadlineRefused("a time of day inside an interval or a set", f"write {text[:10]} there", at)
    return _read_other_date(text, at)


def _read_date(match: re.Match[str], at: int) -> _Part:
    """Read a day, a month, a year, or a part of a year by its code. The date begins at offset ``at``."""
    year_text, month_text, day_text, mark = match.groups()
    year = int(year_text)
    if not FIRST_YEAR <= year <= LAST_YEAR:
        refuse_year(at)
    qualifier = _QUALIFIERS[mark]
    if month_text is None:
        return _Part(match[0], date(year, 1, 1), date(year, 12, 31), Precision.YEAR, qualifier)
    month = int(month_text)
    if day_text is None:
        if 1 <= month <= 12:
            last = date(year, month, count_days_in_month(year, month))
            return _Part(match[0], date(year, month, 1), last, Precision.MONTH, qualifier)
        if month in _SUB_YEARS:
            return _make_sub_year(year, month, qualifier)
        refuse_month(month, at + 5)
    day = int(day_text)
    if not 1 <= month <= 12:
        refuse_month(month, at + 5, year, day)
    if not 1 <= day <= count_days_in_month(year, month):
        refuse_day(year, month, day, at)
    whole = date(year, month, day)
    return _Part(match[0], whole, whole, Precision.DAY, qualifier)


def _read_other_date(text: str, at: int) -> _Part:
    """Read a quarter with the letter Q, or a date that contains ``X``. The date begins at offset ``at``."""
    match = _QUARTER.fullmatch(text)
    if match is not None:
        year = int(match[1])
        if not FIRST_YEAR <= year <= LAST_YEAR:
            refuse_year(at)
        return _make_sub_year(year, 32 + int(match[2]), _QUALIFIERS[match[3]])
    match = _UNSPECIFIED.fullmatch(text)
    if match is None:
        raise DeadlineRefused(offset=at)
    year_text, _, month_text, decade, century, mark = match.groups()
    qualifier = _QUALIFIERS[mark]
    if year_text is None:
        digits, years, precision = (
            (decade, 10, Precision.DECADE) if decade else (century, 100, Precision.CENTURY)
        )
        first = int(digits) * years
    else:
        first, years, precision = int(year_text), 1, Precision.YEAR
    if first < FIRST_YEAR or first + years - 1 > LAST_YEAR:
        refuse_year(at)
    if month_text is None:
        return _Part(text, date(first, 1, 1), date(first + years - 1, 12, 31), precision, qualifier)
    month = int(month_text)
    if not 1 <= month <= 12:
        refuse_month(month, at + 5)
    return _Part(
        text,
        date(first, month, 1),
        date(first, month, count_days_in_month(first, month)),
        Precision.MONTH,
        qualifier,
    )


def _make_sub_year(year: int, code: int, qualifier: Qualifier) -> _Part:
    precision, first, last = _SUB_YEARS[code]
    latest = date(year, last, count_days_in_month(year, last))
    return _Part(f"{year}-{code}{qualifier.value}", date(year, first, 1), latest, precision, qualifier)


def _read_interval(text: str) -> Deadline:
    """Read an interval: EDTF level 0 "Time Interval" and level 1 "Extended Interval"."""
    first, _, last = text.partition("/")
    if "/" in last:
        raise DeadlineRefused(offset=text.index("/", len(first) + 1))
    return _make_deadline(_read_range(first, last, 0, len(first) + 1, "/"), text)


def _read_range(first: str, last: str, first_at: int, last_at: int, joint: str) -> _Part:
    """Make an interval from the texts of its two ends, which begin at ``first_at`` and ``last_at``.

    At most one end can be open or unknown. Error messages write ``joint`` between the two ends.
    """
    if first in ("", "..") and last in ("", ".."):
        raise DeadlineRefused("neither end is a date", offset=first_at)
    if first in ("", ".."):
        end = _read_part(last, last_at)
        return _Part(f"{first}/{end.edtf}", Unbounded(first), end.latest, end.precision, end.qualifier)
    start = _read_part(first, first_at)
    if last in ("", ".."):
        edtf = f"{start.edtf}/{last}"
        return _Part(edtf, start.earliest, Unbounded(last), start.precision, start.qualifier)
    end = _read_part(last, last_at)
    if start.earliest > end.latest:  # type: ignore[operator]  # both ends are dates here
        raise DeadlineRefused("it ends before it begins", f"write {last}{joint}{first}", last_at)
    precision = start.precision if start.precision.rank < end.precision.rank else end.precision
    qualifier = _NONE
    if start.qualifier is not _NONE or end.qualifier is not _NONE:
        qualifier = start.qualifier.combine(end.qualifier)
    return _Part(f"{start.edtf}/{end.edtf}", start.earliest, end.latest, precision, qualifier)


def _read_set(text: str) -> Deadline:
    """Read a one-of set: EDTF level 2 "Set representation". Two dots mark a range within the set."""
    if text[-1] != "]":
        raise DeadlineRefused(offset=len(text))
    choices: list[Deadline] = []
    at = 1
    words = text[1:-1].split(",")
    for index, word in enumerate(words):
        if ".." not in word:
            part = _read_part(word, at)
        else:
            first, _, last = word.partition("..")
            if (first == "" and index > 0) or (last == "" and index < len(words) - 1):
                raise DeadlineRefused("an open end stands at the very start or end of a set", offset=at)
            part = _read_range(first or "..", last or "..", at, at + len(first) + 2, "..")
        choices.append(_make_deadline(part, word))
        at += len(word) + 1
    earliest: date | Unbounded = Unbounded.OPEN
    latest: date | Unbounded = Unbounded.OPEN
    starts = [choice.earliest for choice in choices if not isinstance(choice.earliest, Unbounded)]
    ends = [choice.latest for choice in choices if not isinstance(choice.latest, Unbounded)]
    if len(starts) == len(choices):
        earliest = min(starts)
    if len(ends) == len(choices):
        latest = max(ends)
    qualifier = _NONE
    for choice in choices:
        qualifier = qualifier.combine(choice.qualifier)
    return Deadline(
        edtf=f"[{','.join(_format_choice(choice.edtf) for choice in choices)}]",
        text=text,
        earliest=earliest,
        latest=latest,
        precision=min((choice.precision for choice in choices), key=lambda precision: precision.rank),
        qualifier=qualifier,
        choices=tuple(choices),
    )


def _format_choice(edtf: str) -> str:
    """Return the EDTF text of a choice within a set, in which two dots replace the slash of an interval."""
    first, slash, last = edtf.partition("/")
    return f"{first.strip('.')}..{last.strip('.')}" if slash else edtf


def _read_date_time(text: str, match: re.Match[str]) -> Deadline:
    """Read a date-time: EDTF level 0 "Date and Time".

    ISO 8601-1:2019 section 5.3.1.3 a allows omitted seconds.
    """
    year, month, day, hour, minute, second = (int(digits or 0) for digits in match.group(1, 2, 3, 4, 5, 6))
    if not FIRST_YEAR <= year <= LAST_YEAR:
        refuse_year(0)
    if not 1 <= month <= 12:
        refuse_month(month, 5, year, day)
    if not 1 <= day <= count_days_in_month(year, month):
        refuse_day(year, month, day, 0)
    if hour > 23 or minute > 59 or second > 59:
        refuse_clock(match, hour, minute, second)
    zone: timezone | None = None
    edtf = text
    if match[7] is not None:
        zone = UTC
    elif match[8] is not None:
        hours, minutes = int(match[9]), int(match[10] or 0)
        if hours > MAX_OFFSET_H or minutes > 59 or (hours == MAX_OFFSET_H and minutes > 0):
            raise DeadlineRefused(
                f"no offset from UTC is more than {MAX_OFFSET_H} hours", offset=match.start(8)
            )
        if hours or minutes:
            offset = timedelta(hours=hours, minutes=minutes)
            zone = timezone(offset if match[8] == "+" else -offset)
            edtf = text if match[10] is not None else text + ":00"
        elif match[8] == "-":
            reason = "an offset of minus nothing says that the local offset is unknown"
            raise DeadlineRefused(reason, f"write {text[: match.start(8)]}Z if UTC is meant", match.start(8))
        else:
            zone = UTC
            edtf = text[: match.start(8)] + "Z"
    at = datetime(year, month, day, hour, minute, second, tzinfo=zone)
    precision = Precision.MINUTE if match[6] is None else Precision.SECOND
    return Deadline(edtf=edtf, text=text, earliest=at, latest=at, precision=precision, qualifier=_NONE)
