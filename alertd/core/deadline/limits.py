"""The limits of calendar and clock that a deadline keeps to, and the refusal of what is beyond them."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import NoReturn

from alertd.core.deadline.value import MONTH_NAMES

FIRST_YEAR, LAST_YEAR = 1000, 9998  # the exclusive end of the last year must be a date too
MAX_OFFSET_H = 14  # Pacific/Kiritimati; none is further from UTC
_LENGTHS = (0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class Refused(Exception):
    """The reading failed; without a reason, the shape of the text is not known at all."""

    def __init__(self, reason: str = "", advice: str = "", offset: int = 0) -> None:
        self.reason = reason
        self.advice = advice
        self.offset = offset
        super().__init__(reason)


def last_day(year: int, month: int) -> int:
    if month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0):
        return 29
    return _LENGTHS[month]


def refuse_year(at: int) -> NoReturn:
    raise Refused(f"years go from {FIRST_YEAR} to {LAST_YEAR}", offset=at)


def refuse_month(month: int, at: int, year: int = 0, day: int = 0) -> NoReturn:
    """``day`` is 0 when none is written; a season has none."""
    if 1 <= day <= 12 and 1 <= month <= last_day(year, day):
        advice = f"the month comes first: {year}-{day:02}-{month:02}"
        raise Refused(f"there is no month {month:02}", advice, at)
    if 21 <= month <= 32 and not day:
        reason = f"{month} is a season, and seasons have no agreed months"
        raise Refused(reason, "write a quarter such as 2026-Q3, or months such as 2026-06/2026-08", at)
    raise Refused(f"there is no month {month:02}", offset=at)


def refuse_day(year: int, month: int, day: int, at: int) -> NoReturn:
    length = last_day(year, month)
    if day == 0:
        raise Refused("there is no day 00", offset=at + 8)
    advice = f"its last day is {year}-{month:02}-{length}"
    raise Refused(f"{MONTH_NAMES[month]} {year} has {length} days", advice, at + 8)


def refuse_clock(match: re.Match[str], hour: int, minute: int, second: int) -> NoReturn:
    if (hour, minute, second) == (24, 0, 0):
        next_day = (date(*(int(digits) for digits in match.group(1, 2, 3))) + timedelta(days=1)).isoformat()
        rest = match[0][match.end(5) :]
        raise Refused("24:00 is not taken", f"the same instant is {next_day}T00:00{rest}", match.start(4))
    if hour > 23:
        raise Refused(f"there is no hour {hour}", offset=match.start(4))
    if minute > 59:
        raise Refused(f"there is no minute {minute}", offset=match.start(5))
    if second == 60:
        advice = f"write {match[0][: match.start(6)]}59{match[0][match.end(6) :]}"
        raise Refused("a leap second", advice, match.start(6))
    raise Refused(f"there is no second {second}", offset=match.start(6))
