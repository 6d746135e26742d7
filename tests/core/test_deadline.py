"""Deadlines: the texts that the parser accepts, and the bounds that they have."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertd.core.deadline import Deadline, Precision, Qualifier, Unbounded, parse_deadline
from alertd.errors import DeadlineError

OPEN, UNKNOWN = Unbounded.OPEN, Unbounded.UNKNOWN

# text, canonical ("" when it is the text itself), first day, last day, precision
DATES = [
    # level 0
    ("2026-09-30", "", "2026-09-30", "2026-09-30", Precision.DAY),
    ("2026-09", "", "2026-09-01", "2026-09-30", Precision.MONTH),
    ("2026", "", "2026-01-01", "2026-12-31", Precision.YEAR),
    # leap years: by 4, not by 100, but by 400
    ("2024-02", "", "2024-02-01", "2024-02-29", Precision.MONTH),
    ("2026-02", "", "2026-02-01", "2026-02-28", Precision.MONTH),
    ("2100-02", "", "2100-02-01", "2100-02-28", Precision.MONTH),
    ("2000-02-29", "", "2000-02-29", "2000-02-29", Precision.DAY),
    # quarters, as EDTF and as people write them
    ("2026-33", "", "2026-01-01", "2026-03-31", Precision.QUARTER),
    ("2026-Q2", "2026-34", "2026-04-01", "2026-06-30", Precision.QUARTER),
    ("2026-Q3", "2026-35", "2026-07-01", "2026-09-30", Precision.QUARTER),
    ("2026Q4", "2026-36", "2026-10-01", "2026-12-31", Precision.QUARTER),
    # four months, six months
    ("2026-37", "", "2026-01-01", "2026-04-30", Precision.QUADRIMESTER),
    ("2026-38", "", "2026-05-01", "2026-08-31", Precision.QUADRIMESTER),
    ("2026-39", "", "2026-09-01", "2026-12-31", Precision.QUADRIMESTER),
    ("2026-40", "", "2026-01-01", "2026-06-30", Precision.SEMESTER),
    ("2026-41", "", "2026-07-01", "2026-12-31", Precision.SEMESTER),
    # unspecified from the right: the precision is of what is specified
    ("2026-09-XX", "", "2026-09-01", "2026-09-30", Precision.MONTH),
    ("2024-02-XX", "", "2024-02-01", "2024-02-29", Precision.MONTH),
    ("2026-XX", "", "2026-01-01", "2026-12-31", Precision.YEAR),
    ("2026-XX-XX", "", "2026-01-01", "2026-12-31", Precision.YEAR),
    ("202X", "", "2020-01-01", "2029-12-31", Precision.DECADE),
    ("20XX", "", "2000-01-01", "2099-12-31", Precision.CENTURY),
    # the ends of the range of years
    ("1000", "", "1000-01-01", "1000-12-31", Precision.YEAR),
    ("9998-12-31", "", "9998-12-31", "9998-12-31", Precision.DAY),
    ("998X", "", "9980-01-01", "9989-12-31", Precision.DECADE),
    # intervals: the coarser of both precisions
    ("2025-09/2026-09", "", "2025-09-01", "2026-09-30", Precision.MONTH),
    ("2026-07/2026-09-15", "", "2026-07-01", "2026-09-15", Precision.MONTH),
    ("2026-Q1/2026-Q3", "2026-33/2026-35", "2026-01-01", "2026-09-30", Precision.QUARTER),
    ("2026-XX/2027", "", "2026-01-01", "2027-12-31", Precision.YEAR),
    # from one day to the same day
    ("2026-09-30/2026-09-30", "", "2026-09-30", "2026-09-30", Precision.DAY),
    # the last month can be within the first year
    ("2026-10/2026", "", "2026-10-01", "2026-12-31", Precision.YEAR),
    # an open end and an unknown end are two things
    ("2026-09/..", "", "2026-09-01", OPEN, Precision.MONTH),
    ("2026-09/", "", "2026-09-01", UNKNOWN, Precision.MONTH),
    ("../2026-12", "", OPEN, "2026-12-31", Precision.MONTH),
    ("/2026-12", "", UNKNOWN, "2026-12-31", Precision.MONTH),
    # one-of sets: from the first day to the last of all choices
    ("[2026-09,2026-12]", "", "2026-09-01", "2026-12-31", Precision.MONTH),
    ("[2027,2026-03-01]", "", "2026-03-01", "2027-12-31", Precision.YEAR),
    ("[2026-Q1,2026-Q3]", "[2026-33,2026-35]", "2026-01-01", "2026-09-30", Precision.QUARTER),
    ("[2026-09..2026-12]", "", "2026-09-01", "2026-12-31", Precision.MONTH),
    ("[..2026-12]", "", OPEN, "2026-12-31", Precision.MONTH),
    ("[2026-12..]", "", "2026-12-01", OPEN, Precision.MONTH),
    ("[2026]", "", "2026-01-01", "2026-12-31", Precision.YEAR),
]

EAST, WEST = timezone(timedelta(hours=3)), timezone(-timedelta(hours=3, minutes=30))
DATE_TIMES = [
    # local, to the minute and to the second
    ("2026-09-30T17:00", "", datetime(2026, 9, 30, 17, 0), Precision.MINUTE),
    ("2026-09-30T17:00:05", "", datetime(2026, 9, 30, 17, 0, 5), Precision.SECOND),
    # UTC
    ("2026-09-30T17:00Z", "", datetime(2026, 9, 30, 17, 0, tzinfo=UTC), Precision.MINUTE),
    ("2026-09-30T17:00:00Z", "", datetime(2026, 9, 30, 17, 0, tzinfo=UTC), Precision.SECOND),
    (
        "2026-09-30T17:00+00:00",
        "2026-09-30T17:00Z",
        datetime(2026, 9, 30, 17, 0, tzinfo=UTC),
        Precision.MINUTE,
    ),
    # offsets, in hours and minutes or hours alone
    ("2026-09-30T17:00+03:00", "", datetime(2026, 9, 30, 17, 0, tzinfo=EAST), Precision.MINUTE),
    (
        "2026-09-30T17:00+03",
        "2026-09-30T17:00+03:00",
        datetime(2026, 9, 30, 17, 0, tzinfo=EAST),
        Precision.MINUTE,
    ),
    (
        "2026-09-30T17:00:00-03:30",
        "",
        datetime(2026, 9, 30, 17, 0, tzinfo=WEST),
        Precision.SECOND,
    ),
    # midnight is the start of its day
    ("2026-10-01T00:00", "", datetime(2026, 10, 1), Precision.MINUTE),
]

QUALIFIED = [
    # each mark
    ("2026-09?", Qualifier.UNCERTAIN),
    ("2026-09~", Qualifier.APPROXIMATE),
    ("2026-09%", Qualifier.BOTH),
    ("2026-09", Qualifier.NONE),
    # after every shape of date
    ("2026~", Qualifier.APPROXIMATE),
    ("2026-09-30~", Qualifier.APPROXIMATE),
    ("2026-35~", Qualifier.APPROXIMATE),
    ("2026-XX?", Qualifier.UNCERTAIN),
    ("202X%", Qualifier.BOTH),
    # the whole is as qualified as its parts together
    ("2026-09~/2026-12", Qualifier.APPROXIMATE),
    ("2026-09/2026-12?", Qualifier.UNCERTAIN),
    ("2026-09~/2026-12?", Qualifier.BOTH),
    ("../2026-12~", Qualifier.APPROXIMATE),
    ("[2026-09~,2026-12~]", Qualifier.APPROXIMATE),
    ("[2026-09?,2026-12,2027~]", Qualifier.BOTH),
]

TEXTS = sorted({*(row[0] for row in DATES), *(row[0] for row in DATE_TIMES), *(row[0] for row in QUALIFIED)})

# Texts that look like deadlines, to come close to what the reader takes.
PIECES = [
    "2026",
    "2027",
    "-",
    "09",
    "9",
    "30",
    "31",
    "13",
    "21",
    "X",
    "XX",
    "Q3",
    "/",
    "..",
    "[",
    "]",
    ",",
    "{",
]
PIECES += [
    "?",
    "~",
    "%",
    "T",
    "17:00",
    ":00",
    "24",
    "Z",
    "+03:00",
    "-00",
    " ",
    "x",
    "W36",
    "September",
    "by ",
    "S2",
]


def bound(value: str | Unbounded) -> date | Unbounded:
    return value if isinstance(value, Unbounded) else date.fromisoformat(value)


@pytest.mark.parametrize(
    ("text", "edtf", "earliest", "latest", "precision"), DATES, ids=[row[0] for row in DATES]
)
def test_reads_dates(
    text: str, edtf: str, earliest: str | Unbounded, latest: str | Unbounded, precision: Precision
) -> None:
    """The bounds of a date, an interval or a set are its first and its last day, both inclusive."""
    deadline = parse_deadline(text)

    assert (deadline.earliest, deadline.latest) == (bound(earliest), bound(latest))
    assert deadline.precision is precision
    assert (deadline.edtf, deadline.text) == (edtf or text, text)


@pytest.mark.parametrize(("text", "edtf", "at", "precision"), DATE_TIMES, ids=[row[0] for row in DATE_TIMES])
def test_reads_date_times(text: str, edtf: str, at: datetime, precision: Precision) -> None:
    """A date-time is a single point: a local time without an offset, or an aware time with an offset."""
    deadline = parse_deadline(text)

    assert deadline.earliest == deadline.latest == at
    assert isinstance(deadline.latest, datetime)
    assert deadline.latest.utcoffset() == at.utcoffset()
    assert deadline.precision is precision
    assert (deadline.edtf, deadline.text) == (edtf or text, text)


@pytest.mark.parametrize(("text", "qualifier"), QUALIFIED)
def test_qualifiers_move_nothing(text: str, qualifier: Qualifier) -> None:
    """A qualifier is kept, and the bounds are those of the same text without the qualifier."""
    deadline = parse_deadline(text)

    bare = parse_deadline("".join(char for char in text if char not in "?~%"))
    assert deadline.qualifier is qualifier
    assert deadline.edtf == text
    assert (deadline.earliest, deadline.latest) == (bare.earliest, bare.latest)


def test_choices_of_a_set() -> None:
    """A set keeps its choices in the order of the text. A range in a set becomes an interval."""
    deadline = parse_deadline("[..2025,2026-Q3,2026-10~..2026-12,2027]")

    assert [choice.edtf for choice in deadline.choices] == ["../2025", "2026-35", "2026-10~/2026-12", "2027"]
    assert [choice.text for choice in deadline.choices] == ["..2025", "2026-Q3", "2026-10~..2026-12", "2027"]
    assert all(parse_deadline(choice.edtf).latest == choice.latest for choice in deadline.choices)
    assert parse_deadline("2026-09").choices == ()


@given(st.text(max_size=220) | st.lists(st.sampled_from(PIECES), max_size=9).map("".join))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Every text gives a canonical text, or raises a DeadlineError with an offset inside the text."""
    found = read_or_refused(text)

    assert found.text == text
    if isinstance(found, DeadlineError):
        assert found.reason
        assert 0 <= found.offset <= len(text)
    else:
        assert_round_trip(found)


