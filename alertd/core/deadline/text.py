"""Deadlines in English. A text has the precision of the source and never adds a day."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache

from alertd.core.deadline.parse import parse_deadline
from alertd.core.deadline.value import MONTH_NAMES, Deadline, Precision, Qualifier, Reading, Unbounded

_ORDINALS = ("first", "second", "third", "fourth")
_BY, _BEFORE = "by", "before"
_FOUR_MONTHS = ("first", "middle", "last")


def format_deadline(deadline: Deadline) -> str:
    """Return the name of a deadline, such as "September 2026" or "about 2026 (uncertain)"."""
    if deadline.choices:
        return _join_with_or([format_deadline(choice) for choice in deadline.choices])
    ends = _read_ends(deadline)
    if ends is None:
        return _add_qualifier(_format_plain(deadline), deadline)
    first, last = ends
    if isinstance(first, Deadline) and isinstance(last, Deadline):
        return f"between {format_deadline(first)} and {format_deadline(last)}"
    if isinstance(first, Deadline):
        return f"from {format_deadline(first)}, {'no end given' if last else 'end not known'}"
    named = format_deadline(last) if isinstance(last, Deadline) else last
    return f"up to {named}" if first else f"up to {named}, start not known"


@lru_cache(maxsize=1024)
def format_deadline_phrase(deadline: Deadline, reading: Reading = Reading.END) -> str:
    """Return the phrase for when something is due: "by September 2026", "before September 2026".

    If the precision is coarser than a month and ``reading`` is ``Reading.END``, the phrase names the end: "by
    the end of 2026".
    """
    preposition, what = _split_phrase(deadline, reading)
    return f"{preposition} {what}".strip()


def _split_phrase(deadline: Deadline, reading: Reading) -> tuple[str, str]:
    """Return the preposition of a phrase, which can be "", and the words that follow the preposition."""
    if reading is Reading.START and isinstance(deadline.earliest, Unbounded):
        unknown = "is not known" if deadline.earliest is Unbounded.UNKNOWN else "was not given"
        return _BEFORE, f"a start that {unknown}"
    if deadline.choices:
        return _split_choices([_split_phrase(choice, reading) for choice in deadline.choices])
    ends = _read_ends(deadline)
    if ends is None:
        return (
            (_BY, _format_end(deadline)) if reading is Reading.END else (_BEFORE, format_deadline(deadline))
        )
    first, last = ends
    if reading is Reading.START and isinstance(first, Deadline):
        return _BEFORE, format_deadline(first)
    if isinstance(first, Deadline) or not isinstance(last, Deadline):
        return "", format_deadline(deadline)
    return _BY, _format_end(last) if first else f"{_format_end(last)}, start not known"


def _split_choices(choices: list[tuple[str, str]]) -> tuple[str, str]:
    """Join the phrases of all choices.

    A preposition that they share is written once: ``by May or June 2026``.
    """
    prepositions = {preposition for preposition, _ in choices}
    if len(prepositions) == 1:
        return prepositions.pop(), _join_with_or([what for _, what in choices])
    return "", _join_with_or([f"{preposition} {what}".strip() for preposition, what in choices])


def _join_with_or(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def _read_ends(deadline: Deadline) -> tuple[Deadline | str, Deadline | str] | None:
    """Return both ends of an interval, as deadlines, ``..`` or ``""``; None if this is not an interval."""
    first, slash, last = deadline.edtf.partition("/")
    if not slash:
        return None
    return _read_end(first), _read_end(last)


def _read_end(edtf: str) -> Deadline | str:
    return edtf if edtf in ("", "..") else parse_deadline(edtf)


def _format_end(deadline: Deadline) -> str:
    if deadline.precision.rank >= Precision.MONTH.rank:
        return format_deadline(deadline)
    return _add_qualifier(f"the end of {_format_plain(deadline)}", deadline)


def _add_qualifier(name: str, deadline: Deadline) -> str:
    match deadline.qualifier:
        case Qualifier.NONE:
            return name
        case Qualifier.UNCERTAIN:
            return f"{name} (uncertain)"
        case Qualifier.APPROXIMATE:
            return f"about {name}"
        case Qualifier.BOTH:
            return f"about {name} (uncertain)"


def _format_plain(deadline: Deadline) -> str:
    """Return the name of a date or a date-time without its qualifier."""
    first = deadline.earliest
    if isinstance(first, datetime):
        return _format_date_time(first, deadline.precision)
    if isinstance(first, Unbounded):
        raise ValueError(f"{deadline.edtf} has no first day to be named by")
    year, month = first.year, first.month
    match deadline.precision:
        case Precision.CENTURY:
            return f"the years {year} to {year + 99}"
        case Precision.DECADE:
            return f"the {year}s"
        case Precision.YEAR:
            return f"{year}{_format_missing(deadline)}"
        case Precision.SEMESTER:
            return f"the {_ORDINALS[month // 6]} half of {year}"
        case Precision.QUADRIMESTER:
            return f"the {_FOUR_MONTHS[month // 4]} four months of {year}"
        case Precision.QUARTER:
            return f"the {_ORDINALS[month // 3]} quarter of {year}"
        case Precision.MONTH:
            return f"{MONTH_NAMES[month]} {year}{_format_missing(deadline)}"
        case _:
            return f"{first.day} {MONTH_NAMES[month]} {year}"


def _format_missing(deadline: Deadline) -> str:
    if "X" not in deadline.edtf:
        return ""
    missing = {"-XX-XX": "month and day", "-XX": "month" if deadline.precision is Precision.YEAR else "day"}
    bare = deadline.edtf.rstrip("?~%")
    return next((f" ({what} not given)" for ending, what in missing.items() if bare.endswith(ending)), "")


def _format_date_time(at: datetime, precision: Precision) -> str:
    clock = f"{at:%H:%M:%S}" if precision is Precision.SECOND and at.second else f"{at:%H:%M}"
    name = f"{at.day} {MONTH_NAMES[at.month]} {at.year}, {clock}"
    offset = at.utcoffset()
    if offset is None:
        return name
    return f"{name} (UTC{at.isoformat()[-6:]})" if offset else f"{name} UTC"
