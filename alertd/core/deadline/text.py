"""A deadline in English, as it was given: never a day that its source did not name."""

from __future__ import annotations

from datetime import datetime

from alertd.core.deadline.parse import parse_deadline
from alertd.core.deadline.value import MONTH_NAMES, Deadline, Precision, Qualifier, Reading, Unbounded

_ORDINALS = ("first", "second", "third", "fourth")
_BY, _BEFORE = "by", "before"
_FOUR_MONTHS = ("first", "middle", "last")


def deadline_name(deadline: Deadline) -> str:
    """What to call it: "September 2026", "the third quarter of 2026", "about 2026 (uncertain)"."""
    if deadline.choices:
        return _either([deadline_name(choice) for choice in deadline.choices])
    ends = _ends(deadline)
    if ends is None:
        return _qualified(_plain_name(deadline), deadline)
    first, last = ends
    if isinstance(first, Deadline) and isinstance(last, Deadline):
        return f"between {deadline_name(first)} and {deadline_name(last)}"
    if isinstance(first, Deadline):
        return f"from {deadline_name(first)}, {'no end given' if last else 'end not known'}"
    named = deadline_name(last) if isinstance(last, Deadline) else last
    return f"up to {named}" if first else f"up to {named}, start not known"


def deadline_phrase(deadline: Deadline, reading: Reading = Reading.END) -> str:
    """How to say when something is due: "by September 2026", "before September 2026".

    What is coarser than a month and read to its end has its end named: "by the end of 2026".
    """
    preposition, what = _parts(deadline, reading)
    return f"{preposition} {what}".strip()


def _parts(deadline: Deadline, reading: Reading) -> tuple[str, str]:
    """The preposition of a phrase, "" for none, and the rest of it."""
    if reading is Reading.START and isinstance(deadline.earliest, Unbounded):
        unknown = "is not known" if deadline.earliest is Unbounded.UNKNOWN else "was not given"
        return _BEFORE, f"a start that {unknown}"
    if deadline.choices:
        return _parts_of_choices([_parts(choice, reading) for choice in deadline.choices])
    ends = _ends(deadline)
    if ends is None:
        return (_BY, _end_name(deadline)) if reading is Reading.END else (_BEFORE, deadline_name(deadline))
    first, last = ends
    if reading is Reading.START and isinstance(first, Deadline):
        return _BEFORE, deadline_name(first)
    if isinstance(first, Deadline) or not isinstance(last, Deadline):
        return "", deadline_name(deadline)
    return _BY, _end_name(last) if first else f"{_end_name(last)}, start not known"


def _parts_of_choices(choices: list[tuple[str, str]]) -> tuple[str, str]:
    """The preposition once when it is the same for all choices: ``by September or October 2026``."""
    prepositions = {preposition for preposition, _ in choices}
    if len(prepositions) == 1:
        return prepositions.pop(), _either([what for _, what in choices])
    return "", _either([f"{preposition} {what}".strip() for preposition, what in choices])


def _either(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def _ends(deadline: Deadline) -> tuple[Deadline | str, Deadline | str] | None:
    """Both ends of an interval, each a deadline or as it is written; None for what is no interval."""
    first, slash, last = deadline.edtf.partition("/")
    if not slash:
        return None
    return _end(first), _end(last)


def _end(edtf: str) -> Deadline | str:
    return edtf if edtf in ("", "..") else parse_deadline(edtf)


def _end_name(deadline: Deadline) -> str:
    if deadline.precision.rank >= Precision.MONTH.rank:
        return deadline_name(deadline)
    return _qualified(f"the end of {_plain_name(deadline)}", deadline)


def _qualified(name: str, deadline: Deadline) -> str:
    match deadline.qualifier:
        case Qualifier.NONE:
            return name
        case Qualifier.UNCERTAIN:
            return f"{name} (uncertain)"
        case Qualifier.APPROXIMATE:
            return f"about {name}"
        case Qualifier.BOTH:
            return f"about {name} (uncertain)"


def _plain_name(deadline: Deadline) -> str:
    """The name of a date or date-time, without its qualifier."""
    first = deadline.earliest
    if isinstance(first, datetime):
        return _date_time_name(first, deadline.precision)
    if isinstance(first, Unbounded):
        raise ValueError(f"{deadline.edtf} has no first day to be named by")
    year, month = first.year, first.month
    match deadline.precision:
        case Precision.CENTURY:
            return f"the years {year} to {year + 99}"
        case Precision.DECADE:
            return f"the {year}s"
        case Precision.YEAR:
            return f"{year}{_not_given(deadline)}"
        case Precision.SEMESTER:
            return f"the {_ORDINALS[month // 6]} half of {year}"
        case Precision.QUADRIMESTER:
            return f"the {_FOUR_MONTHS[month // 4]} four months of {year}"
        case Precision.QUARTER:
            return f"the {_ORDINALS[month // 3]} quarter of {year}"
        case Precision.MONTH:
            return f"{MONTH_NAMES[month]} {year}{_not_given(deadline)}"
        case _:
            return f"{first.day} {MONTH_NAMES[month]} {year}"


def _not_given(deadline: Deadline) -> str:
    missing = {"-XX-XX": "month and day", "-XX": "month" if deadline.precision is Precision.YEAR else "day"}
    bare = deadline.edtf.rstrip("?~%")
    return next((f" ({what} not given)" for ending, what in missing.items() if bare.endswith(ending)), "")


def _date_time_name(at: datetime, precision: Precision) -> str:
    clock = f"{at:%H:%M:%S}" if precision is Precision.SECOND and at.second else f"{at:%H:%M}"
    name = f"{at.day} {MONTH_NAMES[at.month]} {at.year}, {clock}"
    offset = at.utcoffset()
    if offset is None:
        return name
    return f"{name} (UTC{at.isoformat()[-6:]})" if offset else f"{name} UTC"