@given(st.characters(), st.sampled_from(("{}", "2026{}09", "2026-0{}", "2026-09{}", "{}2026-09", "2026/{}")))
def test_any_character_in_a_date(char: str, shape: str) -> None:
    """A single strange character within a valid text never crashes the parser."""
    found = read_or_refused(shape.replace("{}", char))

    assert isinstance(found, DeadlineError) or char.isascii()


@pytest.mark.parametrize("text", TEXTS)
def test_canonical_round_trip(text: str) -> None:
    """Parsing the canonical text gives the same deadline."""
    assert_round_trip(parse_deadline(text))


def test_precision_is_ordered() -> None:
    """Precisions are ordered from a century to a second."""
    ranks = [precision.rank for precision in Precision]

    assert ranks == sorted(ranks)
    assert Precision.CENTURY.rank < Precision.YEAR.rank < Precision.MONTH.rank < Precision.DAY.rank


def read_or_refused(text: str) -> Deadline | DeadlineError:
    try:
        return parse_deadline(text)
    except DeadlineError as error:
        return error


def assert_round_trip(deadline: Deadline) -> None:
    again = parse_deadline(deadline.edtf)

    assert again.edtf == deadline.edtf
    assert (again.earliest, again.latest) == (deadline.earliest, deadline.latest)
    assert (again.precision, again.qualifier) == (deadline.precision, deadline.qualifier)
    assert [choice.edtf for choice in again.choices] == [choice.edtf for choice in deadline.choices]
