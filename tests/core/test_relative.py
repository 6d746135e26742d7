"""Relative deadlines: chains, contested and done bases, cycles, and thousands of links."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import pytest

from alertd.core.deadline import Reading
from alertd.core.milestones.milestone import Milestone, Rank, RelativeClaim, Source, list_operative_windows
from alertd.core.milestones.policy import Contested
from alertd.core.planning.relative import find_cycle, resolve
from tests.core.builders import (
    MINISTER,
    NEW_YORK,
    PENTAGON,
    REUTERS,
    claim,
    contested,
    milestone,
    policy,
    relative,
    utc,
)


def counted(base: str, by: str, *sources: Source, id: str = "iraq/report") -> Milestone:  # noqa: A002
    return milestone(id=id, counted=[relative(base, by, *sources)])


def resolved(*milestones: Milestone, **done: str) -> dict[str, Milestone]:
    dates = {f"iraq/{name.replace('_', '-')}": date.fromisoformat(day) for name, day in done.items()}
    return resolve({one.id: one for one in milestones}, dates)


def edtf(made: Milestone) -> list[str]:
    return [one.deadline.edtf for one in made.claims]


# base, duration, the computed deadline
COUNTED = [
    ("2026-09-30", "90d", "2026-12-29"),
    ("2026-09-30", "1mo", "2026-10-30"),
    ("2026-01-31", "1mo", "2026-02-28"),
    ("2026-09", "1mo", "2026-10"),
    ("2026-09", "90d", "2026-11-30/2026-12-29"),
    ("2026", "1y", "2027"),
    ("2026-09~", "1mo", "2026-10~"),
    ("2026-09-30T17:00", "2h", "2026-09-30T19:00"),
    ("2026-09-30", "0d", "2026-09-30"),
]


@pytest.mark.parametrize(("base", "by", "expected"), COUNTED)
def test_counts_from_the_window(base: str, by: str, expected: str) -> None:
    """A relative deadline is the base's window, shifted, with the same precision and qualifier."""
    found = resolved(milestone(base, id="iraq/phase-1"), counted("iraq/phase-1", by))

    assert edtf(found["iraq/report"]) == [expected]


def test_says_how_it_was_counted() -> None:
    """The claim says in words from what it was computed, with the phrase of the base."""
    base = milestone(claim("2026-09", MINISTER), id="iraq/phase-1")

    found = resolved(base, counted("iraq/phase-1", "1y6mo"))

    assert found["iraq/report"].claims[0].derived == "1 year 6 months after phase-1 (by September 2026)"


def test_the_sources_are_those_of_the_base() -> None:
    """A claim has all sources of its base, each once."""
    base = milestone(claim("2026-09", MINISTER), claim("2026-09", REUTERS), id="iraq/phase-1")

    found = resolved(base, counted("iraq/phase-1", "90d"))

    assert found["iraq/report"].claims[0].sources == (MINISTER, REUTERS)


def test_sources_of_its_own_come_first() -> None:
    """A relative claim with sources of its own does not have those of the base."""
    base = milestone(claim("2026-09", MINISTER), id="iraq/phase-1")

    found = resolved(base, counted("iraq/phase-1", "90d", PENTAGON))

    assert found["iraq/report"].claims[0].sources == (PENTAGON,)


def test_rank_and_note_stay() -> None:
    """A resolved claim keeps its rank and its note."""
    link = RelativeClaim(
        base="iraq/phase-1", by=relative("x", "1d").by, rank=Rank.PREFERRED, note="by the treaty"
    )
    made = milestone("2027", id="iraq/report", counted=[link])

    found = resolved(milestone("2026-09-30", id="iraq/phase-1"), made)["iraq/report"]

    assert [(one.deadline.edtf, one.rank, one.note) for one in found.claims] == [
        ("2027", Rank.NORMAL, ""),
        ("2026-10-01", Rank.PREFERRED, "by the treaty"),
    ]
    assert found.relative == ()


# the base's policy, the deadlines computed from September 2026 and the end of 2026
BASES = [
    (Contested.EACH, ["2026-10", "2026-02/2027-01"]),
    (Contested.EARLIEST, ["2026-10"]),
    (Contested.LATEST, ["2026-02/2027-01"]),
    (Contested.PREFERRED, ["2026-10"]),
]


@pytest.mark.parametrize(("which", "expected"), BASES)
def test_a_contested_base(which: Contested, expected: list[str]) -> None:
    """A contested base gives a claim for each of its windows that reminds."""
    base = contested(policy=policy(contested=which))

    found = resolved(base, counted("iraq/phase-2", "1mo"))["iraq/report"]

    assert edtf(found) == expected


# duration, the deadline once the base was done on 30 September 2026, a Wednesday
DONE = [
    ("90d", "2026-12-29"),
    ("1mo", "2026-10-30"),
    # the hour at which the base was done is not known, so the deadline is the day by which the time is over
    ("12h", "2026-10-01"),
    ("24h", "2026-10-01"),
    ("25h", "2026-10-02"),
    ("1d1h", "2026-10-02"),
]


