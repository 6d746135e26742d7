"""Explanations for texts that are not deadlines. The parser asks for one only after parsing has failed.

An explanation suggests a text only if the parser accepts that text. If a text has two possible meanings, such
as 09/08/2026, the explanation suggests both and alertd uses neither.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from datetime import date, timedelta

from alertd.core.deadline.value import MONTH_NAMES, DeadlineRefused
from alertd.errors import DeadlineError

_HELP = "write a date such as 2026-09-30, 2026-09, 2026-Q3 or 2026"
_MONTH_NUMBERS = {
    name[:length].lower(): n for n, name in enumerate(MONTH_NAMES) if n for length in (3, len(name))
}
_MONTH_NUMBERS["sept"] = 9
# Word processors replace a hyphen with these: hyphen, no-break hyphen, figure dash, en dash, em dash, minus.
_DASHES = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-"))
_NAME = r"(?P<name>[a-z]{3,9})\.?"
_DAY_MONTH_YEAR = re.compile(rf"(?P<day>[0-9]{{1,2}})(?:st|nd|rd|th)?[ -]{_NAME}[ ,-]+(?P<year>[0-9]{{4}})")
_MONTH_DAY_YEAR = re.compile(rf"{_NAME} (?P<day>[0-9]{{1,2}})(?:st|nd|rd|th)?,? (?P<year>[0-9]{{4}})")
_MONTH_YEAR = re.compile(rf"{_NAME}[ ,-]+(?P<year>[0-9]{{4}})")
_YEAR_MONTH = re.compile(rf"(?P<year>[0-9]{{4}})[ -]{_NAME}(?:[ -](?P<day>[0-9]{{1,2}}))?")
_FILLER = re.compile(
    r"(?P<before>before )|"
    r"(?:(?:by|until|till|on|in|no later than|not later than) )?(?:(?:the )?end of )?(?:the )?"
)

_SLASHED = re.compile(r"[0-9]{4}/[0-9]{1,2}/[0-9]{1,2}[?~%]?|[0-9]{1,2}/[0-9]{1,2}/[0-9]{4}[?~%]?")
_LOOSE_QUARTER = re.compile(
    r"([0-9]{4})[/ -]?Q([1-4])|Q([1-4])[/ -]?([0-9]{4})|([1-4])Q ?([0-9]{4})", re.IGNORECASE
)

_IsReadable = Callable[[str], bool]
_Diagnosis = tuple[str, tuple[str, ...], str]
"""The reason, the texts to suggest, and the advice if the parser accepts none of these texts."""


def explain_refusal(text: str, refused: DeadlineRefused, reads: _IsReadable) -> DeadlineError:
    """Make the error to raise for ``text``.

    Args:
        text: the text that the parser rejected.
        refused: the exception that the parser raised. If it has a reason, the error repeats that reason.
        reads: whether the parser accepts a text. The error suggests no text that the parser rejects.
    """
    if refused.reason:
        return DeadlineError(text, refused.reason, refused.advice, refused.offset)
    reason, candidates, advice, offset = _diagnose(text, refused.offset)
    written = [candidate for candidate in dict.fromkeys(candidates) if candidate != text and reads(candidate)]
    if written:
        advice = "write " + " or ".join(written)
    return DeadlineError(text, reason, advice, offset)


def _diagnose(text: str, offset: int) -> tuple[str, Iterable[str], str, int]:
    """Return the reason, the texts to suggest, the advice without them, and the offset of the mistake."""
    if (found := _check_characters(text)) is not None:
        return *found, next((at for at, char in enumerate(text) if not char.isascii()), offset)
    for check in (_check_spaces, _check_shape):
        if (found := check(text)) is not None:
            return *found, offset
    if "/" in text:
        first, _, last = text.partition("/")
        part = last if offset else first
        reason, candidates, advice = _check_date(part)
        whole = [f"{first}/{other}" if offset else f"{other}/{last}" for other in candidates]
        return reason, [*whole, *_repair_both(first, last)], advice, offset
    if text[:1] == "[":
        end = min(at for mark in (",", "..", "]") if (at := (text + "]").find(mark, offset)) >= 0)
        reason, candidates, advice = _check_date(text[offset:end])
        return reason, [text[:offset] + other + text[end:] for other in candidates], advice, offset
    reason, candidates, advice = _check_date(text)
    return reason, candidates, advice, offset


def _repair_both(first: str, last: str) -> Iterable[str]:
    """Yield intervals with both ends corrected, for a text in which both ends are wrong."""
    for start in (first, *_check_date(first)[1]):
        for end in (last, *_check_date(last)[1]):
            yield f"{start}/{end}"


def _check_characters(text: str) -> _Diagnosis | None:
    if not text.strip():
        return "empty", (), _HELP
    if text.isascii():
        return None
    plain = "".join(str(unicodedata.decimal(char, char)) for char in text.translate(_DASHES)).strip()
    repaired = _check_date(plain)[1] if plain.isascii() else ()
    return "a character outside ASCII", (plain, *repaired), "write digits 0 to 9 and plain hyphens"


def _check_spaces(text: str) -> _Diagnosis | None:
    bare = text.strip()
    if bare != text:
        return "space before or after it", (bare, *_check_date(bare)[1]), ""
    if re.search(r"\s*([/,]|\.\.)\s*", text) and re.search(r"[0-9] ?[/,.\[\]]", text):
        tight = re.sub(r"\s*([/,\[\]]|\.\.)\s*", r"\1", text)
        if tight != text and not re.search(r"[A-Za-z]{3}", text):
            return "space inside it", (tight,), ""
    return None


def _check_shape(text: str) -> _Diagnosis | None:
    """Find a mistake in the form of the whole text, before its parts are checked."""
    if text[0] == "{":
        advice = "write a milestone for each date, or a one-of set in square brackets"
        return "an all-of set: a deadline is one window", (), advice
    if text[0] == "[" and text[-1] in "?~%" and text[-2] == "]":
        return "a qualifier after a set", (), "write it after each date in the set"
    if text[0] == "[" and text[-1] != "]":
        return "a set without its closing bracket", (text + "]",), ""
    if re.fullmatch(r"\[?(\.\.|/)?\]?", text) or text == "../..":
        return "there is no date in it", (), _HELP
    if text.count("/") > 1 and not _SLASHED.fullmatch(text) and "T" not in text:
        return "more than one slash", (), "an interval is two dates, such as 2026-09/2026-12"
    return _check_year(text) or _check_notation(text)


def _check_year(text: str) -> _Diagnosis | None:
    """Find a form of EDTF for years that the profile does not have."""
    long = re.fullmatch(r"Y-?[0-9]+(E[0-9]+)?(S[0-9]+)?|-?[0-9]+E[0-9]+|[0-9]{5,}(-.*)?", text)
    if long and not _expand_compact(text):
        return "a long year, or one with an exponent", (), "years go from 1000 to 9998"
    if re.fullmatch(r"-[0-9]{4}.*", text):
        return "a year before the year 0", (), "years go from 1000 to 9998"
    if re.fullmatch(r"-?[0-9]{4}S[0-9]+", text):
        return "significant digits", (), "write the digits that are known, such as 202X"
    return None


def _check_notation(text: str) -> _Diagnosis | None:
    """Find a date in a notation other than EDTF."""
    if match := re.fullmatch(r"([0-9]{4})[/.]([0-9]{1,2})(?:[/.]([0-9]{1,2}))?([?~%]?)", text):
        return "its parts are joined by hyphens", (_join_date(*match.groups()),), ""
    if match := re.fullmatch(r"([0-9]{1,2})[/. -]([0-9]{1,2})[/. -]([0-9]{4})([?~%]?)", text):
        first, second, year, mark = match.groups()
        both = (_join_date(year, second, first, mark), _join_date(year, first, second, mark))
        return "the year comes first", both, ""
    if match := re.fullmatch(r"([0-9]{1,2})[/. -]([0-9]{4})([?~%]?)", text):
        return "the year comes first", (_join_date(match[2], match[1], None, match[3]),), ""
    if match := _LOOSE_QUARTER.fullmatch(text):
        year = match[1] or match[4] or match[6]
        return "not a quarter as EDTF writes it", (f"{year}-Q{match[2] or match[3] or match[5]}",), ""
    if re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ]", text):
        return _check_date_time(text)
    return None


def _expand_compact(text: str) -> str:
    match = re.fullmatch(r"([0-9]{4})([0-9]{2})([0-9]{2})?", text)
    return _join_date(match[1], match[2], match[3], "") if match else ""


def _join_date(year: str, month: str, day: str | None, mark: str | None) -> str:
    return "-".join(part.zfill(2) for part in (year, month, day) if part) + (mark or "")


def _check_date_time(text: str) -> _Diagnosis:
    day, clock = text[:10], text[11:]
    if text[-1] in "?~%":
        return "a time of day takes no qualifier", (day + text[-1],), ""
    if match := re.fullmatch(r"(.*?) ?(\[[^\]]*\]|[A-Za-z]+/[A-Za-z_/]+)", clock):
        return "a zone by name", (f"{day}T{match[1]}",), "give the zone in the timezone key"
    if re.search(r":[0-9]{2}[.,][0-9]", clock):
        return "a fraction of a second", (f"{day}T{re.sub(r'[.,][0-9]+', '', clock)}",), ""
    plain = clock.upper().replace("UTC", "Z").replace("GMT", "Z").replace(" ", "")
    plain = re.sub(r"^([0-9])(?=$|:)", r"0\1", plain)
    plain = re.sub(r"^([0-9]{2})(?=$|Z|[+-])", r"\1:00", plain)
    plain = re.sub(r"^([0-9]{2})([0-9]{2})(?=$|Z|[+-])", r"\1:\2", plain)
    plain = re.sub(r"([+-])([0-9])(?=$|:)", r"\g<1>0\2", plain)
    plain = re.sub(r"([+-][0-9]{2})([0-9]{2})$", r"\1:\2", plain)
    return "not a date-time as EDTF writes it", (f"{day}T{plain}",), "write it as 2026-09-30T17:00"


def _check_date(text: str) -> _Diagnosis:
    """Find the mistake in a text that should be one date."""
    for rule in (_check_marks, _check_unspecified, _check_digits, _check_words):
        if (found := rule(text)) is not None:
            return found
    return "not a date of the EDTF profile", (), _HELP


def _check_marks(text: str) -> _Diagnosis | None:
    marks = [char for char in text if char in "?~%"]
    bare = "".join(char for char in text if char not in "?~%")
    if not marks or not re.fullmatch(r"[0-9XQ-]+", bare):
        return None
    joined = marks[0] if len(set(marks)) == 1 else "%"
    if len(marks) == 1 and text[-1] == marks[0]:
        reason, candidates, advice = _check_date(bare)
        return reason, tuple(candidate + joined for candidate in candidates), advice
    return "one qualifier at most, after the whole date", (bare + joined,), ""


def _check_unspecified(text: str) -> _Diagnosis | None:
    if text.lower() in ("open", "unknown"):
        candidate = ".." if text.lower() == "open" else ""
        return "an end in words", (candidate,), "write .. for open, nothing for unknown"
    if not re.fullmatch(r"[0-9XxUu-]*[XxUu][0-9XxUu-]*", text):
        return None
    plain = re.sub("[xuU]", "X", text)
    if plain != text:
        return "an unspecified digit is a capital X", (plain,), ""
    return (
        "X stands only for a whole month or day, or the last digits of a year",
        (),
        ("write 2026-09-XX, 2026-XX, 2026-XX-XX, 202X or 20XX"),
    )


def _check_digits(text: str) -> _Diagnosis | None:
    if match := re.fullmatch(r"([0-9]{4})-([0-9]{1,2})(?:-([0-9]{1,2}))?", text):
        return "month and day have two digits", (_join_date(match[1], match[2], match[3], ""),), ""
    if compact := _expand_compact(text):
        return "month and day stand after hyphens", (compact,), ""
    if match := re.fullmatch(r"([0-9]{4})-([0-9]{3})", text):
        year, day = int(match[1]), int(match[2])
        known = 1000 <= year < 9990 and 1 <= day <= 366
        whole = (str(date(year, 1, 1) + timedelta(days=day - 1)),) if known else ()
        return "a day counted from the start of the year", whole, ""
    if re.fullmatch(r"[0-9]{3}", text):
        return "a decade has an X for its last digit", (text + "X",), ""
    if re.fullmatch(r"[0-9]{2}-[0-9]{2}(-[0-9]{2})?|[0-9]{1,2}", text):
        return "the year has four digits, and comes first", (), _HELP
    if match := re.fullmatch(r"([0-9]{4})-?W([0-9]{2})(?:-?([1-7]))?", text):
        try:
            monday = date.fromisocalendar(int(match[1]), int(match[2]), int(match[3] or 1))
            last = monday + timedelta(days=6)
        except (ValueError, OverflowError):
            return "no such week", (), _HELP
        return "a week date", (str(monday) if match[3] else f"{monday}/{last}",), ""
    if re.fullmatch(r"[0-9]{4}-?Q[0-9]+", text, re.I):
        return "quarters are Q1 to Q4", (text.upper(),), "write one such as 2026-Q3"
    if match := re.fullmatch(r"([0-9]{4})[ -]?H([12])|H([12])[ -]?([0-9]{4})", text, re.I):
        half = match[2] or match[3]
        return "a half year", (f"{match[1] or match[4]}-{39 + int(half)}",), ""
    return None


def _check_words(text: str) -> _Diagnosis | None:
    low = " ".join(text.lower().split())
    start = _FILLER.match(low)
    rest = low[start.end() :] if start else low
    found = _read_named_date(rest) or (rest if re.fullmatch("[0-9]{4}", rest) else "")
    if start and start["before"] and found:
        return "a date in words", (), f"write {found}, with reading: start"
    if found or rest != low:
        return "a date in words", (found or rest.upper(),), _HELP
    if re.search(r"[a-z]{3}", low):
        return "a date in words", (), _HELP
    return None


def _read_named_date(low: str) -> str:
    """Convert a date with an English month name, in lower case, to EDTF. Return "" for any other text."""
    for shape in (_DAY_MONTH_YEAR, _MONTH_DAY_YEAR, _MONTH_YEAR, _YEAR_MONTH):
        match = shape.fullmatch(low)
        if match and match["name"] in _MONTH_NUMBERS:
            day = match.groupdict().get("day")
            return _join_date(match["year"], str(_MONTH_NUMBERS[match["name"]]), day, "")
    return ""
