"""Names and phrases: a deadline is written with the precision of its source."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertd.core.deadline import Reading, format_deadline, format_deadline_phrase, parse_deadline

# deadline, its name, read to its end, read to its start
SAID = [
    # what has a name of its own
    ("2026-09-30", "30 September 2026", "by 30 September 2026", "before 30 September 2026"),
    ("2026-09-01", "1 September 2026", "by 1 September 2026", "before 1 September 2026"),
    ("2026-09", "September 2026", "by September 2026", "before September 2026"),
    # coarser than a month, the end is named
    ("2026", "2026", "by the end of 2026", "before 2026"),
    (
        "2026-Q3",
        "the third quarter of 2026",
        "by the end of the third quarter of 2026",
        "before the third quarter of 2026",
    ),
    (
        "2026-33",
        "the first quarter of 2026",
        "by the end of the first quarter of 2026",
        "before the first quarter of 2026",
    ),
    (
        "2026-38",
        "the middle four months of 2026",
        "by the end of the middle four months of 2026",
        "before the middle four months of 2026",
    ),
    (
        "2026-41",
        "the second half of 2026",
        "by the end of the second half of 2026",
        "before the second half of 2026",
    ),
    ("202X", "the 2020s", "by the end of the 2020s", "before the 2020s"),
    (
        "20XX",
        "the years 2000 to 2099",
        "by the end of the years 2000 to 2099",
        "before the years 2000 to 2099",
    ),
    # the name reports the parts that are not given
    (
        "2026-XX",
        "2026 (month not given)",
        "by the end of 2026 (month not given)",
        "before 2026 (month not given)",
    ),
    (
        "2026-XX-XX",
        "2026 (month and day not given)",
        "by the end of 2026 (month and day not given)",
        "before 2026 (month and day not given)",
    ),
    (
        "2026-09-XX",
        "September 2026 (day not given)",
        "by September 2026 (day not given)",
        "before September 2026 (day not given)",
    ),
    # qualifiers
    ("2026-09~", "about September 2026", "by about September 2026", "before about September 2026"),
    (
        "2026-09?",
        "September 2026 (uncertain)",
        "by September 2026 (uncertain)",
        "before September 2026 (uncertain)",
    ),
    (
        "2026-09%",
        "about September 2026 (uncertain)",
        "by about September 2026 (uncertain)",
        "before about September 2026 (uncertain)",
    ),
    ("2026~", "about 2026", "by about the end of 2026", "before about 2026"),
    # intervals
    (
        "2025-09/2026-09",
        "between September 2025 and September 2026",
        "between September 2025 and September 2026",
        "before September 2025",
    ),
    (
        "2026-09~/2027?",
        "between about September 2026 and 2027 (uncertain)",
        "between about September 2026 and 2027 (uncertain)",
        "before about September 2026",
    ),
    # open and unknown ends
    ("../2026-12", "up to December 2026", "by December 2026", "before a start that was not given"),
    ("../2026", "up to 2026", "by the end of 2026", "before a start that was not given"),
    (
        "/2026-12",
        "up to December 2026, start not known",
        "by December 2026, start not known",
        "before a start that is not known",
    ),
    (
        "2026-09/..",
        "from September 2026, no end given",
        "from September 2026, no end given",
        "before September 2026",
    ),
    (
        "2026-09/",
        "from September 2026, end not known",
        "from September 2026, end not known",
        "before September 2026",
    ),
    # one of a set
    (
        "[2026-09,2026-12]",
        "September 2026 or December 2026",
        "by September 2026 or December 2026",
        "before September 2026 or December 2026",
    ),
    (
        "[2026-09,2026,2027]",
        "September 2026, 2026 or 2027",
        "by September 2026, the end of 2026 or the end of 2027",
        "before September 2026, 2026 or 2027",
    ),
    (
        "[2026-03,2026-09..2026-12]",
        "March 2026 or between September 2026 and December 2026",
        "by March 2026 or between September 2026 and December 2026",
        "before March 2026 or September 2026",
    ),
    # date-times
    (
        "2026-09-30T17:00",
        "30 September 2026, 17:00",
        "by 30 September 2026, 17:00",
        "before 30 September 2026, 17:00",
    ),
    (
        "2026-09-30T17:00:00",
        "30 September 2026, 17:00",
        "by 30 September 2026, 17:00",
        "before 30 September 2026, 17:00",
    ),
    (
        "2026-09-30T09:05:07Z",
        "30 September 2026, 09:05:07 UTC",
        "by 30 September 2026, 09:05:07 UTC",
        "before 30 September 2026, 09:05:07 UTC",
    ),
    (
        "2026-09-30T17:00-03:30",
        "30 September 2026, 17:00 (UTC-03:30)",
        "by 30 September 2026, 17:00 (UTC-03:30)",
        "before 30 September 2026, 17:00 (UTC-03:30)",
    ),
]

dates = st.sampled_from(
    (
        "2026-09-30",
        "2026-09~",
        "2026?",
        "2026-35",
        "2026-XX",
        "2026-09-XX%",
        "202X",
        "20XX",
        "2026-37",
        "2026-40",
    )
)


@pytest.mark.parametrize(("text", "name", "by", "before"), SAID, ids=[row[0] for row in SAID])
def test_said_as_given(text: str, name: str, by: str, before: str) -> None:
    """The name and both phrases give what the source gave, and never a day that the source did not give."""
    deadline = parse_deadline(text)

    assert format_deadline(deadline) == name
    assert format_deadline_phrase(deadline) == by
    assert format_deadline_phrase(deadline, Reading.START) == before


@given(
    dates,
    dates,
    st.sampled_from(("{0}", "{0}/..", "{0}/", "../{0}", "/{0}", "[{0},{1}]", "[{0}..]", "[..{0}]")),
)
def test_every_shape_has_a_name(first: str, second: str, shape: str) -> None:
    """Every deadline that the parser accepts has a name and phrases of a single line."""
    deadline = parse_deadline(shape.format(first, second))

    said = [format_deadline(deadline), *(format_deadline_phrase(deadline, reading) for reading in Reading)]

    assert all(text and text.isprintable() for text in said)
