"""Texts that are not deadlines: the reason, the advice, and the offset of the mistake."""

from __future__ import annotations

import pytest

from alertd.core.deadline import parse_deadline
from alertd.errors import DeadlineError

REFUSED = [
    # the calendar
    ("2026-09-31", "September 2026 has 30 days", "its last day is 2026-09-30", 8),
    ("2026-02-29", "February 2026 has 28 days", "its last day is 2026-02-28", 8),
    ("2100-02-29", "February 2100 has 28 days", "its last day is 2100-02-28", 8),
    ("2026-09-00", "there is no day 00", "", 8),
    ("2026-00", "there is no month 00", "", 5),
    ("2026-13", "there is no month 13", "", 5),
    ("2026-42", "there is no month 42", "", 5),
    ("2026-31-12", "there is no month 31", "the month comes first: 2026-12-31", 5),
    ("2026-13-XX", "there is no month 13", "", 5),
    # seasons, which have no agreed months
    (
        "2026-21",
        "21 is a season, and seasons have no agreed months",
        "write a quarter such as 2026-Q3, or months such as 2026-06/2026-08",
        5,
    ),
    (
        "2026-32",
        "32 is a season, and seasons have no agreed months",
        "write a quarter such as 2026-Q3, or months such as 2026-06/2026-08",
        5,
    ),
    # years
    ("0999", "years go from 1000 to 9998", "", 0),
    ("9999", "years go from 1000 to 9998", "", 0),
    ("999X", "years go from 1000 to 9998", "", 0),
    ("9999-Q1", "years go from 1000 to 9998", "", 0),
    ("9999-01-01T00:00", "years go from 1000 to 9998", "", 0),
    ("2026/9999", "years go from 1000 to 9998", "", 5),
    ("12026", "a long year, or one with an exponent", "years go from 1000 to 9998", 0),
    ("Y170000002", "a long year, or one with an exponent", "years go from 1000 to 9998", 0),
    ("Y17E8", "a long year, or one with an exponent", "years go from 1000 to 9998", 0),
    ("-2026", "a year before the year 0", "years go from 1000 to 9998", 0),
    ("1950S2", "significant digits", "write the digits that are known, such as 202X", 0),
    # the clock
    ("2026-09-30T24:00", "24:00 is not taken", "the same instant is 2026-10-01T00:00", 11),
    ("2026-12-31T24:00:00Z", "24:00 is not taken", "the same instant is 2027-01-01T00:00:00Z", 11),
    ("2026-09-30T24:01", "there is no hour 24", "", 11),
    ("2026-09-30T17:60", "there is no minute 60", "", 14),
    ("2016-12-31T23:59:60Z", "a leap second", "write 2016-12-31T23:59:59Z", 17),
    ("2026-09-30T17:00:61", "there is no second 61", "", 17),
    ("2026-02-30T17:00", "February 2026 has 28 days", "its last day is 2026-02-28", 8),
    ("2026-09-30T17:00+15:00", "no offset from UTC is more than 14 hours", "", 16),
    (
        "2026-09-30T17:00-00:00",
        "an offset of minus nothing says that the local offset is unknown",
        "write 2026-09-30T17:00Z if UTC is meant",
        16,
    ),
    # date-times written otherwise
    ("2026-09-30 17:00", "not a date-time as EDTF writes it", "write 2026-09-30T17:00", 0),
    ("2026-09-30t17:00z", "not a date-time as EDTF writes it", "write 2026-09-30T17:00Z", 0),
    ("2026-09-30T17", "not a date-time as EDTF writes it", "write 2026-09-30T17:00", 0),
    ("2026-09-30T17:00+0300", "not a date-time as EDTF writes it", "write 2026-09-30T17:00+03:00", 0),
    ("2026-09-30T17:00:00.5Z", "a fraction of a second", "write 2026-09-30T17:00:00Z", 0),
    ("2026-09-30T17:00~", "a time of day takes no qualifier", "write 2026-09-30~", 0),
    ("2026-09-30T17:00[Asia/Baghdad]", "a zone by name", "write 2026-09-30T17:00", 0),
    # order of the parts, and what joins them
    ("30/09/2026", "the year comes first", "write 2026-09-30", 5),
    ("30.09.2026", "the year comes first", "write 2026-09-30", 0),
    ("09-2026", "the year comes first", "write 2026-09", 0),
    ("09/2026", "the year comes first", "write 2026-09", 0),
    ("2026/09/30", "its parts are joined by hyphens", "write 2026-09-30", 7),
    ("2026/09", "its parts are joined by hyphens", "write 2026-09", 5),
    ("20260930", "month and day stand after hyphens", "write 2026-09-30", 0),
    ("202609", "month and day stand after hyphens", "write 2026-09", 0),
    # day or month first? both are offered, neither is taken
    ("09/08/2026", "the year comes first", "write 2026-08-09 or 2026-09-08", 5),
    # one digit
    ("2026-9", "month and day have two digits", "write 2026-09", 0),
    ("2026-9-3~", "month and day have two digits", "write 2026-09-03~", 0),
    (
        "26-09-30",
        "the year has four digits, and comes first",
        "write a date such as 2026-09-30, 2026-09, 2026-Q3 or 2026",
        0,
    ),
    # other calendars of the ISO
    ("2026-W36", "a week date", "write 2026-08-31/2026-09-06", 0),
    ("2026-W36-3", "a week date", "write 2026-09-02", 0),
    ("2026-273", "a day counted from the start of the year", "write 2026-09-30", 0),
    # words
    ("September 2026", "a date in words", "write 2026-09", 0),
    ("by Sept. 2026", "a date in words", "write 2026-09", 0),
    ("30 September 2026", "a date in words", "write 2026-09-30", 0),
    ("September 30th, 2026", "a date in words", "write 2026-09-30", 0),
    ("by the end of 2026", "a date in words", "write 2026", 0),
    ("before 2027", "a date in words", "write 2027, with reading: start", 0),
    (
        "next month",
        "a date in words",
        "write a date such as 2026-09-30, 2026-09, 2026-Q3 or 2026",
        0,
    ),
    # quarters and halves written otherwise
    ("Q3 2026", "not a quarter as EDTF writes it", "write 2026-Q3", 0),
    ("2026-q3", "not a quarter as EDTF writes it", "write 2026-Q3", 0),
    ("2026-Q5", "quarters are Q1 to Q4", "write one such as 2026-Q3", 0),
    ("H2 2026", "a half year", "write 2026-41", 0),
    # unspecified digits
    ("2026-xx", "an unspecified digit is a capital X", "write 2026-XX", 0),
    ("199u", "an unspecified digit is a capital X", "write 199X", 0),
    ("202", "a decade has an X for its last digit", "write 202X", 0),
    (
        "2026-XX-15",
        "X stands only for a whole month or day, or the last digits of a year",
        "write 2026-09-XX, 2026-XX, 2026-XX-XX, 202X or 20XX",
        0,
    ),
    (
        "2026-0X",
        "X stands only for a whole month or day, or the last digits of a year",
        "write 2026-09-XX, 2026-XX, 2026-XX-XX, 202X or 20XX",
        0,
    ),
    # qualifiers
    ("2026-09??", "one qualifier at most, after the whole date", "write 2026-09?", 0),
    ("2026-09?~", "one qualifier at most, after the whole date", "write 2026-09%", 0),
    ("~2026-09", "one qualifier at most, after the whole date", "write 2026-09~", 0),
    ("2026-?09", "one qualifier at most, after the whole date", "write 2026-09?", 0),
    ("[2026]~", "a qualifier after a set", "write it after each date in the set", 7),
    # intervals
    ("2026-12/2026-09", "it ends before it begins", "write 2026-09/2026-12", 8),
    ("2026-09-30/2026-08", "it ends before it begins", "write 2026-08/2026-09-30", 11),
    ("../..", "neither end is a date", "", 0),
    ("/", "neither end is a date", "", 0),
    ("2026-09/2026-9", "month and day have two digits", "write 2026-09/2026-09", 8),
    ("2026-8/2026-9", "month and day have two digits", "write 2026-08/2026-09", 0),
    ("2026-09/open", "an end in words", "write 2026-09/..", 8),
    ("2026-09/2026-13", "there is no month 13", "", 13),
    ("2026-09-30T17:00/2026-10", "a time of day inside an interval or a set", "write 2026-09-30 there", 0),
    (
        "2026/2027/2028",
        "more than one slash",
        "an interval is two dates, such as 2026-09/2026-12",
        9,
    ),
    # sets
    ("[2026-09", "a set without its closing bracket", "write [2026-09]", 8),
    ("[2026-9,2026-12]", "month and day have two digits", "write [2026-09,2026-12]", 1),
    ("[2026-12..2026-09]", "it ends before it begins", "write 2026-09..2026-12", 10),
    ("[2026,..2025]", "an open end stands at the very start or end of a set", "", 6),
    ("[..]", "neither end is a date", "", 1),
    (
        "{2026-09,2026-12}",
        "an all-of set: a deadline is one window",
        "write a milestone for each date, or a one-of set in square brackets",
        0,
    ),
    # space, and characters that only look right
    (" 2026-09", "space before or after it", "write 2026-09", 0),
    ("2026-09\n", "space before or after it", "write 2026-09", 0),
    ("2026-09 / 2026-12", "space inside it", "write 2026-09/2026-12", 0),
    ("[2026-09, 2026-12]", "space inside it", "write [2026-09,2026-12]", 9),
    ("2026\u201309", "a character outside ASCII", "write 2026-09", 4),
    ("٢٠٢٦-٠٩", "a character outside ASCII", "write 2026-09", 0),
    ("", "empty", "write a date such as 2026-09-30, 2026-09, 2026-Q3 or 2026", 0),
    # too long to be one
    ("2" * 201, "longer than 200 characters", "", 200),
]


@pytest.mark.parametrize(
    ("text", "reason", "advice", "offset"), REFUSED, ids=[ascii(row[0][:30]) for row in REFUSED]
)
def test_refuses(text: str, reason: str, advice: str, offset: int) -> None:
    """A text that is not a deadline is refused with a reason, an advice and the offset of the mistake."""
    with pytest.raises(DeadlineError) as caught:
        parse_deadline(text)

    error = caught.value
    assert (error.text, error.reason, error.advice, error.offset) == (text, reason, advice, offset)


def test_suggestions_can_be_read() -> None:
    """If the advice suggests a text, the parser accepts that text."""
    for text, _, advice, _ in REFUSED:
        words = advice.removeprefix("write ").split(" or ")
        if advice.startswith("write ") and all(" " not in word for word in words) and ".." not in text:
            for word in words:
                assert parse_deadline(word).edtf, text