@pytest.mark.parametrize(("by", "expected"), DONE)
def test_counts_from_the_done_date(by: str, expected: str) -> None:
    """Once the base is done, the deadline counts from the done date, even if it adds hours."""
    base = milestone(
        claim("2026-09-30T17:00", MINISTER), claim("2026-12-31T17:00", REUTERS), id="iraq/phase-1"
    )

    found = resolved(base, counted("iraq/phase-1", by), phase_1="2026-09-30")["iraq/report"]

    assert edtf(found) == [expected]
    assert found.claims[0].derived.endswith("after phase-1 was done on 30 September 2026")


def test_a_chain() -> None:
    """The base may have a relative deadline itself, in any order of the file."""
    last = counted("iraq/b", "10d", id="iraq/c")
    middle = counted("iraq/a", "10d", id="iraq/b")
    first = milestone("2026-09-10", id="iraq/a")

    found = resolved(last, middle, first)

    assert list(found) == ["iraq/c", "iraq/b", "iraq/a"]
    assert edtf(found["iraq/c"]) == ["2026-09-30"]


def test_a_done_date_in_the_middle_of_a_chain() -> None:
    """Below a done milestone, the deadlines do not depend on the milestones before it."""
    first = milestone("2026-09-10", id="iraq/a")
    middle, last = counted("iraq/a", "10d", id="iraq/b"), counted("iraq/b", "10d", id="iraq/c")

    found = resolved(first, middle, last, b="2026-11-01")

    assert edtf(found["iraq/c"]) == ["2026-11-11"]


def test_a_missing_base_gives_no_claim() -> None:
    """A claim whose base is not loaded is left out without an error."""
    found = resolved(counted("iraq/nowhere", "90d"))["iraq/report"]

    assert (found.claims, found.relative) == ((), ())


def test_the_reading_start_counts_from_the_start() -> None:
    """A month after "before September" is before October."""
    base = milestone(claim("2026-09", reading=Reading.START), id="iraq/phase-1")

    found = resolved(base, counted("iraq/phase-1", "1mo"))["iraq/report"]

    assert edtf(found) == ["../2026-09"]


# a local time of a base in Baghdad, its deadline for a milestone in New York, the instant
ZONES = [
    ("2026-09-30T17:00", "2026-10-01T17:00+03:00", "2026-10-01T14:00"),
    ("2026-09-30T17:00:30", "2026-10-01T17:00:30+03:00", "2026-10-01T14:00:30"),
    # an instant is the same in all zones, and a day is a day of the milestone's own zone
    ("2026-09-30T14:00Z", "2026-10-01T14:00Z", "2026-10-01T14:00"),
    ("2026-09-30", "2026-10-01", "2026-10-02T04:00"),
]


@pytest.mark.parametrize(("base", "expected", "instant"), ZONES)
def test_a_base_in_another_zone(base: str, expected: str, instant: str) -> None:
    """Five o'clock in Baghdad stays that instant for a milestone in another zone."""
    made = replace(counted("iraq/phase-1", "1d"), zone=NEW_YORK)

    found = resolved(milestone(base, id="iraq/phase-1"), made)["iraq/report"]

    assert edtf(found) == [expected]
    assert list_operative_windows(found)[0].window.ends == utc(instant)


def links(*pairs: tuple[str, str]) -> dict[str, Milestone]:
    by_name: dict[str, list[str]] = {}
    for name, base in pairs:
        by_name.setdefault(name, []).append(base)
    return {
        name: milestone(id=name, counted=[relative(base, "1d") for base in bases])
        for name, bases in by_name.items()
    }


# pairs of a milestone and its base; the cycle that is found
CYCLES: list[tuple[Sequence[tuple[str, str]], tuple[str, ...]]] = [
    ([], ()),
    ([("a", "b")], ()),
    ([("a", "a")], ("a", "a")),
    ([("a", "b"), ("b", "a")], ("a", "b", "a")),
    # a search that starts outside the cycle finds only the cycle
    ([("a", "b"), ("b", "c"), ("c", "b")], ("b", "c", "b")),
    # two paths to the same milestone are no cycle
    ([("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"), ("d", "e")], ()),
    # a cycle after a fork
    ([("a", "b"), ("a", "c"), ("c", "d"), ("d", "a")], ("a", "c", "d", "a")),
]


@pytest.mark.parametrize(("pairs", "expected"), CYCLES)
def test_cycles(pairs: Sequence[tuple[str, str]], expected: tuple[str, ...]) -> None:
    """A cycle is found, and the result starts and ends with the same id."""
    assert find_cycle(links(*pairs)) == expected


def test_a_cycle_is_refused() -> None:
    """Resolving a cycle raises an error that names the chain."""
    with pytest.raises(ValueError, match="cannot depend on itself: a -> b -> a"):
        resolve(links(("a", "b"), ("b", "a")), {})


LONG = 20_000


@pytest.mark.long
def test_a_chain_of_thousands() -> None:
    """A chain longer than Python's recursion limit is resolved fast."""
    chain = {f"{n}": milestone(id=f"{n}", counted=[relative(f"{n + 1}", "0d")]) for n in range(LONG)}
    chain[f"{LONG}"] = milestone("2026-09-30", id=f"{LONG}")

    found = resolve(chain, {})

    assert edtf(found["0"]) == ["2026-09-30"]


@pytest.mark.long
def test_a_cycle_of_thousands() -> None:
    """A cycle longer than Python's recursion limit is found fast."""
    ring = links(*((f"{n}", f"{(n + 1) % LONG}") for n in range(LONG)))

    found = find_cycle(ring)

    assert len(found) == LONG + 1
